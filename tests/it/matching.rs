//! Tasks are matched with offers, and what was matched is launched.

use std::collections::{BTreeMap, BTreeSet};

use mesos_framework::proto::{Offer, TaskState};
use mesos_framework::resources::{Request, Resources};
use mesos_framework::toolkit::matching::{
    Field, Matcher, Needs, Operator, PendingTask, Placements, Resident, Rule, Unplaced,
};

use crate::cluster::{Cluster, Needs as ClusterNeeds, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, info, is_live, is_roomy, refuse_for_good, scalar, task};
use crate::recorder::Callback;
use crate::reservations::{dynamic, reserve};

/// Two agents of their own for each test: others of the cluster may take what is needed.
async fn two_agents() -> OwnCluster {
    let needs = ClusterNeeds {
        attributes: "rack:r1;level:3",
        ..ClusterNeeds::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

fn pending(id: &str, needs: &Needs, offer: &Offer) -> PendingTask {
    let mut info = task(id, RUN, offer);
    info.resources.clear();
    PendingTask::new(info, needs.clone())
}

/// An offer of each of so many agents, all kept.
async fn offers_of(framework: &mut Framework, agents: usize) -> Vec<Offer> {
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let mut held: Vec<Offer> = Vec::new();
    loop {
        let known: BTreeSet<&str> = held.iter().map(|own| own.agent_id.value.as_str()).collect();
        if known.len() == agents {
            return held;
        }
        let more = framework.until("more offers", |callback| match callback {
            Callback::Offers(offers) => Some(offers.clone()),
            _ => None,
        });
        held.extend(more.await);
    }
}

impl Framework {
    async fn launch_all(&self, placements: &Placements) {
        for launch in &placements.launches {
            let ids = launch.offer_ids.clone();
            let operations = vec![launch.operation()];
            let accepted = self
                .handle
                .accept_offers(ids, operations, refuse_for_good());
            assert!(accepted.await.unwrap().outcome().await.is_accepted());
        }
        if !placements.unused.is_empty() {
            let unused = placements.unused.clone();
            let declined = self.handle.decline_offers(unused, refuse_for_good());
            declined.await.unwrap();
        }
    }

    /// So many tasks say that they run.
    async fn run_all(&mut self, count: usize) {
        let mut running = BTreeSet::new();
        while running.len() < count {
            let status = self.until("all tasks run", |callback| match callback {
                Callback::Status(status) => Some(status.clone()),
                _ => None,
            });
            let status = status.await;
            assert!(is_live(status.state()), "{status:?}");
            if status.state() == TaskState::TaskRunning {
                running.insert(status.task_id.value);
            }
        }
    }
}

#[tokio::test]
async fn what_is_placed_can_be_launched() {
    let cluster = two_agents().await;
    let mut framework = Framework::register(&cluster.address(), info("matching")).await;
    let role = framework.role();
    // A part of one agent is reserved: it is to be used first.
    let offers = offers_of(&mut framework, 2).await;
    let reserved = Resources::parse("cpus:0.1;ports:[31500-31500]").unwrap();
    let reserved = reserved.push_reservation(&dynamic(&role)).unwrap();
    framework.decline(&offers[1..], refuse_for_good()).await;
    let reserve = reserve("reserve", reserved.to_protos());
    framework.finish(&offers[0], reserve).await;
    let reserved_agent = offers[0].agent_id.clone();
    let offers = offers_of(&mut framework, 2).await;

    let small = Request::new().cpus(0.1).mem(32.0).ports(2);
    let anywhere = Needs::new(small.clone())
        .attribute("rack", Operator::equals("r1"))
        .attribute("level", Operator::AtLeast(3.0))
        .role(&role);
    let apart = Needs::new(small.clone().port(31_700))
        .group("apart")
        .rule(Rule::unique(Field::AgentId));
    let nowhere = Needs::new(small).attribute("rack", Operator::equals("r2"));
    let huge = Needs::new(Request::new().cpus(99.0));
    let tasks = [
        pending("anywhere-1", &anywhere, &offers[0]),
        pending("anywhere-2", &anywhere, &offers[0]),
        pending("apart-1", &apart, &offers[0]),
        pending("apart-2", &apart, &offers[0]),
        pending("apart-3", &apart, &offers[0]),
        pending("nowhere", &nowhere, &offers[0]),
        pending("huge", &huge, &offers[0]),
    ];
    let placements = Matcher::spread(Field::AgentId).place(&tasks, &offers);
    let unplaced = Unplaced::new();
    unplaced.record(&placements);
    let refused: BTreeMap<String, String> = unplaced
        .all()
        .into_iter()
        .map(|(id, why)| (id.value, why.to_string()))
        .collect();
    assert_eq!(refused["apart-3"], "at most 1 per agent on 2 offers");
    assert_eq!(refused["nowhere"], "attribute rack on 2 offers");
    assert!(
        refused["huge"].starts_with("short of cpus by 95"),
        "{refused:?}"
    );
    assert_eq!(refused.len(), 3);
    let per_agent: Vec<usize> = placements
        .launches
        .iter()
        .map(|own| own.tasks.len())
        .collect();
    assert_eq!(per_agent, [2, 2]);
    let mut launches = placements.launches.iter();
    let launch = launches
        .find(|own| *own.agent_id() == reserved_agent)
        .unwrap();
    let used = launch
        .tasks
        .iter()
        .map(|own| Resources::from_protos(&own.resources).unwrap());
    let used: Resources = used.sum();
    assert_eq!(used.reserved_for(&role).unallocated(), reserved);

    framework.launch_all(&placements).await;
    framework.run_all(4).await;

    // In the next round the ones of this round count.
    let residents: Vec<Resident> = placements.residents().collect();
    let offers = offers_of(&mut framework, 2).await;
    let matcher = Matcher::first_fit().residents(residents);
    let again = matcher.place(&tasks[4..5], &offers);
    let why = again.why_not(&"apart-3".into()).unwrap().to_string();
    assert_eq!(why, "at most 1 per agent on 2 offers");
    let near =
        Needs::new(Request::new().cpus(0.1).mem(32.0)).rule(Rule::near("apart", Field::Hostname));
    let last = [pending("last", &near, &offers[0])];
    let placements = matcher.place(&last, &offers);
    framework.launch_all(&placements).await;
    framework.run_all(1).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn tasks_of_one_executor_pay_for_it_once() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("one-executor")).await;
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let offer = framework.next_offer(is_roomy).await;
    let needs = Needs::new(Request::new().cpus(0.05).mem(16.0));
    let under_one = |id: &str| {
        let mut task = pending(id, &needs, &offer);
        let mut executor = crate::executor_role::executor("shared executor");
        executor.resources = vec![scalar("cpus", 0.1), scalar("mem", 32.0)];
        task.info.executor = Some(executor);
        task
    };
    let tasks = [under_one("first"), under_one("second")];
    let placements = Matcher::best_fit().place(&tasks, std::slice::from_ref(&offer));
    let launch = &placements.launches[0];
    let offered = Resources::from_protos(&offer.resources).unwrap();
    let expected = Resources::parse("cpus:0.2;mem:64").unwrap();
    let used = offered.checked_sub(&launch.left).unwrap().unallocated();
    assert_eq!(used, expected);
    framework.launch_all(&placements).await;
    framework.run_all(2).await;

    // It runs now, and must be the very same for another task.
    let agent = offer.agent_id.clone();
    framework.handle.revive_offers(Vec::new()).await.unwrap();
    let same = |offer: &Offer| offer.agent_id == agent && is_roomy(offer);
    let offer = framework.next_offer(same).await;
    assert_eq!(offer.executor_ids, ["shared executor".into()]);
    let mut third = under_one("third");
    third.info.executor.clone_from(&launch.tasks[0].executor);
    let placements = Matcher::best_fit().place(&[third], std::slice::from_ref(&offer));
    let offered = Resources::from_protos(&offer.resources).unwrap();
    let used = offered.checked_sub(&placements.launches[0].left).unwrap();
    assert_eq!(
        used.unallocated(),
        Resources::parse("cpus:0.05;mem:16").unwrap()
    );
    framework.launch_all(&placements).await;
    framework.run_all(1).await;
    framework.teardown().await;
    cluster.shutdown().await;
}
