//! What the tasks of a group find in their sandboxes: URIs, what they share with each other, and volumes. On real agents
//! under this crate's default executor.

use std::path::Path;

use mesos_framework::proto::command_info::Uri;
use mesos_framework::proto::volume::source::{self, SandboxPath, sandbox_path};
use mesos_framework::proto::{
    ContainerInfo, TaskInfo, TaskState, Volume, container_info, volume as volume_message,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::command_rig::{Rig, shell};
use crate::default_executor::{command, executor, group, grouped};
use crate::framework::{QUIET, is_live, scalar};
use crate::peer::within;
use crate::recorder::Callback;
use crate::reservations::{create, reserve, reserved, volume};

fn uri(value: impl Into<String>) -> Uri {
    Uri {
        value: value.into(),
        ..Uri::default()
    }
}

/// Gives the task of this id a URI.
fn with_uri(task: &mut TaskInfo, id: &str, uri: Uri) {
    if task.task_id.value == id {
        task.command.as_mut().unwrap().uris.push(uri);
    }
}

#[tokio::test]
async fn the_uris_of_a_groups_tasks_are_fetched_into_their_sandboxes() {
    let mut rig = Rig::start("group-uris").await;
    let source = rig.directory.join("fetched-by-a-group");
    std::fs::write(&source, "content\n").unwrap();
    let path = source.display().to_string();
    let lines = [
        ("one", "test \"$(cat fetched-by-a-group)\" = content"),
        (
            "two",
            "./as-program || exit 1; test ! -e fetched-by-a-group",
        ),
    ];
    let program = Uri {
        executable: Some(true),
        output_file: Some("as-program".into()),
        ..uri("/bin/true")
    };
    group(&mut rig, &lines, |task| {
        with_uri(task, "one", uri(path.clone()));
        with_uri(task, "two", program.clone());
    })
    .await;
    let story = rig.story_of(&["one", "two"]).await;
    for id in ["one", "two"] {
        let last = story.last(id);
        assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_task_whose_uri_cannot_be_fetched_fails_with_its_group() {
    let mut rig = Rig::start("group-uris-fail").await;
    let lines = [("bad", "exec sleep 1000"), ("good", "exec sleep 1000")];
    group(&mut rig, &lines, |task| {
        with_uri(task, "bad", uri("/no/such/file"));
    })
    .await;
    let story = rig.story_of(&["bad", "good"]).await;
    let bad = story.last("bad");
    // It never ran.
    assert_eq!(
        story.states("bad"),
        [TaskState::TaskStarting, TaskState::TaskFailed]
    );
    let container = bad.container_status.clone().unwrap().container_id.unwrap();
    let id = format!("{}.{}", container.parent.unwrap().value, container.value);
    assert_eq!(
        bad.message(),
        format!("Failed to fetch all URIs for container '{id}' with exit status: 256")
    );
    assert_eq!(story.last("good").state(), TaskState::TaskKilled);
    rig.end().await;
}

#[tokio::test]
async fn a_kill_during_the_fetch_is_ignored_and_other_groups_go_on() {
    let mut rig = Rig::start("group-uris-slow").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/slow", listener.local_addr().unwrap());
    group(
        &mut rig,
        &[("slow", "cat slow > seen; exec sleep 1000")],
        |task| {
            with_uri(task, "slow", uri(url.clone()));
        },
    )
    .await;
    let (mut asked, _) = within("the fetch", listener.accept()).await.unwrap();
    rig.kill(&"slow".into()).await;
    group(&mut rig, &[("other", "exec sleep 1000")], |_| ()).await;
    rig.until_running(&["other"]).await;
    let mut request = [0; 4096];
    assert!(asked.read(&mut request).await.unwrap() > 0);
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslow\n";
    asked.write_all(answer).await.unwrap();
    assert_eq!(rig.line_of("seen").await, "slow");
    let ended = |callback: &Callback| match callback {
        Callback::Status(status) => !is_live(status.state()),
        _ => false,
    };
    assert!(rig.framework.is_without(QUIET, ended).await);
    // Once it runs, it can be killed.
    rig.kill(&"slow".into()).await;
    rig.kill(&"other".into()).await;
    let story = rig.story_of(&["slow", "other"]).await;
    assert_eq!(story.last("slow").state(), TaskState::TaskKilled);
    rig.end().await;
}

/// A volume that is a folder of the executor's sandbox, or of the task's own.
fn shared(kind: sandbox_path::Type, path: &str, container_path: &str) -> Volume {
    Volume {
        mode: volume_message::Mode::Rw as i32,
        container_path: container_path.into(),
        source: Some(volume_message::Source {
            r#type: Some(source::Type::SandboxPath as i32),
            sandbox_path: Some(SandboxPath {
                r#type: Some(kind as i32),
                path: path.into(),
            }),
            ..volume_message::Source::default()
        }),
        ..Volume::default()
    }
}

fn with_volume(task: &mut TaskInfo, volume: Volume) {
    let container = task.container.get_or_insert_with(|| ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        ..ContainerInfo::default()
    });
    container.volumes.push(volume);
}

#[tokio::test]
async fn tasks_of_a_group_share_a_folder_of_their_executors_sandbox() {
    let mut rig = Rig::start("group-shares").await;
    let lines = [
        ("writer", "echo shared > mine/file; exec sleep 1000"),
        (
            "reader",
            "until cat theirs/file > seen; do sleep 0.05; done; exec sleep 1000",
        ),
    ];
    let parent = sandbox_path::Type::Parent;
    group(&mut rig, &lines, |task| {
        let name = match task.task_id.value.as_str() {
            "writer" => "mine",
            _ => "theirs",
        };
        with_volume(task, shared(parent, "between/both", name));
    })
    .await;
    assert_eq!(rig.line_of("seen").await, "shared");
    let folder = rig.path_of("file");
    let folder = folder.parent().unwrap();
    assert!(folder.ends_with("between/both"), "{}", folder.display());
    rig.kill(&"writer".into()).await;
    rig.story_of(&["writer", "reader"]).await;
    rig.end().await;
}

#[tokio::test]
async fn what_only_mounts_can_share_fails_the_task() {
    use sandbox_path::Type::{Parent, Self_};
    let cases = [
        (
            shared(Self_, "own", "seen"),
            "'container_path' is relative for SANDBOX_PATH volume SELF type",
        ),
        (
            shared(Parent, "/absolute", "seen"),
            "Path '/absolute' in SANDBOX_PATH volume is absolute",
        ),
        (
            shared(Parent, "own", "/tmp"),
            "The 'linux' launcher and 'filesystem/linux' isolator must be enabled to support SANDBOX_PATH volume with absolute container path",
        ),
    ];
    let mut rig = Rig::start("group-mounts").await;
    for (volume, message) in cases {
        group(&mut rig, &[("refused", "exit 0")], |task| {
            with_volume(task, volume.clone());
        })
        .await;
        let story = rig.story_of(&["refused"]).await;
        let last = story.last("refused");
        assert_eq!(last.state(), TaskState::TaskFailed, "{message}");
        assert_eq!(last.message(), message);
    }
    rig.end().await;
}

#[tokio::test]
async fn a_task_of_a_group_sees_its_persistent_volume() {
    let mut rig = Rig::start("group-volumes").await;
    let framework = &mut rig.framework;
    let role = framework.role();
    let own = volume("of-group", 64.0, &role);
    let offer = framework.offer().await;
    let line = "test ! -e data/mark || exit 3; echo kept > data/mark; readlink -f data > where; exec sleep 1000";
    let mut user = command("user", line, &offer);
    user.resources.push(own.clone());
    let other = command("other", "test ! -e data; exec sleep 1000", &offer);
    let operations = vec![
        reserve("", vec![reserved(scalar("disk", 64.0), &role)]),
        create("", vec![own.clone()]),
        grouped(executor(framework), vec![user, other]),
    ];
    framework.operate(&offer, operations).await;
    let volume = rig.line_of("where").await;
    let folder = format!("volumes/roles/{role}/of-group");
    assert!(Path::new(&volume).ends_with(folder), "{volume}");
    rig.until_running(&["user", "other"]).await;
    rig.kill(&"user".into()).await;
    rig.story_of(&["user", "other"]).await;

    // A later group finds what was written.
    let offer = rig.framework.offer_with(&own).await;
    let mut later = command("later", "cat data/mark", &offer);
    later.resources.push(own.clone());
    later.command = Some(shell("test \"$(cat data/mark)\" = kept"));
    let group = grouped(executor(&rig.framework), vec![later]);
    rig.framework.operate(&offer, vec![group]).await;
    let story = rig.story_of(&["later"]).await;
    let last = story.last("later");
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    rig.end().await;
}
