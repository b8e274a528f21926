//! Names and contents of znodes as nobody writes them.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::*;
use crate::codec::{ContentType, encode};
use crate::proto;
use crate::tests::{cases, changed, changes};

/// Labels of candidates: of both forms, of none, and of none that is known.
const LABELS: [&str; 6] = ["json.info_", "info_", "", "xml.info_", "json.info_x_", "__"];

/// Names of znodes that are no candidates.
fn other() -> impl Strategy<Value = String> {
    let odd = vec![
        "log_replicas",
        "",
        "_",
        "json.info_",
        "info_-",
        "info_1 ",
        "info_ 1",
        "info_+1",
        "info_0x1",
        "info_1.0",
        "info_2147483648",
        "info_-2147483649",
        "info_99999999999999999999999",
        "info_\u{661}",
        "info_1_",
        "json.info_1\0",
    ];
    let odd = prop::sample::select(odd).prop_map(str::to_owned);
    let is_candidate = |name: &String| name.ends_with(|c: char| c.is_ascii_digit());
    let any = any::<String>().prop_filter("it may be a candidate", move |name| !is_candidate(name));
    prop_oneof![3 => odd, 1 => any]
}

/// As ZooKeeper writes it: with ten digits at least.
fn written(label: &str, number: i32) -> String {
    format!(
        "{label}{}{:010}",
        if number < 0 { "-" } else { "" },
        number.unsigned_abs()
    )
}

fn number() -> impl Strategy<Value = i32> {
    prop_oneof![3 => 0..30, 1 => any::<i32>(), 1 => prop::sample::select(vec![i32::MIN, -1, i32::MAX])]
}

/// What a master tells of itself, and can be reached by.
fn info() -> impl Strategy<Value = MasterInfo> {
    let ip = any::<[u8; 4]>().prop_map(|ip| std::net::Ipv4Addr::from(ip).to_string());
    let text = || prop_oneof![2 => "[a-z0-9.\\-]{1,12}", 1 => "\\PC{0,6}"];
    let address =
        (ip.clone(), 1..=65535_i32, prop::option::of(text())).prop_map(|(ip, port, hostname)| {
            proto::Address {
                hostname,
                ip: Some(ip),
                port,
            }
        });
    let pid = (ip, 1..=u16::MAX).prop_map(|(ip, port)| format!("master@{ip}:{port}"));
    (
        "[a-f0-9\\-]{0,36}",
        1..=u32::MAX,
        1..=65535_u32,
        prop::option::of(pid),
        prop::option::of(text()),
        prop::option::of(address),
        prop::option::of(text()),
    )
        .prop_map(
            |(id, ip, port, pid, hostname, address, version)| MasterInfo {
                id,
                ip,
                port,
                pid,
                hostname,
                address,
                version,
                ..MasterInfo::default()
            },
        )
}

fn content(info: &MasterInfo, form: Form) -> (&'static str, Vec<u8>) {
    let (name, content_type) = match form {
        Form::Json => ("json.info_0000000001", ContentType::Json),
        Form::Protobuf => ("info_0000000001", ContentType::Protobuf),
    };
    (name, encode(content_type, info).unwrap().to_vec())
}

fn form_of_content() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Json), Just(Form::Protobuf)]
}

/// An error says of which znode it is, in few words.
fn check_error(name: &str, error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let text = error.to_string();
    assert!(text.starts_with(&describe(name)), "{text}");
    assert!(
        text.chars().count() < 2500,
        "{} characters",
        text.chars().count()
    );
}

/// Whatever the content is, it tells of a master that can be reached, or it is an error of the protocol.
fn check(form: Form, name: &str, content: &[u8], over_https: bool) -> Option<LeadingMaster> {
    let leader = match master(name, content, over_https) {
        Ok(leader) => leader,
        Err(error) => {
            check_error(name, &error);
            return None;
        }
    };
    assert!(content.len() <= MAX_CONTENT);
    let info: MasterInfo = match form {
        Form::Json => from_json(content).unwrap(),
        Form::Protobuf => MasterInfo::decode(content).unwrap(),
    };
    assert_eq!(leader.master_id().unwrap_or_default(), info.id);
    // Its address is one that the user could have written.
    let again = LeadingMaster::new(&leader.address()).unwrap();
    assert_eq!(again.address(), leader.address());
    assert_eq!(leader.address().starts_with("https://"), over_https);
    Some(leader)
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn the_lowest_number_leads_in_any_order_among_anything(
        candidates in btree_map(number(), 0..LABELS.len(), 0..8),
        others in vec(other(), 0..5),
        order: u64,
    ) {
        let named = |(number, label): (&i32, &usize)| written(LABELS[*label], *number);
        let mut children: Vec<String> = candidates.iter().map(named).chain(others).collect();
        fastrand::Rng::with_seed(order).shuffle(&mut children);
        let lowest = candidates.first_key_value();
        prop_assert_eq!(leader(&children).map(str::to_owned), lowest.map(named));
        let Some((number, label)) = lowest else {
            return Ok(());
        };
        let name = written(LABELS[*label], *number);
        match (form(&name), LABELS[*label]) {
            (Ok(form), "json.info_") => prop_assert_eq!(form, Form::Json),
            (Ok(form), "info_") => prop_assert_eq!(form, Form::Protobuf),
            (Ok(form), label) => prop_assert!(false, "{} is {:?}", label, form),
            (Err(error), label) => {
                prop_assert!(!matches!(label, "json.info_" | "info_"));
                check_error(&name, &error);
            }
        }
    }

    #[test]
    fn any_names_have_a_leader_with_the_lowest_number_or_none(
        names in vec(("[a-z._]{0,6}", prop_oneof!["-?[0-9]{0,12}", "\\PC{0,3}"]), 0..6),
    ) {
        let names: Vec<_> = names.iter().map(|(label, number)| format!("{label}{number}")).collect();
        let mut numbers = BTreeMap::new();
        for name in &names {
            let number = name.rsplit_once('_').map_or(&**name, |(_, number)| number);
            if let Some(number) = number.parse().ok().filter(|_| !number.contains('+')) {
                let number: i32 = number;
                numbers.entry(number).or_insert_with(Vec::new).push(name.as_str());
            }
        }
        match (leader(&names), numbers.first_key_value()) {
            (Some(leader), Some((_, lowest))) => prop_assert!(lowest.contains(&leader)),
            (leader, lowest) => prop_assert!(leader.is_none() && lowest.is_none(), "{:?}", leader),
        }
    }

    #[test]
    fn both_forms_of_a_master_tell_the_same(info in info(), over_https: bool) {
        let told = [Form::Json, Form::Protobuf].map(|form| {
            let (name, content) = content(&info, form);
            check(form, name, &content, over_https)
        });
        prop_assert!(told[0].is_some());
        prop_assert_eq!(&told[0], &told[1]);
    }

    #[test]
    fn any_change_of_a_znode_gives_a_master_or_an_error(
        info in info(),
        form in form_of_content(),
        changes in changes(1..5),
        over_https: bool,
    ) {
        let (name, content) = content(&info, form);
        let expected = check(form, name, &content, over_https);
        let changed = changed(content, &changes);
        let told = check(form, name, &changed, over_https);
        let same = match form {
            Form::Json => from_json::<MasterInfo>(&changed).ok() == Some(info),
            Form::Protobuf => MasterInfo::decode(&*changed).ok() == Some(info),
        };
        if same {
            prop_assert_eq!(told, expected);
        }
    }

    #[test]
    fn any_content_is_a_master_or_an_error(
        json in prop_oneof!["\\PC{0,40}", "[{}\\[\\]\":,0-9a-z]{0,40}"],
        bytes in vec(any::<u8>(), 0..40),
        over_https: bool,
    ) {
        check(Form::Json, "json.info_1", json.as_bytes(), over_https);
        check(Form::Json, "json.info_1", &bytes, over_https);
        check(Form::Protobuf, "info_1", &bytes, over_https);
    }

    #[test]
    fn what_is_too_long_is_not_looked_at(
        info in info(),
        form in form_of_content(),
        off in -3..=3_isize,
    ) {
        let (name, mut content) = content(&info, form);
        let length = MAX_CONTENT.strict_add_signed(off);
        let room = length - content.len();
        match form {
            Form::Json => content.resize(length, b' '),
            // An unknown field: its key has two bytes, and its length three.
            Form::Protobuf => {
                prost::encoding::encode_key(1000, prost::encoding::WireType::LengthDelimited, &mut content);
                prost::encoding::encode_varint(room as u64 - 5, &mut content);
                content.resize(length, 0);
            }
        }
        match master(name, &content, false) {
            Ok(_) => prop_assert!(length <= MAX_CONTENT),
            Err(error) => {
                prop_assert!(length > MAX_CONTENT, "{}", error);
                let expected = format!("{} holds {length} bytes", describe(name));
                prop_assert_eq!(error.to_string(), expected);
            }
        }
        prop_assert_eq!(check_length(name, length).is_ok(), length <= MAX_CONTENT);
    }
}
