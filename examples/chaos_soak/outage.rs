//! How long there is no subscription while there could be one, and why the last one ended.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mesos_framework::{Connection, ConnectionState};

/// Times without a subscription. While the master is down, time does not count.
#[derive(Debug)]
pub struct Outages {
    is_master_up: bool,
    generation: u64,
    /// Counted so far, and since when more is counted.
    running: Option<(Duration, Option<Instant>)>,
    pub longest: Duration,
    /// Why subscriptions ended, and how many did.
    pub causes: BTreeMap<String, usize>,
}

impl Default for Outages {
    fn default() -> Self {
        Self {
            is_master_up: true,
            generation: 0,
            running: None,
            longest: Duration::ZERO,
            causes: BTreeMap::new(),
        }
    }
}

impl Outages {
    /// How it stands now.
    pub fn note(&mut self, connection: &Connection) {
        match &connection.state {
            ConnectionState::Subscribed { generation, .. } if *generation > self.generation => {
                // Lost and found again before anybody looked.
                if self.running.is_none() && self.generation > 0 {
                    self.lost(connection);
                }
                self.generation = *generation;
                self.found();
            }
            ConnectionState::Subscribed { .. } | ConnectionState::Closed => {}
            _ if self.running.is_none() && self.generation > 0 => self.lost(connection),
            _ => {}
        }
    }

    pub fn subscriptions(&self) -> usize {
        usize::try_from(self.generation).unwrap_or(usize::MAX)
    }

    /// The master died, or can be subscribed with again.
    pub fn master(&mut self, is_up: bool) {
        if self.is_master_up == is_up {
            return;
        }
        self.is_master_up = is_up;
        if let Some((counted, since)) = &mut self.running {
            match is_up {
                true => *since = Some(Instant::now()),
                false => *counted += since.take().map_or(Duration::ZERO, |since| since.elapsed()),
            }
        }
    }

    fn lost(&mut self, connection: &Connection) {
        self.running = Some((Duration::ZERO, self.is_master_up.then(Instant::now)));
        let cause = connection.last_error.as_ref().map(ToString::to_string);
        *self
            .causes
            .entry(kind(&cause.unwrap_or_default()))
            .or_default() += 1;
    }

    fn found(&mut self) {
        if let Some((counted, since)) = self.running.take() {
            let outage = counted + since.map_or(Duration::ZERO, |since| since.elapsed());
            self.longest = self.longest.max(outage);
        }
    }
}

/// The text of an error without addresses, numbers and what lies beneath: `no event from master`.
fn kind(text: &str) -> String {
    let text = text.split(": ").next().unwrap_or_default();
    let text = text.split(" for ").next().unwrap_or_default();
    let is_general = |word: &&str| !word.contains(|own: char| own.is_ascii_digit());
    let words: Vec<&str> = text.split_whitespace().filter(is_general).collect();
    words.join(" ")
}
