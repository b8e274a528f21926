//! How a framework comes and goes.

use std::time::Duration;

use mesos_framework::proto::{FrameworkId, FrameworkInfo, MasterInfo, Offer, TaskStatus};
use mesos_framework::{
    ConnectionState, ErrorKind, Scheduler, SchedulerDriver, SchedulerHandle, Status, async_trait,
};
use serde_json::Value;
use tokio::sync::oneshot;

use crate::cluster::{Cluster, content_type};
use crate::framework::{Framework, PATIENCE, Starting, info};
use crate::hangs::Proxy;
use crate::operator::{Api, tear_down};
use crate::recorder::Callback;
use crate::support::SOON;

/// Keeps what `registered` tells, and stops.
struct Guest(Option<oneshot::Sender<(FrameworkId, Option<MasterInfo>)>>);

#[async_trait]
impl Scheduler for Guest {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}

    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}

    async fn registered(
        &mut self,
        driver: &SchedulerHandle,
        id: FrameworkId,
        master_info: Option<MasterInfo>,
    ) {
        let told = self.0.take().expect("registered is called once");
        told.send((id, master_info)).unwrap();
        driver.stop();
    }
}

#[tokio::test]
async fn registered_tells_the_id_and_the_master() {
    let cluster = Cluster::start().await;
    let (sender, told) = oneshot::channel();
    let info = info("guest");
    let driver = SchedulerDriver::builder(Guest(Some(sender)), info, &cluster.address())
        .content_type(content_type())
        .build()
        .unwrap();
    let ended = tokio::time::timeout(PATIENCE, driver.run()).await.unwrap();
    assert_eq!(ended.unwrap(), Status::Stopped);
    let (id, master_info) = told.await.unwrap();
    let master_info = master_info.expect("masters tell who they are");
    assert!(
        id.value.starts_with(&format!("{}-", master_info.id)),
        "{id}"
    );
    let port = master_info.address.unwrap().port;
    assert!(cluster.address().ends_with(&format!(":{port}")));
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_handle_knows_the_subscription_and_the_id() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("subscribed")).await;
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    assert_eq!(framework.handle.status(), Status::Running);
    let connection = framework.handle.connection();
    match connection.state {
        ConnectionState::Subscribed {
            address,
            generation,
            ..
        } => assert_eq!((address, generation), (cluster.address(), 1)),
        other => panic!("{other:?}"),
    }
    assert!(connection.last_error.is_none());
    assert_eq!(connection.failed_attempts, 0);

    framework.handle.stop();
    assert_eq!(framework.driver.join().await.unwrap(), Status::Stopped);
    assert_eq!(framework.handle.connection().state, ConnectionState::Closed);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_that_was_torn_down_is_not_let_in_again() {
    let cluster = Cluster::start().await;
    let framework = Framework::register(&cluster.address(), info("torn-down")).await;
    let again = FrameworkInfo {
        id: Some(framework.id.clone()),
        ..framework.info.clone()
    };
    framework.teardown().await;
    let refused = Framework::subscribe(&cluster.address(), again, |builder| builder).await;
    let error = refused.err().expect("the id is used up");
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    let expected = format!(
        "master {} says: Framework has been removed",
        cluster.address()
    );
    assert_eq!(error.to_string(), expected);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_without_failover_timeout_is_removed_when_its_scheduler_goes() {
    let cluster = Cluster::start().await;
    let mut info = info("gone");
    info.failover_timeout = Some(0.0);
    let mut next = Ok(Framework::register(&cluster.address(), info.clone()).await);
    // A scheduler that comes back before the master has seen the other go is let in.
    for _ in 0..50 {
        let Ok(mut framework) = next else { break };
        info.id = Some(framework.id.clone());
        framework.handle.stop_for_failover();
        assert_eq!(framework.driver.join().await.unwrap(), Status::Stopped);
        next = Framework::subscribe(&cluster.address(), info.clone(), |builder| builder).await;
    }
    let error = next.err().expect("the master sees it go");
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    assert!(
        error
            .to_string()
            .ends_with("says: Framework has been removed"),
        "{error}"
    );
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_aborted_driver_leaves_the_framework_to_the_next() {
    let cluster = Cluster::start().await;
    let mut first = Framework::register(&cluster.address(), info("aborted")).await;
    assert_eq!(first.handle.abort(), Status::Aborted);
    assert_eq!(first.driver.join().await.unwrap(), Status::Aborted);
    let again = FrameworkInfo {
        id: Some(first.id.clone()),
        ..first.info.clone()
    };
    let second = Framework::register(&cluster.address(), again).await;
    assert_eq!(second.id, first.id);
    let rest = first.recording.rest();
    assert!(
        !rest
            .iter()
            .any(|callback| matches!(callback, Callback::Error(_) | Callback::Disconnected)),
        "{rest:?}"
    );
    second.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_first_subscribe_whose_answer_is_lost_leaves_a_framework_behind() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::to(cluster.address()).await;
    proxy.mute();
    let info = info("twice");
    let name = info.name.clone();
    let api = Api::of_master(&cluster.address());
    let named = async || {
        let all = api.ask("GET_FRAMEWORKS").await;
        let all = all["frameworks"].as_array().cloned().unwrap_or_default();
        let is_it = |one: &Value| one["framework_info"]["name"] == name.as_str();
        all.into_iter().filter(is_it).collect::<Vec<_>>()
    };
    let mut starting = Starting::new(info, |scheduler, info| {
        SchedulerDriver::builder(scheduler, info, &proxy.address).backoff(SOON)
    })
    .unwrap();
    while named().await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The master has answered; the connection breaks on the way.
    proxy.cut();
    proxy.forward();
    let id = starting.registered().await.unwrap();
    let both = named().await;
    let is_known = |one: &Value| one["framework_info"]["id"]["value"] == id.value.as_str();
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both.iter().filter(|one| is_known(one)).count(), 1);
    for one in both.iter().filter(|one| !is_known(one)) {
        let other = one["framework_info"]["id"]["value"].as_str().unwrap();
        tear_down(&api, &other.into()).await;
    }
    starting.into_framework(id).teardown().await;
    cluster.shutdown().await;
}
