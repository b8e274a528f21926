//! What stands where an id should.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use crate::tests::{cases, changed, changes};

fn check(bytes: &[u8]) {
    match parse(bytes) {
        Ok(id) => {
            assert_eq!(id.value.as_bytes(), bytes);
            assert!(can_be_id(&id) && (1..=LONGEST).contains(&bytes.len()));
            let forbidden = |byte: &u8| byte.is_ascii_control() || matches!(byte, b'/' | b'\\');
            assert!(!bytes.iter().any(forbidden) && bytes != b"." && bytes != b"..");
        }
        Err(why) => {
            // What is no id is not taken from a master either.
            if let Ok(text) = std::str::from_utf8(bytes) {
                assert!(!can_be_id(&text.into()), "{why}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_bytes_are_the_id_that_they_spell_or_none(
        id in "[a-f0-9]{8}-[a-f0-9]{4}-[0-9]{4,6}",
        changes in changes(0..4),
        length in 250..260_usize,
        bytes in vec(any::<u8>(), 0..12),
    ) {
        prop_assert!(parse(id.as_bytes()).is_ok());
        check(&changed(id.into_bytes(), &changes));
        check(&vec![b'a'; length]);
        check(&bytes);
    }
}
