//! SUBSCRIBE calls without an answer. One may still be on its way, and takes over when it arrives: the master lets in
//! whoever comes last, and cannot tell one driver's calls apart from another's.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::address::Address;

/// Of more than these, the oldest are forgotten.
const MOST: usize = 16;

/// Where such calls went, and until when they are expected to arrive there.
#[derive(Debug, Default)]
pub(super) struct Unanswered(VecDeque<(Address, Instant)>);

impl Unanswered {
    pub(super) fn note(&mut self, to: Address, until: Instant) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((to, until));
    }

    /// Whether one may have arrived there by now. It does so once.
    pub(super) fn arrives(&mut self, at: &Address, now: Instant) -> bool {
        self.0.retain(|(_, until)| now < *until);
        let found = self.0.iter().position(|(to, _)| to == at);
        found.and_then(|index| self.0.remove(index)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_arrives_once_where_it_went_and_in_time() {
        let now = Instant::now();
        let [a, b] = ["a:1", "b:2"].map(|text| Address::parse(text).unwrap());
        let mut unanswered = Unanswered::default();
        unanswered.note(a.clone(), now + Duration::from_secs(75));
        assert!(!unanswered.arrives(&b, now));
        assert!(unanswered.arrives(&a, now));
        assert!(!unanswered.arrives(&a, now));
        unanswered.note(a.clone(), now + Duration::from_secs(75));
        assert!(!unanswered.arrives(&a, now + Duration::from_secs(75)));
    }

    #[test]
    fn the_latest_are_remembered() {
        let now = Instant::now();
        let [a, b] = ["a:1", "b:2"].map(|text| Address::parse(text).unwrap());
        let mut unanswered = Unanswered::default();
        unanswered.note(a.clone(), now + Duration::from_secs(75));
        for _ in 0..MOST {
            unanswered.note(b.clone(), now + Duration::from_secs(75));
        }
        assert!(!unanswered.arrives(&a, now));
        assert_eq!(
            (0..2 * MOST)
                .filter(|_| unanswered.arrives(&b, now))
                .count(),
            MOST
        );
    }
}
