use super::*;
use crate::proto::domain_info::FaultDomain;
use crate::proto::domain_info::fault_domain::{RegionInfo, ZoneInfo};
use crate::proto::resource::AllocationInfo;
use crate::proto::{
    Attribute, DomainInfo, ExecutorInfo, Offer, Resource, TaskInfo, Unavailability, value,
};
use crate::resources::{Request, Resources};

mod laws;

/// An offer of agent `agent`, whose host is called like it, in rack `rack` and zone `zone` of region `home`.
fn offer(agent: &str, rack: &str, zone: &str, resources: &str) -> Offer {
    Offer {
        id: format!("{agent}-offer").into(),
        agent_id: agent.into(),
        hostname: agent.to_owned(),
        attributes: vec![text("rack", rack), number("level", 2.0)],
        domain: Some(DomainInfo {
            fault_domain: Some(FaultDomain {
                region: RegionInfo {
                    name: "home".to_owned(),
                },
                zone: ZoneInfo {
                    name: zone.to_owned(),
                },
            }),
        }),
        resources: Resources::parse(resources).unwrap().to_protos(),
        ..Default::default()
    }
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: value::Type::Text.into(),
        text: Some(value::Text {
            value: value.to_owned(),
        }),
        ..Default::default()
    }
}

fn number(name: &str, value: f64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: value::Type::Scalar.into(),
        scalar: Some(value::Scalar { value }),
        ..Default::default()
    }
}

/// Three agents: two racks, two zones.
fn three() -> Vec<Offer> {
    let all = "cpus:4;mem:1024;ports:[31000-31003]";
    vec![
        offer("one", "r1", "a", all),
        offer("two", "r1", "b", all),
        offer("three", "r2", "b", all),
    ]
}

fn cpus(cpus: f64) -> Needs {
    Needs::new(Request::new().cpus(cpus))
}

fn pending(id: &str, needs: &Needs) -> PendingTask {
    let info = TaskInfo {
        name: id.to_owned(),
        task_id: id.into(),
        ..Default::default()
    };
    PendingTask::new(info, needs.clone())
}

/// So many of one sort, called `0`, `1`, …
fn several(count: usize, needs: &Needs) -> Vec<PendingTask> {
    let ids = (0..count).map(|id| id.to_string());
    ids.map(|id| pending(&id, needs)).collect()
}

/// Per agent, the ids of its tasks.
fn placed(placements: &Placements) -> Vec<(&str, Vec<&str>)> {
    let launches = placements.launches.iter();
    launches
        .map(|launch| {
            let ids = launch.tasks.iter().map(|own| own.task_id.value.as_str());
            (launch.agent_id().value.as_str(), ids.collect())
        })
        .collect()
}

/// Why the only task is refused.
fn refused(needs: &Needs, offers: &[Offer]) -> String {
    let placements = Matcher::first_fit().place(&several(1, needs), offers);
    let why = placements.why_not(&"0".into());
    why.map_or_else(|| "not refused".to_owned(), Refusals::to_string)
}

#[test]
fn first_fit_fills_the_first() {
    let placements = Matcher::first_fit().place(&several(5, &cpus(1.5)), &three());
    let expected = [
        ("one", vec!["0", "1"]),
        ("two", vec!["2", "3"]),
        ("three", vec!["4"]),
    ];
    assert_eq!(placed(&placements), expected);
    assert!(placements.refused.is_empty() && placements.unused.is_empty());
    assert_eq!(placements.launches[0].left.cpus(), 1.0);
    let used = Resources::from_protos(&placements.launches[0].tasks[1].resources).unwrap();
    assert_eq!(used, Resources::parse("cpus:1.5").unwrap());
}

#[test]
fn best_fit_leaves_the_large_rooms() {
    let offers = [
        offer("large", "r", "a", "cpus:8;mem:64"),
        offer("small", "r", "a", "cpus:1;mem:4096"),
        offer("middle", "r", "a", "cpus:2;mem:64"),
    ];
    let matcher = Matcher::best_fit();
    let placements = matcher.place(&several(4, &cpus(1.0)), &offers);
    let expected = [
        ("large", vec!["3"]),
        ("small", vec!["0"]),
        ("middle", vec!["1", "2"]),
    ];
    assert_eq!(placed(&placements), expected);
    // Of all scalars that it uses: `small` would have the most memory left.
    let needs = Needs::new(Request::new().cpus(1.0).mem(64.0));
    let placements = matcher.place(&several(1, &needs), &offers);
    assert_eq!(placed(&placements), [("middle", vec!["0"])]);
    assert_eq!(
        placements.unused,
        ["large-offer".into(), "small-offer".into()]
    );
}

#[test]
fn tasks_are_spread_by_a_field() {
    let zones = Matcher::spread(Field::Zone).place(&several(4, &cpus(1.0)), &three());
    let expected = [
        ("one", vec!["0", "3"]),
        ("two", vec!["1"]),
        ("three", vec!["2"]),
    ];
    assert_eq!(placed(&zones), expected);
    let there = Resident::new("there", "", Place::from(&three()[0]));
    let hosts = Matcher::spread(Field::Hostname).residents([there]);
    let hosts = hosts.place(&several(2, &cpus(1.0)), &three());
    assert_eq!(placed(&hosts), [("two", vec!["0"]), ("three", vec!["1"])]);
}

#[test]
fn ports_are_concrete_and_no_two_tasks_have_the_same() {
    let needs = Needs::new(Request::new().cpus(0.1).ports(2));
    let placements = Matcher::first_fit().place(&several(7, &needs), &three());
    for launch in &placements.launches {
        let ports = launch.tasks.iter().flat_map(|task| {
            let own = Resources::from_protos(&task.resources).unwrap();
            own.ports().into_iter().flatten().collect::<Vec<u64>>()
        });
        assert_eq!(ports.collect::<Vec<_>>(), [31_000, 31_001, 31_002, 31_003]);
    }
    assert_eq!(placements.refused.len(), 1);
    let why = placements.why_not(&"6".into()).unwrap();
    assert_eq!(why.to_string(), "short of ports by 2 on 3 offers");
    let needs = Needs::new(Request::new().cpus(0.1).port(31_001));
    let placements = Matcher::first_fit().place(&several(4, &needs), &three());
    let why = placements.why_not(&"3".into()).unwrap();
    assert_eq!(why.to_string(), "short of ports [31001-31001] on 3 offers");
}

#[test]
fn constraints_are_on_attributes_host_and_domain() {
    let cases = [
        (cpus(1.0).attribute("rack", Operator::equals("r2")), "three"),
        (
            cpus(1.0).attribute("rack", !Operator::equals("r1")),
            "three",
        ),
        (
            cpus(1.0).attribute("rack", Operator::one_of(["r3", "r2"])),
            "three",
        ),
        (
            cpus(1.0).attribute("rack", !Operator::one_of(["r2", "r3"])),
            "one",
        ),
        (cpus(1.0).attribute("rack", Operator::Exists), "one"),
        (
            cpus(1.0).attribute("rack", !Operator::Exists),
            "attribute rack on 3 offers",
        ),
        (cpus(1.0).attribute("none", !Operator::equals("x")), "one"),
        (
            cpus(1.0).attribute("none", Operator::equals("x")),
            "attribute none on 3 offers",
        ),
        (cpus(1.0).attribute("level", Operator::equals(2.0)), "one"),
        (
            cpus(1.0).attribute("level", Operator::equals(2.0004)),
            "one",
        ),
        (cpus(1.0).attribute("level", Operator::equals("2")), "one"),
        (cpus(1.0).attribute("level", Operator::AtLeast(2.0)), "one"),
        (
            cpus(1.0).attribute("level", Operator::AtLeast(2.001)),
            "attribute level on 3 offers",
        ),
        (
            cpus(1.0).attribute("level", Operator::AtMost(1.0)),
            "attribute level on 3 offers",
        ),
        (cpus(1.0).hostname(Operator::equals("two")), "two"),
        (cpus(1.0).zone(Operator::equals("b")), "two"),
        (cpus(1.0).region(Operator::equals("home")), "one"),
        (
            cpus(1.0).region(!Operator::equals("home")),
            "region on 3 offers",
        ),
        (
            cpus(1.0).constraint(Field::AgentId, !Operator::equals("one")),
            "two",
        ),
        (
            cpus(1.0)
                .zone(Operator::equals("b"))
                .attribute("rack", Operator::equals("r1")),
            "two",
        ),
        (
            cpus(1.0)
                .zone(Operator::equals("a"))
                .attribute("rack", Operator::equals("r2")),
            "attribute rack on 2 offers; zone on 2",
        ),
        (
            cpus(1.0)
                .attribute("level", Operator::AtLeast(3.0))
                .attribute("level", Operator::AtMost(1.0)),
            "attribute level at least 3 on 3 offers; attribute level at most 1 on 3",
        ),
    ];
    for (needs, answer) in cases {
        let placements = Matcher::first_fit().place(&several(1, &needs), &three());
        let found = match placements.launches.first() {
            Some(launch) => launch.agent_id().to_string(),
            None => refused(&needs, &three()),
        };
        assert_eq!(found, answer, "{:?}", needs.constraints());
    }
}

#[test]
fn values_contain_each_other_and_names_may_repeat() {
    let mut offer = offer("one", "r1", "a", "cpus:1");
    offer.attributes.push(text("rack", "r9"));
    offer.attributes.push(Attribute {
        name: "vlans".to_owned(),
        r#type: value::Type::Ranges.into(),
        ranges: Some(value::Ranges {
            range: vec![
                value::Range { begin: 1, end: 4 },
                value::Range { begin: 5, end: 9 },
            ],
        }),
        ..Default::default()
    });
    offer.attributes.push(Attribute {
        name: "tags".to_owned(),
        r#type: value::Type::Set.into(),
        set: Some(value::Set {
            item: vec!["ssd".to_owned(), "gpu".to_owned()],
        }),
        ..Default::default()
    });
    let place = Place::from(&offer);
    let holds = |name: &str, operator: Operator| {
        let field = Field::attribute(name);
        Constraint { field, operator }.holds_of(&place)
    };
    assert!(holds("rack", Operator::equals("r9")) && holds("rack", Operator::equals("r1")));
    assert!(!holds("rack", !Operator::equals("r9")));
    assert!(holds("vlans", Operator::contains(3..=6)));
    assert!(!holds("vlans", Operator::contains(9..=10)));
    assert!(holds("vlans", Operator::equals(1..=9)));
    assert!(holds("tags", Operator::contains(Value::set(["gpu"]))));
    assert!(!holds(
        "tags",
        Operator::contains(Value::set(["gpu", "fpga"]))
    ));
    assert!(holds("tags", Operator::Equals(Value::set(["gpu", "ssd"]))));
    assert!(!holds("tags", Operator::equals("gpu")));
    // What is of another type equals nothing.
    assert!(!holds("rack", Operator::AtLeast(0.0)) && !holds("rack", Operator::equals(1.0)));
    let bare = Place::of_agent("bare");
    let constraint = |operator| Constraint {
        field: Field::Hostname,
        operator,
    };
    assert!(!constraint(Operator::Exists).holds_of(&bare));
}

#[test]
fn rules_look_at_the_tasks_of_groups() {
    let group = |rule: Rule| cpus(0.5).group("web").rule(rule);
    let count = |needs: &Needs, tasks: usize| {
        let placements = Matcher::first_fit().place(&several(tasks, needs), &three());
        placed(&placements)
            .into_iter()
            .map(|(agent, ids)| format!("{agent}:{}", ids.len()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        count(&group(Rule::unique(Field::Hostname)), 5),
        "one:1 two:1 three:1"
    );
    assert_eq!(
        count(&group(Rule::max_per(Field::attribute("rack"), 2)), 9),
        "one:2 three:2"
    );
    assert_eq!(
        count(&group(Rule::balanced(Field::Zone, 1)), 6),
        "one:3 two:3"
    );
    assert_eq!(
        count(&group(Rule::balanced(Field::Hostname, 1)), 7),
        "one:3 two:2 three:2"
    );
    let together = group(Rule::together(Field::Zone)).zone(Operator::equals("b"));
    assert_eq!(count(&together, 10), "two:8 three:2");
    let needs = group(Rule::max_per(Field::attribute("none"), 9));
    assert_eq!(
        refused(&needs, &three()),
        "at most 9 per attribute none on 3 offers"
    );
}

#[test]
fn rules_look_at_other_groups_too() {
    let there = |agent: &str| Resident::new("db-1", "db", Place::of_agent(agent));
    let place = |rule: Rule, residents: Vec<Resident>| {
        let needs = cpus(0.5).group("web").rule(rule);
        let matcher = Matcher::first_fit().residents(residents);
        let placements = matcher.place(&several(1, &needs), &three());
        match placements.launches.first() {
            Some(launch) => launch.agent_id().to_string(),
            None => placements.refused[0].1.to_string(),
        }
    };
    // Of the resident no more is known than its agent; its zone is in the offer.
    let away = || Rule::away_from("db", Field::Zone);
    assert_eq!(place(away(), vec![there("one")]), "two");
    assert_eq!(place(away(), vec![there("three")]), "one");
    assert_eq!(place(away(), vec![]), "one");
    let near = || Rule::near("db", Field::attribute("rack"));
    assert_eq!(place(near(), vec![there("three")]), "three");
    assert_eq!(
        place(near(), vec![]),
        "near db by attribute rack on 3 offers"
    );
    let everywhere = vec![there("one"), there("two")];
    assert_eq!(
        place(away(), everywhere),
        "away from db by zone on 3 offers"
    );
    // A group without a place that has the field is away from everything.
    let away = Rule::away_from("db", Field::attribute("none"));
    assert_eq!(place(away, vec![there("one")]), "one");
}

#[test]
fn what_is_in_the_way_is_summed_up() {
    let mut offers = vec![
        offer("a", "r1", "a", "cpus:4;mem:32"),
        offer("b", "r1", "a", "cpus:4;mem:32"),
        offer("c", "r1", "a", "cpus:4;mem:32"),
        offer("d", "r2", "a", "cpus:4;mem:4096"),
        offer("e", "r2", "a", "cpus:4;mem:4096"),
    ];
    let needs = Needs::new(Request::new().cpus(1.0).mem(128.0));
    let needs = needs.attribute("rack", Operator::equals("r1"));
    let placements = Matcher::first_fit().place(&several(1, &needs), &offers);
    let why = placements.why_not(&"0".into()).unwrap();
    assert_eq!(
        why.to_string(),
        "short of mem by 96 on 3 offers; attribute rack on 2"
    );
    assert_eq!((why.offers(), why.short_only()), (5, 3));
    let short = why.short_of("mem").unwrap();
    assert_eq!((short.offers, short.least, short.most), (3, 96.0, 96.0));
    assert!(why.short_of("cpus").is_none());
    offers[0].resources = Resources::parse("cpus:0.5;mem:64").unwrap().to_protos();
    assert_eq!(
        refused(&needs, &offers),
        "short of mem by 64 to 96 on 3 offers; attribute rack on 2; short of cpus by 0.5 on 1"
    );
    assert_eq!(refused(&needs, &[]), "no offers");
    assert_eq!(refused(&needs, &offers[3..4]), "attribute rack on 1 offer");
}

#[test]
fn a_task_that_asks_for_nothing_is_refused() {
    let why = refused(&Needs::new(Request::new()), &three());
    assert_eq!(why, "the task asks for no resources on 3 offers");
    let mut task = pending("task", &cpus(1.0));
    let mut executor = executor("executor", "cpus:1");
    executor.resources[0].scalar = Some(value::Scalar { value: -1.0 });
    task.info.executor = Some(executor);
    let placements = Matcher::first_fit().place(&[task], &three());
    let why = placements.refused[0].1.to_string();
    assert!(why.contains("'cpus:-1' is invalid"), "{why}");
}

#[test]
fn offers_of_one_agent_are_merged_by_role() {
    let of_role = |id: &str, role: &str, resources: &str| {
        let mut offer = offer("one", "r1", "a", "");
        offer.id = id.into();
        let resources = Resources::parse(resources).unwrap().allocated_to(role);
        offer.resources = resources.to_protos();
        offer.allocation_info = Some(AllocationInfo {
            role: Some(role.to_owned()),
        });
        offer
    };
    let offers = [
        of_role("1", "web", "cpus:1"),
        of_role("2", "db", "cpus:4"),
        of_role("3", "web", "cpus(web):1"),
        of_role("1", "web", "cpus:1"),
    ];
    let placements = Matcher::first_fit().place(&several(2, &cpus(1.5).role("web")), &offers);
    let launch = &placements.launches[0];
    assert_eq!(launch.offer_ids, ["1".into(), "3".into()]);
    assert_eq!(launch.role.as_deref(), Some("web"));
    assert_eq!(placements.unused, ["2".into()]);
    // The reserved cpu first, as it was offered.
    let used = Resources::from_protos(&launch.tasks[0].resources).unwrap();
    let expected = Resources::parse("cpus(web):1;cpus:0.5").unwrap();
    assert_eq!(used, expected.allocated_to("web"));
    assert_eq!(launch.left.cpus(), 0.5);
    let why = placements.why_not(&"1".into()).unwrap();
    assert_eq!(why.to_string(), "short of cpus by 1 on 1 offer; role on 1");
}

fn executor(id: &str, resources: &str) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: id.into(),
        resources: Resources::parse(resources).unwrap().to_protos(),
        ..Default::default()
    }
}

#[test]
fn an_executor_is_paid_for_once_per_agent() {
    let with = |id: &str, executor_id: &str| {
        let mut task = pending(id, &cpus(1.0));
        task.info.executor = Some(executor(executor_id, "cpus:0.5;mem:32"));
        task
    };
    let mut first = offer("one", "r1", "a", "cpus:2;cpus(web):1;mem:32");
    first.executor_ids = vec!["there".into()];
    let offers = [first, offer("two", "r1", "a", "cpus:4;mem:64")];
    let tasks = [
        with("new", "new"),
        with("again", "new"),
        with("there", "there"),
        with("elsewhere", "new"),
        with("other", "other"),
        with("too much", "third"),
    ];
    let placements = Matcher::first_fit().place(&tasks, &offers);
    let expected = [
        ("one", vec!["new", "again"]),
        ("two", vec!["there", "elsewhere"]),
    ];
    // There is 0.5 left of the first, which is too little for the task whose executor runs there.
    assert_eq!(placed(&placements), expected);
    let infos: Vec<_> = placements.launches[0]
        .tasks
        .iter()
        .map(|own| &own.executor)
        .collect();
    assert_eq!(infos[0], infos[1]);
    let used = Resources::from_protos(&infos[0].as_ref().unwrap().resources).unwrap();
    assert_eq!(
        used.to_unreserved(),
        Resources::parse("cpus:0.5;mem:32").unwrap()
    );
    assert_eq!(placements.launches[0].left.cpus(), 0.5);
    let why = placements.refused[0].1.to_string();
    assert!(why.starts_with("short of mem by 32 on 2 offers"), "{why}");
    // One that runs already is left as it is.
    let placements = Matcher::first_fit().place(&tasks[2..3], &offers);
    assert_eq!(
        placements.launches[0].tasks[0].executor,
        tasks[2].info.executor
    );
    assert_eq!(placements.launches[0].left.mem(), 32.0);
}

#[test]
fn planned_maintenance_is_avoided_on_request() {
    let mut offers = three();
    offers[0].unavailability = Some(Unavailability::default());
    let placements = Matcher::first_fit().place(&several(1, &cpus(1.0).lasting()), &offers);
    assert_eq!(placed(&placements), [("two", vec!["0"])]);
    assert_eq!(
        refused(&cpus(1.0).lasting(), &offers[..1]),
        "maintenance on 1 offer"
    );
    assert_eq!(refused(&cpus(1.0), &offers[..1]), "not refused");
}

#[test]
fn a_launch_carries_all_that_it_needs() {
    let placements = Matcher::first_fit().place(&several(2, &cpus(1.0)), &three());
    let launch = &placements.launches[0];
    let operation = launch.operation();
    let tasks = operation.launch.unwrap().task_infos;
    assert_eq!(tasks, launch.tasks);
    assert!(tasks.iter().all(|task| task.agent_id.value == "one"));
    let residents: Vec<Resident> = placements.residents().collect();
    assert_eq!(residents.len(), 2);
    assert_eq!(residents[1].task_id, "1".into());
    assert_eq!(*residents[1].place, Place::from(&three()[0]));
}

#[test]
fn explanations_are_kept_until_there_is_a_place() {
    let unplaced = Unplaced::with_capacity(3);
    let record = |count: usize, cpus_wanted: f64, offers: &[Offer]| {
        let tasks = several(count, &cpus(cpus_wanted));
        unplaced.record(&Matcher::first_fit().place(&tasks, offers));
    };
    record(2, 9.0, &three());
    assert_eq!(
        unplaced.to_string(),
        "0 and 1 more: short of cpus by 5 on 3 offers"
    );
    record(1, 9.0, &[]);
    let latest = unplaced.why(&"0".into()).unwrap();
    assert_eq!(latest.to_string(), "no offers");
    assert_eq!(
        unplaced.to_string(),
        "1: short of cpus by 5 on 3 offers\n0: no offers"
    );
    record(1, 1.0, &three());
    assert!(unplaced.why(&"0".into()).is_none());
    assert_eq!(unplaced.len(), 1);
    // The oldest make room.
    record(5, 9.0, &[]);
    let ids: Vec<String> = unplaced.all().into_iter().map(|(id, _)| id.value).collect();
    assert_eq!(ids, ["2", "3", "4"]);
    unplaced.forget(&"3".into());
    assert_eq!(unplaced.clone().len(), 2);
    unplaced.clear();
    assert!(unplaced.is_empty());
}

#[test]
fn shared_volumes_are_used_by_several() {
    use crate::proto::resource::disk_info::Persistence;
    use crate::proto::resource::{DiskInfo, SharedInfo};
    let mut volume: Resource = Resources::parse("disk(web):8")
        .unwrap()
        .to_protos()
        .remove(0);
    volume.shared = Some(SharedInfo {});
    volume.disk = Some(Box::new(DiskInfo {
        persistence: Some(Persistence {
            id: "data".to_owned(),
            principal: None,
        }),
        ..Default::default()
    }));
    let mut offer = offer("one", "r1", "a", "cpus:1");
    offer.resources.push(volume);
    let needs = Needs::new(Request::new().cpus(0.25).volume("data"));
    let placements = Matcher::first_fit().place(&several(3, &needs), &[offer]);
    assert_eq!(placements.launches[0].tasks.len(), 3);
    assert_eq!(placements.launches[0].left.shared().disk(), 8.0);
}
