//! LAUNCH and LAUNCH_GROUP: tasks that are told why not, and those that agents get.
//!
//! Source: `Master::accept` and `Master::_accept`, `src/master/master.cpp` of Apache Mesos 1.11.0.

use super::operations::Accepted;
use super::state::{Master, Offer};
use super::tasks::{Verdict, task_of};
use super::validation::OnOffer;
use crate::local::messages::{Run, ToAgent};
use crate::proto::offer::{Operation, operation};
use crate::proto::task_status::Reason;
use crate::proto::{ExecutorInfo, FrameworkId, TaskInfo, TaskState};
use crate::resources::Resources;
use crate::validation::{self, Launching, allocate};

impl Master {
    /// A launch, unless nothing in it can be: it has an id, or a resource that is none. Then all its tasks are told.
    pub(super) fn screen_launch(&self, offer: &Offer, operation: Operation) -> Option<Operation> {
        let (tasks, executors, reason) = match (&operation.launch, &operation.launch_group) {
            (Some(launch), None) => {
                let executors = launch
                    .task_infos
                    .iter()
                    .filter_map(|own| own.executor.as_ref());
                (&launch.task_infos, executors.collect(), Reason::TaskInvalid)
            }
            (_, Some(group)) => (
                &group.task_group.tasks,
                vec![&group.executor],
                Reason::TaskGroupInvalid,
            ),
            (None, None) => return None,
        };
        let executors = executors.into_iter().flat_map(|own| &own.resources);
        let own = tasks.iter().flat_map(|task| &task.resources);
        let malformed = validation::malformed(own.chain(executors));
        let name = operation.r#type().as_str_name();
        let has_id = operation.id.is_some();
        let has_id = has_id.then(|| format!("The `id` field cannot be set on {name} operations"));
        let Some(why) = malformed.or(has_id) else {
            return Some(operation);
        };
        self.refuse_tasks(&offer.framework_id, tasks, reason, &why);
        None
    }

    fn refuse_tasks(
        &self,
        framework_id: &FrameworkId,
        tasks: &[TaskInfo],
        reason: Reason,
        why: &str,
    ) {
        let verdict = Verdict {
            state: TaskState::TaskError,
            reason,
            message: why.to_owned(),
        };
        if let Some(framework) = self.frameworks.get(framework_id) {
            for task in tasks {
                self.tallies.refused(verdict.state, verdict.reason);
                framework.send_verdict(task, &verdict);
            }
        }
    }

    pub(super) fn launch(&mut self, accepted: &mut Accepted, tasks: Vec<TaskInfo>) {
        let Accepted { offer, shared, .. } = accepted;
        for mut task in tasks {
            allocate(&mut task.resources, &offer.role);
            if let Some(executor) = &mut task.executor {
                prepare_executor(executor, offer);
            }
            if let Err((reason, why)) = self.launch_task(offer, shared, &task) {
                self.refuse_tasks(&offer.framework_id, &[task], reason, &why);
            }
        }
    }

    /// Tasks may use more copies of a shared volume than are left.
    fn launch_task(
        &mut self,
        offer: &mut Offer,
        shared: &Resources,
        task: &TaskInfo,
    ) -> Result<(), (Reason, String)> {
        let Some(framework) = self.frameworks.get(&offer.framework_id) else {
            return Ok(());
        };
        self.may_launch(framework, task)
            .map_err(|why| (Reason::TaskUnauthorized, why))?;
        let checked = if shared.is_empty() {
            let known = &OnOffer { framework, offer };
            Launching { known }.check_task(task)
        } else {
            let mut available = offer.clone();
            available.resources = offer.resources.not_shared() + shared.clone();
            let offer = &available;
            let known = &OnOffer { framework, offer };
            Launching { known }.check_task(task)
        };
        checked.map_err(|why| (Reason::TaskInvalid, why))?;
        let executor = task.executor.clone();
        self.hand_over(offer, executor, vec![task.clone()], false);
        Ok(())
    }

    pub(super) fn launch_group(&mut self, offer: &mut Offer, group: operation::LaunchGroup) {
        let (mut executor, mut tasks) = (group.executor, group.task_group.tasks);
        allocate(&mut executor.resources, &offer.role);
        for task in &mut tasks {
            allocate(&mut task.resources, &offer.role);
            let own = task.executor.get_or_insert_with(|| executor.clone());
            allocate(&mut own.resources, &offer.role);
        }
        let Some(framework) = self.frameworks.get(&offer.framework_id) else {
            return;
        };
        let refused = match self.may_launch_group(framework, &tasks) {
            Err(why) => Some((Reason::TaskGroupUnauthorized, why)),
            Ok(()) => {
                let known = &OnOffer { framework, offer };
                let checked = Launching { known }.check_group(&executor, &tasks);
                checked.err().map(|why| (Reason::TaskGroupInvalid, why))
            }
        };
        match refused {
            None => self.hand_over(offer, Some(executor), tasks, true),
            Some((reason, why)) => {
                self.refuse_tasks(&offer.framework_id, &tasks, reason, &why);
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
            let additional = resources.shared() - offer.resources.shared();
            framework.book(&offer.role, &additional);
            offer.resources -= &resources;
            let kept = task_of(task, &framework.id, executor_id, TaskState::TaskStaging);
            self.subscribers.task_added(&kept, &framework.info);
            framework.add_task(kept, &offer.role, resources);
        }
        framework.tallies.operations.note(if is_group {
            operation::Type::LaunchGroup
        } else {
            operation::Type::Launch
        });
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

fn prepare_executor(executor: &mut ExecutorInfo, offer: &Offer) {
    allocate(&mut executor.resources, &offer.role);
    if executor.framework_id.is_none() {
        executor.framework_id = Some(offer.framework_id.clone());
    }
}
