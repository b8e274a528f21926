//! What was called, and what is to be answered.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Answer;

type Rule<C> = Box<dyn FnMut(&C) -> Answer + Send>;

/// Calls of one driver, oldest first.
pub(super) struct Tape<C> {
    state: Mutex<State<C>>,
    arrived: Notify,
}

struct State<C> {
    /// Those that the test has not taken.
    calls: VecDeque<C>,
    /// To the next calls, before the rule is asked.
    answers: VecDeque<Answer>,
    rule: Rule<C>,
}

impl<C> fmt::Debug for Tape<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape")
            .field("calls", &self.lock().calls.len())
            .finish_non_exhaustive()
    }
}

impl<C: Clone> Tape<C> {
    pub(super) fn new() -> Self {
        let state = State {
            calls: VecDeque::new(),
            answers: VecDeque::new(),
            rule: Box::new(|_| Answer::Accepted),
        };
        Self {
            state: Mutex::new(state),
            arrived: Notify::new(),
        }
    }

    pub(super) fn record(&self, call: &C) -> Answer {
        let mut state = self.lock();
        state.calls.push_back(call.clone());
        let answer = match state.answers.pop_front() {
            Some(answer) => answer,
            None => (state.rule)(call),
        };
        drop(state);
        self.arrived.notify_one();
        answer
    }

    pub(super) fn answer_next(&self, answer: Answer) {
        self.lock().answers.push_back(answer);
    }

    pub(super) fn answer_with(&self, rule: Rule<C>) {
        self.lock().rule = rule;
    }

    pub(super) fn take(&self) -> Vec<C> {
        self.lock().calls.drain(..).collect()
    }

    /// Cancel safe.
    pub(super) async fn next(&self) -> C {
        loop {
            let arrived = self.arrived.notified();
            if let Some(call) = self.lock().calls.pop_front() {
                return call;
            }
            arrived.await;
        }
    }
}

impl<C> Tape<C> {
    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
