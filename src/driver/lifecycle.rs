//! The life of a driver: its status, and why it ends.

use tokio::sync::watch;

use crate::error::Error;

/// The life of a driver. A driver lives once: it cannot be started again.
///
/// Source: `Status`, mesos.proto (`DRIVER_NOT_STARTED`, …); `src/sched/sched.cpp`, Apache Mesos 1.11.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Built, and not started yet.
    NotStarted,
    /// Started: subscribes, and keeps subscribed.
    Running,
    /// Ended by `stop` or `stop_for_failover`.
    Stopped,
    /// Ended by `abort` or by an error.
    Aborted,
}

/// How a stop treats the framework.
///
/// Source: the argument of `SchedulerDriver.stop`, Java API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The framework is torn down: the master kills its tasks and executors and forgets it.
    Teardown,
    /// The framework and its tasks live on, for at most `FrameworkInfo.failover_timeout`, until another driver
    /// subscribes with its id.
    ForFailover,
}

/// Why a driver ends.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    Stop(Stop),
    /// The driver was dropped while running.
    Dropped,
    Abort,
    Failed(Error),
    /// A callback panicked: no other is made.
    Panicked(Error),
}

#[derive(Clone, Debug)]
struct Life {
    status: Status,
    /// Set once, by what ended the running state.
    ending: Option<Ending>,
}

/// The status, and the signal that ends it.
#[derive(Debug)]
pub(crate) struct Lifecycle {
    life: watch::Sender<Life>,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        let life = Life {
            status: Status::NotStarted,
            ending: None,
        };
        Self {
            life: watch::Sender::new(life),
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.life.borrow().status
    }

    pub(crate) fn is_running(&self) -> bool {
        self.status() == Status::Running
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.life.borrow().ending.clone()
    }

    /// True if the driver starts by this.
    pub(crate) fn start(&self) -> bool {
        self.life.send_if_modified(|life| {
            let starts = life.status == Status::NotStarted;
            if starts {
                life.status = Status::Running;
            }
            starts
        })
    }

    /// Answers as Java's driver does: the status after it, but [`Status::Aborted`] for an aborted driver, which becomes
    /// stopped by it.
    pub(crate) fn stop(&self, how: Stop) -> Status {
        let before = self.status();
        self.end(Status::Stopped, Ending::Stop(how));
        self.life.send_if_modified(|life| {
            let aborted = life.status == Status::Aborted;
            if aborted {
                life.status = Status::Stopped;
            }
            aborted
        });
        match before {
            Status::Aborted => Status::Aborted,
            Status::NotStarted | Status::Running | Status::Stopped => self.status(),
        }
    }

    pub(crate) fn drop_driver(&self) {
        self.end(Status::Stopped, Ending::Dropped);
    }

    pub(crate) fn abort(&self) -> Status {
        self.end(Status::Aborted, Ending::Abort);
        self.status()
    }

    pub(crate) fn fail(&self, error: Error) {
        self.end(Status::Aborted, Ending::Failed(error));
    }

    pub(crate) fn panicked(&self, error: Error) {
        self.end(Status::Aborted, Ending::Panicked(error));
    }

    /// Waits until the driver is not running any more.
    pub(crate) async fn ended(&self) -> Ending {
        let mut life = self.life.subscribe();
        loop {
            if let Some(ending) = life.borrow_and_update().ending.clone() {
                return ending;
            }
            if life.changed().await.is_err() {
                return Ending::Dropped;
            }
        }
    }

    fn end(&self, status: Status, ending: Ending) {
        self.life.send_if_modified(|life| {
            let running = life.status == Status::Running;
            if running {
                *life = Life {
                    status,
                    ending: Some(ending),
                };
            }
            running
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Do {
        Start,
        Stop,
        Abort,
    }

    fn apply(lifecycle: &Lifecycle, what: Do) -> Status {
        match what {
            Do::Start => {
                lifecycle.start();
                lifecycle.status()
            }
            Do::Stop => lifecycle.stop(Stop::Teardown),
            Do::Abort => lifecycle.abort(),
        }
    }

    #[test]
    fn status_follows_the_table_of_the_java_driver() {
        use Status::{Aborted, NotStarted, Running, Stopped};
        let (start, stop, abort) = (Do::Start, Do::Stop, Do::Abort);
        let table: [(&[Do], Do, Status, Status); 12] = [
            (&[], start, Running, Running),
            (&[], stop, NotStarted, NotStarted),
            (&[], abort, NotStarted, NotStarted),
            (&[start], start, Running, Running),
            (&[start], stop, Stopped, Stopped),
            (&[start], abort, Aborted, Aborted),
            (&[start, abort], start, Aborted, Aborted),
            (&[start, abort], stop, Aborted, Stopped),
            (&[start, abort], abort, Aborted, Aborted),
            (&[start, stop], start, Stopped, Stopped),
            (&[start, stop], stop, Stopped, Stopped),
            (&[start, stop], abort, Stopped, Stopped),
        ];
        for (before, what, answer, after) in table {
            let lifecycle = Lifecycle::new();
            for step in before {
                apply(&lifecycle, *step);
            }
            assert_eq!(
                (apply(&lifecycle, what), lifecycle.status()),
                (answer, after)
            );
        }
    }

    #[test]
    fn the_first_ending_stands() {
        let lifecycle = Lifecycle::new();
        lifecycle.start();
        lifecycle.abort();
        lifecycle.stop(Stop::Teardown);
        assert!(matches!(lifecycle.ending(), Some(Ending::Abort)));
    }
}
