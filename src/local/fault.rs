//! Things that go wrong, at the wish of a test.

use bytes::Bytes;
use hyper::StatusCode;

use super::cluster::LocalCluster;
use super::wire::{CallFault, Caller, Wire};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{ExecutorId, FrameworkId};

/// What no decoder takes for the length of a record.
pub(super) const GARBAGE: &[u8] = b"this is no record\n";

/// Faults. What lasts stands until it is undone, whatever masters, frameworks and executors come and go meanwhile.
impl LocalCluster {
    /// Cuts the connection of a framework's event stream at once, without the end that a response has.
    ///
    /// The master takes the framework for disconnected: its failover time-out runs. False, and nothing happens, if it has
    /// no subscription.
    pub fn disconnect_framework(&self, framework_id: &FrameworkId) -> bool {
        self.core.run(|world| {
            let master = world.master.as_ref();
            master.is_some_and(|master| master.cut_stream(framework_id))
        })
    }

    /// Sends no scheduler, executor or operator any HEARTBEAT, until [`resume_heartbeats`](Self::resume_heartbeats). Other
    /// events are sent. Of some only: [`withhold_heartbeats_of`](Self::withhold_heartbeats_of).
    pub fn withhold_heartbeats(&self) {
        self.wire().set_heartbeats_withheld(None, true);
    }

    /// Sends heartbeats again, from the next one that is due.
    pub fn resume_heartbeats(&self) {
        self.wire().set_heartbeats_withheld(None, false);
    }

    /// Writes nothing to any event stream and closes none, until [`resume_streams`](Self::resume_streams): those of
    /// schedulers, of executors and of operators, and those that begin meanwhile. Answers to calls are written.
    /// Of some only: [`stall_streams_of`](Self::stall_streams_of).
    pub fn stall_streams(&self) {
        self.wire().set_streams_stalled(None, true);
    }

    /// Writes everything that was held back by [`stall_streams`](Self::stall_streams), in order.
    pub fn resume_streams(&self) {
        self.wire().set_streams_stalled(None, false);
    }

    /// Writes every byte that master and agents send by itself, until [`join_writes`](Self::join_writes). To some only:
    /// [`split_writes_of`](Self::split_writes_of).
    pub fn split_writes(&self) {
        self.wire().set_writes_split(None, true);
    }

    /// Ends [`split_writes`](Self::split_writes).
    pub fn join_writes(&self) {
        self.wire().set_writes_split(None, false);
    }

    /// Writes bytes that are no record to a framework's event stream. False, and nothing happens, if it has none.
    pub fn send_garbage(&self, framework_id: &FrameworkId) -> bool {
        self.core.run(|world| {
            let garbage = Bytes::from_static(GARBAGE);
            let master = world.master.as_ref();
            master.is_some_and(|master| master.send_raw(framework_id, garbage))
        })
    }

    /// Answers the next request to the scheduler API with this status and text, and does not carry it out.
    ///
    /// Any call counts, of any framework: SUBSCRIBE and acknowledgements too. Asked for several times, together with
    /// [`lose_next_answer`](Self::lose_next_answer), it is for as many calls in that order.
    /// # Errors
    /// [`ErrorKind::Config`] if `status` is none of a final answer: 200 to 599.
    pub fn refuse_next_call(&self, status: u16, text: &str) -> Result<()> {
        let fault = refusal(status, text)?;
        self.wire().add_call_fault(Caller::Scheduler, fault);
        Ok(())
    }

    /// Carries the next request to the scheduler API out, and closes its connection without an answer.
    ///
    /// Which calls count: see [`refuse_next_call`](Self::refuse_next_call). What was sent behind it on the same connection
    /// is not carried out.
    pub fn lose_next_answer(&self) {
        let fault = CallFault::LoseAnswer;
        self.wire().add_call_fault(Caller::Scheduler, fault);
    }

    /// Sends the next status update of an agent to its scheduler twice. Asked for several times, as many updates.
    pub fn duplicate_next_update(&self) {
        self.wire().add_duplicate();
    }

    /// Takes all offers back, and tells their frameworks. What they held is offered again at the next allocation.
    pub fn rescind_all_offers(&self) {
        self.core.run(|world| {
            if let Some(master) = &mut world.master {
                master.rescind_all();
            }
        });
    }

    /// Kills an executor with all its processes (SIGKILL), on every agent that runs one of that id. False if none does.
    pub fn kill_executor(&self, framework_id: &FrameworkId, executor_id: &ExecutorId) -> bool {
        self.core.run(|world| {
            let agents = world.agents.iter();
            let killed = agents.filter(|agent| agent.kill_executor(framework_id, executor_id));
            killed.count() > 0
        })
    }

    /// Cuts the connection of an executor's event stream at once, on every agent that runs one of that id. False if none
    /// is subscribed.
    ///
    /// An executor of a framework without checkpointing ends itself then; others subscribe again.
    pub fn disconnect_executor(
        &self,
        framework_id: &FrameworkId,
        executor_id: &ExecutorId,
    ) -> bool {
        self.core.run(|world| {
            let agents = world.agents.iter();
            let cut = agents.filter(|agent| agent.cut_stream(framework_id, executor_id));
            cut.count() > 0
        })
    }

    pub(super) fn wire(&self) -> &Wire {
        &self.core.config.wire
    }
}

/// The answer of a call that is refused.
pub(super) fn refusal(status: u16, text: &str) -> Result<CallFault> {
    let known = StatusCode::from_u16(status).ok();
    let Some(status) = known.filter(|_| (200..600).contains(&status)) else {
        let context = format!("{status} is not the status of an answer");
        return Err(Error::new(ErrorKind::Config, context));
    };
    Ok(CallFault::Refuse(status, text.to_owned()))
}
