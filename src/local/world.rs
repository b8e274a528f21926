//! All state of a cluster, and how messages pass between its master and its agents.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::agent::leftovers::Leftover;
use super::agent::{Agent, Checkpoint, Chore, Launch, Run};
use super::agents::Agents;
use super::machine::{Held, Machine};
use super::master::Master;
use super::masters::Masters;
use super::registry::Registry;

/// The state; nothing in it waits or does I/O, but for queueing events to subscribers.
#[derive(Debug)]
pub(super) struct World {
    /// The leading one; `None` while there is none.
    pub(super) master: Option<Master>,
    /// Which masters there are.
    pub(super) masters: Masters,
    /// What the last master left behind; the living one has it.
    pub(super) registry: Registry,
    pub(super) agents: Agents,
    /// Those of the agents, in their order.
    pub(super) machines: Vec<Machine>,
}

impl World {
    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let agents = self.agents.next_deadline();
        let master = self.master.as_ref().and_then(Master::next_deadline);
        let agents = agents.into_iter().chain(master);
        agents.chain(self.masters_deadline()).min()
    }

    /// Tells everybody what time it is, without doing what is due.
    pub(super) fn set_now(&mut self, now: Instant) {
        if let Some(master) = &mut self.master {
            master.set_now(now);
        }
        self.agents.set_now(now);
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        if let Some(master) = &mut self.master {
            master.tick();
        }
        self.agents.tick();
    }

    /// What agents want done to the disk.
    pub(super) fn take_chores(&mut self) -> Vec<Chore> {
        self.agents.take_chores()
    }

    /// Passes messages until there is none, allocates if that is called for, and gives the processes to start.
    pub(super) fn settle(&mut self) -> Vec<Launch> {
        loop {
            let has_passed = self.pass_messages();
            let has_ended = self.end_finished_agents();
            if !has_passed && !has_ended {
                break;
            }
        }
        let launches = self.agents.rest();
        for launch in &launches {
            if let Some(machine) = self.machines.get_mut(launch.agent) {
                machine.container_started(&launch.run.container_id, launch.kill.clone());
            }
        }
        launches
    }

    /// Whether there was a message. Those to and from dead ones are lost, as on the wire; those to and from partitioned
    /// ones wait, as in TCP.
    fn pass_messages(&mut self) -> bool {
        let mut is_any = false;
        if let Some(master) = &mut self.master {
            master.allocate_if_needed();
            for (index, message) in master.take_outbox() {
                is_any = true;
                let machine = self.machines.get_mut(index);
                if let Some(machine) = machine.filter(|machine| machine.is_partitioned) {
                    machine.held.keep_for_agent(message);
                    continue;
                }
                if let Some(agent) = self.agents.get_mut(index) {
                    agent.receive(message);
                }
            }
        }
        for (index, message) in self.agents.take_messages() {
            is_any = true;
            let machine = self.machines.get_mut(index);
            match (
                machine.filter(|machine| machine.is_partitioned),
                &mut self.master,
            ) {
                (Some(machine), _) => machine.held.keep_for_master(message),
                (None, Some(master)) => master.receive(index, message),
                (None, None) => {}
            }
        }
        is_any
    }

    /// Whether an agent that was told to shut down has now done so.
    fn end_finished_agents(&mut self) -> bool {
        let finished = self.agents.finished();
        for index in &finished {
            self.end_agent(*index);
        }
        !finished.is_empty()
    }

    /// Cuts an agent off from the master. False if there is none.
    pub(super) fn partition(&mut self, index: usize) -> bool {
        let machine = self.machines.get_mut(index);
        machine.is_some_and(|machine| {
            machine.is_partitioned = true;
            true
        })
    }

    /// Ends all partitions.
    pub(super) fn heal_all(&mut self) {
        for index in 0..self.machines.len() {
            self.heal(index);
        }
    }

    /// Ends a partition: what was said meanwhile arrives, unless it was too much. False if there is no such agent.
    pub(super) fn heal(&mut self, index: usize) -> bool {
        let Some(machine) = self.machines.get_mut(index) else {
            return false;
        };
        if !std::mem::take(&mut machine.is_partitioned) {
            return true;
        }
        let held = machine.held.take();
        let is_dead = machine.checkpoint.is_some();
        match (held.filter(|_| !is_dead), &mut self.master) {
            (Some((to_agent, to_master)), Some(master)) => {
                to_master
                    .into_iter()
                    .for_each(|message| master.receive(index, message));
                if let Some(agent) = self.agents.get_mut(index) {
                    to_agent
                        .into_iter()
                        .for_each(|message| agent.receive(message));
                }
            }
            // The connection has broken, or there is nobody at its other end.
            (None, Some(master)) => drop(master.agent_exited(index)),
            (_, None) => {}
        }
        true
    }

    /// Ends an agent as SIGKILL would; its executors are told by their connections only. False if there is none.
    pub(super) fn end_agent(&mut self, index: usize) -> bool {
        let Some((agent, machine)) = self.at(index) else {
            return false;
        };
        if machine.checkpoint.is_some() {
            return false;
        }
        let checkpoint = agent.end();
        machine.checkpoint = Some(checkpoint);
        machine.held = Held::default();
        if let Some(listener) = machine.listener.take() {
            listener.cancel();
        }
        let is_noticed = !machine.is_partitioned;
        if let Some(master) = &mut self.master
            && is_noticed
        {
            master.agent_exited(index);
        }
        true
    }

    /// Whether there is such an agent, and its process has ended.
    pub(super) fn is_agent_dead(&self, index: usize) -> bool {
        let machine = self.machines.get(index);
        machine.is_some_and(|machine| machine.checkpoint.is_some())
    }

    /// Ends all agents at once, as the end of their machines would, so that what ends with the cluster is found ended by
    /// a later one. Nobody is told.
    pub(super) fn freeze(&mut self) {
        for (agent, machine) in self.agents.iter_mut().zip(&mut self.machines) {
            if machine.checkpoint.is_none() {
                machine.checkpoint = Some(agent.end());
            }
        }
    }

    /// What an agent that has an id has on its disk.
    pub(super) fn checkpoint(&self, index: usize) -> Option<Checkpoint> {
        let left = self.machines.get(index)?.checkpoint.clone();
        let checkpoint = left.or_else(|| Some(self.agents.get(index)?.checkpoint()))?;
        checkpoint.info.id.is_some().then_some(checkpoint)
    }

    /// Has the agents be those that they were in an earlier cluster, some of whose containers were `found` running.
    pub(super) fn recover_agents(&mut self, before: Vec<Option<Checkpoint>>, found: &[Leftover]) {
        for left in found {
            if let Some(machine) = self.machines.get_mut(left.agent) {
                machine.container_started(&left.run.container_id, left.kill.clone());
            }
        }
        for (index, before) in before.into_iter().enumerate() {
            if let Some((agent, machine)) = self.at(index)
                && let Some(before) = before
            {
                agent.recover(before, |container_id| machine.find(container_id));
            }
        }
    }

    /// Has an agent begin again with what the one before left on its disk, if that has ended.
    pub(super) fn revive_agent(&mut self, index: usize) {
        let Some((agent, machine)) = self.at(index) else {
            return;
        };
        if let Some(checkpoint) = machine.checkpoint.take() {
            agent.revive(checkpoint, |container_id| machine.find(container_id));
            machine.forget_ended();
        }
    }

    /// A container of an agent has ended with this raw wait status.
    pub(super) fn container_ended(&mut self, index: usize, run: &Run, status: i32) {
        if let Some((agent, machine)) = self.at(index) {
            machine.container_ended(&run.container_id, status);
            agent.container_ended(run, status);
        }
    }

    pub(super) fn address_of(&self, index: usize) -> Option<SocketAddr> {
        self.agents.get(index).map(Agent::address)
    }

    fn at(&mut self, index: usize) -> Option<(&mut Agent, &mut Machine)> {
        self.agents.get_mut(index).zip(self.machines.get_mut(index))
    }
}
