//! What operations make of an offer.
//!
//! Source: `Resources::apply`, `src/common/resources.cpp`, and `Master::_accept`, `src/master/master.cpp` of Apache Mesos
//! 1.11.0.

use std::collections::BTreeSet;

use super::conversion::{Conversion, conversions};
use super::{Resources, format};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::offer::{Operation, operation};
use crate::proto::resource::AllocationInfo;
use crate::proto::{ExecutorId, ExecutorInfo, Offer, Resource, TaskInfo};

impl Resources {
    /// These resources after `operation`: what the next offer has, but for what tasks use.
    ///
    /// RESERVE, UNRESERVE, CREATE, DESTROY, `GROW_VOLUME` and `SHRINK_VOLUME` turn resources into others. LAUNCH and
    /// `LAUNCH_GROUP` take what their tasks and executors use; each executor counts once, and shared volumes stay.
    /// `CREATE_DISK` and `DESTROY_DISK` take their source, for what becomes of it comes with a later offer.
    ///
    /// Resources in the operation may be in either reservation format. Where they are not marked as allocated, they are
    /// taken to be allocated as `self` is, as the master does.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the operation is of unknown type, or a resource in it is not valid or not reserved where it
    /// must be; [`ErrorKind::Insufficient`] if `self` does not contain what the operation is about. Both in Mesos's words.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::offer::{Operation, operation};
    /// use mesos_framework::proto::resource::{ReservationInfo, reservation_info};
    /// use mesos_framework::resources::Resources;
    ///
    /// let offer = Resources::parse("cpus:4;mem:512")?;
    /// let reserved = Resources::parse("cpus:1")?.push_reservation(&ReservationInfo {
    ///     r#type: Some(reservation_info::Type::Dynamic.into()),
    ///     role: Some("web".to_owned()),
    ///     ..Default::default()
    /// })?;
    /// let reserve = Operation {
    ///     r#type: Some(operation::Type::Reserve.into()),
    ///     reserve: Some(operation::Reserve { resources: reserved.to_protos(), ..Default::default() }),
    ///     ..Default::default()
    /// };
    /// let next = offer.apply(&reserve)?;
    /// assert_eq!(next.to_string(), "cpus:3; mem:512; cpus(reservations: [(DYNAMIC,web)]):1");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Resources::apply`, `include/mesos/v1/resources.hpp`; `Offer.Operation`, mesos.proto.
    pub fn apply(&self, operation: &Operation) -> Result<Self> {
        self.applied(operation, &mut BTreeSet::new())
    }

    /// What is left of `offer` after `operations`, each on what the ones before it leave: all that the ACCEPT with them
    /// declines.
    ///
    /// Executors that run on the offer's agent already use nothing more. Volumes that are resized, which nothing else in
    /// the same ACCEPT can use, count as left.
    ///
    /// # Errors
    /// As of [`apply`](Self::apply), for the first operation that cannot be.
    ///
    /// Source: `Call.Accept`, scheduler.proto.
    pub fn left_of(offer: &Offer, operations: &[Operation]) -> Result<Self> {
        let mut running = offer
            .executor_ids
            .iter()
            .map(|id| id.value.clone())
            .collect();
        let mut left = Self::from_unchecked(&offer.resources);
        for operation in operations {
            left = left.applied(operation, &mut running)?;
        }
        Ok(left)
    }

    /// `running`: ids of the executors that need nothing more, to which those that the operation launches are added.
    fn applied(&self, operation: &Operation, running: &mut BTreeSet<String>) -> Result<Self> {
        let kind = operation.r#type();
        let failed = |error: ErrorKind, why: String| {
            Error::new(
                error,
                format!("{} cannot be applied: {why}", kind.as_str_name()),
            )
        };
        let mut operation = operation.clone();
        let allocation = self.allocation();
        for resource in resources_of(&mut operation) {
            Self::validate(std::slice::from_ref(resource))
                .map_err(|error| failed(ErrorKind::Config, error.to_string()))?;
            *resource = format::upgrade(std::mem::take(resource));
            if resource.allocation_info.is_none() {
                resource.allocation_info.clone_from(&allocation);
            }
        }
        let conversions = match used_up(&operation, running) {
            Some(used) => vec![used],
            None => conversions(&operation).map_err(|why| {
                failed(ErrorKind::Config, format!("Cannot get conversions: {why}"))
            })?,
        };
        self.converted(&conversions)
            .map_err(|why| failed(ErrorKind::Insufficient, why))
    }

    /// How all of them are allocated; `None` if they are not, or in different ways.
    fn allocation(&self) -> Option<AllocationInfo> {
        let mut all = self.entries.iter().map(|entry| &entry.kind.allocation_info);
        let first = all.next()?;
        all.all(|other| other == first).then(|| first.clone())?
    }
}

/// What the operation takes without giving anything for it at once; `None` if it only converts.
fn used_up(operation: &Operation, running: &mut BTreeSet<String>) -> Option<Conversion> {
    let used: Resources = match operation.r#type() {
        operation::Type::Launch => {
            let tasks = operation.launch.iter().flat_map(|own| &own.task_infos);
            let tasks = tasks.map(|task| of_task(task, task.executor.as_ref(), running));
            tasks.sum()
        }
        operation::Type::LaunchGroup => {
            let group = operation.launch_group.as_ref()?;
            let tasks = group.task_group.tasks.iter();
            let tasks = tasks.map(|task| of_task(task, Some(&group.executor), running));
            tasks.sum()
        }
        operation::Type::CreateDisk => {
            let source = &operation.create_disk.as_ref()?.source;
            Resources::from_unchecked(std::slice::from_ref(source))
        }
        operation::Type::DestroyDisk => {
            let source = &operation.destroy_disk.as_ref()?.source;
            Resources::from_unchecked(std::slice::from_ref(source))
        }
        operation::Type::Reserve
        | operation::Type::Unreserve
        | operation::Type::Create
        | operation::Type::Destroy
        | operation::Type::GrowVolume
        | operation::Type::ShrinkVolume
        | operation::Type::Unknown => return None,
    };
    // Shared volumes must be there, but are not used up.
    let shared = used.shared().once_each();
    let consumed = used.not_shared() + &shared;
    Some(Conversion::new(consumed, shared))
}

fn of_task(
    task: &TaskInfo,
    executor: Option<&ExecutorInfo>,
    running: &mut BTreeSet<String>,
) -> Resources {
    let mut used = Resources::from_unchecked(&task.resources);
    if let Some(executor) = executor {
        let ExecutorId { value: id } = &executor.executor_id;
        if running.insert(id.clone()) {
            used += Resources::from_unchecked(&executor.resources);
        }
    }
    used
}

/// All resources that the operation speaks of.
fn resources_of(operation: &mut Operation) -> Vec<&mut Resource> {
    let mut all: Vec<&mut Resource> = Vec::new();
    let launched = operation.launch.iter_mut();
    let mut tasks: Vec<&mut TaskInfo> = launched.flat_map(|own| &mut own.task_infos).collect();
    if let Some(own) = &mut operation.launch_group {
        all.extend(&mut own.executor.resources);
        tasks.extend(&mut own.task_group.tasks);
    }
    for task in tasks {
        all.extend(&mut task.resources);
        all.extend(task.executor.iter_mut().flat_map(|own| &mut own.resources));
    }
    if let Some(own) = &mut operation.reserve {
        all.extend(own.source.iter_mut().chain(&mut own.resources));
    }
    if let Some(own) = &mut operation.unreserve {
        all.extend(&mut own.resources);
    }
    if let Some(own) = &mut operation.create {
        all.extend(&mut own.volumes);
    }
    if let Some(own) = &mut operation.destroy {
        all.extend(&mut own.volumes);
    }
    if let Some(own) = &mut operation.grow_volume {
        all.extend([&mut own.volume, &mut own.addition]);
    }
    if let Some(own) = &mut operation.shrink_volume {
        all.push(&mut own.volume);
    }
    all.extend(operation.create_disk.iter_mut().map(|own| &mut own.source));
    all.extend(operation.destroy_disk.iter_mut().map(|own| &mut own.source));
    all
}
