#![allow(
    deprecated,
    reason = "the older reservation format is part of what is tested"
)]

use super::*;
use crate::proto::offer::{Operation, operation};
use crate::proto::resource::{ReservationInfo, reservation_info};
use crate::proto::{ExecutorInfo, Offer, TaskInfo, value};
use crate::{Error, ErrorKind};

mod laws;

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
fn a_role_below_may_use_what_is_reserved_above_it() {
    let reserved = parsed("cpus(web):2;cpus(web/shop):1");
    assert_eq!(reserved.allocatable_to("web").scalar("cpus"), 2.0);
    assert_eq!(reserved.allocatable_to("web/shop").scalar("cpus"), 3.0);
    assert_eq!(reserved.allocatable_to("webshop"), Resources::new());
}

#[test]
fn persistent_volumes_are_taken_as_a_whole() {
    let volume = |id: &str, megabytes: f64| {
        let mut disk = parsed("disk(web):1").to_protos().remove(0);
        disk.scalar = Some(value::Scalar { value: megabytes });
        disk.disk = Some(Box::new(proto::resource::DiskInfo {
            persistence: Some(proto::resource::disk_info::Persistence {
                id: id.to_owned(),
                principal: None,
            }),
            ..Default::default()
        }));
        disk
    };
    let both = Resources::from_unchecked(&[volume("a", 4.0), volume("b", 4.0)]);
    assert_eq!(both.to_protos().len(), 2);
    let part = Resources::from_unchecked(&[volume("a", 2.0)]);
    assert!(!both.contains(&part));
    assert_eq!(both.clone() - part, both);
    let mut shared = volume("c", 4.0);
    shared.shared = Some(proto::resource::SharedInfo {});
    let one = Resources::from_unchecked(&[shared]);
    let two = one.clone() + one.clone();
    assert!(two.contains(&one) && !one.contains(&two));
    assert_eq!(two.clone() - one.clone(), one);
    assert!(two.to_string().ends_with("[c]<SHARED>:4<2>"), "{two}");
}

#[test]
fn refined_reservations_are_for_roles_below_each_other() {
    let mut refined = parsed("cpus(web):1").to_protos().remove(0);
    let push = |resource: &mut proto::Resource, role: &str| {
        resource
            .reservations
            .push(proto::resource::ReservationInfo {
                r#type: Some(proto::resource::reservation_info::Type::Dynamic.into()),
                role: Some(role.to_owned()),
                ..Default::default()
            });
    };
    push(&mut refined, "web/shop");
    let valid = Resources::from_protos(std::slice::from_ref(&refined)).unwrap();
    assert!(valid.to_unrefined_protos().is_empty());
    assert_eq!(valid.pop_reservation().unwrap(), parsed("cpus(web):1"));
    assert_eq!(valid.to_unreserved(), parsed("cpus:1"));
    push(&mut refined, "web");
    let error = Resources::from_protos(&[refined]).unwrap_err().to_string();
    assert!(
        error.ends_with("role 'web' is not a refinement of 'web/shop'"),
        "{error}"
    );
}

#[test]
fn names_the_piece_that_cannot_be_read() {
    for (text, piece) in [
        ("cpus:1;mem", "'mem'"),
        ("cpus:many", "'cpus:many'"),
        ("ports:[1-", "'ports:[1-'"),
        ("ports:[5-1]", "begin > end"),
        ("cpus(:1", "'cpus(:1'"),
        ("mem:2;cpus:-1", "'cpus:-1'"),
        ("cpus:1;cpus:{a}", "'cpus:{a}'"),
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

fn dynamic(role: &str) -> ReservationInfo {
    ReservationInfo {
        r#type: Some(reservation_info::Type::Dynamic.into()),
        role: Some(role.to_owned()),
        ..Default::default()
    }
}

fn volume(id: &str, megabytes: f64) -> proto::Resource {
    let mut disk = parsed("disk(web):1").to_protos().remove(0);
    disk.scalar = Some(value::Scalar { value: megabytes });
    disk.disk = Some(Box::new(proto::resource::DiskInfo {
        persistence: Some(proto::resource::disk_info::Persistence {
            id: id.to_owned(),
            principal: None,
        }),
        ..Default::default()
    }));
    disk
}

#[test]
fn text_tells_everything_or_names_what_it_cannot() {
    let all = parsed("cpus(web):0.125;zones:{b,a};ports:[1-2,80-80];mem:9007199254740");
    let text = all.to_text().unwrap();
    assert_eq!(
        text,
        "cpus(web):0.125;zones:{b,a};ports:[1-2,80-80];mem:9007199254740"
    );
    assert_eq!(Resources::new().to_text().unwrap(), "");
    let renamed = |name: &str| parsed("cpus:1").changed(|kind| name.clone_into(&mut kind.name));
    let refused = [
        all.allocated_to("web"),
        parsed("cpus:1").push_reservation(&dynamic("web")).unwrap(),
        Resources::from_unchecked(&[volume("id", 1.0)]),
        renamed("a;b"),
        renamed("a:b"),
        renamed("a(b)"),
        renamed(" a"),
        renamed("[a"),
    ];
    for resources in refused {
        let error = resources.to_text().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let named = resources.entries[0].to_string();
        assert!(error.to_string().contains(&named), "{error}");
    }
}

#[cfg(feature = "json")]
#[test]
fn json_is_read_where_text_is() {
    let text = r#" [{"name": "disk", "type": "SCALAR", "scalar": {"value": 10},
        "disk": {"source": {"type": "MOUNT", "mount": {"root": "/mnt"}}}}]"#;
    let disk = Resources::parse_for(text, "web").unwrap();
    assert_eq!(
        disk.to_string(),
        "disk(reservations: [(STATIC,web)])[MOUNT:/mnt]:10"
    );
    assert_eq!(Resources::from_json(&disk.to_json()).unwrap(), disk);
    for (text, why) in [
        (r#"[{"name": "cpus"}]"#, "not formatted properly"),
        ("[", "not formatted properly"),
        (
            r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": -1}}]"#,
            "'cpus:-1' is invalid",
        ),
        (
            r#"[{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}, "revocable": {}}]"#,
            "'cpus{REV}:1' is refused: Revocable",
        ),
    ] {
        let error = Resources::parse(text).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn what_cannot_be_reserved_or_unreserved_is_named() {
    let all = parsed("mem:1;cpus(web):1");
    let error = all.push_reservation(&dynamic("db")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "resource 'cpus(reservations: [(STATIC,web)]):1' cannot be reserved: Invalid refined reservation: role 'db' is not a refinement of 'web'"
    );
    let error = all.pop_reservation().unwrap_err();
    assert_eq!(
        error.to_string(),
        "resource 'mem:1' cannot be unreserved: it is not reserved"
    );
    let flat = all.flatten(Some(&dynamic("db"))).unwrap();
    assert_eq!(flat.pop_reservation().unwrap(), parsed("mem:1;cpus:1"));
    assert_eq!(all.flatten(None).unwrap(), parsed("mem:1;cpus:1"));
}

#[test]
fn a_request_is_served_from_the_most_refined_reservation() {
    let refined = parsed("cpus(web):1").push_reservation(&dynamic("web/shop"));
    let offer = parsed("cpus:4;cpus(web):1;mem:64") + refined.unwrap();
    let taken = offer.take(&Request::new().cpus(2.5)).unwrap();
    let used = taken.used.to_protos();
    let depths: Vec<usize> = used.iter().map(|own| own.reservations.len()).collect();
    assert_eq!(depths, [2, 1, 0]);
    assert_eq!(taken.used.unreserved().cpus(), 0.5);
    assert_eq!(taken.left.to_string(), "cpus:3.5; mem:64");
}

#[test]
fn ports_of_a_request_are_revocable_all_of_them_or_none() {
    let revocable =
        parsed("ports:[20-20]").changed(|kind| kind.revocable = Some(Default::default()));
    let offer = parsed("ports:[13-14]") + revocable;
    let certain = Request::new().port(20).revocable();
    let taken = offer.take(&certain).unwrap();
    assert_eq!(taken.used.revocable().ports(), [20..=20]);
    // What there is besides is not revocable.
    assert!(offer.take(&certain.ports(1)).is_err());
    assert_eq!(
        offer
            .take(&Request::new().ports(2).revocable())
            .unwrap()
            .used
            .ports(),
        [13..=14]
    );
}

#[test]
fn a_request_leaves_volumes_and_revocable_resources_alone() {
    let revocable = parsed("cpus:4").changed(|kind| kind.revocable = Some(Default::default()));
    let offer =
        parsed("cpus:1;disk:5") + revocable + Resources::from_unchecked(&[volume("id", 8.0)]);
    let short = offer.take(&Request::new().cpus(2.0).disk(6.0)).unwrap_err();
    assert_eq!(short.to_string(), "short of cpus by 1, disk by 1");
    let request = Request::new().cpus(2.0).volume("id").revocable();
    let taken = offer.take(&request).unwrap();
    assert_eq!(taken.used.revocable().cpus(), 2.0);
    assert_eq!(
        taken.used.not_revocable(),
        Resources::from_unchecked(&[volume("id", 8.0)])
    );
    // No mixture under one name.
    let taken = offer.take(&Request::new().disk(5.0).revocable()).unwrap();
    assert_eq!(taken.used, parsed("disk:5"));
    assert!(offer.take(&Request::new().cpus(4.5).revocable()).is_err());
    let short = offer
        .take(&Request::new().volume("id").volume("id"))
        .unwrap_err();
    assert_eq!(
        short.to_string(),
        "short of disk: no persistent volume 'id'"
    );
}

#[test]
fn shortages_say_of_what_and_how_much() {
    let offer = parsed("cpus:1;ports:[80-89];zones:{a}");
    let request = Request::new()
        .cpus(1.5)
        .mem(f64::NAN)
        .ports(12)
        .port(443)
        .items("zones", ["a", "b"])
        .exactly(&parsed("gpus:2"));
    let short = offer.take(&request).unwrap_err();
    assert_eq!(
        short.to_string(),
        "short of gpus by 2, cpus by 0.5, mem: NaN is no amount, ports [443-443], ports by 2, zones {b}"
    );
    assert!(short.is_short_of("ports") && !short.is_short_of("disk"));
    let missing = short.iter().map(|own| own.missing.clone());
    assert_eq!(missing.collect::<Vec<_>>()[1], Missing::Scalar(0.5));
    let error = Error::from(short);
    assert_eq!(error.kind(), ErrorKind::Insufficient);
    assert!(!error.is_retryable());
}

#[test]
fn specific_ports_are_not_given_away() {
    let offer = parsed("ports:[80-83]");
    let taken = offer
        .take(&Request::new().ports(2).port(80).port(81))
        .unwrap();
    assert_eq!(taken.used.ports(), [80..=83]);
    assert!(
        offer
            .take(&Request::new().ports(3).port(80).port(81))
            .is_err()
    );
}

#[test]
fn finding_counts_nothing_twice_and_takes_parts() {
    let offer = parsed("cpus:2;ports:[1-5];ports(web):[6-9];cpus(a):1;cpus(b):1");
    let twice = parsed("cpus:2;cpus(web):3");
    let short = offer.find(&twice).unwrap_err();
    assert_eq!(short.to_string(), "short of cpus by 1");
    let found = offer.find(&parsed("ports:[4-7];cpus:4")).unwrap();
    assert_eq!(
        found,
        parsed("ports:[4-5];ports(web):[6-7];cpus:2;cpus(a):1;cpus(b):1")
    );
}

#[test]
fn resources_are_told_apart_by_what_they_are() {
    let dynamic = parsed("mem:8").push_reservation(&dynamic("web")).unwrap();
    let all = parsed("cpus:1;cpus(web):2;cpus(web/shop):4;ports:[1-2];zones:{b,a}") + dynamic;
    assert_eq!(all.cpus(), 7.0);
    assert_eq!((all.mem(), all.disk(), all.gpus()), (8.0, 0.0, 0.0));
    assert_eq!(all.reserved_for("web").cpus(), 2.0);
    assert_eq!(all.reserved().cpus(), 6.0);
    assert_eq!(all.unreserved(), parsed("cpus:1;ports:[1-2];zones:{a,b}"));
    assert_eq!(
        all.dynamically_reserved().names().collect::<Vec<_>>(),
        ["mem"]
    );
    let reservations = all.reservations();
    assert_eq!(reservations["web/shop"], parsed("cpus(web/shop):4"));
    assert_eq!(reservations.len(), 2);
    assert_eq!(
        all.names().collect::<Vec<_>>(),
        ["cpus", "mem", "ports", "zones"]
    );
    assert_eq!(
        all.items("zones").into_iter().collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(all.scalar_quantities(), parsed("cpus:7;mem:8"));
    let big = all.filter(|own| own.scalar.is_some_and(|own| own.value > 2.0));
    assert_eq!(big.to_protos().len(), 2);
    let allocated = all.allocated_to("web") + parsed("cpus:1").allocated_to("db");
    assert_eq!(
        allocated.allocations()["db"].unallocated(),
        parsed("cpus:1")
    );
    let mut shared = volume("id", 4.0);
    shared.shared = Some(proto::resource::SharedInfo {});
    let two = Resources::from_unchecked(&[shared.clone(), shared.clone()]);
    assert_eq!((two.copies(&shared), all.copies(&shared)), (2, 0));
}

fn launch(tasks: Vec<TaskInfo>) -> Operation {
    Operation {
        r#type: Some(operation::Type::Launch.into()),
        launch: Some(operation::Launch { task_infos: tasks }),
        ..Default::default()
    }
}

fn task(resources: &str, executor: Option<&str>) -> TaskInfo {
    TaskInfo {
        resources: parsed(resources).to_unrefined_protos(),
        executor: executor.map(|id| ExecutorInfo {
            executor_id: id.into(),
            resources: parsed("cpus:0.5").to_protos(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn launches_take_each_executor_once() {
    let offer = Offer {
        resources: parsed("cpus:4;mem:64").allocated_to("web").to_protos(),
        executor_ids: vec!["there".into()],
        ..Default::default()
    };
    let tasks = vec![
        task("cpus:1", None),
        task("cpus:1;mem:4", Some("new")),
        task("cpus:0.25", Some("new")),
        task("cpus:0.25", Some("there")),
    ];
    let left = Resources::left_of(&offer, &[launch(tasks.clone())]).unwrap();
    assert_eq!(left.unallocated(), parsed("cpus:1;mem:60"));
    let whole = Resources::from_protos(&offer.resources).unwrap();
    let error = whole
        .apply(&launch(vec![task("cpus:9", None)]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insufficient);
    assert_eq!(
        error.to_string(),
        "LAUNCH cannot be applied: cpus(allocated: web):4; mem(allocated: web):64 does not contain cpus(allocated: web):9"
    );
    let again = [launch(tasks), launch(vec![task("cpus:1.25", Some("new"))])];
    let error = Resources::left_of(&offer, &again).unwrap_err();
    assert!(error.to_string().contains("does not contain"), "{error}");
}

#[test]
fn launches_share_volumes_that_are_there() {
    let mut shared = volume("id", 4.0);
    shared.shared = Some(proto::resource::SharedInfo {});
    let offer = parsed("cpus:1") + Resources::from_unchecked(&[shared.clone()]);
    let mut user = task("cpus:0.1", None);
    user.resources.push(shared);
    let left = offer
        .apply(&launch(vec![user.clone(), user.clone()]))
        .unwrap();
    assert_eq!(left.cpus(), 0.8);
    assert_eq!(left.shared(), offer.shared());
    let error = parsed("cpus:1").apply(&launch(vec![user])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insufficient);
}

#[test]
fn operations_that_are_none_are_refused() {
    let offer = parsed("cpus:1;cpus(web):1");
    let unreserve = Operation {
        r#type: Some(operation::Type::Unreserve.into()),
        unreserve: Some(operation::Unreserve {
            resources: parsed("cpus:1").to_protos(),
        }),
        ..Default::default()
    };
    let error = offer.apply(&unreserve).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("'cpus:1' cannot be unreserved"),
        "{error}"
    );
    let error = offer.apply(&Operation::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().ends_with("Unknown operation"), "{error}");
    let mut negative = task("cpus:1", None);
    negative.resources[0].scalar = Some(value::Scalar { value: -1.0 });
    let error = offer.apply(&launch(vec![negative])).unwrap_err();
    assert!(
        error.to_string().contains("Resource 'cpus:-1' is invalid"),
        "{error}"
    );
}
