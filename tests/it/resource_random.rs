//! `Resources` beside Mesos's own class, on resources at random: whoever has a kit compares them.

use mesos_framework::proto::Resource;
use mesos_framework::resources::Resources;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use prost::Message as _;

use crate::resource_notation::{Argument, Oracle, operation, reservation, resource};

/// Questions of each sort.
const ROUNDS: u32 = 1500;

/// Resources in the notation of `resource_notation`.
fn written() -> impl Strategy<Value = String> {
    let stack = || {
        select(vec![
            "",
            "",
            "(web)",
            "(+web)",
            "(+web,ops)",
            "(+web,ops,a:1,b:2)",
            "(+web,ops,b:2,a:1)",
            "(web)(+web/shop)",
            "(+db)",
        ])
    };
    let marks = || select(vec!["", "", "", "@web", "@db", "!"]);
    let amount = || (0..4_000_u32).prop_map(|steps| f64::from(steps) / 1000.0);
    let scalar = (select(vec!["cpus", "mem"]), stack(), marks(), amount())
        .prop_map(|(name, stack, marks, amount)| format!("{name}{stack}{marks}={amount}"));
    let numbers: Vec<u64> = (0..20).collect();
    let ranges = (stack(), subsequence(numbers, 0..14)).prop_map(|(stack, numbers)| {
        // Joined, for Mesos prints what it never added as it came.
        let mut pairs: Vec<(u64, u64)> = Vec::new();
        for number in numbers {
            match pairs.last_mut() {
                Some(last) if last.1 + 1 == number => last.1 = number,
                _ => pairs.push((number, number)),
            }
        }
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(begin, end)| format!("{begin}-{end}"))
            .collect();
        format!("ports{stack}=[{}]", pairs.join(","))
    });
    let set = (
        stack(),
        subsequence(vec!["a", "b", "c", "d"], 0..4).prop_shuffle(),
    )
        .prop_map(|(stack, items)| format!("zones{stack}={{{}}}", items.join(",")));
    let disks = select(vec![
        "",
        "[PATH:/a]",
        "[PATH:/b]",
        "[PATH]",
        "[MOUNT:/a]",
        "[BLOCK#x]",
        "[RAW]",
        "[RAW#x]",
        "[one>data]",
        "[one>other]",
        "[two>data]",
        "[MOUNT:/a,one>data]",
        "[one>data]*",
        "[two>data]*",
        "[PATH:/a]%p",
    ]);
    let disk = (stack(), disks, 1..4_u32)
        .prop_map(|(stack, disk, size)| format!("disk{stack}{disk}={size}"));
    prop_oneof![4 => scalar, 3 => ranges, 1 => set, 3 => disk]
}

fn list() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(written(), 0..7)
}

fn read(list: &[String]) -> Vec<Resource> {
    list.iter().map(|own| resource(own)).collect()
}

/// Has `law` hold for values of `strategy`; `what` says which, if it does not.
fn hold<S: Strategy>(strategy: &S, mut law: impl FnMut(S::Value)) {
    let mut runner = TestRunner::default();
    for _ in 0..ROUNDS {
        law(strategy.new_tree(&mut runner).unwrap().current());
    }
}

#[test]
fn sums_differences_and_containment_are_mesos() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    hold(&(list(), list()), |(left, right)| {
        let shown = format!("{left:?}, {right:?}");
        let (one, other) = (read(&left), read(&right));
        let lists = || [Argument::List(&one), Argument::List(&other)];
        let (own, others) = (
            Resources::from_unchecked(&one),
            Resources::from_unchecked(&other),
        );
        let sum = (own.clone() + &others).to_string();
        assert_eq!(Ok(sum), oracle.ask('+', &lists()), "{shown}");
        let difference = (own.clone() - &others).to_string();
        assert_eq!(Ok(difference), oracle.ask('-', &lists()), "{shown}");
        let contains = own.contains(&others).to_string();
        assert_eq!(Ok(contains), oracle.ask('c', &lists()), "{shown}");
        // What is contained more often than by chance.
        let part = own.clone() - &others;
        let contains = own.contains(&part).to_string();
        let protos = part.to_protos();
        let lists = [Argument::List(&one), Argument::List(&protos)];
        assert_eq!(Ok(contains), oracle.ask('c', &lists), "{shown}");
    });
}

#[test]
fn what_mesos_finds_is_found() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let mut found = 0;
    hold(&(list(), written()), |(all, wanted)| {
        let (all, wanted) = (read(&all), [resource(&wanted)]);
        let lists = [Argument::List(&all), Argument::List(&wanted)];
        let Ok(theirs) = oracle.ask('f', &lists) else {
            // Ours may find what takes more than Mesos takes of a step.
            return;
        };
        found += 1;
        let (whole, wanted) = (
            Resources::from_unchecked(&all),
            Resources::from_unchecked(&wanted),
        );
        let ours = whole.find(&wanted).unwrap_or_else(|short| {
            panic!("{short}, but Mesos finds {wanted} in {whole}: {theirs}")
        });
        // Where each step has one kind of them at most, there is only one answer.
        let kinds = whole.named(
            &wanted
                .to_protos()
                .first()
                .map(|own| own.name.clone())
                .unwrap_or_default(),
        );
        if kinds.reserved_for("web").to_protos().len() < 2 && kinds.to_protos().len() < 3 {
            assert_eq!(ours.to_string(), theirs, "{wanted} in {whole}");
        }
    });
    assert!(found > ROUNDS / 20, "{found} of {ROUNDS} found");
}

#[test]
fn what_is_valid_is_what_mesos_says() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let kinds = select(vec![
        "cpus",
        "disk",
        "",
        "cpus!",
        "cpus*",
        "disk*",
        "disk[one>data]*",
        "disk[BLOCK#x]",
        "disk[MOUNT:/a]",
        "cpus[PATH]",
        "disk[UNKNOWN]",
        "cpus@web",
        "cpus(web)(+web/x)",
        "cpus(web)(web/x)",
        "cpus(+web)(+webx)",
        "cpus(*)",
        "cpus(a b)",
        "cpus(a/)",
        "cpus()",
        "cpus(a/*)",
        "cpus(a/.)",
        "cpus(+a)(+a/b)(+a/b/c)",
    ]);
    let number = prop_oneof![
        Just(0.0),
        -2.0..2.0_f64,
        -0.002..0.002_f64,
        Just(f64::NAN),
        1e15..1e17_f64
    ];
    let scalar = (kinds.clone(), number).prop_map(|(kind, value)| format!("{kind}={value}"));
    let pair = (0..12_u64, 0..12_u64).prop_map(|(begin, more)| {
        // Some end before they begin.
        format!("{begin}-{}", (begin + more).saturating_sub(2))
    });
    let ranges = (kinds.clone(), proptest::collection::vec(pair, 0..4))
        .prop_map(|(kind, pairs)| format!("{kind}=[{}]", pairs.join(",")));
    let items = proptest::collection::vec(select(vec!["a", "b", "c", "d", "e"]), 0..4);
    let set = (kinds, items).prop_map(|(kind, items)| format!("{kind}={{{}}}", items.join(",")));
    hold(&prop_oneof![scalar, ranges, set], |text| {
        let resource = resource(&text);
        let ours = Resources::validate(std::slice::from_ref(&resource));
        match oracle.ask('v', &[Argument::Bytes(resource.encode_to_vec())]) {
            Ok(_) => assert!(ours.is_ok(), "{text}: {ours:?}"),
            Err(why) => {
                let ours = ours.expect_err(&text).to_string();
                assert!(ours.ends_with(&why), "{text}: {ours}, not {why}");
            }
        }
    });
}

#[test]
fn text_is_read_as_mesos_reads_it() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let piece = select(vec![
        "cpus", "mem", "ports", ":", ":", ";", "(", ")", "web", "[", "]", "{", "}", "-", ",", " ",
        "1", "2", "30", "0x1f", ".", "e", "a", "*", "/", "nan", "\n", "\t",
    ]);
    let wild = proptest::collection::vec(piece, 0..9).prop_map(|own| own.concat());
    let value = select(vec![
        "1",
        "2.5",
        "[1-2]",
        "[1-2,4-5]",
        "[3-1]",
        "[1-5,2-9]",
        "{a}",
        "{a,b}",
        "{a,a}",
        "x",
        "-1",
        "1e2",
        "",
        " ",
        "{a}[1-2]",
    ]);
    let head = select(vec![
        "cpus",
        "cpus(web)",
        "ports(*)",
        " mem ",
        "zones(a/b)",
        "cpus(",
        "mem)",
        "(a)",
        "",
    ]);
    let tame = (head, value).prop_map(|(head, value)| format!("{head}:{value}"));
    let text =
        proptest::collection::vec(prop_oneof![tame, wild], 1..4).prop_map(|own| own.join(";"));
    hold(&text, |text| {
        // What begins like JSON is read as JSON.
        if text.trim_start().starts_with('[') {
            return;
        }
        let theirs = oracle.ask('p', &[Argument::Bytes(text.clone().into_bytes())]);
        let ours = Resources::parse(&text).map(|own| own.to_string());
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text:?}"),
            (Err(ours), Err(theirs)) => {
                assert!(
                    ours.to_string().ends_with(&theirs),
                    "{text:?}: {ours}, not {theirs}"
                );
            }
            (ours, theirs) => panic!("{text:?}: {ours:?}, not {theirs:?}"),
        }
    });
}

#[test]
fn reservations_and_operations_are_mesos() {
    let Some(mut oracle) = Oracle::start() else {
        return;
    };
    let operations = select(vec![
        "RESERVE cpus(+web)=1",
        "RESERVE cpus(web)(+web/shop)=0.5",
        "RESERVE ports(+web)=[3-4];mem(+web)=1",
        "UNRESERVE cpus(+web)=1",
        "UNRESERVE cpus(+web,ops)=1;mem(+web,ops)=0.25",
        "CREATE disk(+web)[one>data]=1",
        "CREATE disk(web)[MOUNT:/a,one>data]=1;disk(web)[PATH:/a,two>data]=1",
        "DESTROY disk(+web)[one>data]=1",
        "DESTROY disk(+web)[two>data]*=1",
        "GROW disk(+web)[one>data]=1; disk(+web)=1",
        "SHRINK disk(+web)[one>data]=2; 1",
    ]);
    let extra = select(vec![
        "cpus(+web)=2",
        "cpus=3",
        "cpus(web)=1",
        "ports=[0-9]",
        "mem=2",
        "cpus(+web,ops)=1",
        "mem(+web,ops)=1",
        "disk(+web)=4",
        "disk(web)[MOUNT:/a]=1",
        "disk(+web)[one>data]=1",
        "disk(+web)[one>data]=2",
        "disk(+web)[two>data]*=1",
        "disk(web)[PATH:/a]=3",
    ]);
    let extras = proptest::collection::vec(extra.prop_map(str::to_owned), 0..6);
    let mut applied = 0;
    hold(&(list(), extras, operations), |(mut all, extras, text)| {
        all.extend(extras);
        let list = read(&all);
        let operation = operation(text);
        let own = Resources::from_unchecked(&list);
        let arguments = [
            Argument::List(&list),
            Argument::Bytes(operation.encode_to_vec()),
        ];
        // Ours takes the marks of allocation from what it is applied to, as the master does before.
        let is_allocated = own
            .to_protos()
            .iter()
            .any(|own| own.allocation_info.is_some());
        if !is_allocated {
            let theirs = oracle.ask('o', &arguments);
            match (own.apply(&operation), theirs) {
                (Ok(ours), Ok(theirs)) => {
                    applied += 1;
                    assert_eq!(ours.to_string(), theirs, "{text} on {own}");
                }
                (Err(ours), Err(theirs)) => {
                    assert!(
                        ours.to_string().ends_with(&theirs),
                        "{text}: {ours}, not {theirs}"
                    );
                }
                (ours, theirs) => panic!("{text} on {own}: {ours:?}, not {theirs:?}"),
            }
        }
        let protos = own.unreserved().to_protos();
        let unreserved = Resources::from_unchecked(&protos);
        let pushed = reservation("+web,ops");
        let theirs = oracle.ask(
            'u',
            &[
                Argument::List(&protos),
                Argument::Bytes(pushed.encode_to_vec()),
            ],
        );
        let ours = unreserved.push_reservation(&pushed).unwrap();
        assert_eq!(Ok(ours.to_string()), theirs);
        let protos = own.reserved().to_protos();
        let theirs = oracle.ask('x', &[Argument::List(&protos)]);
        let reserved = Resources::from_unchecked(&protos);
        assert_eq!(Ok(reserved.pop_reservation().unwrap().to_string()), theirs);
    });
    assert!(applied > ROUNDS / 20, "{applied} of {ROUNDS} applied");
}
