//! Names of roles, and their hierarchy.
//!
//! Source: `src/common/roles.cpp` of Apache Mesos 1.11.0.

/// Characters that no role has.
const INVALID_CHARACTERS: [char; 7] = ['\t', '\n', '\u{b}', '\u{c}', '\r', ' ', '\u{7f}'];

/// Why `role` is no name of a role, if so; in Mesos's words.
pub(crate) fn validate(role: &str) -> Result<(), String> {
    if role == "*" {
        return Ok(());
    }
    if role.is_empty() {
        return Err("Role names cannot be the empty string".to_owned());
    }
    if role.starts_with('/') {
        return Err(format!("Role '{role}' cannot start with a slash"));
    }
    if role.ends_with('/') {
        return Err(format!("Role '{role}' cannot end with a slash"));
    }
    if role.contains("//") {
        return Err(format!("Role '{role}' cannot contain two adjacent slashes"));
    }
    for component in role.split('/') {
        if [".", "..", "*"].contains(&component) {
            return Err(format!(
                "Role '{role}' cannot include '{component}' as a component"
            ));
        }
        if component.starts_with('-') {
            return Err(format!(
                "Role component '{component}' is invalid because it starts with a dash"
            ));
        }
        if component.contains(INVALID_CHARACTERS) {
            return Err(format!(
                "Role component '{component}' is invalid because it contains backspace or whitespace"
            ));
        }
    }
    Ok(())
}

/// Whether `role` is below `ancestor`: `a/b` is below `a`, `ab` is not.
pub(super) fn is_below(role: &str, ancestor: &str) -> bool {
    let rest = role.strip_prefix(ancestor);
    rest.is_some_and(|rest| rest.starts_with('/'))
}
