//! Master strings as a user may mistype them, and files that hold anything.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::tests::addresses::{address, assert_hidden, password};
use crate::tests::{Change, cases, changed, changes};

fn separator() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(","), 1 => Just(", "), 1 => Just(" ,\n"), 1 => Just(",,"), 1 => Just(" ")]
}

/// A list, or something like it.
fn list() -> impl Strategy<Value = String> {
    let well_formed =
        (any::<[u8; 4]>(), 1..=u16::MAX, any::<bool>()).prop_map(|(ip, port, is_url)| {
            let [a, b, c, d] = ip;
            match is_url {
                true => format!("http://{a}.{b}.{c}.{d}:{port}/m"),
                false => format!("{a}.{b}.{c}.{d}:{port}"),
            }
        });
    let part = prop_oneof![2 => well_formed, 1 => address()];
    vec((part, separator()), 0..5).prop_map(|parts| {
        let text = parts
            .iter()
            .map(|(part, separator)| format!("{part}{separator}"));
        let text: String = text.collect();
        text.trim_end_matches(',').to_owned()
    })
}

/// As a master string states them.
fn printed(found: &FixedAddresses) -> String {
    let found = found.addresses().iter().map(ToString::to_string);
    found.collect::<Vec<_>>().join(",")
}

/// What holds of every master string: it is one, and is told as it can be written, or it is an error of the
/// configuration.
fn check(master: &str) -> std::result::Result<Option<String>, Error> {
    match Masters::parse(master) {
        Ok(Masters::Fixed(found)) => {
            let told = printed(&found);
            assert!(!found.addresses().is_empty());
            match Masters::parse(&told) {
                Ok(Masters::Fixed(again)) => assert_eq!(again.addresses(), found.addresses()),
                Ok(Masters::Detected(_)) => panic!("{told} is detected"),
                Err(error) => panic!("{told}: {error}"),
            }
            Ok(Some(told))
        }
        Ok(Masters::Detected(_)) => Ok(None),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            Err(error)
        }
    }
}

/// A master string with a password in it, and the password's pieces.
fn with_password() -> impl Strategy<Value = (String, Vec<String>)> {
    let before = prop::sample::select(vec![
        "",
        " ",
        "master@",
        "http://",
        "https://",
        "HTTP://",
        "zk://",
        "ZK://",
        "zk:/",
        "file://",
        "ftp://",
        "//",
        "a:1,",
        "a:1,http://",
        "http://a,master@",
        "user:@a:1,",
        "zk://a:1,",
    ]);
    let user = prop::sample::select(vec!["user", "", "master", "a/b", "http", "us,er", "h:1/m"]);
    let after = prop_oneof![
        2 => list(),
        1 => prop::sample::select(vec![
            "", "h", "h:1/m", "h:1,i:2/m/", "h:1/m//n", "h:0/m", "h,http://i:1", "/m", " h:1/m", "h:1/../m",
        ])
        .prop_map(str::to_owned),
    ];
    (before, user, password(), after).prop_map(|(before, user, (password, pieces), after)| {
        (format!("{before}{user}:{password}@{after}"), pieces)
    })
}

/// Its text, of whichever kind, shows nothing of a password.
fn check_hidden(master: &str, pieces: &[String]) {
    assert_hidden(pieces, &crate::address::redacted(master));
    match Masters::parse(master) {
        Ok(Masters::Fixed(found)) => panic!("{} is taken", printed(&found)),
        Ok(Masters::Detected(_)) => assert!(master.trim_start().starts_with("zk://")),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_hidden(pieces, &format!("{error} {error:?}"));
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_list_is_told_as_it_can_be_written_or_a_config_error(master in list()) {
        let _ = check(&master);
    }

    #[test]
    fn any_change_of_a_list_gives_one_or_a_config_error(master in list(), changes in changes(1..4)) {
        let bytes = changed(master.into_bytes(), &changes);
        let _ = check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_password_is_told_of_a_master_string((master, pieces) in with_password()) {
        check_hidden(&master, &pieces);
    }
}

/// Runs a property on the content of one file, which need not be made anew for each case.
fn on_a_file<T: std::fmt::Debug>(content: impl Strategy<Value = T>, property: impl Fn(&Folder, T)) {
    let folder = Folder::new();
    let mut runner = TestRunner::new(cases(64));
    let ran = runner.run(&content, |content| {
        property(&folder, content);
        Ok(())
    });
    ran.unwrap();
}

impl Folder {
    /// Writes a new file in place of the old one: one that is cut down to nothing may be waited for at the disk.
    fn replace(&self, name: &str, content: &[u8]) -> String {
        let _ = std::fs::remove_file(self.0.join(name));
        std::fs::write(self.0.join(name), content).unwrap();
        self.string_of(name)
    }
}

fn bytes() -> impl Strategy<Value = (String, Vec<(prop::sample::Index, Change)>)> {
    let other = prop::sample::select(vec![
        "",
        "\n",
        "local",
        "file://",
        "file:///",
        "file:///no/such",
        "file://own",
        "zk://a:1/m",
        "zk://a:1",
        "\u{feff}a:1",
        "a:1\0",
        "a:1\nb:2",
    ]);
    let text = prop_oneof![2 => list(), 1 => other.prop_map(str::to_owned)];
    (text, changes(0..3))
}

#[test]
fn any_file_holds_a_master_string_or_is_a_config_error() {
    on_a_file(bytes(), |folder, (text, changes)| {
        let own = folder.string_of("own");
        // A file may name itself.
        let text = text.replace("file://own", &own);
        let content = changed(text.into_bytes(), &changes);
        folder.replace("own", &content);
        let text = String::from_utf8(content).map(|text| text.trim().to_owned());
        match (check(&own), text) {
            // A file is worth what stands in it.
            (Ok(told), Ok(text)) => assert_eq!(told, check(&text).unwrap()),
            (Ok(_), Err(_)) => panic!("what is no text is a master string"),
            (Err(error), _) => {
                let names = format!("master {own}: ");
                assert!(error.to_string().starts_with(&names), "{error}");
            }
        }
    });
}

#[test]
fn no_password_is_told_of_a_file() {
    on_a_file(with_password(), |folder, (text, pieces)| {
        check_hidden_in(&folder.replace("own", text.as_bytes()), &pieces);
    });
}

fn check_hidden_in(master: &str, pieces: &[String]) {
    match Masters::parse(master) {
        Ok(Masters::Fixed(found)) => panic!("{} is taken", printed(&found)),
        Ok(Masters::Detected(_)) => {}
        Err(error) => assert_hidden(pieces, &format!("{error} {error:?}")),
    }
}
