use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::codec::ContentType;
use crate::local::builder::LocalClusterBuilder;
use crate::local::master::framework::{Connection, Framework, Stream};
use crate::local::master::state::Master;
use crate::local::messages::Registration;
use crate::local::registry::Registry;
use crate::local::stream::{EventBody, EventStream};
use crate::proto::scheduler::call::Decline;
use crate::proto::{AgentInfo, Filters, FrameworkId, FrameworkInfo, OfferId};
use crate::resources::Resources;

/// A master with agents and subscribed frameworks, whose streams are kept open.
struct Cluster {
    master: Master,
    _streams: Vec<EventBody>,
}

impl Cluster {
    #[expect(deprecated, reason = "one role is enough here")]
    fn new(settings: LocalClusterBuilder, agents: usize, roles: &[&str]) -> Self {
        let config = Arc::new(settings.checked().unwrap());
        let registry = Registry::first(&config);
        let address = ([127, 0, 0, 1], 5050).into();
        let mut master = Master::new(Arc::clone(&config), address);
        master.lead(registry, tokio::time::Instant::now());
        let mut streams = Vec::new();
        for (number, role) in roles.iter().enumerate() {
            let id = FrameworkId::from(format!("framework-{number:04}"));
            let info = FrameworkInfo {
                role: Some((*role).to_owned()),
                ..Default::default()
            };
            let (events, body) = EventStream::new(ContentType::Protobuf, &config.wire);
            let stream = Stream {
                id: id.value.clone(),
                events,
            };
            let framework = Framework::new(id.clone(), info, Connection::Connected(stream));
            master.frameworks.insert(id, framework);
            streams.push(body);
        }
        let total = &config.added_agent.resources;
        for index in 0..agents {
            let info = AgentInfo {
                hostname: format!("host-{index}"),
                resources: total.to_protos(),
                ..Default::default()
            };
            let registration = Registration {
                info,
                process: "slave(1)".to_owned(),
                frameworks: Vec::new(),
                executors: Vec::new(),
                tasks: Vec::new(),
                total: total.clone(),
                operations: Vec::new(),
            };
            master.register_agent(index, registration);
        }
        Self {
            master,
            _streams: streams,
        }
    }

    fn allocate(&mut self) {
        self.master.needs_allocation = true;
        self.master.allocate_if_needed();
    }

    /// Declines everything that is out, for `seconds`.
    fn decline_all(&mut self, seconds: f64) {
        let filters = Filters {
            refuse_seconds: Some(seconds),
        };
        let frameworks: Vec<FrameworkId> = self.master.frameworks.keys().cloned().collect();
        for framework_id in frameworks {
            let offers = self.master.offers.iter();
            let offers = offers.filter(|(_, offer)| offer.framework_id == framework_id);
            let offer_ids: Vec<OfferId> = offers.map(|(id, _)| id.clone()).collect();
            let decline = Decline {
                offer_ids,
                filters: Some(filters),
            };
            self.master.decline(&framework_id, &decline);
        }
    }

    /// CPUs that are offered under `role`.
    fn offered(&self, role: &str) -> f64 {
        let offers = self.master.offers.values();
        let own = offers.filter(|offer| offer.role == role);
        own.map(|offer| offer.resources.scalar("cpus")).sum()
    }
}

fn settings(resources: &str) -> LocalClusterBuilder {
    LocalClusterBuilder::new().resources(resources)
}

#[test]
fn roles_share_by_weight_and_frameworks_evenly() {
    let settings = settings("cpus:1;mem:100").weight("a", 3.0);
    let mut cluster = Cluster::new(settings, 40, &["a", "b", "b"]);
    cluster.allocate();
    assert_eq!(cluster.offered("a"), 30.0);
    assert_eq!(cluster.offered("b"), 10.0);
    let counts = |cluster: &Cluster, id: &str| {
        let offers = cluster.master.offers.values();
        let own = offers.filter(|offer| offer.framework_id.value == id);
        own.count()
    };
    assert_eq!(counts(&cluster, "framework-0001"), 5);
    assert_eq!(counts(&cluster, "framework-0002"), 5);
}

#[test]
fn levels_of_roles_share_with_their_siblings_only() {
    let roles = ["a/x", "a/y", "b"];
    let mut cluster = Cluster::new(settings("cpus:1;mem:100"), 40, &roles);
    cluster.allocate();
    let offered = roles.map(|role| cluster.offered(role));
    assert_eq!(offered, [10.0, 10.0, 20.0]);
}

#[test]
fn nobody_gets_more_than_its_limit() {
    let settings = settings("cpus:4;mem:1024").quota("a", "", "cpus:6");
    let mut cluster = Cluster::new(settings, 4, &["a"]);
    cluster.allocate();
    assert_eq!(cluster.offered("a"), 6.0);
    // What is no scalar, or has no limit, is not held back.
    let mem = cluster.master.offers.values();
    let mem: f64 = mem.map(|offer| offer.resources.scalar("mem")).sum();
    assert_eq!(mem, 4096.0);
}

#[test]
fn what_is_guaranteed_is_held_back() {
    let settings = settings("cpus:4;mem:1024").quota("a", "cpus:6;mem:512", "");
    let mut cluster = Cluster::new(settings, 4, &["b"]);
    cluster.allocate();
    assert_eq!(cluster.offered("b"), 10.0);
}

#[test]
fn guarantees_are_served_first() {
    let settings = settings("cpus:4;mem:1024").quota("a", "cpus:12;mem:3072", "");
    let mut cluster = Cluster::new(settings, 4, &["a", "b", "c"]);
    cluster.allocate();
    assert_eq!(cluster.offered("a"), 12.0);
    assert_eq!(cluster.offered("b") + cluster.offered("c"), 4.0);
}

#[test]
fn reservations_count_for_their_role() {
    let settings = settings("cpus:1;mem:100;cpus(a):2;mem(a):100").quota("a", "", "cpus:5");
    let mut cluster = Cluster::new(settings, 2, &["a", "b"]);
    cluster.allocate();
    // Four are reserved, one more is allowed.
    assert_eq!(cluster.offered("a") + cluster.offered("b"), 6.0);
    assert!(cluster.offered("a") <= 5.0);
    let reserved = cluster.master.offers.values();
    let reserved = reserved.filter(|offer| offer.role == "b");
    let foreign = |resources: &Resources| resources.any(|kind| !kind.reservations.is_empty());
    assert!(!reserved.map(|offer| &offer.resources).any(foreign));
}

#[test]
fn who_revives_is_offered_what_everybody_refused() {
    let mut cluster = Cluster::new(settings("cpus:1;mem:100"), 3, &["a", "b"]);
    for _ in 0..2 {
        cluster.allocate();
        cluster.decline_all(1e6);
    }
    cluster.allocate();
    assert!(cluster.master.offers.is_empty());
    let first = FrameworkId::from("framework-0000".to_owned());
    cluster.master.revive(&first, Vec::new());
    cluster.allocate();
    assert_eq!((cluster.offered("a"), cluster.offered("b")), (3.0, 0.0));
}

/// The time of one allocation in which every framework refuses every agent, which looks at every pair of them.
fn steady_time(agents: usize, frameworks: usize) -> Duration {
    let roles: Vec<String> = (0..frameworks).map(|number| format!("r{number}")).collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let resources = "cpus:4;mem:4096;disk:8192;ports:[31000-31999]";
    let mut cluster = Cluster::new(settings(resources), agents, &roles);
    // Each round, an agent goes to somebody who has not refused it yet.
    for _ in 0..frameworks {
        cluster.allocate();
        cluster.decline_all(1e6);
    }
    cluster.allocate();
    assert!(cluster.master.offers.is_empty());
    let times = (0..3).map(|_| {
        let begun = Instant::now();
        cluster.allocate();
        begun.elapsed()
    });
    times.min().unwrap_or_default()
}

/// In an optimised build, 1,000 agents and 100 frameworks take a few milliseconds.
#[test]
fn an_allocation_takes_time_in_proportion_to_agents_and_frameworks() {
    let (small, large) = (steady_time(50, 20), steady_time(200, 80));
    println!("50 agents, 20 frameworks: {small:?}; 200 agents, 80 frameworks: {large:?}");
    // Sixteen times as many pairs; sixteen times as many again for whatever else the machine does.
    assert!(large < small * 256, "{small:?}, {large:?}");
    if !cfg!(debug_assertions) {
        let whole = steady_time(1000, 100);
        println!("1,000 agents, 100 frameworks: {whole:?}");
        assert!(whole < Duration::from_secs(1), "{whole:?}");
    }
}
