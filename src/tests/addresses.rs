//! Addresses as a user may mistype them, and passwords within them.

use proptest::collection::vec;
use proptest::prelude::*;

/// Something like an address, or not.
pub(crate) fn address() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        Just(""),
        Just("http://"),
        Just("https://"),
        Just("HTTP://"),
        Just("master@"),
        Just("ftp://"),
        Just("//"),
        Just("zk://"),
        Just("data:"),
        Just("http:"),
    ];
    let host = prop_oneof![
        Just("10.0.0.5".to_owned()),
        Just("master".to_owned()),
        Just("[::1]".to_owned()),
        Just("[fe80::80]".to_owned()),
        Just("a:b@h".to_owned()),
        Just("0x7f.1".to_owned()),
        Just("ä.example".to_owned()),
        Just(String::new()),
        "[a-z0-9.\\-_%\\[\\]:@]{0,8}",
    ];
    let port = prop_oneof![
        Just(String::new()),
        any::<u16>().prop_map(|port| format!(":{port}")),
        Just(":80".to_owned()),
        Just(":443".to_owned()),
        Just(":5050".to_owned()),
        Just(":65536".to_owned()),
        Just(":-1".to_owned()),
        Just(":".to_owned()),
        Just(":+80".to_owned()),
        Just(":080".to_owned()),
    ];
    let rest = prop_oneof![
        Just(""),
        Just("/"),
        Just("/dcos/mesos/"),
        Just("/api/v1/scheduler"),
        Just("/:80/"),
        Just("?x"),
        Just("#x"),
        Just("/../.."),
        Just("\\x"),
        Just("/%zz"),
        Just("/\r\nX: y"),
        Just(" "),
    ];
    let like_one = (scheme, host, port, rest)
        .prop_map(|(scheme, host, port, rest)| format!("{scheme}{host}{port}{rest}"));
    prop_oneof![8 => like_one, 1 => any::<String>(), 1 => "\\PC{0,30}"]
}

/// A password, cut up by what has a meaning elsewhere, and its pieces, which stand in nothing else.
pub(crate) fn password() -> impl Strategy<Value = (String, Vec<String>)> {
    let between = prop::sample::select(vec![
        "",
        "@",
        ":",
        "/",
        "//",
        "://",
        ",",
        "?",
        "#",
        "%40",
        "\\",
        " ",
        "\n",
        "ä",
        "[",
        "]",
        "master@",
        "zk://",
        "http://",
        "file://",
        "@h:5050",
        ",http://h",
        "local",
        "\"",
    ]);
    let piece = "q[0-9]{4}q";
    vec((piece, between), 1..4).prop_map(|pieces| {
        let text = pieces
            .iter()
            .map(|(piece, between)| format!("{piece}{between}"));
        let text = text.collect();
        (text, pieces.into_iter().map(|(piece, _)| piece).collect())
    })
}

/// Nothing of a password is in what is told.
pub(crate) fn assert_hidden(pieces: &[String], told: &str) {
    for piece in pieces {
        assert!(!told.contains(piece.as_str()), "{piece} in {told}");
    }
}
