//! The agents of a cluster, of which a change concerns few: only those are asked what follows from it.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::agent::{Agent, Chore, Launch};
use super::messages::ToMaster;

/// All agents, in their order. Whoever gets one to change stirs it.
#[derive(Debug)]
pub(super) struct Agents {
    all: Vec<Agent>,
    now: Instant,
    /// Changed since [`Agents::rest`]: only these can have messages, launches or another deadline than before.
    stirred: BTreeSet<usize>,
    /// The next deadline of each that has one, as of when it last came to rest.
    deadlines: BTreeSet<(Instant, usize)>,
    /// The same, by agent.
    deadline_of: Vec<Option<Instant>>,
    /// What those that have come to rest want done to the disk.
    chores: Vec<Chore>,
}

impl FromIterator<Agent> for Agents {
    fn from_iter<I: IntoIterator<Item = Agent>>(agents: I) -> Self {
        let all: Vec<Agent> = agents.into_iter().collect();
        Self {
            now: Instant::now(),
            stirred: (0..all.len()).collect(),
            deadlines: BTreeSet::new(),
            deadline_of: vec![None; all.len()],
            chores: Vec::new(),
            all,
        }
    }
}

impl Agents {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Agent> {
        self.all.iter()
    }

    /// Adds one behind the others.
    pub(super) fn push(&mut self, agent: Agent) {
        self.stirred.insert(self.all.len());
        self.all.push(agent);
        self.deadline_of.push(None);
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Agent> {
        self.all.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Agent> {
        let agent = self.all.get_mut(index)?;
        self.stirred.insert(index);
        agent.set_now(self.now);
        Some(agent)
    }

    /// All of them, which stirs all of them.
    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Agent> {
        self.stirred.extend(0..self.all.len());
        let now = self.now;
        for agent in &mut self.all {
            agent.set_now(now);
        }
        self.all.iter_mut()
    }

    /// Tells the time to those that are changed from now on.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// When something is due, as of when they last came to rest.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        let due = self.deadlines.iter().take_while(|(at, _)| *at <= self.now);
        let due: Vec<usize> = due.map(|(_, index)| *index).collect();
        for index in due {
            if let Some(agent) = self.get_mut(index) {
                agent.tick();
            }
        }
    }

    /// What they have to say to the master, by whom; in the order of the agents.
    pub(super) fn take_messages(&mut self) -> Vec<(usize, ToMaster)> {
        let mut messages = Vec::new();
        for index in &self.stirred {
            let outbox = self.all[*index].take_outbox();
            messages.extend(outbox.into_iter().map(|message| (*index, message)));
        }
        messages
    }

    /// Those among the changed that were told to shut down and have now done so.
    pub(super) fn finished(&self) -> Vec<usize> {
        let stirred = self.stirred.iter().copied();
        stirred
            .filter(|index| self.all[*index].is_finished())
            .collect()
    }

    /// What they want done to the disk, since they have come to rest.
    pub(super) fn take_chores(&mut self) -> Vec<Chore> {
        std::mem::take(&mut self.chores)
    }

    /// Ends a change: what it has them start.
    pub(super) fn rest(&mut self) -> Vec<Launch> {
        let mut launches = Vec::new();
        for index in std::mem::take(&mut self.stirred) {
            let agent = &mut self.all[index];
            launches.extend(agent.take_launches());
            self.chores.extend(agent.take_chores());
            let (before, after) = (self.deadline_of[index], agent.next_deadline());
            if before == after {
                continue;
            }
            if let Some(before) = before {
                self.deadlines.remove(&(before, index));
            }
            if let Some(after) = after {
                self.deadlines.insert((after, index));
            }
            self.deadline_of[index] = after;
        }
        launches
    }
}
