//! Events between the stream and the callbacks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::Error;
use crate::proto::FrameworkId;

/// What is told to the user, in this order.
#[derive(Debug)]
pub(crate) enum Item<E> {
    /// A subscription stands; its SUBSCRIBED event.
    Subscribed(Box<E>),
    /// It is lost.
    Lost,
    /// An event of the stream.
    Event(Box<E>),
    /// An event made up here, for a call that never reached the peer.
    MadeUp(Box<E>),
    /// The framework of that id is no more; a new one takes its place.
    FrameworkRemoved(FrameworkId),
    /// There will be no further subscription.
    GaveUp(Option<Error>),
}

/// A queue with one producer and one consumer. Events of the stream are bounded by its capacity, made-up ones by the
/// outbox whose calls they stand for, and the other items by these, for a subscription without events leaves none behind.
#[derive(Debug)]
pub(crate) struct EventQueue<E> {
    state: Mutex<State<E>>,
    /// In events.
    capacity: usize,
    arrived: Notify,
    room: Notify,
}

#[derive(Debug)]
struct State<E> {
    items: VecDeque<Item<E>>,
    /// How many of `items` are `Item::Event`.
    events: usize,
    closed: bool,
}

impl<E> State<E> {
    /// Where the last subscription stands, if no event follows it.
    fn untold_subscription(&self) -> Option<usize> {
        let is_subscribed = |item: &Item<E>| matches!(item, Item::Subscribed(_));
        let at = self.items.iter().rposition(is_subscribed)?;
        let mut behind = self.items.range(at..);
        (!behind.any(|item| matches!(item, Item::Event(_)))).then_some(at)
    }
}

impl<E> EventQueue<E> {
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            events: 0,
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            capacity,
            arrived: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Queues an event of the stream, waiting for room. On a closed queue it is dropped.
    ///
    /// Cancel safe only with its event: a dropped future has not queued it.
    pub(crate) async fn push(&self, event: impl Into<Box<E>>) {
        let mut waiting = event.into();
        while let Err(event) = self.try_push(waiting) {
            waiting = event;
            self.room.notified().await;
        }
    }

    /// As [`push`](Self::push), if there is room; else answers the event.
    pub(crate) fn try_push(&self, event: Box<E>) -> Result<(), Box<E>> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        if state.events >= self.capacity {
            return Err(event);
        }
        state.events += 1;
        state.items.push_back(Item::Event(event));
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    pub(crate) fn subscribed(&self, event: impl Into<Box<E>>) {
        self.add(Item::Subscribed(event.into()));
    }

    pub(crate) fn made_up(&self, event: E) {
        self.add(Item::MadeUp(Box::new(event)));
    }

    /// Of a framework that was never told of, nothing is told.
    pub(crate) fn framework_removed(&self, id: FrameworkId) {
        let mut state = self.lock();
        let is_told = matches!(state.items.back(), Some(Item::FrameworkRemoved(_)));
        if !state.closed && !is_told {
            state.items.push_back(Item::FrameworkRemoved(id));
            drop(state);
            self.arrived.notify_one();
        }
    }

    pub(crate) fn gave_up(&self, error: Option<Error>) {
        self.add(Item::GaveUp(error));
    }

    /// The subscription is lost. Unless events outlive it, those still queued are dropped with it; a subscription of
    /// which nothing will be told is not told at all.
    pub(crate) fn lost(&self, events_outlive: bool, made_up: Vec<E>) {
        let mut state = self.lock();
        if !events_outlive {
            state.items.retain(|item| !matches!(item, Item::Event(_)));
            let dropped = std::mem::take(&mut state.events);
            tracing::debug!(dropped, "events of the lost subscription");
        }
        match state.untold_subscription() {
            Some(at) => {
                state.items.remove(at);
            }
            None => state.items.push_back(Item::Lost),
        }
        let made_up = made_up.into_iter().map(Box::new);
        state.items.extend(made_up.map(Item::MadeUp));
        drop(state);
        self.arrived.notify_one();
        self.room.notify_one();
    }

    fn add(&self, item: Item<E>) {
        let mut state = self.lock();
        if !state.closed {
            state.items.push_back(item);
            drop(state);
            self.arrived.notify_one();
        }
    }

    /// The next item; `None` once closed.
    ///
    /// Cancel safe.
    pub(crate) async fn next(&self) -> Option<Item<E>> {
        loop {
            {
                let mut state = self.lock();
                if state.closed {
                    return None;
                }
                if let Some(item) = state.items.pop_front() {
                    if matches!(item, Item::Event(_)) {
                        // Only a full queue is waited at.
                        let was_full = state.events == self.capacity;
                        state.events -= 1;
                        drop(state);
                        if was_full {
                            self.room.notify_one();
                        }
                    }
                    return Some(item);
                }
            }
            self.arrived.notified().await;
        }
    }

    /// No further item is taken or added.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.items.clear();
        drop(state);
        self.arrived.notify_one();
        self.room.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn drain(queue: &EventQueue<u32>) -> Vec<String> {
        let mut items = Vec::new();
        while !queue.lock().items.is_empty() {
            items.push(format!("{:?}", queue.next().await.unwrap()));
        }
        items
    }

    #[tokio::test]
    async fn loss_drops_queued_events_and_tells_made_up_ones_after_it() {
        let queue = EventQueue::new(4);
        queue.subscribed(1);
        assert!(matches!(queue.next().await, Some(Item::Subscribed(event)) if *event == 1));
        queue.push(2).await;
        queue.lost(false, vec![3]);
        queue.subscribed(4);
        assert_eq!(drain(&queue).await, ["Lost", "MadeUp(3)", "Subscribed(4)"]);
    }

    #[tokio::test]
    async fn a_subscription_that_was_never_told_is_not_lost_either() {
        let queue = EventQueue::new(4);
        queue.subscribed(1);
        queue.lost(false, vec![]);
        queue.subscribed(2);
        assert_eq!(drain(&queue).await, ["Subscribed(2)"]);
    }

    #[tokio::test]
    async fn events_may_outlive_the_subscription() {
        let queue = EventQueue::new(4);
        queue.push(1).await;
        queue.lost(true, vec![]);
        assert_eq!(drain(&queue).await, ["Event(1)", "Lost"]);
    }

    #[tokio::test]
    async fn events_that_outlive_their_subscription_come_after_it() {
        let queue = EventQueue::new(4);
        queue.subscribed(1);
        queue.push(2).await;
        queue.lost(true, vec![]);
        for generation in 3..9 {
            queue.subscribed(generation);
            queue.lost(true, vec![]);
        }
        queue.subscribed(9);
        let order = ["Subscribed(1)", "Event(2)", "Lost", "Subscribed(9)"];
        assert_eq!(drain(&queue).await, order);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_makes_the_stream_wait_until_there_is_room() {
        let queue = EventQueue::new(1);
        queue.push(1).await;
        let second = queue.push(2);
        tokio::pin!(second);
        let limit = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(limit, &mut second).await.is_err());
        assert!(matches!(queue.next().await, Some(Item::Event(event)) if *event == 1));
        second.await;
        assert!(matches!(queue.next().await, Some(Item::Event(event)) if *event == 2));
    }

    #[tokio::test]
    async fn a_closed_queue_gives_nothing_and_keeps_nobody_waiting() {
        let queue = EventQueue::new(1);
        queue.push(1).await;
        queue.close();
        queue.push(2).await;
        assert!(queue.next().await.is_none());
    }
}
