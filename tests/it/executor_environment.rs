//! What an executor makes of what its agent puts into its environment.

use std::path::{Path, PathBuf};

use mesos_framework::proto::TaskState;
use mesos_framework::{ErrorKind, ExecutorDriver};

use crate::executor_recorder::{config, recorder, start, status, subscribe, subscribed};
use crate::peer::Peer;

/// A directory of the test's own, gone with it.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let unique = format!("mesos-framework-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(Path::new(&self.0));
    }
}

#[tokio::test]
async fn the_token_goes_with_every_request_and_is_never_shown() {
    let mut peer = Peer::bind().await;
    let (executor, mut recording) = recorder();
    let token = ("MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "abc.def.ghi");
    let builder = ExecutorDriver::builder(executor).config(config(peer.address(), &[token]));
    let shown = format!("{builder:?}");
    let mut driver = builder.build().unwrap();
    let handle = driver.handle();
    let shown = format!("{shown} {driver:?} {handle:?} {:?}", handle.config());
    assert!(!shown.contains("abc"), "{shown}");
    driver.start().unwrap();
    let bearer = Some("Bearer abc.def.ghi");
    let incoming = peer.next().await;
    assert_eq!(incoming.header("authorization"), bearer);
    let stream = incoming.stream();
    stream.send(&subscribed()).await;
    recording.expect(&["registered"]).await;
    let lost = status("stranger", TaskState::TaskLost);
    let _ = handle.send_status_update(lost).await.unwrap();
    let incoming = peer.next().await;
    assert_eq!(incoming.header("authorization"), bearer);
    incoming.accept();
    let _ = handle.send_framework_message("hello").await.unwrap();
    let incoming = peer.next().await;
    assert_eq!(incoming.header("authorization"), bearer);
    incoming.accept();
}

#[cfg(unix)]
#[tokio::test]
async fn a_domain_socket_is_used_for_subscription_and_calls() {
    let directory = Directory::new("socket");
    let path = directory.path("agent.sock");
    let mut peer = Peer::bind_socket(&path).await;
    let (executor, mut recording) = recorder();
    let socket = ("MESOS_DOMAIN_SOCKET", path.to_str().unwrap());
    // Nobody is at this address: a driver that used it would get nowhere.
    let driver = start(executor, "127.0.0.1:1", &[socket]);
    let incoming = peer.next().await;
    assert_eq!(incoming.path, "/slave(1)/api/v1/executor");
    assert_eq!(incoming.header("host"), Some("127.0.0.1:1"));
    let stream = incoming.stream();
    stream.send(&subscribed()).await;
    recording.expect(&["registered"]).await;
    let handle = driver.handle();
    let _ = handle.send_framework_message("hello").await.unwrap();
    let incoming = peer.next().await;
    assert_eq!(incoming.path, "/slave(1)/api/v1/executor");
    assert_eq!(incoming.executor_call().message.unwrap().data, "hello");
    incoming.accept();
}

#[test]
fn a_process_that_no_agent_started_is_told_the_missing_variable() {
    let (executor, _recording) = recorder();
    let error = ExecutorDriver::builder(executor).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.to_string(),
        "environment variable MESOS_SLAVE_PID is not set: executors are started by a Mesos agent"
    );
}

#[tokio::test]
async fn the_agents_words_are_handed_on_to_the_user() {
    let mut peer = Peer::bind().await;
    let (executor, _recording) = recorder();
    let driver = start(executor, peer.address(), &[("MESOS_CHECKPOINT", "1")]);
    let (_, _stream) = subscribe(&mut peer).await;
    let handle = driver.handle();
    let config = handle.config();
    assert_eq!(config.executor_id().value, "executor-1");
    assert_eq!(config.framework_id().value, "framework-1");
    assert_eq!(config.agent_id().value, "agent-1");
    assert_eq!(config.directory(), Path::new("/sandbox"));
    assert!(config.is_checkpointing());
}
