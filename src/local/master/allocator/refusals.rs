//! What frameworks refused of one agent, kept with the agent: an allocation reads it from end to end.

use std::sync::Arc;

use tokio::time::Instant;

use crate::resources::Resources;

/// A framework under one of its roles, as long as it does not forget what it refused under it. Never used again.
pub(in crate::local::master) type Desk = u64;

/// Holds back offers that have nothing beyond `resources`.
#[derive(Debug)]
struct Refusal {
    desk: Desk,
    until: Instant,
    /// Without marks of allocation. Most refuse the same, and share it.
    resources: Arc<Resources>,
}

#[derive(Debug, Default)]
pub(in crate::local::master) struct Refusals {
    /// By desk.
    all: Vec<Refusal>,
}

impl Refusals {
    pub(in crate::local::master) fn add(
        &mut self,
        desk: Desk,
        resources: Resources,
        (now, until): (Instant, Instant),
    ) {
        let resources = self.shared(resources);
        self.all.retain(|own| own.desk != desk || now < own.until);
        let at = self.all.partition_point(|own| own.desk <= desk);
        let refusal = Refusal {
            desk,
            until,
            resources,
        };
        self.all.insert(at, refusal);
    }

    /// `resources`, or what is known already and the same.
    fn shared(&self, resources: Resources) -> Arc<Resources> {
        let mut last: Option<&Arc<Resources>> = None;
        for Refusal { resources: own, .. } in &self.all {
            if last.is_some_and(|last| Arc::ptr_eq(last, own)) {
                continue;
            }
            if **own == resources {
                return Arc::clone(own);
            }
            last = Some(own);
        }
        Arc::new(resources)
    }

    /// Whether an offer of `resources` is held back now.
    pub(super) fn hold_back(&self, desk: Desk, resources: &Resources, now: Instant) -> bool {
        let first = self.all.partition_point(|own| own.desk < desk);
        let own = self.all[first..].iter();
        let mut own = own.take_while(|own| own.desk == desk);
        own.any(|own| now < own.until && own.resources.contains(resources))
    }

    /// Notes in `refused`, by its place in `desks`, who wants nothing of `free` now, and forgets refusals that are over.
    /// `desks`: all that there are, in order.
    pub(super) fn note_refused(
        &mut self,
        desks: &[Desk],
        free: &Resources,
        now: Instant,
        refused: &mut [bool],
    ) {
        let mut at = 0;
        let mut last: Option<(Arc<Resources>, bool)> = None;
        self.all.retain(|own| {
            while desks.get(at).is_some_and(|desk| *desk < own.desk) {
                at += 1;
            }
            if own.until <= now || desks.get(at) != Some(&own.desk) {
                return false;
            }
            let known = last.as_ref();
            let known = known.filter(|(known, _)| Arc::ptr_eq(known, &own.resources));
            let covers = if let Some((_, covers)) = known {
                *covers
            } else {
                let covers = own.resources.contains(free);
                last = Some((Arc::clone(&own.resources), covers));
                covers
            };
            refused[at] |= covers;
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(text: &str) -> Resources {
        Resources::parse(text).unwrap()
    }

    #[test]
    fn hold_back_what_is_not_more_until_they_are_over() {
        let now = Instant::now();
        let soon = now + Duration::from_secs(1);
        let late = now + Duration::from_secs(9);
        let mut refusals = Refusals::default();
        refusals.add(2, of("cpus:2"), (now, soon));
        refusals.add(1, of("cpus:1"), (now, late));
        refusals.add(2, of("cpus:1"), (now, late));
        assert!(refusals.hold_back(2, &of("cpus:2"), now));
        assert!(!refusals.hold_back(2, &of("cpus:2"), soon));
        assert!(refusals.hold_back(2, &of("cpus:1"), soon));
        assert!(!refusals.hold_back(1, &of("cpus:1;mem:1"), now));
        assert!(!refusals.hold_back(3, &of("cpus:1"), now));
        // What is the same is kept once.
        assert!(Arc::ptr_eq(
            &refusals.all[0].resources,
            &refusals.all[2].resources
        ));
    }

    #[test]
    fn are_forgotten_when_they_are_over_or_their_desk_is_gone() {
        let now = Instant::now();
        let soon = now + Duration::from_secs(1);
        let late = now + Duration::from_secs(9);
        let mut refusals = Refusals::default();
        for (desk, until) in [(1, late), (2, soon), (3, late), (5, late)] {
            refusals.add(desk, of("cpus:2"), (now, until));
        }
        refusals.add(5, of("cpus:1"), (now, late));
        let mut noted = |now, free| {
            let mut refused = [false; 4];
            refusals.note_refused(&[1, 2, 4, 5], &of(free), now, &mut refused);
            refused
        };
        assert_eq!(noted(now, "cpus:2"), [true, true, false, true]);
        assert_eq!(noted(now, "cpus:3"), [false; 4]);
        assert_eq!(noted(soon, "cpus:1"), [true, false, false, true]);
        let desks: Vec<Desk> = refusals.all.iter().map(|own| own.desk).collect();
        assert_eq!(desks, [1, 5, 5]);
    }
}
