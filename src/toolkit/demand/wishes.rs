//! For which roles there is work, and what must be said of it. No I/O.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::bucket::Bucket;

/// What the driver says of the framework.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Its roles.
    pub(super) roles: BTreeSet<String>,
    /// Those of them that are suppressed.
    pub(super) suppressed: BTreeSet<String>,
}

/// What is to be done next, in this order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Step {
    /// Never to be sent when empty: that would mean all roles.
    pub(super) suppress: Vec<String>,
    /// Likewise.
    pub(super) revive: Vec<String>,
    /// When there is more to do, if anything is waited for.
    pub(super) again: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct Wishes {
    wanted: BTreeSet<String>,
    /// Roles whose filters are to be lifted though they are not suppressed.
    anew: BTreeSet<String>,
    /// Roles of which the master may not have heard the last call, and when to repeat it.
    unheard: BTreeSet<String>,
    repeat_at: Option<Instant>,
    bucket: Bucket,
}

impl Wishes {
    pub(super) fn new(bucket: Bucket) -> Self {
        Self {
            wanted: BTreeSet::new(),
            anew: BTreeSet::new(),
            unheard: BTreeSet::new(),
            repeat_at: None,
            bucket,
        }
    }

    /// Answers whether that is new.
    pub(super) fn want(&mut self, role: &str) -> bool {
        self.wanted.insert(role.to_owned())
    }

    pub(super) fn want_anew(&mut self, role: &str) -> bool {
        let is_new = self.want(role);
        self.anew.insert(role.to_owned()) || is_new
    }

    /// Answers whether that is new.
    pub(super) fn has_enough(&mut self, role: &str) -> bool {
        self.anew.remove(role);
        self.wanted.remove(role)
    }

    pub(super) fn is_wanted(&self, role: &str) -> bool {
        self.wanted.contains(role)
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &String> {
        self.wanted.iter()
    }

    /// Of which nothing more is known than that it was not taken.
    pub(super) fn not_heard(&mut self, roles: Vec<String>, repeat_at: Instant) {
        self.unheard.extend(roles);
        self.repeat_at = Some(repeat_at);
    }

    /// What to do at `now`. It counts as done.
    pub(super) fn step(&mut self, said: &Said, now: Instant) -> Step {
        let mut step = Step::default();
        let repeats = self.repeat_at.is_some_and(|at| at <= now);
        if repeats {
            self.repeat_at = None;
        }
        let mut revive = Vec::new();
        for role in &said.roles {
            let is_repeated = repeats && self.unheard.contains(role);
            let is_suppressed = said.suppressed.contains(role);
            match self.wanted.contains(role) {
                true if is_suppressed || is_repeated || self.anew.contains(role) => {
                    revive.push(role.clone());
                }
                false if !is_suppressed || is_repeated => step.suppress.push(role.clone()),
                _ => {}
            }
        }
        if !revive.is_empty() {
            match self.bucket.take(now) {
                Ok(()) => step.revive = revive,
                Err(at) => {
                    step.again = Some(at);
                    // It is to be done at the first opportunity.
                    if repeats {
                        self.repeat_at = Some(at);
                    }
                }
            }
        }
        for role in step.suppress.iter().chain(&step.revive) {
            self.anew.remove(role);
            self.unheard.remove(role);
        }
        if repeats && self.repeat_at.is_none() {
            // Of roles that the framework has no more.
            self.unheard.clear();
        }
        step.again = step.again.into_iter().chain(self.repeat_at).min();
        step
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn wishes(burst: u32) -> Wishes {
        Wishes::new(Bucket::new(burst, SECOND))
    }

    fn said(roles: &[&str], suppressed: &[&str]) -> Said {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Said {
            roles: set(roles),
            suppressed: set(suppressed),
        }
    }

    #[tokio::test]
    async fn roles_without_work_are_suppressed_and_revived_independently() {
        let (mut wishes, now) = (wishes(9), Instant::now());
        let step = wishes.step(&said(&["a", "b"], &[]), now);
        assert_eq!(step.suppress, ["a", "b"]);
        assert!(wishes.want("b"));
        let step = wishes.step(&said(&["a", "b"], &["a", "b"]), now);
        assert_eq!((step.suppress, step.revive), (vec![], vec!["b".to_owned()]));
        let step = wishes.step(&said(&["a", "b"], &["a"]), now);
        assert_eq!(step, Step::default());
        assert!(wishes.has_enough("b"));
        let step = wishes.step(&said(&["a", "b"], &["a"]), now);
        assert_eq!(step.suppress, ["b"]);
    }

    #[tokio::test]
    async fn wanting_again_what_is_wanted_revives_nothing() {
        let (mut wishes, now) = (wishes(9), Instant::now());
        assert!(wishes.want("a"));
        for _ in 0..100 {
            assert!(!wishes.want("a"));
            assert_eq!(wishes.step(&said(&["a"], &[]), now), Step::default());
        }
    }

    #[tokio::test]
    async fn revives_wait_for_tokens_however_often_one_wants() {
        let (mut wishes, start) = (wishes(2), Instant::now());
        let mut revives = 0;
        // A scheduler gone wild, for ten seconds.
        for round in 0..1000 {
            let now = start + SECOND / 100 * round;
            wishes.want_anew("a");
            revives += wishes.step(&said(&["a"], &[]), now).revive.len();
            wishes.has_enough("a");
            wishes.want("a");
            revives += wishes.step(&said(&["a"], &["a"]), now).revive.len();
        }
        assert_eq!(revives, 2 + 9);
        let again = wishes.step(&said(&["a"], &["a"]), start + 10 * SECOND);
        assert_eq!(again.revive, ["a"]);
        let wait = wishes.step(&said(&["a"], &["a"]), start + 10 * SECOND);
        assert_eq!(wait.again, Some(start + 11 * SECOND));
    }

    #[tokio::test]
    async fn roles_that_the_framework_has_not_are_left_alone() {
        let (mut wishes, now) = (wishes(9), Instant::now());
        wishes.want("other");
        let step = wishes.step(&said(&["a"], &["a", "gone"]), now);
        assert_eq!(step, Step::default());
    }

    #[tokio::test]
    async fn what_was_not_heard_is_repeated_after_a_while() {
        let (mut wishes, start) = (wishes(1), Instant::now());
        wishes.want("a");
        assert_eq!(wishes.step(&said(&["a", "b"], &["a"]), start).revive, ["a"]);
        wishes.not_heard(vec!["a".into(), "b".into()], start + SECOND / 2);
        let standing = said(&["a", "b"], &["b"]);
        let step = wishes.step(&standing, start);
        assert_eq!(step.again, Some(start + SECOND / 2));
        let step = wishes.step(&standing, start + SECOND / 2);
        assert_eq!(step.suppress, ["b"]);
        assert_eq!(step.again, Some(start + SECOND), "there is no token yet");
        let step = wishes.step(&standing, start + SECOND);
        assert_eq!(step.revive, ["a"]);
        assert_eq!(wishes.step(&standing, start + 9 * SECOND), Step::default());
    }
}
