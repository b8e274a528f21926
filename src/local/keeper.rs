//! The task that writes down, in a work directory that is kept, what a later cluster recovers.

use std::sync::Arc;

use super::agent::Checkpoint;
use super::core::Core;
use super::registry::Registry;
use super::store::Store;

/// What is on the disk, and where.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Store,
    registry: Option<Registry>,
    agents: Vec<Option<Checkpoint>>,
}

impl Keeper {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            registry: None,
            agents: Vec::new(),
        }
    }

    /// Writes what has changed, which may be told then. Of what cannot be written, a warning says so, and the next change
    /// tries again: a cluster is of more use without its files than silent.
    pub(super) async fn keep(&mut self, core: &Core) {
        let gate = core.config.wire.gate();
        let number = gate.last();
        self.write(core).await;
        gate.written(number);
    }

    async fn write(&mut self, core: &Core) {
        let (registry, agents) = core.look(|world| {
            let registry = world.registry();
            let is_new = self.registry.as_ref() != Some(registry);
            let agents = 0..world.agents.len();
            let changed: Vec<_> = agents
                .filter_map(|index| Some((index, world.checkpoint(index)?)))
                .filter(|(index, now)| {
                    self.agents.get(*index).and_then(Option::as_ref) != Some(now)
                })
                .collect();
            (is_new.then(|| registry.clone()), changed)
        });
        if let Some(registry) = registry {
            match self.store.write_registry(&registry).await {
                Ok(()) => self.registry = Some(registry),
                Err(error) => tracing::warn!(%error, "registry not written"),
            }
        }
        for (index, agent) in agents {
            match self.store.write_agent(index, &agent).await {
                Ok(()) => {
                    let places = self.agents.len().max(index + 1);
                    self.agents.resize(places, None);
                    self.agents[index] = Some(agent);
                }
                Err(error) => tracing::warn!(%error, index, "agent not written"),
            }
        }
    }

    /// Writes whatever changes, until the cluster has ended.
    pub(super) fn start(mut self, core: &Arc<Core>) {
        core.config.wire.gate().keep();
        let (core, tasks) = (Arc::clone(core), core.tasks.clone());
        tasks.spawn(async move {
            let mut changed = core.changed.subscribe();
            loop {
                self.keep(&core).await;
                tokio::select! {
                    _ = changed.changed() => {}
                    () = core.stop.cancelled() => break,
                }
            }
            self.keep(&core).await;
            core.config.wire.gate().open();
        });
    }
}
