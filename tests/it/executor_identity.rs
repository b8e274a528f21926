//! What an executor's id stands for: one `ExecutorInfo` for as long as it runs, as the master sees it.

use mesos_framework::proto::{TaskState, task_status::Reason};
use serde_json::json;

use crate::bare_framework::{Bare, bare_info};
use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, QUIET, info, scalar, task};
use crate::operator::Api;

#[tokio::test]
async fn another_executor_of_the_same_id_is_refused_with_both_printed() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("two-of-one-id")).await;
    let offer = framework.offer().await;
    let mut first = task("first", RUN, &offer);
    let executor = first.executor.as_mut().unwrap();
    executor.data = Some(vec![0, b'"', b'\n', 0xff].into());
    // Printed with the digits that it takes.
    executor.resources.push(scalar("disk", 1.0 / 3.0));
    let command = executor.command.as_mut().unwrap();
    let program = command.value.clone().unwrap();
    let arguments = command.arguments.clone();
    let variable = command.environment.clone().unwrap().variables.remove(0);
    let mut second = task("second", RUN, &offer);
    second.executor = first.executor.clone();
    second.executor.as_mut().unwrap().name = Some("an\u{f6}ther".into());
    framework.launch(offer, vec![first, second.clone()]).await;
    let status = framework.status(&second.task_id).await;
    assert_eq!(status.state(), TaskState::TaskError);
    assert_eq!(status.reason(), Reason::TaskInvalid);

    let role = framework.info.roles[0].as_str();
    let resource = |name: &str, amount: &str| {
        format!(
            "resources {{\n  name: \"{name}\"\n  type: SCALAR\n  scalar {{\n    value: {amount}\n  }}\n  \
             allocation_info {{\n    role: \"{role}\"\n  }}\n}}\n"
        )
    };
    let arguments = arguments.iter();
    let arguments: String = arguments
        .map(|own| format!("  arguments: \"{own}\"\n"))
        .collect();
    let printed = |name: &str| {
        [
            "executor_id {\n  value: \"executor of first\"\n}\ndata: \"\\000\\\"\\n\\377\"\n".to_owned(),
            resource("cpus", "0.01"),
            resource("mem", "32"),
            resource("disk", "0.33333333333333331"),
            format!(
                "command {{\n  environment {{\n    variables {{\n      name: \"{}\"\n      value: \"{}\"\n    \
                 }}\n  }}\n  value: \"{program}\"\n  shell: false\n{arguments}}}\n",
                variable.name,
                variable.value(),
            ),
            format!("framework_id {{\n  value: \"{}\"\n}}\n", framework.id),
            format!("name: \"{name}\"\n"),
        ]
        .concat()
    };
    let line = "-".repeat(60);
    let expected = format!(
        "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n\
         {line}\nExisting ExecutorInfo:\n{}\n{line}\nExecutorInfo:\n{}\n{line}\n",
        printed("executor of first"),
        printed("an\\303\\266ther")
    );
    assert_eq!(status.message(), expected);
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_group_without_tasks_leaves_an_executor_that_only_the_master_knows() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let mut framework = Bare::register(&address, &bare_info("ghost")).await;
    let offer = framework.offer(None).await;
    let role = &offer["allocation_info"]["role"];
    let resource = |name: &str, amount: f64| {
        json!({
            "name": name, "type": "SCALAR", "scalar": { "value": amount }, "allocation_info": { "role": role },
        })
    };
    let executor = json!({
        "executor_id": { "value": "ghost" }, "framework_id": { "value": framework.id.value },
        "type": "CUSTOM", "command": { "value": "exec sleep 1000" },
        "resources": [resource("cpus", 0.1), resource("mem", 32.0), resource("disk", 1.0)],
    });
    let group = |tasks| json!({ "executor": executor, "task_group": { "tasks": tasks } });
    framework
        .accept(&offer, "LAUNCH_GROUP", group(json!([])))
        .await;

    // Offers name it, and its resources are gone from them.
    let agent_id = offer["agent_id"].clone();
    let again = framework.offer(Some(&agent_id)).await;
    assert_eq!(again["executor_ids"], json!([{ "value": "ghost" }]));
    let state = Api::of_master(&address).ask("GET_EXECUTORS").await;
    let executors = state["executors"].as_array().unwrap();
    let ghost = executors
        .iter()
        .find(|own| own["executor_info"]["framework_id"]["value"] == framework.id.value.as_str());
    let ghost = ghost.unwrap_or_else(|| panic!("{state}"));
    assert_eq!(ghost["executor_info"]["executor_id"]["value"], "ghost");
    // Its agent does not.
    let agent = format!(
        "{}:{}",
        again["url"]["address"]["ip"].as_str().unwrap(),
        again["url"]["address"]["port"]
    );
    let path = again["url"]["path"]
        .as_str()
        .unwrap()
        .trim_start_matches('/');
    let state = Api::of_agent(&format!("{path}@{agent}"))
        .ask("GET_FRAMEWORKS")
        .await;
    assert!(!state.to_string().contains(&framework.id.value), "{state}");

    // A task for it cannot be.
    let task = json!({
        "name": "late", "task_id": { "value": "late" }, "agent_id": agent_id,
        "resources": [resource("cpus", 0.1), resource("mem", 32.0)],
    });
    framework
        .accept(&again, "LAUNCH_GROUP", group(json!([task])))
        .await;
    let update = framework.next("UPDATE").await;
    let status = &update["update"]["status"];
    assert_eq!(status["state"], "TASK_DROPPED", "{status}");
    assert_eq!(status["source"], "SOURCE_AGENT", "{status}");
    assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status}");
    let message = "No executor is expected to launch and there is none running";
    assert_eq!(status["message"], message, "{status}");

    // Nobody tells of its end, for it never began.
    let shutdown = json!({ "executor_id": { "value": "ghost" }, "agent_id": agent_id });
    let answer = framework.call("SHUTDOWN", shutdown).await;
    assert_eq!(answer.status, 202);
    let failure = tokio::time::timeout(QUIET, framework.next("FAILURE")).await;
    assert!(failure.is_err(), "{failure:?}");
    framework.teardown().await;
    cluster.shutdown().await;
}
