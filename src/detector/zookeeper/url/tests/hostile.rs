//! `zk://…` as a user may mistype it, and what it tells of itself.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use crate::detector::{Masters, ZooKeeperDetector};
use crate::tests::addresses::{address, assert_hidden, password};
use crate::tests::cases;

fn servers() -> impl Strategy<Value = String> {
    let server = prop_oneof![
        4 => ("[a-z0-9.\\-_]{1,8}", prop::option::of(1..=u16::MAX)).prop_map(|(host, port)| match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }),
        1 => any::<[u16; 8]>().prop_map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))),
        1 => (any::<[u16; 8]>(), 1..=u16::MAX)
            .prop_map(|(ip, port)| format!("[{}]:{port}", std::net::Ipv6Addr::from(ip))),
    ];
    vec(server, 1..4).prop_map(|servers| servers.join(","))
}

fn path() -> impl Strategy<Value = String> {
    let node = prop_oneof![
        Just("mesos".to_owned()),
        "[a-zä0-9.\\-_:,]{1,4}( [a-z]{1,2})?"
    ];
    let node = node.prop_filter("no znode has that name", |node| {
        !matches!(&**node, "." | "..")
    });
    vec(node, 1..4).prop_map(|nodes| format!("/{}", nodes.join("/")))
}

/// Something like an URL, and what of it is a password.
fn mistyped() -> impl Strategy<Value = (String, Vec<String>)> {
    let before = prop::sample::select(vec![
        "zk://",
        " zk://",
        "zk:/",
        "",
        "zk://master@",
        "zk://zk://",
        "ZK://",
    ]);
    let user = prop::sample::select(vec!["user:", "user", "", ":", "h:1/m:", "h,i:"]);
    let after = prop_oneof![
        2 => (servers(), path()).prop_map(|(servers, path)| format!("{servers}{path}")),
        1 => address(),
        1 => prop::sample::select(vec!["", "/", "h", "h/", ",/m", "h:0/m", "h:1//m", "h:1/./m", "h:1/m\n/n"])
            .prop_map(str::to_owned),
    ];
    (before, user, password(), after).prop_map(|(before, user, (password, pieces), after)| {
        (format!("{before}{user}{password}@{after}"), pieces)
    })
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn a_url_is_taken_apart_and_told_without_its_credential(
        (password, pieces) in password(),
        has_credential: bool,
        servers in servers(),
        path in path(),
        slashes in "/{0,2}",
    ) {
        let credential = format!("me:{password}");
        let text = match has_credential {
            true => format!(" zk://{credential}@{servers}{path}{slashes} "),
            false => format!("zk://{servers}{path}{slashes}"),
        };
        let url = ZooKeeperUrl::parse(&text).unwrap();
        let credential = has_credential.then_some(credential);
        prop_assert_eq!(
            (url.servers(), url.path(), url.credential()),
            (&*servers, &*path, credential.as_deref())
        );
        let told = url.to_string();
        let again = ZooKeeperUrl::parse(&told).unwrap();
        prop_assert_eq!((again.servers(), again.path(), again.credential()), (&*servers, &*path, None));
        let detector = ZooKeeperDetector::new(&text).unwrap();
        assert_hidden(&pieces, &format!("{told} {url:?} {detector:?}"));
        prop_assert!(matches!(Masters::parse(&text), Ok(Masters::Detected(_))));
    }

    #[test]
    fn any_mistyped_url_is_one_or_a_config_error_and_tells_no_password((text, pieces) in mistyped()) {
        match ZooKeeperUrl::parse(&text) {
            Ok(url) => {
                let told = url.to_string();
                assert_hidden(&pieces, &format!("{told} {url:?}"));
                let again = ZooKeeperUrl::parse(&told).unwrap();
                prop_assert_eq!((again.servers(), again.path()), (url.servers(), url.path()));
                let is_node = |name: &str| !matches!(name, "" | "." | "..");
                prop_assert!(url.path().strip_prefix('/').unwrap().split('/').all(is_node));
                prop_assert!(url.credential().is_some_and(|credential| credential.contains(':')));
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Config);
                assert_hidden(&pieces, &format!("{error} {error:?}"));
            }
        }
    }
}
