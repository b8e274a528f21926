//! What `Resources` foresees of operations, beside what the master then offers.

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::{Offer, OperationState, Resource, TaskState, value};
use mesos_framework::resources::{Request, Resources};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::executor_role::RUN;
use crate::framework::{Framework, info, is_live, refuse, scalar, task};
use crate::recorder::Callback;
use crate::reservations::{create, destroy, dynamic, operation, reserve, unreserve, volume};
use crate::volumes::launch;

const RESOURCES: &str = "cpus:4;mem:4096;disk:4096;ports:[31000-31099];zones:{a,b}";

async fn cluster() -> OwnCluster {
    let needs = Needs {
        agents: Agents::One,
        resources: RESOURCES,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

/// All that the agent has free, in offers that are kept until the next operation.
struct Bench {
    framework: Framework,
    offers: Vec<Offer>,
}

impl Bench {
    async fn start(cluster: &OwnCluster, old: bool) -> Self {
        let mut info = info("foreseen");
        if old {
            let refinement = capability::Type::ReservationRefinement as i32;
            info.capabilities
                .retain(|own| own.r#type != Some(refinement));
        }
        let framework = Framework::register(&cluster.address(), info).await;
        let mut bench = Self {
            framework,
            offers: Vec::new(),
        };
        let all = Resources::parse(RESOURCES).unwrap();
        let role = bench.framework.role();
        bench.are_offered(&all.allocated_to(&role)).await;
        bench
    }

    fn offered(&self) -> Resources {
        let offers = self.offers.iter();
        offers
            .map(|offer| Resources::from_protos(&offer.resources).unwrap())
            .sum()
    }

    /// Keeps offers until they are `expected` together.
    async fn are_offered(&mut self, expected: &Resources) {
        while self.offered() != *expected {
            let what = format!("{expected}, where there is {}", self.offered());
            assert!(self.news(&what).await.is_none(), "no status but {what}");
        }
    }

    /// Keeps the next offers, or answers the next status of a task or operation: whether it is good.
    async fn news(&mut self, what: &str) -> Option<bool> {
        let news = self.framework.until(what, |callback| match callback {
            Callback::Offers(offers) => Some(Ok(offers.clone())),
            Callback::OperationStatus(status) => {
                let is_good = status.state() == OperationState::OperationFinished;
                assert!(is_good, "{status:?}");
                Some(Err(true))
            }
            Callback::Status(status) => {
                assert!(is_live(status.state()), "{status:?}");
                Some(Err(status.state() == TaskState::TaskRunning))
            }
            _ => None,
        });
        match news.await {
            Ok(offers) => {
                self.offers.extend(offers);
                None
            }
            Err(is_good) => Some(is_good),
        }
    }

    /// Has `operations`, which have ids, carried out on all offers, and sees what was foreseen.
    async fn come_true(&mut self, operations: Vec<Operation>) {
        let mut whole = self.offers[0].clone();
        whole.resources = self.offered().to_protos();
        let foreseen = Resources::left_of(&whole, &operations).unwrap();
        // Statuses may come before offers or after them.
        let mut statuses = operations.len();
        let ids = self.offers.drain(..).map(|offer| offer.id).collect();
        let handle = &self.framework.handle;
        let accepted = handle.accept_offers(ids, operations, refuse(0.0));
        assert!(accepted.await.unwrap().outcome().await.is_accepted());
        while statuses > 0 {
            if self.news("a status").await == Some(true) {
                statuses -= 1;
            }
        }
        self.are_offered(&foreseen).await;
    }

    async fn end(self, cluster: OwnCluster) {
        self.framework.teardown().await;
        cluster.shutdown().await;
    }
}

fn reserved_of(text: &str, role: &str) -> Vec<Resource> {
    let free = Resources::parse(text).unwrap();
    free.push_reservation(&dynamic(role)).unwrap().to_protos()
}

#[tokio::test]
async fn what_is_foreseen_of_operations_is_offered() {
    let cluster = cluster().await;
    let mut bench = Bench::start(&cluster, false).await;
    let role = bench.framework.role();
    let reserved = reserved_of(
        "cpus:1.5;disk:64;ports:[31010-31019,31050-31050];zones:{b}",
        &role,
    );
    bench
        .come_true(vec![reserve("reserve", reserved.clone())])
        .await;
    let own = volume("foreseen", 40.0, &role);
    bench
        .come_true(vec![create("create", vec![own.clone()])])
        .await;
    let grow = Operation {
        grow_volume: Some(operation::GrowVolume {
            volume: own,
            addition: reserved_of("disk:24", &role).remove(0),
        }),
        ..operation("grow", operation::Type::GrowVolume)
    };
    bench.come_true(vec![grow]).await;
    let grown = volume("foreseen", 64.0, &role);
    let shrink = Operation {
        shrink_volume: Some(operation::ShrinkVolume {
            volume: grown,
            subtract: value::Scalar { value: 63.0 },
        }),
        ..operation("shrink", operation::Type::ShrinkVolume)
    };
    bench.come_true(vec![shrink]).await;
    let shrunk = volume("foreseen", 1.0, &role);
    // Several in one call, each on what the one before left.
    let part = reserved_of("cpus:0.25;ports:[31012-31013]", &role);
    let more = reserved_of("mem:100.125", &role);
    let operations = vec![
        destroy("destroy", vec![shrunk]),
        unreserve("part", part),
        reserve("more", more),
    ];
    bench.come_true(operations).await;
    bench.end(cluster).await;
}

#[tokio::test]
async fn the_older_format_is_foreseen_too() {
    let cluster = cluster().await;
    let mut bench = Bench::start(&cluster, true).await;
    let role = bench.framework.role();
    let reserved = reserved_of("cpus:1;mem:64;disk:32", &role);
    let older = |resources: &[Resource]| {
        let resources = Resources::from_protos(resources).unwrap();
        resources.to_unrefined_protos()
    };
    bench
        .come_true(vec![reserve("reserve", older(&reserved))])
        .await;
    let own = older(&[volume("older", 32.0, &role)]);
    bench.come_true(vec![create("create", own.clone())]).await;
    bench.come_true(vec![destroy("destroy", own)]).await;
    bench
        .come_true(vec![unreserve("unreserve", older(&reserved))])
        .await;
    bench.end(cluster).await;
}

#[tokio::test]
async fn what_a_request_takes_can_be_launched() {
    let cluster = cluster().await;
    let mut bench = Bench::start(&cluster, false).await;
    let role = bench.framework.role();
    // A part of what is asked for is reserved.
    let reserved = reserved_of("cpus:0.5;ports:[31050-31052]", &role);
    bench.come_true(vec![reserve("reserve", reserved)]).await;
    let request = Request::new()
        .cpus(1.25)
        .mem(64.0)
        .ports(5)
        .port(31_099)
        .items("zones", ["a"]);
    let taken = bench.offered().take(&request).unwrap();
    assert_eq!(taken.used.reserved_for(&role).cpus(), 0.5);
    assert_eq!(
        taken.used.ports(),
        [31_000..=31_001, 31_050..=31_052, 31_099..=31_099]
    );
    let mut user = task("user", RUN, &bench.offers[0]);
    user.resources = taken.used.to_protos();
    user.executor.as_mut().unwrap().resources = vec![scalar("cpus", 0.1), scalar("mem", 32.0)];
    let executor = Resources::parse("cpus:0.1;mem:32")
        .unwrap()
        .allocated_to(&role);
    let left = taken.left.checked_sub(&executor).unwrap();
    let launch = launch(vec![user.clone()]);
    let mut whole = bench.offers[0].clone();
    whole.resources = bench.offered().to_protos();
    assert_eq!(
        Resources::left_of(&whole, std::slice::from_ref(&launch)).unwrap(),
        left
    );
    let ids = bench.offers.drain(..).map(|offer| offer.id).collect();
    let handle = &bench.framework.handle;
    handle
        .accept_offers(ids, vec![launch], refuse(0.0))
        .await
        .unwrap();
    while bench.news("the task runs").await != Some(true) {}
    bench.are_offered(&left).await;
    bench.end(cluster).await;
}
