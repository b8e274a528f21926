//! Ids end up in paths; hence their rules.

/// Longest id, in bytes (`NAME_MAX`).
const MAX_LENGTH: usize = 255;

/// Why `id` is none, if so.
pub(crate) fn check(id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err("ID must not be empty".to_owned());
    }
    if id.len() > MAX_LENGTH {
        return Err(format!(
            "ID must not be greater than {MAX_LENGTH} characters"
        ));
    }
    if id == "." || id == ".." {
        return Err(format!("'{id}' is disallowed"));
    }
    let is_invalid = |byte: u8| byte.is_ascii_control() || byte == b'/' || byte == b'\\';
    if id.bytes().any(is_invalid) {
        return Err(format!("'{id}' contains invalid characters"));
    }
    Ok(())
}
