//! What the soak knows of its tasks, and what it finds wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mesos_framework::proto::scheduler::Call;
use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{AgentId, TaskId, TaskState, TaskStatus};

use crate::counts::Counts;
use crate::later::Later;
use crate::marks::Marked;
use crate::outage::Outages;
use crate::word::Word;

/// As often in a row the master must say that it does not know a task.
const UNKNOWN: u32 = 3;

/// Tasks of one question: answers to more would pile up behind the callback.
const AT_A_TIME: usize = 200;

/// One task.
#[derive(Debug)]
struct Task {
    agent_id: AgentId,
    launched: Instant,
    fate: Fate,
    /// Reconciliation does not know it, so many times in a row.
    unknown: u32,
    /// Since it was asked for last.
    is_answered: bool,
}

#[derive(Debug)]
enum Fate {
    Open,
    /// The first terminal state.
    Ended(Word),
    /// It must never run.
    NeverBegan(&'static str),
}

/// An update whose callback has begun.
#[derive(Debug)]
struct Update {
    agent_id: Option<AgentId>,
    task_id: TaskId,
    is_handled: bool,
}

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    tasks: BTreeMap<TaskId, Task>,
    open: BTreeSet<TaskId>,
    updates: BTreeMap<Bytes, Update>,
    /// Tasks whose launch went to the master.
    sent: BTreeSet<TaskId>,
    pub outages: Outages,
    /// First terminal states, and who said so.
    pub ends: BTreeMap<String, usize>,
    pub later: Later,
    pub counts: Counts,
    pub violations: Vec<String>,
}

impl Ledger {
    pub fn open(&self) -> usize {
        self.open.len()
    }

    pub fn wrong(&mut self, what: String) {
        self.violations.push(what);
    }

    pub fn launched(&mut self, task_id: &TaskId, agent_id: &AgentId) {
        let task = Task {
            agent_id: agent_id.clone(),
            launched: Instant::now(),
            fate: Fate::Open,
            unknown: 0,
            is_answered: false,
        };
        if self.tasks.insert(task_id.clone(), task).is_some() {
            self.wrong(format!("{task_id} was launched twice"));
        }
        self.open.insert(task_id.clone());
        self.counts.tasks += 1;
    }

    /// The task does not exist: the call was refused, or never queued.
    pub fn never_began(&mut self, task_id: &TaskId, why: &'static str) {
        let Some(task) = self.tasks.get_mut(task_id) else {
            return;
        };
        match &task.fate {
            Fate::Open => {
                task.fate = Fate::NeverBegan(why);
                self.open.remove(task_id);
                self.counts.never_began += 1;
            }
            Fate::Ended(word) if word.is_answer() => {}
            fate => {
                let what = format!("{task_id}: {why}, after {fate:?}");
                self.wrong(what);
            }
        }
    }

    /// The callback begins.
    pub fn begin(&mut self, status: &TaskStatus) {
        self.counts.updates += 1;
        let known = status.uuid.as_ref().map(|uuid| self.updates.get(uuid));
        let is_new = matches!(known, Some(None));
        let is_handled = matches!(known, Some(Some(update)) if update.is_handled);
        self.counts.repeated += usize::from(is_handled);
        if let Some(uuid) = status.uuid.as_ref().filter(|_| is_new) {
            let update = Update {
                agent_id: status.agent_id.clone(),
                task_id: status.task_id.clone(),
                is_handled: false,
            };
            self.updates.insert(uuid.clone(), update);
        }
        self.note(status, is_new);
    }

    /// The callback ends.
    pub fn end(&mut self, status: &TaskStatus) {
        let update = status.uuid.as_ref();
        if let Some(update) = update.and_then(|uuid| self.updates.get_mut(uuid)) {
            update.is_handled = true;
        }
    }

    /// `is_new`: by an update that has not come before.
    fn note(&mut self, status: &TaskStatus, is_new: bool) {
        let id = &status.task_id;
        let word = Word::of(status);
        let Some(task) = self.tasks.get_mut(id) else {
            let what = format!("{id} was never launched: {word:?}");
            return self.wrong(what);
        };
        task.is_answered |= word.is_answer();
        task.unknown = match word.state {
            TaskState::TaskUnknown => task.unknown + 1,
            _ => 0,
        };
        match &task.fate {
            Fate::Open if word.is_terminal() => {
                self.open.remove(id);
                self.counts.reconciled += usize::from(word.is_answer());
                match word.state {
                    TaskState::TaskFinished => self.counts.finished += 1,
                    _ => self.counts.otherwise += 1,
                }
                *self.ends.entry(word.kind()).or_default() += 1;
                task.fate = Fate::Ended(word);
            }
            Fate::Open => {}
            Fate::NeverBegan(_) if word.denies() => {}
            Fate::NeverBegan(why) => {
                let what = format!("{id} exists, though it never began ({why}): {word:?}");
                self.wrong(what);
            }
            Fate::Ended(first) => {
                if let Err(what) = self.later.note(&id.value, first, &word, is_new) {
                    self.wrong(what);
                }
            }
        }
    }

    /// What to ask the master about: open for longer than `age`.
    pub fn doubtful(&self, age: Duration) -> Vec<(TaskId, Option<AgentId>)> {
        let open = self.open.iter().filter_map(|id| {
            let task = self.tasks.get(id)?;
            let is_old = task.launched.elapsed() >= age;
            is_old.then(|| (id.clone(), Some(task.agent_id.clone())))
        });
        open.collect()
    }

    /// The faults are over: whatever the master has not known for several answers does not exist.
    pub fn give_up_unknown(&mut self) {
        let is_unknown = |id: &&TaskId| {
            let task = self.tasks.get(id);
            task.is_some_and(|task| task.unknown >= UNKNOWN)
        };
        let unknown: Vec<TaskId> = self.open.iter().filter(is_unknown).cloned().collect();
        for id in unknown {
            self.never_began(&id, "unknown to the master after all faults");
        }
    }

    /// Whatever is believed not to exist without the word of an agent is asked for anew.
    pub fn ask_again(&mut self) {
        for task in self.tasks.values_mut().filter(|task| task.is_hearsay()) {
            task.is_answered = false;
        }
    }

    /// Of these, what is not answered yet: some.
    pub fn unanswered(&self) -> Vec<(TaskId, Option<AgentId>)> {
        let own = self.tasks.iter();
        let own = own.filter(|(_, task)| task.is_hearsay() && !task.is_answered);
        own.map(|(id, task)| (id.clone(), Some(task.agent_id.clone())))
            .take(AT_A_TIME)
            .collect()
    }

    /// Of those still open, for an error.
    pub fn describe_open(&self) -> String {
        let open = self.open.iter().take(5);
        let open = open.map(|id| format!("{id} {:?}", self.tasks.get(id)));
        open.collect::<Vec<String>>().join("; ")
    }

    /// What the driver has sent towards the master.
    pub fn sends(&mut self, call: &Call) {
        match call.r#type() {
            Type::Acknowledge => self.acknowledges(call),
            Type::Accept => {
                let accept = call.accept.iter();
                let launches = accept.flat_map(|own| &own.operations);
                let launches = launches.filter_map(|own| own.launch.as_ref());
                for task in launches.flat_map(|own| &own.task_infos) {
                    self.sends_launch(&task.task_id);
                }
            }
            _ => {}
        }
    }

    fn acknowledges(&mut self, call: &Call) {
        let Some(own) = &call.acknowledge else {
            return self.wrong("an acknowledgement of nothing".to_owned());
        };
        self.counts.acknowledgements += 1;
        let what = match self.updates.get(&own.uuid) {
            None => "which never came",
            Some(update) if !update.is_handled => "whose callback has not finished",
            Some(update)
                if update.task_id != own.task_id
                    || update.agent_id.as_ref() != Some(&own.agent_id) =>
            {
                "which is another task's"
            }
            Some(_) => return,
        };
        let what = format!("an update of {} was acknowledged {what}", own.task_id);
        self.wrong(what);
    }

    fn sends_launch(&mut self, task_id: &TaskId) {
        if !self.tasks.contains_key(task_id) {
            self.wrong(format!("{task_id} was sent, and never launched"));
        }
        if !self.sent.insert(task_id.clone()) {
            self.wrong(format!("the launch of {task_id} was sent twice"));
        }
    }

    /// Compares with what executors have marked. Nothing runs any more.
    pub fn compare(&mut self, marked: &Marked) {
        let mut wrong = Vec::new();
        for id in &marked.twice {
            wrong.push(format!("{id} began twice"));
        }
        for id in marked
            .began
            .iter()
            .filter(|id| !self.tasks.contains_key(id))
        {
            wrong.push(format!("{id} ran, and was never launched"));
        }
        for (id, task) in &self.tasks {
            let has_begun = marked.began.contains(id);
            match &task.fate {
                Fate::NeverBegan(why) if has_begun => {
                    wrong.push(format!("{id} ran, though it never began ({why})"));
                }
                Fate::Ended(word) if word.is_of_driver() && has_begun => {
                    wrong.push(format!("{id} ran, though its launch never left: {word:?}"));
                }
                Fate::Ended(word) if word.is_of_executor() && !has_begun => {
                    wrong.push(format!("{id} ended, and never ran: {word:?}"));
                }
                _ => {}
            }
        }
        self.violations.extend(wrong);
    }
}

impl Task {
    /// Its end is known from the master alone.
    fn is_hearsay(&self) -> bool {
        match &self.fate {
            Fate::Open => false,
            Fate::NeverBegan(_) => true,
            Fate::Ended(word) => word.denies() || word.is_of_driver(),
        }
    }
}

#[cfg(test)]
mod tests;
