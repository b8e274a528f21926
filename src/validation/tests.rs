use super::*;

#[test]
fn ids_are_fit_for_paths() {
    assert_eq!(ids::check("a.b_c-1"), Ok(()));
    assert_eq!(ids::check(""), Err("ID must not be empty".to_owned()));
    assert_eq!(ids::check(".."), Err("'..' is disallowed".to_owned()));
    assert!(ids::check("a\nb").is_err());
    assert!(ids::check(&"x".repeat(256)).is_err());
}
