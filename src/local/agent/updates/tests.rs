use std::sync::Arc;

use super::super::state::Framework;
use super::*;
use crate::local::LocalCluster;
use crate::local::messages::{Registered, ToAgent};

fn agent() -> Agent {
    let config = Arc::new(LocalCluster::builder().checked().unwrap());
    let mut agent = Agent::new(config, 0, ([127, 0, 0, 1], 5051).into());
    agent.receive(ToAgent::Registered(Box::new(Registered {
        agent_id: "S0".into(),
        ping_timeout: Duration::from_secs(75),
        unmentioned: Vec::new(),
    })));
    let framework = Framework::new(crate::proto::FrameworkInfo::default());
    agent.frameworks.insert("f".into(), framework);
    agent
}

fn fail(agent: &mut Agent, state: TaskState) {
    let reason = Reason::ExecutorTerminated;
    agent.agent_update(&"f".into(), &"t".into(), state, reason, "why");
}

fn delivered(agent: &mut Agent) -> Vec<TaskStatus> {
    let sent = agent.take_outbox().into_iter();
    sent.filter_map(|message| match message {
        ToMaster::Update { status, .. } => Some(*status),
        _ => None,
    })
    .collect()
}

#[tokio::test]
async fn the_interval_doubles_until_the_acknowledgement() {
    let mut agent = agent();
    fail(&mut agent, TaskState::TaskRunning);
    fail(&mut agent, TaskState::TaskFailed);
    let first = delivered(&mut agent).remove(0);
    for seconds in [10, 20, 40] {
        let due = agent.next_deadline().unwrap();
        assert_eq!(due - agent.now, Duration::from_secs(seconds));
        agent.set_now(due);
        agent.tick();
        assert_eq!(delivered(&mut agent), std::slice::from_ref(&first));
    }
    agent.acknowledged("f".into(), "t".into(), &first.uuid.unwrap());
    let second = delivered(&mut agent).remove(0);
    assert_eq!(second.state(), TaskState::TaskFailed);
    agent.acknowledged("f".into(), "t".into(), &second.uuid.unwrap());
    assert!(agent.updates.is_empty());
    assert!(agent.frameworks.is_empty());
}

#[tokio::test]
async fn nothing_follows_on_a_terminal_update() {
    let mut agent = agent();
    fail(&mut agent, TaskState::TaskFailed);
    let first = delivered(&mut agent).remove(0);
    fail(&mut agent, TaskState::TaskRunning);
    agent.acknowledged("f".into(), "t".into(), &first.uuid.unwrap());
    assert!(delivered(&mut agent).is_empty());
}
