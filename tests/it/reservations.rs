//! Reserved resources: who is offered them, and how they are reserved and given back.
//!
//! And what the tests of operations and volumes share.

use mesos_framework::proto::framework_info::capability;
use mesos_framework::proto::offer::{Operation, operation};
use mesos_framework::proto::resource::{ReservationInfo, disk_info, reservation_info};
use mesos_framework::proto::{
    Offer, OperationState, OperationStatus, Resource, Volume, resource, volume,
};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::framework::{Framework, QUIET, amount, info, refuse, refuse_for_good, scalar};
use crate::recorder::Callback;

/// A cluster of one agent, which the test may leave in any state.
pub async fn one_agent() -> OwnCluster {
    let needs = Needs {
        agents: Agents::One,
        ..Needs::default()
    };
    OwnCluster::start(needs).await.unwrap()
}

pub fn dynamic(role: &str) -> ReservationInfo {
    ReservationInfo {
        r#type: Some(reservation_info::Type::Dynamic as i32),
        role: Some(role.into()),
        ..ReservationInfo::default()
    }
}

/// `resource` with a dynamic reservation for `role` on top.
pub fn reserved(mut resource: Resource, role: &str) -> Resource {
    resource.reservations.push(dynamic(role));
    resource
}

/// A persistent volume on disk that is reserved for `role`.
pub fn volume(id: &str, megabytes: f64, role: &str) -> Resource {
    let mut volume = reserved(scalar("disk", megabytes), role);
    volume.disk = Some(Box::new(resource::DiskInfo {
        persistence: Some(disk_info::Persistence {
            id: id.into(),
            principal: None,
        }),
        volume: Some(Volume {
            container_path: "data".into(),
            mode: volume::Mode::Rw as i32,
            ..Volume::default()
        }),
        ..resource::DiskInfo::default()
    }));
    volume
}

/// An operation of `kind` that is reported under `id`, without content yet.
pub fn operation(id: &str, kind: operation::Type) -> Operation {
    Operation {
        id: (!id.is_empty()).then(|| id.into()),
        r#type: Some(kind as i32),
        ..Operation::default()
    }
}

pub fn reserve(id: &str, resources: Vec<Resource>) -> Operation {
    Operation {
        reserve: Some(operation::Reserve {
            resources,
            ..operation::Reserve::default()
        }),
        ..operation(id, operation::Type::Reserve)
    }
}

pub fn unreserve(id: &str, resources: Vec<Resource>) -> Operation {
    Operation {
        unreserve: Some(operation::Unreserve { resources }),
        ..operation(id, operation::Type::Unreserve)
    }
}

pub fn create(id: &str, volumes: Vec<Resource>) -> Operation {
    Operation {
        create: Some(operation::Create { volumes }),
        ..operation(id, operation::Type::Create)
    }
}

pub fn destroy(id: &str, volumes: Vec<Resource>) -> Operation {
    Operation {
        destroy: Some(operation::Destroy { volumes }),
        ..operation(id, operation::Type::Destroy)
    }
}

/// How an agent is named at the end of Mesos's texts.
pub fn on_agent(offer: &Offer) -> String {
    let url = offer.url.as_ref().unwrap();
    let (path, address) = (url.path().trim_start_matches('/'), &url.address);
    format!(
        "{} at {path}@{}:{} ({})",
        offer.agent_id,
        address.ip(),
        address.port,
        offer.hostname
    )
}

/// Those of `resources` that are reserved for exactly this stack of roles.
pub fn reserved_for(resources: &[Resource], roles: &[&str]) -> Vec<Resource> {
    let is_for = |resource: &&Resource| {
        let own = resource.reservations.iter();
        own.map(|reservation| reservation.role())
            .eq(roles.iter().copied())
    };
    resources.iter().filter(is_for).cloned().collect()
}

impl Framework {
    /// Its one role.
    pub fn role(&self) -> String {
        self.info.roles[0].clone()
    }

    /// Has `operations` carried out; what is left is not wanted any more.
    pub async fn operate(&self, offer: &Offer, operations: Vec<Operation>) {
        let ids = vec![offer.id.clone()];
        let filters = refuse_for_good();
        let call = self.handle.accept_offers(ids, operations, filters);
        assert!(call.await.unwrap().outcome().await.is_accepted());
    }

    /// The next status of any operation.
    pub async fn operation_status(&mut self) -> OperationStatus {
        self.until("an operation's status", |callback| match callback {
            Callback::OperationStatus(status) => Some(status.clone()),
            _ => None,
        })
        .await
    }

    /// An offer for which `wanted` holds, whatever was declined before.
    pub async fn offer_where(&mut self, wanted: impl FnMut(&Offer) -> bool) -> Offer {
        self.handle.revive_offers(Vec::new()).await.unwrap();
        self.next_offer(wanted).await
    }

    /// Has one operation carried out, successfully. Offers that come meanwhile are declined for good.
    pub async fn finish(&mut self, offer: &Offer, operation: Operation) {
        let id = operation.id.clone();
        self.operate(offer, vec![operation]).await;
        let status = self.operation_status().await;
        assert_eq!(status.operation_id, id);
        assert_eq!(
            status.state(),
            OperationState::OperationFinished,
            "{status:?}"
        );
    }
}

#[tokio::test]
async fn what_is_reserved_is_offered_again_at_once() {
    let cluster = one_agent().await;
    let mut framework = Framework::register(&cluster.address(), info("reserve")).await;
    let role = framework.role();
    let offer = framework.offer().await;
    let wanted = vec![
        reserved(scalar("cpus", 1.0), &role),
        reserved(scalar("mem", 64.0), &role),
    ];
    // What is not reserved was refused; with what is reserved now, there is more than that.
    framework
        .operate(&offer, vec![reserve("reserve", wanted.clone())])
        .await;
    let again = framework
        .recording
        .until("an offer", |callback| match callback {
            Callback::Offers(mut offers) => offers.pop(),
            _ => None,
        });
    let again = again.await;
    let own = reserved_for(&again.resources, &[&role]);
    assert_eq!((amount(&own, "cpus"), amount(&own, "mem")), (1.0, 64.0));
    framework
        .operate(&again, vec![unreserve("unreserve", wanted)])
        .await;
    while framework.operation_status().await.operation_id != Some("unreserve".into()) {}
    let last = framework.offer().await;
    assert_eq!(
        amount(&last.resources, "cpus"),
        amount(&offer.resources, "cpus")
    );
    assert!(reserved_for(&last.resources, &[&role]).is_empty());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn resources_reserved_for_a_role_are_not_offered_to_another() {
    let cluster = one_agent().await;
    let address = cluster.address();
    let mut owner = Framework::register(&address, info("owner")).await;
    let offer = owner.offer().await;
    let role = owner.role();
    let own = vec![reserved(scalar("cpus", 1.0), &role)];
    owner.finish(&offer, reserve("reserve", own)).await;
    // It stays when its owner leaves, and waits for the next of the role.
    owner.teardown().await;
    let mut other = Framework::register(&address, info("other")).await;
    let offered = other.offer().await;
    assert_eq!(amount(&offered.resources, "cpus"), 3.0);
    other.decline(&[offered], refuse_for_good()).await;
    let is_more = |callback: &Callback| matches!(callback, Callback::Offers(_));
    assert!(other.is_without(QUIET, is_more).await);
    let mut heir = info("heir");
    heir.roles = vec![role.clone()];
    let mut heir = Framework::register(&address, heir).await;
    let held = |offer: &Offer| !reserved_for(&offer.resources, &[&role]).is_empty();
    heir.next_offer(held).await;
    heir.teardown().await;
    other.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_reservation_is_refined_by_a_role_below() {
    let cluster = one_agent().await;
    let address = cluster.address();
    let mut above = Framework::register(&address, info("above")).await;
    let role = above.role();
    let below_role = format!("{role}/below");
    let offer = above.offer().await;
    let own = reserved(scalar("cpus", 1.0), &role);
    above
        .finish(&offer, reserve("reserve", vec![own.clone()]))
        .await;
    above.teardown().await;
    let mut below = info("below");
    below.roles = vec![below_role.clone()];
    let mut below = Framework::register(&address, below).await;
    let for_above = |offer: &Offer| !reserved_for(&offer.resources, &[&role]).is_empty();
    let offer = below.offer_where(for_above).await;
    let refined = reserved(own.clone(), &below_role);
    below
        .finish(&offer, reserve("refine", vec![refined.clone()]))
        .await;
    let stack = [role.as_str(), below_role.as_str()];
    let for_below = |offer: &Offer| !reserved_for(&offer.resources, &stack).is_empty();
    let offer = below.offer_where(for_below).await;
    let own_cpus = amount(&reserved_for(&offer.resources, &stack), "cpus");
    assert_eq!(own_cpus, 1.0);
    below.decline(&[offer], refuse_for_good()).await;
    // Whoever cannot read refined reservations is offered none of them.
    let mut old = info("old");
    old.roles = vec![below_role.clone()];
    let refinement = capability::Type::ReservationRefinement as i32;
    old.capabilities
        .retain(|own| own.r#type != Some(refinement));
    let mut old = Framework::register(&address, old).await;
    let is_refined = |callback: &Callback| match callback {
        Callback::Offers(offers) => offers.iter().any(|offer| {
            let mut resources = offer.resources.iter();
            amount(&offer.resources, "cpus") > 3.0
                || resources.any(|own| !own.reservations.is_empty())
        }),
        _ => false,
    };
    assert!(old.is_without(QUIET, is_refined).await);
    old.teardown().await;
    let offer = below.offer_where(for_below).await;
    below.finish(&offer, unreserve("pop", vec![refined])).await;
    below.offer_where(for_above).await;
    below.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
#[expect(
    deprecated,
    reason = "the older format of reservations is what is tested"
)]
async fn frameworks_without_refinement_use_the_older_format() {
    let cluster = one_agent().await;
    let mut old = info("older");
    let refinement = capability::Type::ReservationRefinement as i32;
    old.capabilities
        .retain(|own| own.r#type != Some(refinement));
    let mut framework = Framework::register(&cluster.address(), old).await;
    let role = framework.role();
    let offer = framework.offer().await;
    assert!(
        offer.resources.iter().all(|own| own.role() == "*"),
        "{offer:?}"
    );
    let mut wanted = scalar("cpus", 1.0);
    wanted.role = Some(role.clone());
    wanted.reservation = Some(Box::default());
    framework
        .finish(&offer, reserve("reserve", vec![wanted.clone()]))
        .await;
    let is_reserved = |own: &Resource| own.role() == role;
    let held = |offer: &Offer| offer.resources.iter().any(is_reserved);
    let offer = framework.offer_where(held).await;
    let mut resources = offer.resources.iter();
    let own = resources.find(|own| own.role() == role).unwrap();
    assert_eq!(amount(std::slice::from_ref(own), "cpus"), 1.0);
    assert_eq!(own.reservation, Some(Box::default()));
    assert!(own.reservations.is_empty());
    framework
        .finish(&offer, unreserve("unreserve", vec![own.clone()]))
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn statically_reserved_resources_are_offered_to_their_role_alone() {
    let needs = Needs {
        agents: Agents::One,
        resources: "cpus:2;mem:2048;disk:1024;cpus(static):1;mem(static):512",
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let address = cluster.address();
    let mut other = Framework::register(&address, info("other")).await;
    let offer = other.offer().await;
    assert_eq!(amount(&offer.resources, "cpus"), 2.0);
    let mut own = info("own");
    own.roles = vec!["static".into()];
    let mut own = Framework::register(&address, own).await;
    let alone = own.next_offer(|_| true).await;
    let held = reserved_for(&alone.resources, &["static"]);
    assert_eq!(held.len(), alone.resources.len());
    assert_eq!((amount(&held, "cpus"), amount(&held, "mem")), (1.0, 512.0));
    let kind = held[0].reservations[0].r#type();
    assert_eq!(kind, reservation_info::Type::Static);
    other.decline(&[offer], refuse(0.0)).await;
    own.teardown().await;
    other.teardown().await;
    cluster.shutdown().await;
}
