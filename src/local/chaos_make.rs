//! How the faults of chaos are made, and undone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;

use super::chaos_fault::ChaosFault;
use super::chaos_plan::Step;
use super::core::Core;
use super::fault::GARBAGE;
use super::stream::StreamFault;
use super::wire::{CallFault, Caller};
use super::world::World;
use crate::proto::{ExecutorId, FrameworkId};

/// Longest distance of a cut from the moment it is asked for, in bytes of records.
const MAX_DISTANCE: u64 = 2048;

/// What a fault has broken, until it is made whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Broken {
    /// Something of all connections.
    Wire(ChaosFault),
    /// An agent is cut off.
    Partition(usize),
    /// Masters are dead.
    Masters,
    /// An agent is dead.
    Agent(usize),
}

/// Whom chaos has killed and not started again.
#[derive(Debug, Default)]
pub(super) struct Dead(Mutex<BTreeSet<Broken>>);

impl Dead {
    fn all(&self) -> MutexGuard<'_, BTreeSet<Broken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts all of them again.
    pub(super) async fn revive(&self, core: &Arc<Core>) {
        let all = self.all().clone();
        for broken in all {
            revive(core, self, broken).await;
        }
    }
}

impl Broken {
    /// Whether somebody is dead, who takes a while to start again.
    pub(super) fn is_death(self) -> bool {
        matches!(self, Self::Masters | Self::Agent(_))
    }
}

/// Makes the fault of `step`, if it meets anybody; what is to be undone later.
pub(super) fn make(core: &Arc<Core>, step: &Step, dead: &Dead) -> Option<Broken> {
    let broken = match step.fault {
        ChaosFault::RefuseCall
        | ChaosFault::LoseAnswer
        | ChaosFault::RefuseExecutorCall
        | ChaosFault::LoseExecutorAnswer => {
            spoil_call(core, step.fault);
            None
        }
        ChaosFault::WithholdHeartbeats
        | ChaosFault::Stall
        | ChaosFault::Split
        | ChaosFault::Delay => {
            spoil_wire(core, step.fault, true, step.duration / 10);
            Some(Broken::Wire(step.fault))
        }
        ChaosFault::DuplicateUpdate => {
            core.config.wire.add_duplicate();
            None
        }
        ChaosFault::KillMaster | ChaosFault::LoseRegistry | ChaosFault::Elect => {
            end_master(core, step.fault).then_some(Broken::Masters)
        }
        _ => core.run(|world| break_one(world, step)),
    };
    if let Some(own) = broken.filter(|broken| broken.is_death()) {
        dead.all().insert(own);
    }
    broken
}

/// Undoes what a fault has done, but for deaths.
pub(super) fn mend(core: &Arc<Core>, broken: Broken) {
    match broken {
        Broken::Wire(fault) => spoil_wire(core, fault, false, Duration::ZERO),
        Broken::Partition(index) => drop(core.run(|world| world.heal(index))),
        Broken::Masters | Broken::Agent(_) => {}
    }
}

/// Starts again who is dead, unless somebody else has done it.
pub(super) async fn revive(core: &Arc<Core>, dead: &Dead, broken: Broken) {
    let done = match broken {
        Broken::Masters => core.start_dead_masters().await,
        Broken::Agent(index) if core.look(|world| world.is_agent_dead(index)) => {
            core.restart_agent(index).await
        }
        Broken::Agent(_) | Broken::Wire(_) | Broken::Partition(_) => Ok(()),
    };
    match done {
        Ok(()) => drop(dead.all().remove(&broken)),
        Err(error) => tracing::warn!(%error, ?broken, "chaos: not started again"),
    }
}

fn spoil_wire(core: &Core, fault: ChaosFault, is_on: bool, delay: Duration) {
    let wire = &core.config.wire;
    match fault {
        ChaosFault::WithholdHeartbeats => wire.set_heartbeats_withheld(None, is_on),
        ChaosFault::Stall => wire.set_streams_stalled(None, is_on),
        ChaosFault::Split => wire.set_writes_split(None, is_on),
        _ => wire.set_delay(None, delay),
    }
}

/// The next call gets its fault, unless it has one: more would add up while nobody calls.
fn spoil_call(core: &Core, fault: ChaosFault) {
    let wire = &core.config.wire;
    let caller = match fault {
        ChaosFault::RefuseCall | ChaosFault::LoseAnswer => Caller::Scheduler,
        _ => Caller::Executor,
    };
    if wire.has_call_fault(caller) {
        return;
    }
    let fault = match fault {
        ChaosFault::RefuseCall | ChaosFault::RefuseExecutorCall => {
            CallFault::Refuse(StatusCode::SERVICE_UNAVAILABLE, "chaos".to_owned())
        }
        _ => CallFault::LoseAnswer,
    };
    wire.add_call_fault(caller, fault);
}

/// Whether a leader has ended.
fn end_master(core: &Arc<Core>, fault: ChaosFault) -> bool {
    let (leading, next) = core.look(|world| (world.masters.leading(), world.masters.next()));
    if leading.is_none() {
        return false;
    }
    match (fault, next) {
        (ChaosFault::Elect, Some(next)) => core.elect(next),
        (ChaosFault::Elect, None) => return false,
        (ChaosFault::LoseRegistry, _) => core.kill_master_and_registry(),
        _ => core.kill_master(),
    }
    true
}

/// Faults of one framework, agent or executor, if there is any; and of all offers.
fn break_one(world: &mut World, step: &Step) -> Option<Broken> {
    match step.fault {
        ChaosFault::KillAgent | ChaosFault::PartitionAgent | ChaosFault::DisconnectAgent => {
            return break_agent(world, step);
        }
        ChaosFault::Rescind => {
            if let Some(master) = &mut world.master {
                master.rescind_all();
            }
        }
        ChaosFault::Disconnect
        | ChaosFault::DisconnectAfter
        | ChaosFault::DisconnectInRecord
        | ChaosFault::Garbage => break_framework(world, step),
        _ => break_executor(world, step),
    }
    None
}

fn break_agent(world: &mut World, step: &Step) -> Option<Broken> {
    let living = (0..world.agents.len()).filter(|index| !world.is_agent_dead(*index));
    let living: Vec<usize> = living.collect();
    let index = *chosen(&living, step.number)?;
    match step.fault {
        ChaosFault::KillAgent => world.end_agent(index).then_some(Broken::Agent(index)),
        ChaosFault::PartitionAgent => world.partition(index).then_some(Broken::Partition(index)),
        _ => {
            if let Some(master) = &mut world.master {
                master.agent_exited(index);
            }
            None
        }
    }
}

fn break_framework(world: &World, step: &Step) {
    let Some(master) = &world.master else {
        return;
    };
    let subscribed: Vec<FrameworkId> = master.subscribed_frameworks();
    let Some(id) = chosen(&subscribed, step.number) else {
        return;
    };
    match step.fault {
        ChaosFault::Disconnect => master.cut_stream(id),
        ChaosFault::DisconnectAfter => master.set_stream_fault(id, cut_after(step)),
        ChaosFault::DisconnectInRecord => master.set_stream_fault(id, StreamFault::InRecord),
        _ => master.send_raw(id, Bytes::from_static(GARBAGE)),
    };
}

fn break_executor(world: &World, step: &Step) {
    let agents = world.agents.iter();
    let subscribed: Vec<_> = agents
        .flat_map(|agent| {
            let own = agent.subscribed_executors();
            own.into_iter().map(move |executor| (agent, executor))
        })
        .collect();
    let Some((agent, executor)) = chosen(&subscribed, step.number) else {
        return;
    };
    let (framework_id, id): &(FrameworkId, ExecutorId) = executor;
    match step.fault {
        ChaosFault::KillExecutor => agent.kill_executor(framework_id, id),
        ChaosFault::DisconnectExecutor => agent.cut_stream(framework_id, id),
        ChaosFault::DisconnectExecutorAfter => {
            agent.set_stream_fault(framework_id, id, cut_after(step))
        }
        ChaosFault::GarbageToExecutor => {
            agent.send_raw(framework_id, id, Bytes::from_static(GARBAGE))
        }
        _ => agent.set_stream_fault(framework_id, id, StreamFault::InRecord),
    };
}

fn cut_after(step: &Step) -> StreamFault {
    let distance = step.number / 7 % MAX_DISTANCE;
    StreamFault::After(usize::try_from(distance).unwrap_or_default())
}

fn chosen<T>(among: &[T], number: u64) -> Option<&T> {
    let count = u64::try_from(among.len()).unwrap_or(u64::MAX);
    let index = number.checked_rem(count)?;
    among.get(usize::try_from(index).unwrap_or_default())
}
