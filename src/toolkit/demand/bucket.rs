//! How often something may be done.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: so many at once, and one more each time an interval has passed.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    interval: Duration,
    tokens: u32,
    /// Since when the next token is being made.
    since: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(burst: u32, interval: Duration) -> Self {
        Self {
            burst,
            interval,
            tokens: burst,
            since: None,
        }
    }

    /// Takes a token, or answers when there is one.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.refill(now);
        let Some(rest) = self.tokens.checked_sub(1) else {
            return Err(self.since.unwrap_or(now) + self.interval);
        };
        self.tokens = rest;
        self.since.get_or_insert(now);
        Ok(())
    }

    fn refill(&mut self, now: Instant) {
        while let Some(since) = self.since {
            let next = since + self.interval;
            if next > now {
                return;
            }
            self.tokens += 1;
            self.since = (self.tokens < self.burst).then_some(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn gives_so_many_at_once_and_then_one_per_interval() {
        let mut bucket = Bucket::new(2, SECOND);
        let start = Instant::now();
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Ok(()));
        assert_eq!(bucket.take(start), Err(start + SECOND));
        assert_eq!(bucket.take(start + SECOND / 2), Err(start + SECOND));
        assert_eq!(bucket.take(start + SECOND), Ok(()));
        assert_eq!(bucket.take(start + SECOND), Err(start + 2 * SECOND));
    }

    #[tokio::test]
    async fn is_never_more_than_full() {
        let mut bucket = Bucket::new(2, SECOND);
        let start = Instant::now();
        assert_eq!(bucket.take(start), Ok(()));
        let later = start + 100 * SECOND;
        assert_eq!(bucket.take(later), Ok(()));
        assert_eq!(bucket.take(later), Ok(()));
        assert_eq!(bucket.take(later), Err(later + SECOND));
    }
}
