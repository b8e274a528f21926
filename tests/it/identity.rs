//! The framework's id beyond the life of its driver, and frameworks that the master has removed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{FrameworkId, FrameworkInfo};
use mesos_framework::{
    Error, ErrorKind, FileFrameworkIdStore, FrameworkIdStore, FrameworkRemoval,
    MemoryFrameworkIdStore, Result, SchedulerDriver, SchedulerDriverBuilder, Status, async_trait,
};

use crate::cluster::Cluster;
use crate::framework::{Framework, PATIENCE, Starting, info};
use crate::http::request;
use crate::operator::{Api, tear_down};
use crate::peer;
use crate::recorder::{Callback, nothing, recorder_that};
use crate::support::{Rig, not_sent};

/// A file of one test's own, gone at the end.
struct Kept(PathBuf);

impl Kept {
    fn new() -> Self {
        let name = format!("mesos-framework-id-{}", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> FileFrameworkIdStore {
        FileFrameworkIdStore::new(&self.0)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // It may not be there.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn removed(framework: &mut Framework) -> FrameworkId {
    framework
        .until("framework_removed", |callback| match callback {
            Callback::FrameworkRemoved(id) => Some(id.clone()),
            Callback::Registered(id) => panic!("{id} before anything is removed"),
            _ => None,
        })
        .await
}

async fn ended(driver: &mut SchedulerDriver) -> Result<Status> {
    let ended = tokio::time::timeout(PATIENCE, driver.join()).await;
    ended.expect("the driver ends")
}

fn keeping(
    store: impl FrameworkIdStore,
    removal: FrameworkRemoval,
) -> impl FnOnce(SchedulerDriverBuilder) -> SchedulerDriverBuilder {
    move |builder| builder.framework_id_store(store).framework_removal(removal)
}

/// Waits until the master has removed the framework.
async fn until_completed(cluster: &Cluster, id: &FrameworkId) {
    let api = Api::of_master(&cluster.address());
    let completed = async {
        loop {
            let frameworks = api.ask("GET_FRAMEWORKS").await;
            let completed = frameworks["completed_frameworks"].as_array();
            let is_there = completed.is_some_and(|completed| {
                completed
                    .iter()
                    .any(|framework| framework["framework_info"]["id"]["value"] == id.value)
            });
            if is_there {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, completed)
        .await
        .expect("it is removed");
}

#[tokio::test]
async fn an_id_is_stored_before_the_first_callback_and_taken_up_by_the_next_driver() {
    let cluster = Cluster::start().await;
    let kept = Kept::new();
    let info = info("kept");
    let path = kept.0.clone();
    let (scheduler, mut recording) = recorder_that(move |callback, _| {
        if let Callback::Registered(id) = callback {
            let stored = std::fs::read_to_string(&path).unwrap();
            assert_eq!(stored, format!("{id}\n"));
        }
        nothing()
    });
    let builder = SchedulerDriver::builder(scheduler, info.clone(), &cluster.address());
    let mut driver = builder.framework_id_store(kept.store()).build().unwrap();
    driver.start().unwrap();
    let id = recording
        .until("registered", |callback| match callback {
            Callback::Registered(id) => Some(id),
            other => panic!("before registered: {other:?}"),
        })
        .await;
    driver.handle().stop_for_failover();
    assert_eq!(ended(&mut driver).await.unwrap(), Status::Stopped);

    let next = Framework::register_with(
        &cluster.address(),
        info,
        keeping(kept.store(), FrameworkRemoval::Stop),
    )
    .await;
    assert_eq!(next.id, id);
    next.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn an_id_that_the_user_gives_goes_before_the_stored_one() {
    let cluster = Cluster::start().await;
    let store = MemoryFrameworkIdStore::new();
    let own = FrameworkId::from(format!("own-{}", uuid::Uuid::new_v4()));
    store.store(&"another".into()).await.unwrap();
    let info = FrameworkInfo {
        id: Some(own.clone()),
        ..info("given")
    };
    let settings = keeping(store.clone(), FrameworkRemoval::Stop);
    let framework = Framework::register_with(&cluster.address(), info, settings).await;
    assert_eq!(framework.id, own);
    assert_eq!(store.load().await.unwrap(), Some(own));
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_removed_framework_ends_its_driver_and_the_store_keeps_the_id() {
    let cluster = Cluster::start().await;
    let store = MemoryFrameworkIdStore::new();
    let settings = keeping(store.clone(), FrameworkRemoval::Stop);
    let info = info("removed");
    let mut framework = Framework::register_with(&cluster.address(), info.clone(), settings).await;
    tear_down(&Api::of_master(&cluster.address()), &framework.id).await;
    let error = ended(&mut framework.driver).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    assert_eq!(store.load().await.unwrap(), Some(framework.id));

    let settings = keeping(store, FrameworkRemoval::Stop);
    let again = Framework::subscribe(&cluster.address(), info, settings).await;
    assert_eq!(again.err().unwrap().kind(), ErrorKind::FrameworkRemoved);
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_torn_down_by_an_operator_registers_anew() {
    let cluster = Cluster::start().await;
    let store = MemoryFrameworkIdStore::new();
    let settings = keeping(store.clone(), FrameworkRemoval::RegisterAnew);
    let mut framework = Framework::register_with(&cluster.address(), info("anew"), settings).await;
    tear_down(&Api::of_master(&cluster.address()), &framework.id).await;
    framework
        .until("disconnected", |callback| {
            matches!(callback, Callback::Disconnected).then_some(())
        })
        .await;
    assert_eq!(removed(&mut framework).await, framework.id);
    let id = framework
        .until("registered", |callback| match callback {
            Callback::Registered(id) => Some(id.clone()),
            _ => None,
        })
        .await;
    assert_ne!(id, framework.id);
    assert_eq!(framework.handle.framework_id(), Some(id.clone()));
    assert_eq!(store.load().await.unwrap(), Some(id));
    // It is a framework like any other.
    framework.run("later", crate::executor_role::RUN).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_back_after_its_failover_timeout_registers_anew() {
    let cluster = Cluster::start().await;
    let kept = Kept::new();
    let info = FrameworkInfo {
        failover_timeout: Some(0.5),
        ..info("late")
    };
    let settings = keeping(kept.store(), FrameworkRemoval::Stop);
    let mut first = Framework::register_with(&cluster.address(), info.clone(), settings).await;
    first.handle.stop_for_failover();
    assert_eq!(ended(&mut first.driver).await.unwrap(), Status::Stopped);
    until_completed(&cluster, &first.id).await;

    let mut starting = Starting::new(info, |scheduler, info| {
        SchedulerDriver::builder(scheduler, info, &cluster.address())
            .framework_id_store(kept.store())
            .framework_removal(FrameworkRemoval::RegisterAnew)
    })
    .unwrap();
    let first_callback = starting.recording.next().await;
    assert!(
        matches!(&first_callback, Callback::FrameworkRemoved(id) if *id == first.id),
        "{first_callback:?}"
    );
    let id = starting.registered().await.unwrap();
    assert_ne!(id, first.id);
    assert_eq!(kept.store().load().await.unwrap(), Some(id.clone()));
    starting.into_framework(id).teardown().await;
    cluster.shutdown().await;
}

/// Fails in one of its operations.
struct Failing {
    operation: &'static str,
    calls: Arc<AtomicUsize>,
}

impl Failing {
    fn perform(&self, operation: &str) -> Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match operation == self.operation {
            true => Err(Error::new(ErrorKind::Unavailable, "the disk is gone")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl FrameworkIdStore for Failing {
    async fn load(&self) -> Result<Option<FrameworkId>> {
        self.perform("load").map(|()| None)
    }

    async fn store(&self, _: &FrameworkId) -> Result<()> {
        self.perform("store")
    }

    async fn forget(&self) -> Result<()> {
        self.perform("forget")
    }
}

fn failing(operation: &'static str) -> (Failing, Arc<AtomicUsize>) {
    let calls = Arc::default();
    let store = Failing {
        operation,
        calls: Arc::clone(&calls),
    };
    (store, calls)
}

#[tokio::test]
async fn a_store_that_fails_ends_the_driver_before_anything_is_called() {
    let cluster = Cluster::start().await;
    for (operation, count, why) in [
        ("load", 1, "framework id not loaded: the disk is gone"),
        ("store", 2, " not stored: the disk is gone"),
    ] {
        let (store, calls) = failing(operation);
        let settings = keeping(store, FrameworkRemoval::RegisterAnew);
        // Any other callback than `error` is a panic there.
        let failed = Framework::subscribe(&cluster.address(), info("failing"), settings).await;
        let error = failed.err().expect("the store fails");
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().ends_with(why), "{error}");
        assert_eq!(calls.load(Ordering::SeqCst), count);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_driver_stops_while_its_store_does_not_answer() {
    struct Silent;

    #[async_trait]
    impl FrameworkIdStore for Silent {
        async fn load(&self) -> Result<Option<FrameworkId>> {
            std::future::pending().await
        }

        async fn store(&self, _: &FrameworkId) -> Result<()> {
            Ok(())
        }

        async fn forget(&self) -> Result<()> {
            Ok(())
        }
    }

    // Nobody is asked.
    let mut starting = Starting::new(info("silent"), |scheduler, info| {
        let store: Box<dyn FrameworkIdStore> = Box::new(Silent);
        SchedulerDriver::builder(scheduler, info, "127.0.0.1:1").framework_id_store(store)
    })
    .unwrap();
    let handle = starting.driver.handle();
    handle.stop();
    assert_eq!(ended(&mut starting.driver).await.unwrap(), Status::Stopped);
    assert_eq!(handle.connection().failed_attempts, 0);
    drop(handle);
    let rest = starting.recording.rest();
    assert!(rest.is_empty(), "{rest:?}");
}

#[tokio::test]
async fn a_store_that_panics_ends_the_driver() {
    struct Panicking;

    #[async_trait]
    impl FrameworkIdStore for Panicking {
        async fn load(&self) -> Result<Option<FrameworkId>> {
            panic!("no disk")
        }

        async fn store(&self, _: &FrameworkId) -> Result<()> {
            Ok(())
        }

        async fn forget(&self) -> Result<()> {
            Ok(())
        }
    }

    let mut rig = Rig::configured(|builder| builder.framework_id_store(Panicking)).await;
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "starting panicked: no disk");
    let told = rig.recording.rest();
    assert!(matches!(&told[..], [Callback::Error(_)]), "{told:?}");
}

#[tokio::test]
async fn an_id_that_cannot_be_forgotten_ends_the_driver() {
    let cluster = Cluster::start().await;
    let (store, calls) = failing("forget");
    let settings = keeping(store, FrameworkRemoval::RegisterAnew);
    let mut framework =
        Framework::register_with(&cluster.address(), info("unforgotten"), settings).await;
    tear_down(&Api::of_master(&cluster.address()), &framework.id).await;
    let error = ended(&mut framework.driver).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    let expected = format!(
        "framework id {} not forgotten: the disk is gone",
        framework.id
    );
    assert_eq!(error.to_string(), expected);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let told = framework.recording.rest();
    let is_wrong = |callback: &Callback| {
        matches!(
            callback,
            Callback::FrameworkRemoved(_) | Callback::Registered(_)
        )
    };
    assert!(!told.iter().any(is_wrong), "{told:?}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_corrupt_file_ends_the_driver_and_is_named() {
    let kept = Kept::new();
    std::fs::write(&kept.0, "half an id").unwrap();
    let cluster = Cluster::start().await;
    let settings = keeping(kept.store(), FrameworkRemoval::RegisterAnew);
    let failed = Framework::subscribe(&cluster.address(), info("corrupt"), settings).await;
    let error = failed.err().expect("it is no id");
    assert_eq!(error.kind(), ErrorKind::Store);
    let expected = format!(
        "framework id not loaded: framework id in {} is corrupt: it does not end with a line break",
        kept.0.display()
    );
    assert_eq!(error.to_string(), expected);
    cluster.shutdown().await;
}

/// A subscription as `f`, then one as `another`.
async fn subscribed_as_another(rig: &mut Rig) -> peer::Stream {
    rig.subscribe().await.finish().await;
    rig.recording.disconnected().await;
    rig.peer.subscribed("another").await
}

#[tokio::test]
async fn a_subscription_of_another_framework_ends_the_driver() {
    let mut rig = Rig::start().await;
    let stream = subscribed_as_another(&mut rig).await;
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FrameworkRemoved);
    let peer = rig.peer.address();
    let expected = format!("framework id mismatch: {peer} subscribed another, not f");
    assert_eq!(error.to_string(), expected);
    stream.closed().await;
    let told = rig.recording.rest();
    assert!(matches!(&told[..], [Callback::Error(_)]), "{told:?}");
    assert_eq!(rig.handle.framework_id(), Some("f".into()));
    let last = rig.handle.connection().last_error.unwrap();
    assert_eq!(last.to_string(), expected);
}

#[tokio::test]
async fn a_subscription_of_another_framework_registers_that_one_if_wanted() {
    let store = MemoryFrameworkIdStore::new();
    let settings = keeping(store.clone(), FrameworkRemoval::RegisterAnew);
    let mut rig = Rig::configured(settings).await;
    let stream = rig.subscribe().await;
    assert_eq!(store.load().await.unwrap(), Some("f".into()));
    // A call that would go out again under the next subscription.
    let kill = rig.handle.kill_task("t".into(), None).await.unwrap();
    let request = rig.peer.call(Type::Kill).await;
    request.answer(403, &[], "Framework is not subscribed");
    rig.recording.disconnected().await;
    let again = rig.peer.call(Type::Subscribe).await;
    assert_eq!(again.scheduler_call().framework_id, Some("f".into()));
    drop(stream);
    let stream = again.stream();
    stream.send(&peer::subscribed("another", None)).await;
    let told = rig.recording.next().await;
    assert!(
        matches!(&told, Callback::FrameworkRemoved(id) if id.value == "f"),
        "{told:?}"
    );
    rig.recording.registered("another").await;
    assert_eq!(store.load().await.unwrap(), Some("another".into()));
    assert_eq!(not_sent(kill).await.kind(), ErrorKind::FrameworkRemoved);
    let _revive = rig.handle.revive_offers(vec![]).await.unwrap();
    let revive = rig.peer.call(Type::Revive).await;
    assert_eq!(
        revive.header("mesos-stream-id"),
        Some(stream.id.as_str()),
        "that subscription stands"
    );
    let call = revive.scheduler_call();
    assert_eq!(call.framework_id, Some("another".into()));
}

#[tokio::test]
async fn each_text_of_a_removal_ends_the_driver_or_registers_anew() {
    for text in [
        "Framework has been removed",
        "Completed framework attempted to re-register",
        "Framework id mismatch",
    ] {
        for removal in [FrameworkRemoval::Stop, FrameworkRemoval::RegisterAnew] {
            let mut rig = Rig::configured(|builder| builder.framework_removal(removal)).await;
            let stream = rig.subscribe().await;
            stream.send(&peer::error(text)).await;
            if removal == FrameworkRemoval::Stop {
                let error = rig.ended().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::FrameworkRemoved, "{text}");
                continue;
            }
            rig.recording.disconnected().await;
            let told = rig.recording.next().await;
            assert!(matches!(told, Callback::FrameworkRemoved(_)), "{told:?}");
            let again = rig.peer.call(Type::Subscribe).await.scheduler_call();
            assert_eq!(again.framework_id, None);
            assert_eq!(again.subscribe.unwrap().framework_info.id, None);
        }
    }
}

#[tokio::test]
async fn what_masters_answer_to_ids() {
    let cluster = Cluster::start().await;
    let post = async |body: String| {
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
        ];
        let path = "/api/v1/scheduler";
        let answer = request(&cluster.address(), "POST", path, &headers, body.as_bytes()).await;
        (answer.status, answer.text().to_owned())
    };
    let subscribe = |call: &str, info: &str| {
        let info = format!(r#"{{"user":"nobody","name":"ids"{info}}}"#);
        format!(r#"{{"type":"SUBSCRIBE"{call},"subscribe":{{"framework_info":{info}}}}}"#)
    };
    let text = "Failed to validate scheduler::Call: 'framework_id' differs from \
                'subscribe.framework_info.id'";
    let (of_call, of_info) = (r#","framework_id":{"value":"a"}"#, r#","id":{"value":"b"}"#);
    for (call, info) in [(of_call, of_info), (of_call, ""), ("", of_info)] {
        let answer = post(subscribe(call, info)).await;
        assert_eq!(answer, (400, text.to_owned()), "{call} {info}");
    }
    let stranger = uuid::Uuid::new_v4();
    let revive = format!(r#"{{"type":"REVIVE","framework_id":{{"value":"{stranger}"}}}}"#);
    let expected = (400, "Framework cannot be found".to_owned());
    assert_eq!(post(revive).await, expected);
    cluster.shutdown().await;
}
