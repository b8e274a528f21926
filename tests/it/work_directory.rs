//! Clusters that are started again on the directory of one before.

use std::path::{Path, PathBuf};

use mesos_framework::ErrorKind;
use mesos_framework::local::LocalClusterBuilder;
use mesos_framework::proto::{FrameworkInfo, TaskState};

use crate::executor_role::{RUN, append};
use crate::framework::{Framework, info, scalar};
use crate::reservations::{create, reserve, reserved, volume};
use crate::volumes::{launch, user};

/// Removed when dropped.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        let name = format!("mesos-framework-kept-{}", uuid::Uuid::new_v4());
        Self(std::env::temp_dir().join(name))
    }

    pub fn cluster(&self) -> LocalClusterBuilder {
        crate::cluster::local()
            .agents(2)
            .resources("cpus:4;mem:4096")
            .allocation_interval(std::time::Duration::from_millis(50))
            .work_directory(self.0.clone())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("{} not removed: {error}", self.0.display());
        }
    }
}

const REGISTRY: &str = "master/registry.json";
const AGENT: &str = "agents/1/work/meta/agent.json";

#[tokio::test]
async fn a_second_cluster_has_the_agents_of_the_first_and_new_masters() {
    let directory = Directory::new();
    let first = directory.cluster().masters(2).start().await.unwrap();
    let before = first.state();
    let mut framework = Framework::register(&first.master_address(), info("kept")).await;
    let task = framework.run("gone", RUN).await;
    framework.handle.stop_for_failover();
    framework.driver.join().await.unwrap();
    first.shutdown().await;

    let second = directory.cluster().masters(2).start().await.unwrap();
    let now = second.state();
    let agents = |state: &mesos_framework::local::ClusterState| {
        let agents = state.agents.iter();
        let agents = agents.map(|own| (own.id.clone(), own.address.clone()));
        agents.collect::<Vec<_>>()
    };
    assert_eq!(agents(&now), agents(&before));
    assert!(now.agents.iter().all(|own| own.is_connected));
    assert_ne!(now.masters[0].id, before.masters[0].id);

    // The framework's id is taken as one that a master has never heard of.
    let same = FrameworkInfo {
        id: Some(framework.id.clone()),
        ..framework.info.clone()
    };
    let mut again = Framework::register(&second.master_address(), same).await;
    assert_eq!(again.id, framework.id);
    let asked = vec![(task.task_id.clone(), Some(task.agent_id.clone()))];
    again.handle.reconcile_tasks(asked).await.unwrap();
    let status = again.status(&task.task_id).await;
    assert_eq!(status.state(), TaskState::TaskGone);
    assert_eq!(
        status.message(),
        "Reconciliation: Task is unknown to the agent"
    );
    let next = again.run("next", RUN).await;
    let ids: Vec<_> = now.agents.into_iter().filter_map(|own| own.id).collect();
    assert!(ids.contains(&next.agent_id), "{next:?}");
    again.teardown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn a_second_cluster_has_the_reservations_and_volumes_of_the_first() {
    let directory = Directory::new();
    let settings = || {
        let cluster = directory.cluster().agents(1);
        cluster.resources("cpus:4;mem:4096;disk:512")
    };
    let first = settings().start().await.unwrap();
    let mut framework = Framework::register(&first.master_address(), info("volumes")).await;
    let role = framework.role();
    let own = volume("kept", 64.0, &role);
    let offer = framework.offer().await;
    let task = user("first", append("data/file", "a"), &offer, &own);
    let operations = vec![
        reserve("reserve", vec![reserved(scalar("disk", 64.0), &role)]),
        create("create", vec![own.clone()]),
        launch(vec![task]),
    ];
    framework.operate(&offer, operations).await;
    assert_eq!(framework.written("first").await, "a");
    framework.handle.stop_for_failover();
    framework.driver.join().await.unwrap();
    first.shutdown().await;

    let second = settings().start().await.unwrap();
    let same = FrameworkInfo {
        id: Some(framework.id.clone()),
        ..framework.info.clone()
    };
    let mut again = Framework::register(&second.master_address(), same).await;
    let offer = again.offer_with(&own).await;
    let task = user("second", append("data/file", "b"), &offer, &own);
    again.launch(offer, vec![task]).await;
    assert_eq!(again.written("second").await, "ab");
    again.teardown().await;
    second.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_is_more_gets_an_id_of_its_own() {
    let directory = Directory::new();
    let first = directory.cluster().agents(1).start().await.unwrap();
    let before = first.state();
    first.shutdown().await;
    let second = directory.cluster().agents(2).start().await.unwrap();
    let now = second.state();
    assert_eq!(now.agents[0].id, before.agents[0].id);
    assert_ne!(now.agents[1].id, now.agents[0].id);
    assert!(now.agents[1].id.is_some());
    second.shutdown().await;
}

#[tokio::test]
async fn a_directory_is_of_one_cluster_at_a_time() {
    let directory = Directory::new();
    let first = directory.cluster().start().await.unwrap();
    let error = directory.cluster().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = format!(
        "work directory {} is in use by another cluster",
        directory.0.display()
    );
    assert_eq!(error.to_string(), expected);
    first.shutdown().await;
    let again = directory.cluster().start().await.unwrap();
    again.shutdown().await;
}

async fn refused(directory: &Directory, file: &str, content: &str) -> String {
    std::fs::write(directory.0.join(file), content).unwrap();
    let error = directory.cluster().start().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

fn content(directory: &Path, file: &str) -> String {
    std::fs::read_to_string(directory.join(file)).unwrap()
}

#[tokio::test]
async fn damaged_files_are_refused_by_name() {
    let directory = Directory::new();
    directory.cluster().start().await.unwrap().shutdown().await;
    for file in [REGISTRY, AGENT] {
        let good = content(&directory.0, file);
        let path = directory.0.join(file).display().to_string();
        let half = &good[..good.len() / 2];
        let cases = [
            (half.to_owned(), "is damaged: "),
            (
                good.replace("\"version\": 1", "\"version\": 2"),
                "has version 2, and only 1 can be read",
            ),
            ("{}".to_owned(), "is damaged: it has no version"),
            ("{\"version\": 1}".to_owned(), "is damaged in '"),
        ];
        for (bad, why) in cases {
            let text = refused(&directory, file, &bad).await;
            assert!(text.contains(&path) && text.contains(why), "{text}");
        }
        std::fs::write(directory.0.join(file), good).unwrap();
    }
    directory.cluster().start().await.unwrap().shutdown().await;
}

#[tokio::test]
async fn an_agent_with_other_resources_is_not_the_one_it_was() {
    let directory = Directory::new();
    directory.cluster().start().await.unwrap().shutdown().await;
    let more = directory.cluster().resources("cpus:8;mem:4096");
    let error = more.start().await.unwrap_err().to_string();
    assert!(
        error.starts_with("resources of agent 0 of a local cluster differ"),
        "{error}"
    );
    let named = directory.cluster().attributes("rack:a").start().await;
    let error = named.unwrap_err().to_string();
    assert!(error.starts_with("attributes of agent 0"), "{error}");
    // Nothing has been changed by it.
    directory.cluster().start().await.unwrap().shutdown().await;
}
