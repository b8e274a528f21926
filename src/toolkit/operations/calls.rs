//! The calls that begin operations.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::table::Entry;
use super::{Operations, PendingOperation, Shared};
use crate::driver::{Outcome, Watcher};
use crate::error::{Error, ErrorKind, Result};
use crate::proto::offer::{Operation, operation};
use crate::proto::{
    Filters, Offer, OfferId, OperationId, OperationStatus, Resource, ResourceProviderId,
};
use crate::scheduler::SchedulerHandle;

/// An operation that is to be followed.
struct Followed {
    operation_id: OperationId,
    kind: operation::Type,
    provider_id: Option<ResourceProviderId>,
}

impl Operations {
    /// Reserves `resources` of an offer, and waits for the end.
    ///
    /// `resources`: as they shall be, each with the dynamic reservation on top; its role is that of the offer, its
    /// principal that of the framework. The offer is used up; what is left of it is offered again after the filters.
    ///
    /// # Errors
    /// As [`PendingOperation::end`] and [`accept`](Self::accept).
    ///
    /// # Cancel safety
    /// Dropped before the call is queued, nothing happens; dropped later, the operation goes its way. To tell the two
    /// apart, [`accept`](Self::accept) it.
    ///
    /// Source: `Offer.Operation.Reserve`, mesos.proto.
    pub async fn reserve(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        resources: Vec<Resource>,
    ) -> Result<OperationStatus> {
        let operation = Operation::reserve(resources);
        self.single(driver, offer, operation).await
    }

    /// Gives the topmost dynamic reservation of `resources` of an offer up, and waits for the end.
    ///
    /// `resources`: as they are on offer; without persistent volumes, which are to be destroyed before.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    /// As [`reserve`](Self::reserve).
    ///
    /// Source: `Offer.Operation.Unreserve`, mesos.proto.
    pub async fn unreserve(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        resources: Vec<Resource>,
    ) -> Result<OperationStatus> {
        let operation = Operation::unreserve(resources);
        self.single(driver, offer, operation).await
    }

    /// Creates persistent volumes on reserved disk of an offer, and waits for the end.
    ///
    /// `volumes`: disk resources as they shall be, with `disk.persistence` and `disk.volume`.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    /// As [`reserve`](Self::reserve).
    ///
    /// Source: `Offer.Operation.Create`, mesos.proto.
    pub async fn create(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        volumes: Vec<Resource>,
    ) -> Result<OperationStatus> {
        let operation = Operation::create(volumes);
        self.single(driver, offer, operation).await
    }

    /// Destroys persistent volumes of an offer with all that is in them, and waits for the end.
    ///
    /// `volumes`: as they are on offer; no task may use them.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    /// As [`reserve`](Self::reserve).
    ///
    /// Source: `Offer.Operation.Destroy`, mesos.proto.
    pub async fn destroy(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        volumes: Vec<Resource>,
    ) -> Result<OperationStatus> {
        let operation = Operation::destroy(volumes);
        self.single(driver, offer, operation).await
    }

    /// Makes a persistent volume of an offer larger by `addition`, disk of the same kind, and waits for the end.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    /// As [`reserve`](Self::reserve).
    ///
    /// Source: `Offer.Operation.GrowVolume`, mesos.proto, which calls it experimental.
    pub async fn grow_volume(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        volume: Resource,
        addition: Resource,
    ) -> Result<OperationStatus> {
        let operation = Operation::grow_volume(volume, addition);
        self.single(driver, offer, operation).await
    }

    /// Makes a persistent volume of an offer smaller by `subtract` (MB), and waits for the end.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    ///
    /// # Cancel safety
    /// As [`reserve`](Self::reserve).
    ///
    /// Source: `Offer.Operation.ShrinkVolume`, mesos.proto, which calls it experimental.
    pub async fn shrink_volume(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        volume: Resource,
        subtract: f64,
    ) -> Result<OperationStatus> {
        let operation = Operation::shrink_volume(volume, subtract);
        self.single(driver, offer, operation).await
    }

    /// Queues any operations on the resources of `offers`, and answers promises of how they end: one for each operation
    /// but launches, which have no feedback but the statuses of their tasks. In the order of `operations`.
    ///
    /// `offers`: one or more, all of one agent and role; they are used up. `operations`: applied in order, each of which
    /// sees the result of those before; it is no transaction. Ids are made where there is none. What is left over is
    /// declined with the filters of the settings.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for no offers, for a launch with an id, for an id that is pending, for more operations than
    /// are followed at once, and if this is not told what happens ([`Observed`](crate::toolkit::Observed));
    /// [`ErrorKind::Disconnected`] without a subscription; [`ErrorKind::StaleOffer`] with a ledger in which an offer is
    /// not live; [`ErrorKind::NotRunning`] once the driver is stopped or aborted.
    ///
    /// # Cancel safety
    /// Dropped before it completes, nothing is queued.
    ///
    /// Source: `Call.Accept`, scheduler.proto.
    pub async fn accept(
        &self,
        driver: &SchedulerHandle,
        offers: &[Offer],
        mut operations: Vec<Operation>,
    ) -> Result<Vec<PendingOperation>> {
        let Some(first) = offers.first() else {
            return refuse("no offers for operations");
        };
        if !self.observes() {
            return refuse("operations are not told how they end: the scheduler is not Observed");
        }
        let mut followed = Vec::new();
        for operation in &mut operations {
            followed.extend(identified(operation)?);
        }
        let rooms = self.rooms(followed.len()).await?;
        let ids: Vec<OperationId> = followed
            .iter()
            .map(|own| own.operation_id.clone())
            .collect();
        let pending = self.follow(first, followed, rooms)?;
        self.start(driver);
        let watcher = self.own.shared.watcher(ids);
        let offer_ids = offers.iter().map(|offer| offer.id.clone()).collect();
        // If this fails or is dropped, so are the promises, and nothing is followed.
        self.send(driver, offer_ids, operations, watcher).await?;
        Ok(pending)
    }

    async fn single(
        &self,
        driver: &SchedulerHandle,
        offer: &Offer,
        operation: Operation,
    ) -> Result<OperationStatus> {
        let offers = std::slice::from_ref(offer);
        let pending = self.accept(driver, offers, vec![operation]).await?;
        match pending.into_iter().next() {
            Some(pending) => pending.end().await,
            None => refuse("there is no such operation"),
        }
    }

    async fn rooms(&self, count: usize) -> Result<Vec<OwnedSemaphorePermit>> {
        let capacity = self.own.shared.settings.capacity;
        if count > capacity {
            return refuse(&format!(
                "{count} operations at once, more than the {capacity} that are followed"
            ));
        }
        let mut rooms = Vec::with_capacity(count);
        let all = Arc::clone(&self.own.shared.room);
        let all = all.acquire_many_owned(u32::try_from(count).unwrap_or(u32::MAX));
        let mut all = all.await.map_err(|error| {
            Error::caused_by(
                ErrorKind::NotRunning,
                "operations are followed no more",
                error,
            )
        })?;
        while let Some(room) = all.split(1) {
            rooms.push(room);
        }
        Ok(rooms)
    }

    fn follow(
        &self,
        offer: &Offer,
        followed: Vec<Followed>,
        rooms: Vec<OwnedSemaphorePermit>,
    ) -> Result<Vec<PendingOperation>> {
        let mut table = self.own.shared.lock();
        let mut rooms = rooms.into_iter();
        let mut pending = Vec::with_capacity(followed.len());
        for own in followed {
            if table.contains(&own.operation_id) {
                // Promises look at the table when they are dropped.
                drop(table);
                return refuse(&format!("operation {} is pending", own.operation_id));
            }
            let (answer, end) = oneshot::channel();
            let entry = Entry {
                operation: own.kind,
                agent_id: offer.agent_id.clone(),
                provider_id: own.provider_id,
                answer,
                _room: rooms.next(),
            };
            table.add(own.operation_id.clone(), entry);
            pending.push(PendingOperation::new(self.clone(), own.operation_id, end));
        }
        Ok(pending)
    }

    async fn send(
        &self,
        driver: &SchedulerHandle,
        offer_ids: Vec<OfferId>,
        operations: Vec<Operation>,
        watcher: Watcher,
    ) -> Result<()> {
        let settings = &self.own.shared.settings;
        let call: (Vec<OfferId>, Vec<Operation>, Filters) =
            (offer_ids, operations, settings.filters);
        let receipt = match &settings.ledger {
            Some(ledger) => ledger.accept_watched(driver, call, watcher).await?,
            None => driver.accept_offers_under(call, None, watcher).await?,
        };
        // The watcher knows what becomes of it.
        drop(receipt);
        Ok(())
    }
}

impl Shared {
    /// Notes what becomes of the call that carries operations.
    fn watcher(self: &Arc<Self>, ids: Vec<OperationId>) -> Watcher {
        let shared = Arc::clone(self);
        Box::new(move |outcome| {
            let now = Instant::now();
            let mut table = shared.lock();
            for id in &ids {
                match outcome {
                    Outcome::Accepted | Outcome::Unknown(_) => table.sent(id, now),
                    Outcome::NotSent(why) => table.fail(id, why),
                    Outcome::Refused { status, message } => {
                        let context = format!("operation refused with {status}: {message}");
                        table.fail(id, &Error::new(ErrorKind::Rejected, context));
                    }
                }
            }
            drop(table);
            shared.wake.notify_one();
        })
    }
}

fn refuse<T>(why: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Config, why))
}

/// Makes sure of an id; none for launches.
fn identified(operation: &mut Operation) -> Result<Option<Followed>> {
    let kind = operation.r#type();
    if matches!(kind, operation::Type::Launch | operation::Type::LaunchGroup) {
        return match operation.id {
            Some(_) => refuse("the `id` field cannot be set on launches"),
            None => Ok(None),
        };
    }
    let id = operation
        .id
        .get_or_insert_with(|| uuid::Uuid::new_v4().to_string().into());
    let operation_id = id.clone();
    Ok(Some(Followed {
        operation_id,
        kind,
        provider_id: resource_of(operation).and_then(|own| own.provider_id.clone()),
    }))
}

/// A resource of an operation; all are of one provider, or Mesos refuses it.
fn resource_of(operation: &Operation) -> Option<&Resource> {
    let own = operation;
    let listed = [
        own.reserve.as_ref().map(|own| &own.resources),
        own.unreserve.as_ref().map(|own| &own.resources),
        own.create.as_ref().map(|own| &own.volumes),
        own.destroy.as_ref().map(|own| &own.volumes),
    ];
    let single = [
        own.grow_volume.as_ref().map(|own| &own.volume),
        own.shrink_volume.as_ref().map(|own| &own.volume),
        own.create_disk.as_ref().map(|own| &own.source),
        own.destroy_disk.as_ref().map(|own| &own.source),
    ];
    let mut listed = listed.into_iter().flatten().flatten();
    listed.next().or(single.into_iter().flatten().next())
}
