//! Laws that hold for all resources.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Request, Resources, dynamic, volume};
use crate::proto::resource::disk_info::{Source, source};
use crate::proto::resource::{AllocationInfo, DiskInfo, ReservationInfo, SharedInfo};
use crate::proto::{Resource, value};

/// The numbers and items of which ranges and sets are made.
const NUMBERS: u64 = 24;
const ITEMS: [&str; 4] = ["a", "b", "c", "d"];

fn reservations() -> impl Strategy<Value = Vec<ReservationInfo>> {
    let mut principal = dynamic("web");
    principal.principal = Some("ops".to_owned());
    let mut fixed = dynamic("web");
    fixed.r#type = Some(crate::proto::resource::reservation_info::Type::Static.into());
    select(vec![
        vec![],
        vec![fixed.clone()],
        vec![principal],
        vec![fixed, dynamic("web/shop")],
        vec![dynamic("db")],
    ])
}

fn scalar() -> impl Strategy<Value = Resource> {
    (select(vec!["cpus", "mem"]), 1..5_000_i32).prop_map(|(name, steps)| Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar {
            value: f64::from(steps) / 1000.0,
        }),
        ..Default::default()
    })
}

fn ranges() -> impl Strategy<Value = Resource> {
    let numbers: Vec<u64> = (0..NUMBERS).collect();
    subsequence(numbers, 1..12).prop_map(|numbers| {
        let range = numbers.into_iter();
        let range = range.map(|own| value::Range {
            begin: own,
            end: own,
        });
        Resource {
            name: "ports".to_owned(),
            r#type: value::Type::Ranges.into(),
            ranges: Some(value::Ranges {
                range: range.collect(),
            }),
            ..Default::default()
        }
    })
}

fn set() -> impl Strategy<Value = Resource> {
    subsequence(ITEMS.to_vec(), 1..4).prop_map(|items| Resource {
        name: "zones".to_owned(),
        r#type: value::Type::Set.into(),
        set: Some(value::Set {
            item: items.into_iter().map(str::to_owned).collect(),
        }),
        ..Default::default()
    })
}

fn disk() -> impl Strategy<Value = Resource> {
    let source = |kind: source::Type, root: &str| Source {
        r#type: kind.into(),
        path: (kind == source::Type::Path).then(|| source::Path {
            root: Some(root.to_owned()),
        }),
        mount: (kind == source::Type::Mount).then(|| source::Mount {
            root: Some(root.to_owned()),
        }),
        ..Default::default()
    };
    let sources = select(vec![
        source(source::Type::Path, "/a"),
        source(source::Type::Path, "/b"),
        source(source::Type::Mount, "/c"),
        source(source::Type::Raw, ""),
    ]);
    (sources, 1..50_i32).prop_map(|(source, size)| {
        let mut disk = volume("", f64::from(size));
        disk.reservations.clear();
        disk.disk = Some(Box::new(DiskInfo {
            source: Some(source),
            ..Default::default()
        }));
        disk
    })
}

fn volumes() -> impl Strategy<Value = Resource> {
    (select(vec!["one", "other"]), 1..4_i32, any::<bool>()).prop_map(|(id, size, is_shared)| {
        let mut volume = volume(id, f64::from(size));
        volume.shared = is_shared.then_some(SharedInfo {});
        volume
    })
}

/// Without volumes, whatever is marked.
fn divisible() -> impl Strategy<Value = Resource> {
    let plain = prop_oneof![4 => scalar(), 2 => ranges(), 1 => set(), 1 => disk()];
    (plain, reservations(), any::<bool>(), any::<bool>()).prop_map(
        |(mut resource, reservations, is_revocable, is_allocated)| {
            resource.reservations = reservations;
            resource.revocable = is_revocable.then(Default::default);
            resource.allocation_info = is_allocated.then(|| AllocationInfo {
                role: Some("web".to_owned()),
            });
            resource
        },
    )
}

fn bag_of(resource: impl Strategy<Value = Resource>) -> impl Strategy<Value = Resources> {
    proptest::collection::vec(resource, 0..8).prop_map(|all| Resources::from_protos(&all).unwrap())
}

fn bag() -> impl Strategy<Value = Resources> {
    bag_of(prop_oneof![6 => divisible(), 1 => volumes()])
}

/// What text can tell.
fn textual() -> impl Strategy<Value = Resources> {
    let plain = prop_oneof![4 => scalar(), 2 => ranges(), 1 => set()];
    bag_of(
        (plain, select(vec!["", "web", "web/shop"])).prop_map(|(mut resource, role)| {
            if !role.is_empty() {
                let mut fixed = dynamic(role);
                fixed.r#type = Some(crate::proto::resource::reservation_info::Type::Static.into());
                resource.reservations = vec![fixed];
            }
            resource
        }),
    )
}

/// An offer: nothing but what is allocated to one role.
fn offer() -> impl Strategy<Value = Resources> {
    bag().prop_map(|own| own.allocated_to("web"))
}

/// Whether no number or item is in both, so that the sum holds all of both.
fn are_disjoint(one: &Resources, other: &Resources) -> bool {
    let counted = |own: &Resources| own.filter(|own| own.scalar.is_none());
    counted(&(one.clone() - other)) == counted(one)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_added_can_be_taken_away(one in bag(), other in bag()) {
        prop_assume!(are_disjoint(&one, &other));
        let sum = one.clone() + &other;
        prop_assert!(sum.contains(&one), "{} in {}", one, sum);
        prop_assert!(sum.contains(&other), "{} in {}", other, sum);
        prop_assert_eq!(sum.checked_sub(&other).unwrap(), one.clone());
        prop_assert_eq!(sum - &other, one);
    }

    #[test]
    fn the_order_of_a_sum_does_not_matter(one in bag(), other in bag(), third in bag()) {
        prop_assert_eq!(one.clone() + &other, other.clone() + &one);
        prop_assert_eq!(
            one.clone() + &(other.clone() + &third),
            one + &other + &third
        );
    }

    #[test]
    fn differences_are_never_below_nothing(one in bag(), other in bag()) {
        let difference = one.clone() - &other;
        prop_assert!(one.contains(&difference), "{} - {} = {}", one, other, difference);
        for resource in difference.to_protos() {
            prop_assert!(Resources::validate(&[resource]).is_ok());
        }
        match one.checked_sub(&other) {
            Ok(rest) => {
                prop_assert!(one.contains(&other));
                prop_assert_eq!(rest, difference);
            }
            Err(short) => {
                prop_assert!(!one.contains(&other));
                prop_assert!(short.iter().count() > 0);
            }
        }
    }

    #[test]
    fn text_can_be_read_again(all in textual()) {
        let text = all.to_text().unwrap();
        prop_assert_eq!(Resources::parse(&text).unwrap(), all);
    }

    #[test]
    fn messages_can_be_read_again(all in bag()) {
        // Messages do not tell how many copies of a shared volume there are.
        let all = all.not_shared() + all.shared().once_each();
        prop_assert_eq!(Resources::from_protos(&all.to_protos()).unwrap(), all.clone());
        #[cfg(feature = "json")]
        prop_assert_eq!(Resources::from_json(&all.to_json()).unwrap(), all.clone());
        let older = all.of_kind(|kind| kind.reservations.len() < 2);
        prop_assert_eq!(Resources::from_protos(&all.to_unrefined_protos()).unwrap(), older);
    }

    #[test]
    fn what_is_found_is_there_and_what_was_wanted(all in bag(), wanted in bag()) {
        match all.find(&wanted) {
            Ok(found) => {
                prop_assert!(all.contains(&found), "{} in {}", found, all);
                prop_assert_eq!(found.to_unreserved(), wanted.to_unreserved());
            }
            // Where reservations do not matter, nothing is overlooked.
            Err(_) => prop_assert!(!all.contains(&wanted), "{} in {}", wanted, all),
        }
    }

    #[test]
    fn what_is_in_there_is_found(all in bag()) {
        prop_assert_eq!(all.find(&all).unwrap(), all);
    }

    #[test]
    fn a_reservation_that_is_pushed_is_popped(all in bag()) {
        let free = all.of_kind(|kind| kind.reservations.is_empty());
        let pushed = free.push_reservation(&dynamic("web")).unwrap();
        prop_assert_eq!(pushed.pop_reservation().unwrap(), free);
        let web = all.reserved_for("web");
        let refined = web.push_reservation(&dynamic("web/x")).unwrap();
        prop_assert_eq!(refined.pop_reservation().unwrap(), web);
    }

    #[test]
    fn what_is_taken_and_what_is_left_is_the_whole(
        all in offer(),
        cpus in 0..6_000_i32,
        mem in 0..6_000_i32,
        ports in 0..6_u64,
        port in 0..NUMBERS,
        is_revocable in any::<bool>(),
    ) {
        let (cpus, mem) = (f64::from(cpus) / 1000.0, f64::from(mem) / 1000.0);
        let mut request = Request::new().cpus(cpus).mem(mem).ports(ports).port(port);
        if is_revocable {
            request = request.revocable();
        }
        if let Ok(taken) = all.take(&request) {
            prop_assert!(all.contains(&taken.used));
            prop_assert_eq!(taken.used.clone() + &taken.left, all);
            prop_assert_eq!(taken.used.cpus(), cpus);
            prop_assert_eq!(taken.used.mem(), mem);
            let numbers = taken.used.ports().into_iter().map(|own| own.count()).sum::<usize>();
            prop_assert_eq!(numbers as u64, ports + 1);
            prop_assert!(taken.used.ports().iter().any(|own| own.contains(&port)));
            for name in ["cpus", "mem", "ports"] {
                let own = taken.used.named(name);
                prop_assert!(own.revocable().is_empty() || own.not_revocable().is_empty());
            }
        }
    }
}
