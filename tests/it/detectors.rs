//! Where the leading master is: detectors of one's own, and master strings kept in a file.

use mesos_framework::{
    ConnectionState, ConnectionWatch, Error, ErrorKind, LeadingMaster, MasterDetector, Result,
    SchedulerDriver, Status, async_trait,
};
use tokio::sync::mpsc;

use crate::cluster::{Agents, Cluster, Needs, OwnCluster, local};
use crate::framework::{Framework, PATIENCE, Starting, info};
use crate::masters::until_leading;
use crate::recorder::Callback;
use crate::support::SOON;

type Answer = Result<Option<LeadingMaster>>;

/// Says what the test tells it to, one thing after another.
struct Told {
    answers: mpsc::Receiver<Answer>,
}

/// What a [`Told`] is told.
struct Tell(mpsc::Sender<Answer>);

impl Tell {
    async fn leads(&self, address: &str) {
        self.say(Ok(Some(LeadingMaster::new(address).unwrap())))
            .await;
    }

    async fn say(&self, answer: Answer) {
        self.0.send(answer).await.unwrap();
    }
}

fn told() -> (Told, Tell) {
    let (sender, answers) = mpsc::channel(10);
    (Told { answers }, Tell(sender))
}

#[async_trait]
impl MasterDetector for Told {
    async fn detect(&mut self, _: Option<&LeadingMaster>) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn start(name: &str, detector: impl MasterDetector) -> Starting {
    Starting::new(info(name), |scheduler, info| {
        SchedulerDriver::builder_with_detector(scheduler, info, detector).backoff(SOON)
    })
    .unwrap()
}

pub async fn until_state(
    watch: &mut ConnectionWatch,
    what: &str,
    reached: impl Fn(&ConnectionState) -> bool,
) {
    let reached = watch.until(|now| reached(&now.state));
    let now = tokio::time::timeout(PATIENCE, reached).await;
    assert_ne!(
        now.unwrap_or_else(|_| panic!("never {what}")).state,
        ConnectionState::Closed,
        "before {what}"
    );
}

pub async fn until_told(watch: &mut ConnectionWatch, text: &str) -> Error {
    let told = watch.until(|now| {
        let told = now.last_error.as_ref().map(ToString::to_string);
        told.is_some_and(|told| told.contains(text))
    });
    let now = tokio::time::timeout(PATIENCE, told).await;
    now.unwrap_or_else(|_| panic!("never told {text:?}"))
        .last_error
        .unwrap()
}

pub fn generation(framework: &Framework) -> Option<(String, u64)> {
    match framework.handle.connection().state {
        ConnectionState::Subscribed {
            address,
            generation,
            ..
        } => Some((address, generation)),
        _ => None,
    }
}

#[tokio::test]
async fn nobody_leading_is_waited_for_and_the_next_leader_takes_the_framework_over() {
    let needs = Needs {
        agents: Agents::None,
        standbys: 1,
        ..Needs::PLAIN
    };
    let Some(mut cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let masters = cluster.addresses();
    until_leading(&masters[0]).await;
    let (detector, tell) = told();
    let mut starting = start("detected", detector);
    let mut watch = starting.driver.handle().watch_connection();
    until_state(&mut watch, "detecting", |state| {
        matches!(state, ConnectionState::Detecting { .. })
    })
    .await;
    tell.leads(&masters[0]).await;
    let id = starting.registered().await.unwrap();
    let mut framework = starting.into_framework(id);

    cluster.elect(1);
    tell.say(Ok(None)).await;
    framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    until_state(&mut watch, "detecting again", |state| {
        matches!(state, ConnectionState::Detecting { .. })
    })
    .await;
    until_leading(&masters[1]).await;
    tell.leads(&masters[1]).await;
    framework
        .until("reregistered", |callback| {
            matches!(callback, Callback::Reregistered).then_some(())
        })
        .await;
    assert_eq!(generation(&framework), Some((masters[1].clone(), 2)));
    assert_eq!(framework.handle.framework_id(), Some(framework.id.clone()));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn nothing_but_another_leader_disturbs_a_subscription() {
    let cluster = Cluster::start().await;
    let (detector, tell) = told();
    let mut starting = start("undisturbed", detector);
    tell.leads(&cluster.address()).await;
    let id = starting.registered().await.unwrap();
    let framework = starting.into_framework(id);
    let mut watch = framework.handle.watch_connection();

    tell.say(Ok(None)).await;
    tell.leads(&cluster.address()).await;
    let failure = Error::new(ErrorKind::Unavailable, "the registry is down");
    tell.say(Err(failure)).await;
    let error = until_told(&mut watch, "the registry").await;
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            ErrorKind::Unavailable,
            "leading master not detected: the registry is down"
        )
    );
    assert_eq!(generation(&framework), Some((cluster.address(), 1)));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_detector_that_panics_ends_the_driver() {
    struct Panics;

    #[async_trait]
    impl MasterDetector for Panics {
        async fn detect(&mut self, _: Option<&LeadingMaster>) -> Answer {
            panic!("no registry")
        }
    }

    let mut starting = start("panics", Panics);
    let error = starting.registered().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "the detector panicked: no registry");
    assert_eq!(
        starting.driver.join().await.unwrap_err().to_string(),
        error.to_string()
    );
}

#[tokio::test]
async fn a_driver_stops_while_nobody_leads() {
    let (detector, _tell) = told();
    let mut starting = start("nobody", detector);
    starting.driver.handle().stop();
    let ended = tokio::time::timeout(PATIENCE, starting.driver.join()).await;
    assert_eq!(ended.unwrap().unwrap(), Status::Stopped);
}

#[tokio::test]
async fn a_confined_credential_goes_to_a_detected_master() {
    let cluster = local().credential("me", "secret").start().await.unwrap();
    let (detector, tell) = told();
    tell.leads(&cluster.master_address()).await;
    let mut starting = Starting::new(info("confined"), |scheduler, info| {
        SchedulerDriver::builder_with_detector(scheduler, info, detector)
            .credential(mesos_framework::Credential::new("me", "secret"))
            .confine_credential()
    })
    .unwrap();
    starting.registered().await.unwrap();
    drop(starting);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_file_names_the_master() {
    let cluster = Cluster::start().await;
    let name = format!("mesos-framework-master-{}", uuid::Uuid::new_v4());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, format!("{}\n", cluster.address())).unwrap();
    let master = format!("file://{}", path.display());
    let framework = Framework::register(&master, info("by-file")).await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(generation(&framework), Some((cluster.address(), 1)));
    framework.teardown().await;
    cluster.shutdown().await;
}
