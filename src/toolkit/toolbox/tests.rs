use std::time::Duration;

use super::*;
use crate::proto::scheduler::Call;
use crate::proto::scheduler::call::Type;
use crate::proto::{CommandInfo, Offer, TaskState, TaskStatus};
use crate::resources::Request;
use crate::toolkit::matching::Needs;
use crate::toolkit::testing::{self, Answer, RecordedDriver};

struct Nobody;

#[async_trait::async_trait]
impl Scheduler for Nobody {
    async fn resource_offers(&mut self, _: &SchedulerHandle, _: Vec<Offer>) {}
    async fn status_update(&mut self, _: &SchedulerHandle, _: TaskStatus) {}
}

/// A toolbox, and what it is told by and calls.
struct Rig {
    tools: Toolbox,
    driver: RecordedDriver,
    scheduler: Observed<Nobody>,
}

impl Rig {
    async fn new() -> Self {
        let tools = Toolbox::new(TaskTracker::new());
        let mut rig = Self {
            scheduler: tools.observe(Nobody),
            driver: RecordedDriver::new(),
            tools,
        };
        let handle = rig.driver.handle();
        let registered = rig.scheduler.registered(&handle, "framework".into(), None);
        registered.await;
        rig
    }

    async fn offered(&mut self, ids: &[&str]) {
        let offers = ids.iter().map(|id| {
            let agent_id = format!("agent-{id}");
            testing::offer(id, &agent_id, "cpus:1;mem:64")
        });
        let handle = self.driver.handle();
        self.scheduler
            .resource_offers(&handle, offers.collect())
            .await;
    }

    async fn told(&mut self, id: &str, state: TaskState) {
        let status = testing::status(id, "agent-o", state);
        let handle = self.driver.handle();
        self.scheduler.status_update(&handle, status).await;
    }

    async fn place(&self, ids: &[&str]) -> Placements {
        let needs = Needs::new(Request::new().cpus(1.0).mem(64.0));
        let task = |id: &&str| {
            let info = TaskInfo::new(*id, "", []).command(CommandInfo::in_shell("true"));
            PendingTask::new(info, needs.clone())
        };
        let tasks: Vec<_> = ids.iter().map(task).collect();
        let (handle, matcher) = (self.driver.handle(), Matcher::first_fit());
        let placed = self.tools.place(&handle, "*", &matcher, &tasks).await;
        placed.unwrap()
    }

    /// The next call of that type.
    async fn next(&self, wanted: Type) -> Call {
        let next = async {
            loop {
                let call = self.driver.next_call().await;
                if call.r#type() == wanted {
                    return call;
                }
            }
        };
        let limited = tokio::time::timeout(Duration::from_secs(20), next);
        limited.await.unwrap_or_else(|_| panic!("no {wanted:?}"))
    }

    fn tracked(&self, id: &str) -> Option<TaskState> {
        self.tools.tracker.get(&id.into()).map(|task| task.state)
    }
}

fn launched(call: Call) -> Vec<(String, String)> {
    let accept = call.accept.unwrap();
    let operations = accept.operations.into_iter();
    let tasks = operations.flat_map(|operation| operation.launch.unwrap().task_infos);
    tasks
        .map(|task| (task.task_id.value, task.agent_id.value))
        .collect()
}

#[tokio::test]
async fn tasks_with_a_place_are_tracked_and_launched_and_more_offers_wanted_for_the_others() {
    let mut rig = Rig::new().await;
    rig.tools.demand.wants("*");
    rig.offered(&["o"]).await;
    let placements = rig.place(&["t-1", "t-2"]).await;
    assert_eq!(placements.launches.len(), 1);
    assert!(placements.why_not(&"t-2".into()).is_some());
    let call = rig.next(Type::Accept).await;
    assert_eq!(launched(call), [("t-1".into(), "agent-o".into())]);
    assert_eq!(rig.tracked("t-1"), Some(TaskState::TaskStaging));
    assert_eq!(rig.tracked("t-2"), None);
    assert!(rig.tools.ledger.is_empty());
    assert!(rig.tools.demand.is_wanted("*"));
}

#[tokio::test]
async fn offers_are_declined_that_nobody_can_use() {
    let mut rig = Rig::new().await;
    rig.tools.demand.wants("*");
    rig.offered(&["o", "p"]).await;
    // Without tasks, the role has enough, and what is left goes back.
    rig.place(&["t-1"]).await;
    assert!(!rig.tools.demand.is_wanted("*"));
    let call = rig.next(Type::Decline).await;
    assert_eq!(call.decline.unwrap().offer_ids, ["p".into()]);
    rig.tools.demand.wants("*");
    let none = rig.place(&[]).await;
    assert!(none.launches.is_empty() && none.refused.is_empty());
    assert!(!rig.tools.demand.is_wanted("*"));
}

#[tokio::test]
async fn tasks_of_an_offer_that_is_gone_wait_on_and_are_not_tracked() {
    let mut rig = Rig::new().await;
    rig.tools.demand.wants("*");
    rig.offered(&["o"]).await;
    // The driver knows already that the subscription is lost, and the scheduler does not.
    rig.driver.disconnect();
    let placements = rig.place(&["t-1"]).await;
    assert!(placements.launches.is_empty());
    assert_eq!(rig.tracked("t-1"), None);
    assert!(rig.tools.demand.is_wanted("*"));
}

#[tokio::test]
async fn a_launch_that_is_refused_makes_its_role_wanted_again() {
    let mut rig = Rig::new().await;
    rig.tools.demand.wants("*");
    rig.offered(&["o"]).await;
    rig.driver.answer_with(|call| match call.r#type() {
        Type::Accept => Answer::Refused(400, "no".into()),
        _ => Answer::Accepted,
    });
    rig.place(&["t-1"]).await;
    let wanted = async {
        while !rig.tools.demand.is_wanted("*") {
            tokio::task::yield_now().await;
        }
    };
    let limited = tokio::time::timeout(Duration::from_secs(20), wanted);
    limited.await.unwrap();
    assert_eq!(rig.tracked("t-1"), Some(TaskState::TaskDropped));
}

#[tokio::test]
async fn jobs_are_launched_again_until_they_end_well_and_surplus_attempts_killed() {
    let mut rig = Rig::new().await;
    let needs = Needs::new(Request::new().cpus(1.0).mem(64.0));
    let task = TaskInfo::new("job", "", []).command(CommandInfo::in_shell("true"));
    let jobs = Jobs::new(&rig.tools.tracker, [PendingTask::new(task, needs)]).unwrap();
    let (handle, matcher) = (rig.driver.handle(), Matcher::first_fit());
    let tools = rig.tools.clone();
    let place = || tools.place_jobs(&handle, "*", &matcher, &jobs);

    for (attempt, end) in [
        ("job-0", Some(TaskState::TaskFailed)),
        ("job-1", Some(TaskState::TaskLost)),
        ("job-2", None),
    ] {
        assert!(place().await.unwrap().launches.is_empty());
        assert!(rig.tools.demand.is_wanted("*"));
        rig.offered(&["o"]).await;
        assert_eq!(place().await.unwrap().launches.len(), 1);
        let call = rig.next(Type::Accept).await;
        assert_eq!(launched(call), [(attempt.into(), "agent-o".into())]);
        // While it may run, there is no other, and nothing more is wanted.
        assert!(place().await.unwrap().launches.is_empty());
        assert!(!rig.tools.demand.is_wanted("*"));
        if let Some(end) = end {
            rig.told(attempt, end).await;
        }
    }
    rig.told("job-2", TaskState::TaskRunning).await;
    // It is back, and another one has its place.
    rig.told("job-1", TaskState::TaskRunning).await;
    assert!(place().await.unwrap().launches.is_empty());
    let killed = rig.next(Type::Kill).await.kill.unwrap();
    assert_eq!(killed.task_id, "job-1".into());
    assert!(rig.tools.killer.is_killing(&"job-1".into()));
    assert!(!rig.tools.killer.is_killing(&"job-2".into()));
    rig.told("job-1", TaskState::TaskKilled).await;
    rig.told("job-2", TaskState::TaskFinished).await;
    assert!(place().await.unwrap().launches.is_empty());
    assert!(jobs.counts().is_done());
}

#[tokio::test]
async fn all_that_run_are_killed_and_their_ends_told() {
    let mut rig = Rig::new().await;
    rig.offered(&["o", "p", "q"]).await;
    rig.place(&["t-1", "t-2", "t-3"]).await;
    for id in ["t-1", "t-2", "t-3"] {
        rig.told(id, TaskState::TaskRunning).await;
    }
    rig.told("t-3", TaskState::TaskFailed).await;
    let tools = rig.tools.clone();
    let ends = tokio::spawn(async move { tools.kill_all().await });
    let mut killed = Vec::new();
    while killed.len() < 2 {
        let id = rig.next(Type::Kill).await.kill.unwrap().task_id.value;
        let state = match id.as_str() {
            "t-1" => TaskState::TaskKilled,
            _ => TaskState::TaskFinished,
        };
        rig.told(&id, state).await;
        killed.push(id);
    }
    killed.sort();
    assert_eq!(killed, ["t-1", "t-2"]);
    let ends = ends.await.unwrap().unwrap();
    assert_eq!(ends.len(), 2);
    assert!(matches!(ends[&"t-1".into()], KillEnd::Killed(_)));
    assert!(matches!(ends[&"t-2".into()], KillEnd::EndedOtherwise(_)));

    rig.tools.demand.wants("*");
    rig.offered(&["r"]).await;
    assert!(rig.place(&["t-4"]).await.launches.is_empty());
    assert!(
        !rig.tools.demand.is_wanted("*"),
        "nothing is launched any more"
    );
    let handle = rig.driver.handle();
    let launch = rig.tools.launch(&handle, vec!["r".into()], Vec::new());
    assert_eq!(launch.await.unwrap_err().kind(), ErrorKind::NotRunning);
}
