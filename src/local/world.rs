//! All state of a cluster, and how messages pass between its master and its agents.

use tokio::time::Instant;

use super::agent::{Agent, Launch};
use super::master::Master;

/// The state; nothing in it waits or does I/O, but for queueing events to subscribers.
#[derive(Debug)]
pub(super) struct World {
    /// `None` while the master is dead.
    pub(super) master: Option<Master>,
    pub(super) agents: Vec<Agent>,
}

impl World {
    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let agents = self.agents.iter().filter_map(Agent::next_deadline);
        let master = self.master.as_ref().and_then(Master::next_deadline);
        agents.chain(master).min()
    }

    /// Tells everybody what time it is, without doing what is due.
    pub(super) fn set_now(&mut self, now: Instant) {
        if let Some(master) = &mut self.master {
            master.set_now(now);
        }
        for agent in &mut self.agents {
            agent.set_now(now);
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self) {
        if let Some(master) = &mut self.master {
            master.tick();
        }
        for agent in &mut self.agents {
            agent.tick();
        }
    }

    /// Passes messages until there is none, allocates if that is called for, and gives the processes to start.
    ///
    /// What agents say to a dead master is lost, as on the wire.
    pub(super) fn settle(&mut self) -> Vec<Launch> {
        loop {
            let mut is_quiet = true;
            if let Some(master) = &mut self.master {
                master.allocate_if_needed();
                for (index, message) in master.take_outbox() {
                    is_quiet = false;
                    if let Some(agent) = self.agents.get_mut(index) {
                        agent.receive(message);
                    }
                }
            }
            for (index, agent) in self.agents.iter_mut().enumerate() {
                for message in agent.take_outbox() {
                    is_quiet = false;
                    if let Some(master) = &mut self.master {
                        master.receive(index, message);
                    }
                }
            }
            if is_quiet {
                break;
            }
        }
        self.agents
            .iter_mut()
            .flat_map(Agent::take_launches)
            .collect()
    }
}
