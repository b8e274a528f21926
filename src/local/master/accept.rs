//! ACCEPT: offers used up, tasks launched, the rest declined.
//!
//! Source: `Master::accept` and `Master::_accept`, `src/master/master.cpp`, and `src/master/validation.cpp` of Apache
//! Mesos 1.11.0.

use std::collections::BTreeSet;

use super::framework::{Framework, event};
use super::state::{Master, Offer};
use super::tasks::{Verdict, task_of};
use super::validation::{self, Launching};
use crate::local::messages::{Run, ToAgent};
use crate::proto::offer::{Operation, operation};
use crate::proto::scheduler::{call, event};
use crate::proto::task_status::Reason;
use crate::proto::{
    ExecutorInfo, FrameworkId, OfferId, OperationState, OperationStatus, Resource, TaskInfo,
    TaskState,
};
use crate::resources::Resources;

impl Master {
    pub(super) fn accept(&mut self, framework_id: &FrameworkId, accept: call::Accept) {
        match self.check_offers(framework_id, &accept.offer_ids) {
            Ok(()) => {
                let Some(mut offer) = self.use_offers(&accept.offer_ids) else {
                    return;
                };
                for operation in accept.operations {
                    self.apply(&mut offer, operation);
                }
                let rest = std::mem::take(&mut offer.resources);
                self.release(&offer, &rest, accept.filters.as_ref());
            }
            Err(why) => {
                for offer_id in &accept.offer_ids {
                    let offer = self.offers.get(offer_id);
                    if offer.is_some_and(|offer| offer.framework_id == *framework_id) {
                        self.take_back(offer_id);
                    }
                }
                if let Some(framework) = self.frameworks.get(framework_id) {
                    refuse(framework, accept.operations, &why);
                }
            }
        }
    }

    /// Why these offers cannot be accepted together, if so.
    fn check_offers(&self, framework_id: &FrameworkId, ids: &[OfferId]) -> Result<(), String> {
        if ids.is_empty() {
            return Err("No offers specified".to_owned());
        }
        if let Some(id) = ids.iter().find(|id| !self.offers.contains_key(*id)) {
            return Err(format!("Offer {id} is no longer valid"));
        }
        let mut seen = BTreeSet::new();
        if let Some(id) = ids.iter().find(|id| !seen.insert(*id)) {
            return Err(format!("Duplicate offer {id} in offer list"));
        }
        let offers: Vec<(&OfferId, &Offer)> = ids
            .iter()
            .filter_map(|id| self.offers.get_key_value(id))
            .collect();
        for (id, offer) in &offers {
            if offer.framework_id != *framework_id {
                return Err(format!(
                    "Offer {id} has invalid framework {} while framework {framework_id} is expected",
                    offer.framework_id
                ));
            }
        }
        for pair in offers.windows(2) {
            let ((_, before), (id, offer)) = (pair[0], pair[1]);
            if offer.role != before.role {
                return Err(format!(
                    "Aggregated offers must be allocated to the same role. Offer {id} uses role '{}' but another is using role '{}'",
                    offer.role, before.role
                ));
            }
            if offer.agent_id != before.agent_id {
                return Err(format!(
                    "Aggregated offers must belong to one single agent. Offer {id} uses agent {} and agent {}",
                    offer.agent_id, before.agent_id
                ));
            }
        }
        Ok(())
    }

    /// Uses checked offers up: one offer with all their resources, which stay booked.
    fn use_offers(&mut self, ids: &[OfferId]) -> Option<Offer> {
        let mut used = ids.iter().filter_map(|id| self.offers.remove(id));
        let mut sum = used.next()?;
        for offer in used {
            sum.resources += &offer.resources;
        }
        Some(sum)
    }

    /// Carries out one operation on what is left of `offer`.
    fn apply(&mut self, offer: &mut Offer, operation: Operation) {
        let has_id = operation.id.is_some();
        match operation.r#type() {
            operation::Type::Launch => {
                let tasks = operation.launch.unwrap_or_default().task_infos;
                self.launch(offer, tasks, has_id);
            }
            operation::Type::LaunchGroup => {
                let group = operation.launch_group.unwrap_or_default();
                self.launch_group(offer, group, has_id);
            }
            _ => {
                let why = "This local cluster does not support the operation";
                if let Some(framework) = self.frameworks.get(&offer.framework_id) {
                    send_operation_error(framework, &operation, why);
                }
            }
        }
    }

    fn launch(&mut self, offer: &mut Offer, mut tasks: Vec<TaskInfo>, has_id: bool) {
        for task in &mut tasks {
            allocate(&mut task.resources, &offer.role);
            if let Some(executor) = &mut task.executor {
                prepare_executor(executor, offer);
            }
        }
        let malformed = tasks.iter().find_map(validation::malformed_resources);
        let refusal = if has_id {
            Some("The `id` field cannot be set on LAUNCH operations".to_owned())
        } else {
            malformed
        };
        for task in tasks {
            let result = match &refusal {
                Some(why) => Err(why.clone()),
                None => self.launch_task(offer, &task),
            };
            if let (Err(message), Some(framework)) =
                (result, self.frameworks.get(&offer.framework_id))
            {
                let verdict = Verdict {
                    state: TaskState::TaskError,
                    reason: Reason::TaskInvalid,
                    message,
                };
                framework.send_verdict(&task, &verdict);
            }
        }
    }

    fn launch_task(&mut self, offer: &mut Offer, task: &TaskInfo) -> Result<(), String> {
        let Some(framework) = self.frameworks.get(&offer.framework_id) else {
            return Ok(());
        };
        let launching = Launching { framework, offer };
        launching.check_task(task)?;
        let executor = task.executor.clone();
        self.hand_over(offer, executor, vec![task.clone()], false);
        Ok(())
    }

    fn launch_group(&mut self, offer: &mut Offer, group: operation::LaunchGroup, has_id: bool) {
        let (mut executor, mut tasks) = (group.executor, group.task_group.tasks);
        allocate(&mut executor.resources, &offer.role);
        for task in &mut tasks {
            allocate(&mut task.resources, &offer.role);
        }
        let Some(framework) = self.frameworks.get(&offer.framework_id) else {
            return;
        };
        let result = if has_id {
            Err("The `id` field cannot be set on LAUNCH_GROUP operations".to_owned())
        } else {
            Launching { framework, offer }.check_group(&executor, &tasks)
        };
        match result {
            Ok(()) => {
                for task in &mut tasks {
                    task.executor = Some(executor.clone());
                }
                self.hand_over(offer, Some(executor), tasks, true);
            }
            Err(message) => {
                let verdict = Verdict {
                    state: TaskState::TaskError,
                    reason: Reason::TaskGroupInvalid,
                    message,
                };
                for task in &mut tasks {
                    task.executor.get_or_insert_with(|| executor.clone());
                    framework.send_verdict(task, &verdict);
                }
            }
        }
    }

    /// Launches checked tasks: their resources leave the offer, and the agent gets them.
    fn hand_over(
        &mut self,
        offer: &mut Offer,
        executor: Option<ExecutorInfo>,
        tasks: Vec<TaskInfo>,
        is_group: bool,
    ) {
        let Some(framework) = self.frameworks.get_mut(&offer.framework_id) else {
            return;
        };
        // Agents make those of command tasks themselves.
        let mut launches_executor = executor.is_none();
        if let Some(executor) = &executor {
            let key = (offer.agent_id.clone(), executor.executor_id.clone());
            if !framework.executors.contains_key(&key) {
                let resources = Resources::from_unchecked(&executor.resources);
                offer.resources -= &resources;
                let info = executor.clone();
                framework.add_executor(&offer.agent_id, info, &offer.role, resources);
                launches_executor = true;
            }
        }
        let executor_id = executor.as_ref().map(|own| &own.executor_id);
        for task in &tasks {
            let resources = Resources::from_unchecked(&task.resources);
            offer.resources -= &resources;
            let kept = task_of(task, &framework.id, executor_id, TaskState::TaskStaging);
            framework.add_task(kept, &offer.role, resources);
        }
        let run = Run {
            framework_id: framework.id.clone(),
            framework: framework.info.clone(),
            executor,
            tasks,
            is_group,
            launches_executor,
        };
        self.send(&offer.agent_id, ToAgent::Run(Box::new(run)));
    }
}

/// Marks `resources` as allocated to `role`, where the scheduler left that out.
fn allocate(resources: &mut [Resource], role: &str) {
    for resource in resources {
        let info = resource.allocation_info.get_or_insert_default();
        if info.role.is_none() {
            info.role = Some(role.to_owned());
        }
    }
}

fn prepare_executor(executor: &mut ExecutorInfo, offer: &Offer) {
    allocate(&mut executor.resources, &offer.role);
    if executor.framework_id.is_none() {
        executor.framework_id = Some(offer.framework_id.clone());
    }
    if executor.r#type() == crate::proto::executor_info::Type::Unknown {
        let custom = crate::proto::executor_info::Type::Custom;
        executor.r#type = Some(custom.into());
    }
}

/// Answers the operations of an ACCEPT whose offers are not valid.
fn refuse(framework: &Framework, operations: Vec<Operation>, why: &str) {
    let dropped = Verdict {
        state: framework.lost_state(TaskState::TaskDropped),
        reason: Reason::InvalidOffers,
        message: format!("Task launched with invalid offers: {why}"),
    };
    for operation in operations {
        match operation.r#type() {
            operation::Type::Launch => {
                for task in operation.launch.unwrap_or_default().task_infos {
                    framework.send_verdict(&task, &dropped);
                }
            }
            operation::Type::LaunchGroup => {
                let group = operation.launch_group.unwrap_or_default();
                for mut task in group.task_group.tasks {
                    task.executor.get_or_insert_with(|| group.executor.clone());
                    framework.send_verdict(&task, &dropped);
                }
            }
            _ => {
                let why = format!("Operation attempted with invalid offers: {why}");
                send_operation_error(framework, &operation, &why);
            }
        }
    }
}

/// Reports an operation that has an id; one without id vanishes.
fn send_operation_error(framework: &Framework, operation: &Operation, why: &str) {
    let Some(operation_id) = &operation.id else {
        tracing::warn!(framework_id = %framework.id, why, "operation dropped");
        return;
    };
    let status = OperationStatus {
        operation_id: Some(operation_id.clone()),
        state: OperationState::OperationError.into(),
        message: Some(why.to_owned()),
        ..Default::default()
    };
    let mut event = event(event::Type::UpdateOperationStatus);
    event.update_operation_status = Some(event::UpdateOperationStatus { status });
    framework.send(&event);
}
