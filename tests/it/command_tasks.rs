//! Tasks that are a command: how they live and end, and what they see. On real agents under this crate's command executor.

use mesos_framework::proto::{
    CommandInfo, Environment, Label, Labels, TaskInfo, TaskState, environment,
};

use crate::command_rig::{Rig, ask_agent, policy, shell, states};

/// The whole life of a command that ends by itself.
async fn ends(test: &str, command: CommandInfo, state: TaskState, message: &str) {
    let mut rig = Rig::start(test).await;
    let task_id = rig.launch(command).await;
    let statuses = rig.until_its_end(&task_id).await;
    let life = [TaskState::TaskStarting, TaskState::TaskRunning, state];
    assert_eq!(states(&statuses), life);
    let last = statuses.last().unwrap();
    assert_eq!(last.message(), message);
    assert_eq!(last.reason, None);
    rig.end().await;
}

#[tokio::test]
async fn a_command_that_exits_with_0_has_finished() {
    let finished = TaskState::TaskFinished;
    ends(
        "zero",
        shell("exit 0"),
        finished,
        "Command exited with status 0",
    )
    .await;
}

#[tokio::test]
async fn a_command_that_exits_with_3_has_failed() {
    let failed = TaskState::TaskFailed;
    ends(
        "three",
        shell("exit 3"),
        failed,
        "Command exited with status 3",
    )
    .await;
}

#[tokio::test]
async fn a_command_that_a_signal_ends_has_failed() {
    let message = "Command terminated with signal User defined signal 1";
    ends(
        "signal",
        shell("kill -USR1 $$"),
        TaskState::TaskFailed,
        message,
    )
    .await;
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_has_failed() {
    let command = CommandInfo {
        shell: Some(false),
        ..shell("/there/is/no/such/program")
    };
    let message = "Command exited with status 1";
    ends("nothing", command, TaskState::TaskFailed, message).await;
}

#[tokio::test]
async fn arguments_are_given_as_they_are() {
    let mut rig = Rig::start("argv").await;
    let arguments = ["own name", "-c", "echo \"$0|$1\"", "$HOME", "a b"];
    let command = CommandInfo {
        shell: Some(false),
        arguments: arguments.map(str::to_owned).into(),
        ..shell("sh")
    };
    let task_id = rig.launch(command).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    assert_eq!(rig.text_of("stdout"), "$HOME|a b\n");
    rig.end().await;
}

#[tokio::test]
async fn a_command_sees_the_executors_environment_its_role_and_its_own() {
    let mut rig = Rig::start("environment").await;
    let variable = |name: &str, value: &str| environment::Variable {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..environment::Variable::default()
    };
    let variables = vec![variable("OWN", "mine"), variable("LIBPROCESS_PORT", "17")];
    let line = "echo $OWN $LIBPROCESS_PORT $MESOS_EXECUTOR_ID $MESOS_ALLOCATION_ROLE [$HOME]; \
                test $PWD = $MESOS_SANDBOX || exit 9; echo wrong >&2";
    let command = CommandInfo {
        environment: Some(Environment { variables }),
        ..shell(line)
    };
    let task_id = rig.launch(command).await;
    let last = rig.until_its_end(&task_id).await.pop().unwrap();
    assert_eq!(last.state(), TaskState::TaskFinished, "{last:?}");
    let role = &rig.framework.info.roles[0];
    assert_eq!(
        rig.text_of("stdout"),
        format!("mine 17 command {role} []\n")
    );
    // A real launcher says there, too, which variables it overwrites.
    let stderr = rig.text_of("stderr");
    assert!(stderr.ends_with("wrong\n"), "{stderr}");
    rig.end().await;
}

#[tokio::test]
async fn a_running_commands_executor_is_not_in_offers_and_takes_nothing_of_them() {
    let mut rig = Rig::start("overhead").await;
    rig.is_about_the_agent();
    let task_id = rig.launch(shell("echo $$ > pid; exec sleep 1000")).await;
    rig.line_of("pid").await;
    let running = TaskState::TaskRunning;
    rig.framework.comes_to(&task_id, running).await;
    let offer = rig.framework.offer().await;
    assert_eq!(offer.executor_ids, []);
    let cpus = crate::framework::amount(&offer.resources, "cpus");
    assert!((cpus - 3.98).abs() < 1e-6, "{cpus}");
    let status = rig.framework.reconciled(&task_id).await;
    assert_eq!(status.state(), TaskState::TaskRunning);
    rig.kill(&task_id).await;
    rig.framework
        .comes_to(&task_id, TaskState::TaskKilled)
        .await;
    rig.end().await;
}

#[tokio::test]
async fn an_agent_describes_the_executor_that_it_adds() {
    let mut rig = Rig::start("described").await;
    rig.is_about_the_agent();
    let labels = Labels {
        labels: vec![Label {
            key: "a".into(),
            value: Some("b".into()),
        }],
    };
    let described = |task| TaskInfo {
        kill_policy: Some(policy(7)),
        labels: Some(labels.clone()),
        ..task
    };
    let line = "echo $MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD > grace; exec sleep 1000";
    let task_id = rig.launch_with(shell(line), described).await;
    assert_eq!(rig.line_of("grace").await, "9secs");
    let pid = rig.agent_pid().await;
    let executors = ask_agent(&pid, "GET_EXECUTORS").await;
    let executor = &executors["executors"][0]["executor_info"];
    let text = |name: &str| executor[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(executor["executor_id"]["value"], task_id.value);
    assert_eq!(
        text("name"),
        "Command Executor (Task: command) (Command: sh -c 'echo $MESOS_...')"
    );
    assert_eq!(text("source"), task_id.value);
    assert_eq!(executor["framework_id"]["value"], rig.framework.id.value);
    let nanoseconds = &executor["shutdown_grace_period"]["nanoseconds"];
    assert_eq!(nanoseconds, 9_000_000_000_u64);
    assert_eq!(executor["labels"]["labels"][0]["key"], "a");
    let role = &rig.framework.info.roles[0];
    let resources = executor["resources"].as_array().unwrap();
    let named = |name: &str| resources.iter().find(|own| own["name"] == name).unwrap();
    for (name, value) in [("cpus", 0.1), ("mem", 32.0)] {
        assert_eq!(named(name)["scalar"]["value"], value);
        assert_eq!(named(name)["allocation_info"]["role"], **role);
    }
    assert_eq!(executor["command"]["shell"], false);
    assert_eq!(executor["command"]["arguments"][0], "mesos-executor");
    rig.kill(&task_id).await;
    rig.framework
        .comes_to(&task_id, TaskState::TaskKilled)
        .await;
    rig.end().await;
}
