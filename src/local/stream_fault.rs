//! Faults of single event streams, of the calls of executors, and of all that is written; and the end of all faults.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::agent::Agent;
use super::cluster::LocalCluster;
use super::core::Core;
use super::fault::{GARBAGE, refusal};
use super::stream::StreamFault;
use super::wire::{CallFault, Caller};
use crate::error::Result;
use crate::proto::{ExecutorId, FrameworkId};

/// Where and when connections break, and how late bytes come.
impl LocalCluster {
    /// Cuts the connection of a framework's event stream once `bytes` more bytes of records have been written to it.
    ///
    /// The bytes are those of records with their lengths, without the chunks around them; 0 cuts it at the next event. A
    /// stream that ends before has no such fault any more, and neither has the next one. False, and nothing happens, if
    /// the framework has no subscription. Undone by [`clear_faults`](Self::clear_faults).
    pub fn disconnect_framework_after(&self, framework_id: &FrameworkId, bytes: usize) -> bool {
        self.fault_framework(framework_id, StreamFault::After(bytes))
    }

    /// Cuts the connection of a framework's event stream in the middle of the next record.
    ///
    /// Else as [`disconnect_framework_after`](Self::disconnect_framework_after).
    pub fn disconnect_framework_in_record(&self, framework_id: &FrameworkId) -> bool {
        self.fault_framework(framework_id, StreamFault::InRecord)
    }

    fn fault_framework(&self, framework_id: &FrameworkId, fault: StreamFault) -> bool {
        self.core.run(|world| {
            let master = world.master.as_ref();
            master.is_some_and(|master| master.set_stream_fault(framework_id, fault))
        })
    }

    /// Cuts the connection of an executor's event stream once `bytes` more bytes of records have been written to it, on
    /// every agent that runs one of that id. False if none is subscribed.
    ///
    /// Else as [`disconnect_framework_after`](Self::disconnect_framework_after) and
    /// [`disconnect_executor`](Self::disconnect_executor).
    pub fn disconnect_executor_after(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
        bytes: usize,
    ) -> bool {
        let fault = StreamFault::After(bytes);
        self.on_executors(|agent| agent.set_stream_fault(framework_id, executor_id, fault))
    }

    /// Cuts the connection of an executor's event stream in the middle of the next record, on every agent that runs one
    /// of that id. False if none is subscribed.
    ///
    /// Else as [`disconnect_executor_after`](Self::disconnect_executor_after).
    pub fn disconnect_executor_in_record(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        let fault = StreamFault::InRecord;
        self.on_executors(|agent| agent.set_stream_fault(framework_id, executor_id, fault))
    }

    /// Writes bytes that are no record to an executor's event stream, on every agent that runs one of that id. False, and
    /// nothing happens, if none is subscribed.
    pub fn send_garbage_to_executor(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        let garbage = Bytes::from_static(GARBAGE);
        self.on_executors(|agent| agent.send_raw(framework_id, executor_id, garbage.clone()))
    }

    /// On how many agents `fault` did something: on any?
    fn on_executors(&self, fault: impl Fn(&Agent) -> bool) -> bool {
        self.core.run(|world| {
            let agents = world.agents.iter();
            agents.filter(|agent| fault(agent)).count() > 0
        })
    }

    /// Answers the next request to an agent's executor API with this status and text, and does not carry it out.
    ///
    /// Any call counts, of any executor on any agent. Asked for several times, together with
    /// [`lose_next_executor_answer`](Self::lose_next_executor_answer), it is for as many calls in that order.
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if `status` is none of a final answer: 200 to 599.
    pub fn refuse_next_executor_call(&self, status: u16, text: &str) -> Result<()> {
        let fault = refusal(status, text)?;
        self.wire().add_call_fault(Caller::Executor, fault);
        Ok(())
    }

    /// Carries the next request to an agent's executor API out, and closes its connection without an answer.
    ///
    /// Which calls count: see [`refuse_next_executor_call`](Self::refuse_next_executor_call).
    pub fn lose_next_executor_answer(&self) {
        let fault = CallFault::LoseAnswer;
        self.wire().add_call_fault(Caller::Executor, fault);
    }

    /// Writes all that master and agents send later by `delay`, until [`undelay_writes`](Self::undelay_writes): answers
    /// and events, each connection's in order. Calls are carried out when they come.
    ///
    /// Called again, the new delay holds for what is sent from then on; zero undoes it. Of what is held back, a cut
    /// connection loses all. To some only: [`delay_writes_of`](Self::delay_writes_of).
    pub fn delay_writes(&self, delay: Duration) {
        self.wire().set_delay(None, delay);
    }

    /// Writes everything that was held back by [`delay_writes`](Self::delay_writes), in order, and no more is.
    pub fn undelay_writes(&self) {
        self.wire().set_delay(None, Duration::ZERO);
    }

    /// Undoes all faults that last, partitions of agents among them, and forgets those that were asked for and have not
    /// happened yet. What is dead stays dead.
    pub fn clear_faults(&self) {
        self.core.clear_faults();
    }
}

impl Core {
    pub(super) fn clear_faults(self: &Arc<Self>) {
        self.config.wire.clear();
        self.run(|world| {
            if let Some(master) = &world.master {
                master.clear_stream_faults();
            }
            world.agents.iter().for_each(Agent::clear_stream_faults);
            world.heal_all();
        });
    }
}
