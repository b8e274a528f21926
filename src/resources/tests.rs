#![allow(
    deprecated,
    reason = "the older reservation format is part of what is tested"
)]

use super::*;
use crate::proto::value;

fn parsed(text: &str) -> Resources {
    Resources::parse(text).unwrap()
}

#[test]
fn scalars_are_exact_to_three_decimals() {
    let sum = parsed("cpus:0.1") + parsed("cpus:0.2");
    assert_eq!(sum, parsed("cpus:0.3"));
    assert_eq!((sum - parsed("cpus:0.3")), Resources::new());
    assert!(parsed("cpus:0.3004").contains(&parsed("cpus:0.3")));
}

#[test]
fn ranges_split_and_join() {
    let mut ports = parsed("ports:[31000-31009]");
    ports -= &parsed("ports:[31004-31005]");
    assert_eq!(ports.to_string(), "ports:[31000-31003, 31006-31009]");
    assert!(!ports.contains(&parsed("ports:[31003-31006]")));
    ports += &parsed("ports:[31004-31005]");
    assert_eq!(ports, parsed("ports:[31000-31009]"));
}

#[test]
fn sets_and_reserved_kinds_stay_apart() {
    let all = parsed("zones:{a,b};cpus:1;cpus(web):2");
    assert_eq!(all.scalar("cpus"), 3.0);
    assert!(!all.contains(&parsed("cpus:2")));
    assert!(all.contains(&parsed("cpus(web):2;zones:{b}")));
    assert_eq!(all.allocatable_to("db").to_string(), "zones:{a, b}; cpus:1");
    assert_eq!(all.allocatable_to("web/x").scalar("cpus"), 3.0);
}

#[test]
fn names_the_piece_that_cannot_be_read() {
    for (text, piece) in [
        ("cpus:1;mem", "'mem'"),
        ("cpus:many", "'cpus:many'"),
        ("ports:[1-", "'ports:[1-'"),
        ("ports:[5-1]", "begin > end"),
        ("cpus(:1", "'cpus(:1'"),
        ("cpus:-1", "value <= 0"),
    ] {
        let error = Resources::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(piece), "{error}");
    }
}

#[test]
fn reads_both_reservation_formats_as_one() {
    let older = proto::Resource {
        name: "cpus".to_owned(),
        scalar: Some(value::Scalar { value: 1.0 }),
        role: Some("web".to_owned()),
        ..Default::default()
    };
    let both = Resources::from_protos(std::slice::from_ref(&older)).unwrap();
    assert_eq!(both, parsed("cpus(web):1"));
    assert_eq!(both.to_unrefined_protos(), vec![older]);
    let unreserved = parsed("cpus:1").to_unrefined_protos();
    assert_eq!(unreserved[0].role.as_deref(), Some("*"));
}

#[test]
fn invalid_messages_are_named_as_mesos_does() {
    let mut negative = parsed("cpus:1").to_protos();
    negative[0].scalar = Some(value::Scalar { value: -1.0 });
    let error = Resources::from_protos(&negative).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("Invalid scalar resource: value <= 0")
    );
}

#[test]
fn allocation_marks_are_put_on_and_taken_off() {
    let allocated = parsed("cpus:1;mem:64").allocated_to("web");
    assert_eq!(
        allocated.to_string(),
        "cpus(allocated: web):1; mem(allocated: web):64"
    );
    assert!(!allocated.contains(&parsed("cpus:1")));
    assert_eq!(allocated.unallocated(), parsed("cpus:1;mem:64"));
}
