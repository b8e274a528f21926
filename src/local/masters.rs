//! The masters of a cluster: which of them live, which one leads, and who leads next.
//!
//! Source: `Master::detected`, `src/master/master.cpp`, and `src/master/contender/zookeeper.cpp` of Apache Mesos 1.11.0:
//! of those that contend, the one that has done so longest leads.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::agent::Agent;
use super::config::Config;
use super::machine::Held;
use super::master::Master;
use super::registry::Registry;
use super::snapshot::LocalMaster;
use super::world::World;

/// All masters but for the state of the leading one, which is the world's.
#[derive(Debug)]
pub(super) struct Masters {
    places: Vec<Place>,
    leading: Option<usize>,
    /// Whom the standbys take for the leader: one that has died stays it until they notice.
    detected: Option<usize>,
    /// When they notice.
    election: Option<Instant>,
    /// Nobody is elected by itself.
    is_held: bool,
    next_candidacy: u64,
    /// When the leading master has recovered; until then it leads nobody.
    recovery: Option<Recovery>,
    /// Agents that have heard of a new leader: when they register with it.
    registrations: Vec<(Instant, usize)>,
}

/// The reading of the registry by a new leader.
#[derive(Clone, Copy, Debug)]
struct Recovery {
    end: Instant,
    /// Longest time until an agent registers after it.
    backoff: Duration,
}

#[derive(Debug)]
struct Place {
    address: SocketAddr,
    /// The order in which living masters contend; `None` while dead.
    candidacy: Option<u64>,
    /// A living master that does not lead, or has not recovered.
    standby: Option<Master>,
    /// Until then it listens and knows no path, as a program that has just been started.
    routes: Option<Instant>,
}

/// What a request finds behind a master's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Leading,
    /// It has just been started.
    Starting,
    /// It leads, and has not finished recovery.
    Recovering,
    /// Somebody else leads, as far as this master knows.
    Follows(SocketAddr),
    /// Nobody leads.
    Leaderless,
}

impl Masters {
    /// Dead ones at these addresses.
    pub(super) fn new(addresses: &[SocketAddr]) -> Self {
        let places = addresses.iter().map(|address| Place {
            address: *address,
            candidacy: None,
            standby: None,
            routes: None,
        });
        Self {
            places: places.collect(),
            leading: None,
            detected: None,
            election: None,
            is_held: false,
            next_candidacy: 0,
            recovery: None,
            registrations: Vec::new(),
        }
    }

    /// Where the leading master is; while nobody leads, where the last one was.
    pub(super) fn leader(&self) -> Option<usize> {
        self.leading.or(self.detected)
    }

    pub(super) fn leading(&self) -> Option<usize> {
        self.leading
    }

    pub(super) fn is_alive(&self, index: usize) -> bool {
        let place = self.places.get(index);
        place.is_some_and(|place| place.candidacy.is_some())
    }

    pub(super) fn standing(&self, index: usize) -> Standing {
        let routes = self.places.get(index).and_then(|place| place.routes);
        if routes.is_some_and(|at| Instant::now() < at) {
            return Standing::Starting;
        }
        if self.leading == Some(index) {
            return match self.recovery {
                Some(_) => Standing::Recovering,
                None => Standing::Leading,
            };
        }
        let detected = self.detected.and_then(|index| self.places.get(index));
        detected.map_or(Standing::Leaderless, |place| {
            Standing::Follows(place.address)
        })
    }

    /// The state of a living master that does not lead, or has not recovered.
    pub(super) fn standby(&self, index: usize) -> Option<&Master> {
        self.places.get(index)?.standby.as_ref()
    }

    /// The standby that has contended longest.
    pub(super) fn next(&self) -> Option<usize> {
        let places = self.places.iter().enumerate();
        let standbys =
            places.filter(|(index, place)| place.standby.is_some() && self.leading != Some(*index));
        let next = standbys.min_by_key(|(_, place)| place.candidacy);
        next.map(|(index, _)| index)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let registrations = self.registrations.iter().map(|(at, _)| *at);
        let recovery = self.recovery.map(|recovery| recovery.end);
        registrations.chain(self.election).chain(recovery).min()
    }

    fn states<'a>(&'a self, leading: Option<&'a Master>) -> impl Iterator<Item = LocalMaster> {
        let places = self.places.iter().enumerate();
        places.map(move |(index, place)| {
            let is_leading = self.leading == Some(index) && self.recovery.is_none();
            let master = if is_leading {
                leading
            } else {
                place.standby.as_ref()
            };
            LocalMaster {
                id: master.map(|master| master.id().to_owned()),
                address: place.address.to_string(),
                is_alive: place.candidacy.is_some(),
                is_leading,
            }
        })
    }
}

impl World {
    /// The registry, whoever has it.
    pub(super) fn registry(&self) -> &Registry {
        self.master
            .as_ref()
            .map_or(&self.registry, Master::registry)
    }

    pub(super) fn master_states(&self) -> Vec<LocalMaster> {
        self.masters.states(self.master.as_ref()).collect()
    }

    /// Starts the master in place `index`, which takes some of `recovery` to have routes. It is elected at once if nobody
    /// else leads, will or must.
    pub(super) fn start_master(&mut self, index: usize, config: &Arc<Config>, recovery: Duration) {
        let masters = &mut self.masters;
        let Some(place) = masters.places.get_mut(index) else {
            return;
        };
        if place.candidacy.is_some() {
            return;
        }
        place.standby = Some(Master::new(Arc::clone(config), place.address));
        place.candidacy = Some(masters.next_candidacy);
        place.routes = (!recovery.is_zero()).then(|| Instant::now() + recovery / 2);
        masters.next_candidacy += 1;
        let is_vacant = masters.leading.is_none() && masters.election.is_none();
        if is_vacant && !masters.is_held {
            self.elect(index, Duration::ZERO, recovery);
        }
    }

    /// Ends the leading master, as SIGKILL would: the standbys notice after `timeout`.
    pub(super) fn kill_master(&mut self, timeout: Duration) {
        let Some(index) = self.end_leader() else {
            return;
        };
        let masters = &mut self.masters;
        masters.detected = Some(index);
        if masters.next().is_some() {
            masters.election = Some(Instant::now() + timeout);
        }
    }

    /// Ends the leading master and leaves the others without one, until somebody elects.
    pub(super) fn elect_nobody(&mut self) {
        self.end_leader();
        let masters = &mut self.masters;
        masters.detected = None;
        masters.election = None;
        masters.is_held = true;
    }

    /// Makes the standby in place `index` the leader; the leader until now exits. It takes the second half of `recovery` to
    /// recover, and agents register after at most `backoff` then.
    ///
    /// False if there is no such standby.
    pub(super) fn elect(&mut self, index: usize, backoff: Duration, recovery: Duration) -> bool {
        let place = self.masters.places.get(index);
        let Some(place) = place.filter(|place| place.standby.is_some()) else {
            return false;
        };
        let now = Instant::now();
        let ready = place.routes.map_or(now, |routes| routes.max(now));
        self.end_leader();
        let masters = &mut self.masters;
        masters.leading = Some(index);
        masters.detected = Some(index);
        masters.election = None;
        masters.is_held = false;
        masters.registrations.clear();
        let end = ready + recovery / 2;
        masters.recovery = Some(Recovery { end, backoff });
        self.recover_if_due(now);
        true
    }

    /// Has the elected master lead, once it knows the registry.
    fn recover_if_due(&mut self, now: Instant) {
        let recovery = self.masters.recovery;
        let Some(Recovery { backoff, .. }) = recovery.filter(|recovery| recovery.end <= now) else {
            return;
        };
        self.masters.recovery = None;
        let leading = self.masters.leading;
        let place = leading.and_then(|index| self.masters.places.get_mut(index));
        let Some(mut master) = place.and_then(|place| place.standby.take()) else {
            return;
        };
        master.lead(std::mem::take(&mut self.registry), now);
        self.master = Some(master);
        if backoff.is_zero() {
            self.agents.iter_mut().for_each(Agent::register);
        } else {
            let places = 0..self.agents.len();
            let delayed = places.map(|place| (now + backoff.mul_f64(fastrand::f64()), place));
            self.masters.registrations.extend(delayed);
        }
    }

    /// When something of the masters is due that is not the leading one's own.
    pub(super) fn masters_deadline(&self) -> Option<Instant> {
        self.masters.next_deadline()
    }

    /// Holds the election that is due, ends the recovery that is, and has the agents register whose time has come.
    pub(super) fn tick_masters(&mut self, now: Instant, backoff: Duration, recovery: Duration) {
        if self.masters.election.is_some_and(|at| at <= now) {
            self.masters.election = None;
            if let Some(index) = self.masters.next() {
                self.elect(index, backoff, recovery);
            }
        }
        self.recover_if_due(now);
        let waiting = std::mem::take(&mut self.masters.registrations);
        for (at, place) in waiting {
            if at > now {
                self.masters.registrations.push((at, place));
            } else if let Some(agent) = self.agents.get_mut(place) {
                agent.register();
            }
        }
    }

    /// Where the leading master was; what it wrote down stays.
    fn end_leader(&mut self) -> Option<usize> {
        let index = self.masters.leading.take()?;
        self.masters.recovery = None;
        if let Some(place) = self.masters.places.get_mut(index) {
            place.candidacy = None;
            place.standby = None;
        }
        self.masters.registrations.clear();
        for machine in &mut self.machines {
            machine.held = Held::default();
        }
        if let Some(master) = self.master.take() {
            self.registry = master.into_registry();
        }
        Some(index)
    }
}
