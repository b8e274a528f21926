//! Asks the detector, again and again.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt as _;

use crate::backoff::{Backoff, Delays};
use crate::detector::{FixedAddresses, LeadingMaster, MasterDetector, Masters};
use crate::error::Error;

/// Waits after failures, which the detector tells when it knows something new.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(2));

type Detector = Box<dyn MasterDetector>;
type Asked = Pin<Box<dyn Future<Output = (Option<Detector>, Answer)> + Send>>;

/// What a detector says, or the end of it.
pub(super) enum Answer {
    Detected(Option<LeadingMaster>),
    Failed(Error),
    Panicked(Error),
}

/// The question that is under way. It is kept between calls, so that a detector is never interrupted.
pub(super) struct Detection {
    /// None if there is nothing to detect.
    asked: Option<Asked>,
    previous: Option<LeadingMaster>,
    delays: Delays,
}

impl Detection {
    /// The detection, and what is there to begin with.
    pub(super) fn new(masters: Masters) -> (Self, Option<FixedAddresses>) {
        let (asked, fixed) = match masters {
            Masters::Fixed(addresses) => (None, Some(addresses)),
            Masters::Detected(detector) => (Some(ask(detector, None, Duration::ZERO)), None),
        };
        let detection = Self {
            asked,
            previous: None,
            delays: Delays::new(BACKOFF),
        };
        (detection, fixed)
    }

    /// The next answer.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Answer {
        let Some(asked) = &mut self.asked else {
            return std::future::pending().await;
        };
        let (detector, answer) = asked.await;
        let is_news = matches!(&answer, Answer::Detected(leader) if *leader != self.previous);
        let delay = match is_news {
            true => {
                self.delays.reset();
                Duration::ZERO
            }
            false => self.delays.next().unwrap_or_default(),
        };
        if let Answer::Detected(leader) = &answer {
            self.previous.clone_from(leader);
        }
        self.asked = detector.map(|detector| ask(detector, self.previous.clone(), delay));
        answer
    }
}

fn ask(mut detector: Detector, previous: Option<LeadingMaster>, delay: Duration) -> Asked {
    Box::pin(async move {
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let detecting = AssertUnwindSafe(detector.detect(previous.as_ref())).catch_unwind();
        match detecting.await {
            Ok(Ok(leader)) => (Some(detector), Answer::Detected(leader)),
            Ok(Err(error)) => (Some(detector), Answer::Failed(failed(error))),
            Err(panic) => (
                None,
                Answer::Panicked(Error::panicked("the detector", &*panic)),
            ),
        }
    })
}

fn failed(error: Error) -> Error {
    Error::caused_by(error.kind(), "leading master not detected", error)
}
