//! Laws that hold whatever is offered and wanted.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::select;

use super::{
    Field, Matcher, Needs, Offer, Operator, PendingTask, Place, Placements, Request, Resident,
    Resources, Rule, Strategy as Way, executor, offer, pending,
};

fn offers() -> impl Strategy<Value = Vec<Offer>> {
    let one = (
        0..6_u8,
        select(vec!["r1", "r2"]),
        select(vec!["a", "b", "c"]),
        0..8_u32,
        0..6_u64,
    );
    let one = one.prop_map(|(agent, rack, zone, cpus, ports)| {
        let mut resources = format!("cpus:{cpus}.5;mem:{}", cpus * 64);
        if ports > 0 {
            resources.push_str(&format!(";ports:[31000-{}];cpus(web):0.25", 31_000 + ports));
        }
        offer(&format!("agent-{agent}"), rack, zone, &resources)
    });
    proptest::collection::vec(one, 0..8).prop_map(|mut offers| {
        // An agent's attributes are the same in all its offers, and its resources are in one of them only.
        let mut first: BTreeMap<String, Offer> = BTreeMap::new();
        for (number, offer) in offers.iter_mut().enumerate() {
            offer.id = format!("offer-{number}").into();
            match first.get(&offer.agent_id.value) {
                Some(known) => {
                    offer.attributes.clone_from(&known.attributes);
                    offer.domain.clone_from(&known.domain);
                    offer.resources = Resources::parse("cpus:1;mem:32").unwrap().to_protos();
                }
                None => {
                    first.insert(offer.agent_id.value.clone(), offer.clone());
                }
            }
        }
        offers
    })
}

fn needs() -> impl Strategy<Value = Needs> {
    let request = (1..30_u32, 0..200_u32, 0..3_u64, any::<bool>());
    let request = request.prop_map(|(cpus, mem, ports, has_port)| {
        let request = Request::new()
            .cpus(f64::from(cpus) / 10.0)
            .mem(f64::from(mem))
            .ports(ports);
        if has_port {
            request.port(31_001)
        } else {
            request
        }
    });
    let field = || {
        select(vec![
            Field::Hostname,
            Field::Zone,
            Field::Region,
            Field::attribute("rack"),
            Field::attribute("none"),
        ])
    };
    let operator = select(vec![
        Operator::Exists,
        Operator::equals("a"),
        !Operator::equals("r1"),
        Operator::one_of(["r1", "a", "home", "agent-1"]),
    ]);
    let constraints = proptest::collection::vec((field(), operator), 0..2);
    let rule = (field(), 0..5_u8, 1..3_u32).prop_map(|(field, kind, number)| match kind {
        0 => Rule::max_per(field, number),
        1 => Rule::balanced(field, number),
        2 => Rule::together(field),
        3 => Rule::away_from("other", field),
        _ => Rule::near("other", field),
    });
    let rules = proptest::collection::vec(rule, 0..2);
    let group = select(vec!["", "own", "other"]);
    (request, constraints, rules, group).prop_map(|(request, constraints, rules, group)| {
        let mut needs = Needs::new(request).group(group);
        for (field, operator) in constraints {
            needs = needs.constraint(field, operator);
        }
        rules.into_iter().fold(needs, Needs::rule)
    })
}

fn tasks() -> impl Strategy<Value = Vec<PendingTask>> {
    let sorts = proptest::collection::vec((needs(), 0..4_u8), 1..4);
    (sorts, proptest::collection::vec(0..3_usize, 0..14)).prop_map(|(sorts, picks)| {
        let picks = picks.into_iter().enumerate();
        picks
            .map(|(number, pick)| {
                let (needs, executor_id) = &sorts[pick % sorts.len()];
                let mut task = pending(&number.to_string(), needs);
                if *executor_id > 1 {
                    let id = format!("executor-{executor_id}");
                    task.info.executor = Some(executor(&id, "cpus:0.125;mem:32"));
                }
                task
            })
            .collect()
    })
}

fn ways() -> impl Strategy<Value = Way> {
    select(vec![
        Way::FirstFit,
        Way::BestFit,
        Way::Spread(Field::Zone),
        Way::Spread(Field::attribute("none")),
    ])
}

/// Whether all that is used and left of each agent is what it offered.
fn is_nothing_overcommitted(placements: &Placements, offers: &[Offer]) {
    for launch in &placements.launches {
        let own = offers
            .iter()
            .filter(|own| launch.offer_ids.contains(&own.id));
        let offered: Resources = own
            .map(|own| Resources::from_protos(&own.resources).unwrap())
            .sum();
        let mut used = Resources::new();
        let mut executors = BTreeSet::new();
        for task in &launch.tasks {
            used += Resources::from_protos(&task.resources).unwrap();
            if let Some(executor) = &task.executor
                && executors.insert(executor.executor_id.value.clone())
            {
                used += Resources::from_protos(&executor.resources).unwrap();
            }
        }
        assert!(offered.contains(&used), "{used} of {offered}");
        assert_eq!(used.clone() + &launch.left, offered);
        // Were a port given twice, the sum would not have them all.
        let ports = |own: &Resources| {
            own.ports()
                .into_iter()
                .map(|own| own.count())
                .sum::<usize>()
        };
        let each = launch
            .tasks
            .iter()
            .map(|task| Resources::from_protos(&task.resources).unwrap());
        assert_eq!(each.map(|own| ports(&own)).sum::<usize>(), ports(&used));
        let operations = [launch.operation()];
        let whole = Offer {
            resources: offered.to_protos(),
            ..Default::default()
        };
        assert_eq!(
            Resources::left_of(&whole, &operations).unwrap(),
            launch.left
        );
    }
}

/// Whether every task's constraints and those rules that cannot be broken by a later task hold at the end.
fn is_everyone_satisfied(placements: &Placements, tasks: &[PendingTask], residents: &[Resident]) {
    let by_id: BTreeMap<&str, &PendingTask> = tasks
        .iter()
        .map(|own| (own.info.task_id.value.as_str(), own))
        .collect();
    let all: Vec<Resident> = residents
        .iter()
        .cloned()
        .chain(placements.residents())
        .collect();
    for resident in placements.residents() {
        let needs = &by_id[resident.task_id.value.as_str()].needs;
        let place = &resident.place;
        assert!(needs.constraints().iter().all(|own| own.holds_of(place)));
        for rule in needs.rules() {
            let (group, field) = rule.subject(&needs.group);
            let key = field.key(place);
            let at_place = all
                .iter()
                .filter(|own| own.group == group && field.key(&own.place) == key);
            let count = at_place.count();
            match rule {
                Rule::MaxPer { tasks, .. } => {
                    // Others of the group may have no such rule.
                    let strict = tasks_of(group, &by_id).all(|own| own.rules().contains(rule));
                    assert!(
                        key.is_some()
                            && (!strict
                                || count <= *tasks as usize
                                || count_of(residents, group, field, &key) > 0)
                    );
                }
                Rule::Balanced { .. } | Rule::Together { .. } => assert!(key.is_some()),
                Rule::Near { .. } => assert!(key.is_some() && count > 0),
                Rule::AwayFrom { .. } => {}
            }
        }
    }
}

fn tasks_of<'a>(
    group: &'a str,
    tasks: &'a BTreeMap<&str, &PendingTask>,
) -> impl Iterator<Item = &'a Needs> {
    tasks
        .values()
        .map(|own| &own.needs)
        .filter(move |own| own.group == group)
}

fn count_of(residents: &[Resident], group: &str, field: &Field, key: &Option<String>) -> usize {
    let residents = residents.iter();
    residents
        .filter(|own| own.group == group && field.key(&own.place) == *key)
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_offer_is_overcommitted_and_every_task_is_satisfied(
        offers in offers(),
        tasks in tasks(),
        way in ways(),
        resident_group in select(vec!["own", "other"]),
    ) {
        let there = offers.first().map(|own| Resident::new("there", resident_group, Place::from(own)));
        let residents: Vec<Resident> = there.into_iter().collect();
        let matcher = Matcher::new(way).residents(residents.clone());
        let placements = matcher.place(&tasks, &offers);
        is_nothing_overcommitted(&placements, &offers);
        is_everyone_satisfied(&placements, &tasks, &residents);

        // Each task is placed or told why not; each offer used or not.
        let placed = placements.launches.iter().map(|own| own.tasks.len()).sum::<usize>();
        prop_assert_eq!(placed + placements.refused.len(), tasks.len());
        let used = placements.launches.iter().map(|own| own.offer_ids.len()).sum::<usize>();
        prop_assert_eq!(used + placements.unused.len(), offers.len());
        let agents: BTreeSet<&str> = offers.iter().map(|own| own.agent_id.value.as_str()).collect();
        for (_, why) in &placements.refused {
            prop_assert_eq!(why.offers(), agents.len());
            prop_assert!(agents.is_empty() || !why.reasons().is_empty());
        }

        // Once more, the same.
        let again = matcher.place(&tasks, &offers);
        prop_assert_eq!(format!("{again:?}"), format!("{placements:?}"));
    }

    #[test]
    fn who_is_refused_first_fit_fits_nowhere(offers in offers(), tasks in tasks()) {
        // Without rules, what is left in the end is enough to tell.
        let tasks: Vec<PendingTask> = tasks.into_iter().filter(|own| own.needs.rules().is_empty()).collect();
        let placements = Matcher::first_fit().place(&tasks, &offers);
        for (task_id, _) in &placements.refused {
            let mut own = tasks.iter();
            let task = own.find(|own| own.info.task_id == *task_id).unwrap();
            for launch in &placements.launches {
                let suits = task.needs.constraints().iter().all(|own| own.holds_of(&launch.place));
                let fits = launch.left.take(task.needs.request()).is_ok();
                prop_assert!(!suits || !fits || task.info.executor.is_some());
            }
        }
    }
}
