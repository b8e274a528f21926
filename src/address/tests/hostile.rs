//! Addresses as a user may mistype them, and redirects as a peer may make them up.

use proptest::prelude::*;

use super::super::*;
use super::PATH;
use crate::tests::addresses::{address, assert_hidden, password};
use crate::tests::cases;

/// What holds of every address, however it came about.
fn assert_sound(address: &Address) {
    let url = address.url(PATH);
    assert!(matches!(url.scheme(), "http" | "https"), "{url}");
    assert!(url.has_host() && url.path().ends_with(PATH), "{url}");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{url}"
    );
    assert!(url.query().is_none() && url.fragment().is_none(), "{url}");
    let visible = |text: &str| text.chars().all(|c| !c.is_control() && c != ' ');
    // It stands in the head of a request.
    assert!(
        visible(url.path()) && visible(url.host_str().unwrap()),
        "{url}"
    );
    // An address is told as it can be written.
    let told = address.to_string();
    let again = Address::parse(&told).unwrap();
    assert_eq!((again.url(PATH), again.to_string()), (url, told));
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_password_is_told_of_an_address(
        before in prop::sample::select(vec!["", "master@", "http://", "https://", "HTTP://", "ftp://", "//", "a:1,", " "]),
        user in prop::sample::select(vec!["user", "", "master", "http"]),
        (password, pieces) in password(),
        after in address(),
        from in address(),
    ) {
        let text = format!("{before}{user}:{password}@{after}");
        assert_hidden(&pieces, &redacted(&text));
        match Address::parse(&text) {
            Ok(address) => prop_assert!(false, "{} is taken", address),
            Err(error) => assert_hidden(&pieces, &format!("{error} {error:?}")),
        }
        if let Ok(from) = Address::parse(&from) {
            match from.redirected(PATH, &text) {
                Ok(to) => assert_sound(&to),
                Err(error) => assert_hidden(&pieces, &format!("{error} {error:?}")),
            }
        }
    }

    #[test]
    fn any_text_is_an_address_or_a_config_error(text in address()) {
        match Address::parse(&text) {
            Ok(address) => assert_sound(&address),
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Config),
        }
    }

    #[test]
    fn any_location_is_an_address_or_an_error_that_passes(from in address(), location in address()) {
        let Ok(from) = Address::parse(&from) else {
            return Ok(());
        };
        match from.redirected(PATH, &location) {
            Ok(to) => {
                assert_sound(&to);
                prop_assert_eq!(to.credentials_allowed(), to.url(PATH).scheme() == from.url(PATH).scheme());
                // Whatever comes behind it, credentials that stayed behind do not come after.
                if let Ok(back) = to.redirected(PATH, from.url(PATH).as_ref()) {
                    prop_assert!(to.credentials_allowed() || !back.credentials_allowed());
                }
            }
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    }

    #[test]
    fn a_port_that_is_stated_counts(port in 1..=u16::MAX, form in 0..5_usize) {
        let text = [
            format!("h:{port}"), format!("http://h:{port}"), format!("https://h:{port}/x"), format!("[::80]:{port}"),
            format!("master@h:{port}"),
        ];
        let address = Address::parse(&text[form]).unwrap();
        prop_assert_eq!(address.url(PATH).port_or_known_default(), Some(port));
        let to = address.redirected(PATH, &format!("//other:{port}{PATH}")).unwrap();
        prop_assert_eq!(to.url(PATH).port_or_known_default(), Some(port));
        let to = address.redirected(PATH, PATH).unwrap();
        prop_assert_eq!(to.url(PATH).port_or_known_default(), Some(port));
    }
}
