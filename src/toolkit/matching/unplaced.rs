//! Why nothing is launching, to be asked at any time.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::placements::Placements;
use super::refusals::Refusals;
use crate::proto::TaskId;

/// Of so many tasks explanations are kept, if not told otherwise.
const CAPACITY: usize = 10_000;

/// The latest explanation of each task that has no place.
///
/// Cheap to clone: clones share what they know. So a scheduler records, and a page of statistics asks.
///
/// # Examples
/// ```
/// use mesos_framework::proto::TaskInfo;
/// use mesos_framework::resources::Request;
/// use mesos_framework::toolkit::matching::{Matcher, Needs, PendingTask, Unplaced};
///
/// let info = TaskInfo { task_id: "web-1".into(), ..Default::default() };
/// let tasks = [PendingTask::new(info, Needs::new(Request::new().cpus(1.0)))];
/// let unplaced = Unplaced::new();
/// unplaced.record(&Matcher::first_fit().place(&tasks, &[]));
/// assert_eq!(unplaced.why(&"web-1".into()).unwrap().to_string(), "no offers");
/// assert_eq!(unplaced.to_string(), "web-1: no offers");
/// ```
#[derive(Clone)]
pub struct Unplaced {
    capacity: usize,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// With when it was recorded.
    by_task: HashMap<String, (u64, Arc<Refusals>)>,
    /// By when they were recorded: each of `by_task` once.
    by_age: BTreeMap<u64, String>,
    clock: u64,
}

impl Unplaced {
    /// Knows of nothing yet. Of at most 10,000 tasks explanations are kept; beyond that, the oldest is forgotten.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// The same, of at most `tasks` tasks.
    #[must_use]
    pub fn with_capacity(tasks: usize) -> Self {
        Self {
            capacity: tasks,
            inner: Arc::default(),
        }
    }

    /// Notes why tasks were refused, and forgets those that have a place now. What it knows of other tasks stays.
    pub fn record(&self, placements: &Placements) {
        let mut inner = self.lock();
        for launch in &placements.launches {
            launch
                .tasks
                .iter()
                .for_each(|own| inner.forget(&own.task_id.value));
        }
        for (task_id, why) in &placements.refused {
            inner.note(&task_id.value, Arc::clone(why));
        }
        while inner.by_age.len() > self.capacity {
            inner.forget_oldest();
        }
    }

    /// Why the task has no place, as it was the last time; `None` if nothing is known of it.
    #[must_use]
    pub fn why(&self, task_id: &TaskId) -> Option<Arc<Refusals>> {
        let inner = self.lock();
        let known = inner.by_task.get(&task_id.value);
        known.map(|(_, why)| Arc::clone(why))
    }

    /// All that is known, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<(TaskId, Arc<Refusals>)> {
        let inner = self.lock();
        let known = inner.by_age.values().filter_map(|id| {
            let (_, why) = inner.by_task.get(id)?;
            Some((TaskId::from(id.as_str()), Arc::clone(why)))
        });
        known.collect()
    }

    /// Of how many tasks something is known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().by_task.len()
    }

    /// Whether nothing is known of any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets a task that is not wanted any more.
    pub fn forget(&self, task_id: &TaskId) {
        self.lock().forget(&task_id.value);
    }

    /// Forgets all.
    pub fn clear(&self) {
        *self.lock() = Inner::default();
    }

    /// Nothing that holds the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Unplaced {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn note(&mut self, id: &str, why: Arc<Refusals>) {
        self.forget(id);
        self.clock += 1;
        self.by_age.insert(self.clock, id.to_owned());
        self.by_task.insert(id.to_owned(), (self.clock, why));
    }

    fn forget(&mut self, id: &str) {
        if let Some((age, _)) = self.by_task.remove(id) {
            self.by_age.remove(&age);
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.by_age.pop_first() {
            self.by_task.remove(&id);
        }
    }
}

/// One line per explanation, with the tasks that share it: `web-1 and 41 more: no offers`.
impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<(Arc<Refusals>, TaskId, usize)> = Vec::new();
        for (task_id, why) in self.all() {
            let known = lines
                .iter_mut()
                .find(|(other, ..)| Arc::ptr_eq(other, &why) || **other == *why);
            match known {
                Some((_, _, tasks)) => *tasks += 1,
                None => lines.push((why, task_id, 1)),
            }
        }
        for (index, (why, task_id, tasks)) in lines.iter().enumerate() {
            let line_feed = if index > 0 { "\n" } else { "" };
            match tasks - 1 {
                0 => write!(f, "{line_feed}{task_id}: {why}")?,
                more => write!(f, "{line_feed}{task_id} and {more} more: {why}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unplaced")
            .field("capacity", &self.capacity)
            .field("tasks", &self.len())
            .finish()
    }
}
