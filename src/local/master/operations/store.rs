//! The operations that a master knows of.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

use crate::proto::{AgentId, FrameworkId, Operation, OperationId};

/// Operations until their end is acknowledged.
#[derive(Debug, Default)]
pub(in crate::local::master) struct Operations {
    /// By uuid, with a number that grows with each.
    known: BTreeMap<Bytes, (u64, Operation)>,
    next: u64,
}

impl Operations {
    /// Whether it is new; one that is known already is left as it is.
    pub(in crate::local::master) fn insert(&mut self, operation: Operation) -> bool {
        let number = self.next;
        self.next += 1;
        let entry = self.known.entry(operation.uuid.value.clone());
        let is_new = matches!(entry, Entry::Vacant(_));
        entry.or_insert((number, operation));
        is_new
    }

    pub(in crate::local::master) fn get_mut(&mut self, uuid: &Bytes) -> Option<&mut Operation> {
        self.known.get_mut(uuid).map(|(_, operation)| operation)
    }

    pub(in crate::local::master) fn remove(&mut self, uuid: &Bytes) {
        self.known.remove(uuid);
    }

    /// Forgets those on one agent, and hands them out in their order.
    pub(in crate::local::master) fn take_on(&mut self, agent_id: &AgentId) -> Vec<Operation> {
        let is_there = |operation: &Operation| operation.agent_id.as_ref() == Some(agent_id);
        let (taken, kept) = std::mem::take(&mut self.known)
            .into_iter()
            .partition(|(_, (_, operation))| is_there(operation));
        self.known = kept;
        let taken: BTreeMap<Bytes, (u64, Operation)> = taken;
        let mut taken: Vec<(u64, Operation)> = taken.into_values().collect();
        taken.sort_by_key(|(number, _)| *number);
        taken.into_iter().map(|(_, operation)| operation).collect()
    }

    pub(in crate::local::master) fn iter(&self) -> impl Iterator<Item = &Operation> {
        self.known.values().map(|(_, operation)| operation)
    }

    pub(in crate::local::master) fn of<'a>(
        &'a self,
        framework_id: &'a FrameworkId,
    ) -> impl Iterator<Item = &'a Operation> {
        self.iter()
            .filter(move |operation| operation.framework_id.as_ref() == Some(framework_id))
    }

    /// The framework's operation with this id; the last of several.
    pub(in crate::local::master) fn find(
        &self,
        framework_id: &FrameworkId,
        id: &OperationId,
    ) -> Option<&Operation> {
        let named = self.known.values().filter(|(_, operation)| {
            operation.framework_id.as_ref() == Some(framework_id)
                && operation.info.id.as_ref() == Some(id)
        });
        let last = named.max_by_key(|(number, _)| *number);
        last.map(|(_, operation)| operation)
    }
}
