//! Numbers of one run, or of several.

use std::collections::BTreeMap;
use std::fmt;

use crate::counts::Counts;
use crate::later::Later;
use crate::ledger::Ledger;
use crate::outage::Outages;
use crate::proxy::Left;
use crate::settings::Bounds;

/// Of the ledger, the proxies and the machine.
#[derive(Clone, Debug)]
pub struct Figures {
    pub seconds: f64,
    pub counts: Counts,
    /// First terminal states by kind.
    pub ends: BTreeMap<String, usize>,
    pub later: Later,
    pub subscriptions: usize,
    /// Why subscriptions ended.
    pub causes: BTreeMap<String, usize>,
    pub longest_outage: f64,
    /// Of the embedded cluster's chaos.
    pub chaos: u64,
    /// Of masters, agents and executors of the embedded cluster.
    pub deaths: u64,
    /// Of the proxy before the master.
    pub proxied: u64,
    /// Of the proxies before the agents.
    pub executors: u64,
    pub left_streams: Left,
    pub left_calls: Left,
    pub executors_left_calls: Left,
    pub peak_mb: f64,
    bounds: Bounds,
}

impl Figures {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            seconds: 0.0,
            counts: Counts::default(),
            ends: BTreeMap::new(),
            later: Later::default(),
            subscriptions: 0,
            causes: BTreeMap::new(),
            longest_outage: 0.0,
            chaos: 0,
            deaths: 0,
            proxied: 0,
            executors: 0,
            left_streams: Left::default(),
            left_calls: Left::default(),
            executors_left_calls: Left::default(),
            peak_mb: 0.0,
            bounds,
        }
    }

    pub fn read(&mut self, ledger: &Ledger) {
        let Outages {
            longest, causes, ..
        } = &ledger.outages;
        self.counts = ledger.counts;
        self.ends = ledger.ends.clone();
        self.later = ledger.later.clone();
        self.subscriptions = ledger.outages.subscriptions();
        self.causes = causes.clone();
        self.longest_outage = longest.as_secs_f64();
    }

    /// What exceeds its bound.
    pub fn exceeded(&self, peak_mb: f64) -> Vec<String> {
        let Bounds {
            outage,
            silent_stream,
            silent_calls,
            executors_silent_calls,
        } = self.bounds;
        let seconds = |left: Left| left.after_at_most.as_secs_f64();
        let figures = [
            (
                "seconds without a subscription",
                self.longest_outage,
                outage.as_secs_f64(),
            ),
            (
                "seconds on a silent event stream",
                seconds(self.left_streams),
                silent_stream.as_secs_f64(),
            ),
            (
                "seconds on a silent connection of calls",
                seconds(self.left_calls),
                silent_calls.as_secs_f64(),
            ),
            (
                "seconds on an executor's silent connection of calls",
                seconds(self.executors_left_calls),
                executors_silent_calls.as_secs_f64(),
            ),
            ("MB of memory", self.peak_mb, peak_mb),
        ];
        let exceeded = figures.into_iter().filter(|(_, own, bound)| own > bound);
        exceeded
            .map(|(what, own, bound)| format!("{own:.1} {what}, more than {bound:.1}"))
            .collect()
    }

    pub fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.counts.add(&other.counts);
        self.later.add(&other.later);
        self.subscriptions += other.subscriptions;
        add(&mut self.causes, &other.causes);
        add(&mut self.ends, &other.ends);
        self.longest_outage = self.longest_outage.max(other.longest_outage);
        self.chaos += other.chaos;
        self.deaths += other.deaths;
        self.proxied += other.proxied;
        self.executors += other.executors;
        self.left_streams.add(other.left_streams);
        self.left_calls.add(other.left_calls);
        self.executors_left_calls.add(other.executors_left_calls);
        self.peak_mb = self.peak_mb.max(other.peak_mb);
    }

    /// The tables behind the numbers.
    pub fn print_tables(&self) {
        println!("why subscriptions ended:");
        print(&self.causes);
        println!("how tasks ended:");
        print(&self.ends);
        print!("{}", self.later);
    }
}

fn add(own: &mut BTreeMap<String, usize>, other: &BTreeMap<String, usize>) {
    for (what, count) in other {
        *own.entry(what.clone()).or_default() += count;
    }
}

fn print(table: &BTreeMap<String, usize>) {
    for (what, count) in table {
        println!("{count:>7}  {what}");
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds {
            outage,
            silent_stream,
            silent_calls,
            executors_silent_calls,
        } = self.bounds;
        write!(f, "{:.1} s; {}; ", self.seconds, self.counts)?;
        write!(
            f,
            "faults: {} of chaos, {} deaths, {} of the proxy, {} of the executors' proxies; ",
            self.chaos, self.deaths, self.proxied, self.executors
        )?;
        write!(
            f,
            "{} subscriptions, at most {:.1} s without one (bound {:.1} s); ",
            self.subscriptions,
            self.longest_outage,
            outage.as_secs_f64()
        )?;
        for (what, left, bound) in [
            ("event streams", self.left_streams, silent_stream),
            ("calls", self.left_calls, silent_calls),
            (
                "executors' calls",
                self.executors_left_calls,
                executors_silent_calls,
            ),
        ] {
            let after = left.after_at_most.as_secs_f64();
            let bound = bound.as_secs_f64();
            write!(
                f,
                "{} {what} that hung left after at most {after:.1} s (bound {bound:.1} s); ",
                left.count
            )?;
        }
        write!(
            f,
            "{} later terminal states; {:.0} MB at its peak",
            self.later.count(),
            self.peak_mb
        )
    }
}
