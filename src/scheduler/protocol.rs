//! The scheduler API, as the driver needs it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::FrameworkRemoval;
use super::calls;
use super::doubts::Doubts;
use super::framework::Framework;
use crate::driver::{Persistence, Protocol};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::scheduler::call::{Type, UpdateFramework};
use crate::proto::scheduler::event::Update;
use crate::proto::scheduler::{Call, Event, OfferConstraints, event};
use crate::proto::{
    FrameworkId, FrameworkInfo, TaskId, TaskInfo, TaskState, TaskStatus, framework_info,
    task_status,
};

/// What is known of the framework.
#[derive(Debug)]
pub(crate) struct SchedulerProtocol {
    state: Mutex<State>,
    removal: FrameworkRemoval,
}

#[derive(Debug)]
struct State {
    framework: Framework,
    /// None if no UPDATE_FRAMEWORK is under way.
    update: Option<PendingUpdate>,
    doubts: Doubts,
}

/// Updates of the framework that the master has not answered yet.
#[derive(Debug)]
struct PendingUpdate {
    /// The last one queued, without the framework's id.
    newest: UpdateFramework,
    /// What holds if the master refuses it.
    before: Framework,
}

impl SchedulerProtocol {
    pub(super) fn new(
        info: FrameworkInfo,
        suppressed_roles: BTreeSet<String>,
        offer_constraints: Option<OfferConstraints>,
        removal: FrameworkRemoval,
    ) -> Self {
        let framework = Framework {
            info,
            suppressed_roles,
            offer_constraints,
        };
        Self {
            state: Mutex::new(State {
                framework,
                update: None,
                doubts: Doubts::default(),
            }),
            removal,
        }
    }

    /// Subscribes as the framework of that id, unless the user has said another.
    pub(super) fn take_over(&self, id: FrameworkId) {
        self.lock().framework.info.id.get_or_insert(id);
    }

    pub(super) fn framework_id(&self) -> Option<FrameworkId> {
        self.lock().framework.info.id.clone()
    }

    /// The user has been told of a task by the master.
    pub(super) fn told(&self, task_id: &TaskId) {
        self.lock().doubts.told(task_id);
    }

    pub(super) fn framework_info(&self) -> FrameworkInfo {
        self.lock().framework.info.clone()
    }

    pub(super) fn suppressed_roles(&self) -> Vec<String> {
        let state = self.lock();
        state.framework.suppressed_roles.iter().cloned().collect()
    }

    pub(super) fn roles(&self) -> Vec<String> {
        self.lock().framework.roles()
    }

    fn is_partition_aware(&self) -> bool {
        let partition_aware = framework_info::capability::Type::PartitionAware as i32;
        self.lock()
            .framework
            .info
            .capabilities
            .iter()
            .any(|given| given.r#type == Some(partition_aware))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes what holds, whatever becomes of an update.
    fn change(&mut self, mut change: impl FnMut(&mut Framework)) {
        change(&mut self.framework);
        if let Some(update) = &mut self.update {
            change(&mut update.before);
        }
    }

    fn update(&mut self, newest: &UpdateFramework) {
        let before = match self.update.take() {
            Some(older) => older.before,
            None => self.framework.clone(),
        };
        self.framework.update(newest);
        self.update = Some(PendingUpdate {
            newest: without_id(newest),
            before,
        });
    }

    /// Takes the update under way out, if the newest is this one.
    fn take_newest(&mut self, answered: &UpdateFramework) -> Option<PendingUpdate> {
        let answered = without_id(answered);
        self.update.take_if(|update| update.newest == answered)
    }
}

/// The id is filled in only when the call is sent.
fn without_id(update: &UpdateFramework) -> UpdateFramework {
    let mut update = update.clone();
    update.framework_info.id = None;
    update
}

impl Protocol for SchedulerProtocol {
    type Event = Event;
    type Call = Call;

    const PEER: &'static str = "master";
    const PATH: &'static str = "/api/v1/scheduler";
    const EVENTS_OUTLIVE_SUBSCRIPTION: bool = false;

    fn subscribe(&self) -> Call {
        let state = self.lock();
        Call {
            framework_id: state.framework.info.id.clone(),
            r#type: Some(Type::Subscribe as i32),
            subscribe: Some(Box::new(state.framework.subscribe())),
            ..Call::default()
        }
    }

    fn mismatch(&self, subscribed: &Event, from: &str) -> Option<Error> {
        let given = &subscribed.subscribed.as_ref()?.framework_id;
        let asked = self.framework_id()?;
        (asked != *given).then(|| {
            let context = format!("framework id mismatch: {from} subscribed {given}, not {asked}");
            Error::new(ErrorKind::FrameworkRemoved, context)
        })
    }

    fn receive(&self, event: &Event) -> bool {
        match event.r#type() {
            event::Type::Subscribed => {
                if let Some(subscribed) = &event.subscribed {
                    self.take_over(subscribed.framework_id.clone());
                }
                true
            }
            event::Type::Heartbeat => false,
            event::Type::Unknown => {
                tracing::debug!(r#type = ?event.r#type, "event of unknown type skipped");
                false
            }
            _ => true,
        }
    }

    fn queued(&self, call: &Call) {
        let mut state = self.lock();
        match calls::type_of(call) {
            Some(Type::Suppress) => {
                let roles = call
                    .suppress
                    .as_ref()
                    .map_or(&[][..], |suppress| &suppress.roles);
                state.change(|framework| framework.suppress(roles));
            }
            Some(Type::Revive) => {
                let roles = call.revive.as_ref().map_or(&[][..], |revive| &revive.roles);
                state.change(|framework| framework.revive(roles));
            }
            Some(Type::UpdateFramework) => {
                if let Some(update) = &call.update_framework {
                    state.update(update);
                }
            }
            _ => {}
        }
    }

    fn complete(&self, call: &mut Call) -> Result<bool> {
        let id = self.framework_id();
        if let Some(update) = &mut call.update_framework {
            update.framework_info.id.clone_from(&id);
        }
        call.framework_id = id;
        Ok(true)
    }

    fn accepted(&self, call: &Call) {
        let Some(update) = &call.update_framework else {
            return;
        };
        let mut state = self.lock();
        if state.take_newest(update).is_none()
            && let Some(newer) = &mut state.update
        {
            newer.before.update(update);
        }
    }

    fn refused(&self, call: &Call) {
        let Some(update) = &call.update_framework else {
            return;
        };
        let mut state = self.lock();
        // Unless a newer update is under way, what held before holds again; or the next SUBSCRIBE would be refused too.
        if let Some(refused) = state.take_newest(update) {
            let id = state.framework.info.id.take();
            state.framework = refused.before;
            state.framework.info.id = id;
        }
    }

    fn unknown(&self, call: &Call) -> bool {
        self.lock().doubts.add(call)
    }

    fn settling(&self) -> Option<Call> {
        self.lock().doubts.reconcile()
    }

    fn merge(call: &mut Call, next: &mut Call) -> bool {
        calls::merge_declines(call, next)
    }

    fn name(call: &Call) -> &'static str {
        calls::name(call)
    }

    fn is_bound_to_subscription(call: &Call) -> bool {
        calls::names_offers(call)
    }

    fn is_repeatable(_: &Call) -> bool {
        false
    }

    fn forget_framework(&self, refusal: &Error) -> Option<FrameworkId> {
        let is_removed = refusal.kind() == ErrorKind::FrameworkRemoved;
        if !is_removed || self.removal == FrameworkRemoval::Stop {
            return None;
        }
        let mut state = self.lock();
        state.doubts.clear();
        state.framework.info.id.take()
    }

    fn is_about_framework(call: &Call) -> bool {
        let call = calls::type_of(call);
        matches!(
            call,
            Some(Type::Revive | Type::Suppress | Type::UpdateFramework)
        )
    }

    /// As Java's driver answers a launch while it is disconnected (`src/sched/sched.cpp`, Apache Mesos 1.11.0).
    fn never_sent(&self, call: &Call) -> Vec<Event> {
        let tasks = calls::launched_tasks(call);
        if tasks.is_empty() {
            return Vec::new();
        }
        let state = match self.is_partition_aware() {
            true => TaskState::TaskDropped,
            false => TaskState::TaskLost,
        };
        tasks.into_iter().map(|task| dropped(task, state)).collect()
    }

    fn keepalive(&self) -> Option<(Duration, Call)> {
        None
    }

    fn teardown(&self) -> Option<Call> {
        self.framework_id().map(|_| calls::teardown())
    }

    fn persistence(&self) -> Persistence {
        Persistence::Endless
    }

    fn is_pending(&self) -> bool {
        false
    }

    async fn settled(&self) {}

    fn settle_limit(&self) -> Duration {
        Duration::ZERO
    }
}

fn dropped(task: &TaskInfo, state: TaskState) -> Event {
    let status = TaskStatus {
        task_id: task.task_id.clone(),
        state: state as i32,
        source: Some(task_status::Source::Master as i32),
        reason: Some(task_status::Reason::MasterDisconnected as i32),
        message: Some("Master disconnected".into()),
        timestamp: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .map(|since| since.as_secs_f64()),
        ..TaskStatus::default()
    };
    Event {
        r#type: Some(event::Type::Update as i32),
        update: Some(Update { status }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Filters;

    fn protocol(capabilities: &[framework_info::capability::Type]) -> SchedulerProtocol {
        let capabilities = capabilities.iter().map(|given| framework_info::Capability {
            r#type: Some(*given as i32),
        });
        let info = FrameworkInfo {
            capabilities: capabilities.collect(),
            ..FrameworkInfo::default()
        };
        SchedulerProtocol::new(info, BTreeSet::new(), None, FrameworkRemoval::Stop)
    }

    #[test]
    fn a_launch_that_never_left_comes_back_as_dropped_or_lost() {
        let task = TaskInfo {
            task_id: "t".into(),
            ..TaskInfo::default()
        };
        let launch = calls::launch(vec!["o".into()], vec![task], Filters::default());
        for (capabilities, state) in [
            (
                &[framework_info::capability::Type::PartitionAware][..],
                TaskState::TaskDropped,
            ),
            (&[], TaskState::TaskLost),
        ] {
            let events = protocol(capabilities).never_sent(&launch);
            let status = events[0].update.clone().unwrap().status;
            assert_eq!(
                (status.task_id.value.as_str(), status.state()),
                ("t", state)
            );
            assert_eq!(status.message(), "Master disconnected");
            assert!(status.uuid.is_none() && status.agent_id.is_none());
        }
    }

    #[test]
    fn both_framework_ids_are_filled_in_once_known() {
        let protocol = protocol(&[]);
        assert_eq!(protocol.subscribe().framework_id, None);
        let subscribed = event::Subscribed {
            framework_id: "f".into(),
            ..event::Subscribed::default()
        };
        protocol.receive(&Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(Box::new(subscribed)),
            ..Event::default()
        });
        let again = protocol.subscribe();
        assert_eq!(again.framework_id, Some("f".into()));
        assert_eq!(again.subscribe.unwrap().framework_info.id, Some("f".into()));
        let mut update = calls::update_framework(FrameworkInfo::default(), vec![], None);
        assert!(protocol.complete(&mut update).unwrap());
        assert_eq!(update.framework_id, Some("f".into()));
        assert_eq!(
            update.update_framework.unwrap().framework_info.id,
            Some("f".into())
        );
    }

    #[test]
    fn a_refused_update_is_not_repeated_by_the_next_subscribe() {
        let protocol = protocol(&[]);
        let named = |name: &str| FrameworkInfo {
            name: name.into(),
            ..FrameworkInfo::default()
        };
        let update = calls::update_framework(named("bad"), vec![], None);
        protocol.queued(&update);
        assert_eq!(
            protocol.subscribe().subscribe.unwrap().framework_info.name,
            "bad"
        );
        protocol.refused(&update);
        assert_eq!(
            protocol.subscribe().subscribe.unwrap().framework_info.name,
            ""
        );
    }

    #[test]
    fn events_of_unknown_type_are_skipped() {
        let protocol = protocol(&[]);
        assert!(!protocol.receive(&Event::default()));
        assert!(!protocol.receive(&Event {
            r#type: Some(99),
            ..Event::default()
        }));
    }
}
