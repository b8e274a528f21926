//! Machines and their maintenance, as the master keeps them.
//!
//! Source: `src/master/maintenance.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::json;

use super::state::{Agent, Master};
use crate::local::config::HOST;
use crate::local::http::Reply;
use crate::local::messages::ToAgent;
use crate::local::registry::Registry;
use crate::proto::machine_info::Mode;
use crate::proto::maintenance::Schedule;
use crate::proto::{AgentId, AgentInfo, MachineId, MachineInfo, Unavailability};

/// What tells machines apart: host name in lower case, and address.
type Key = (Option<String>, Option<String>);

#[derive(Debug, Default)]
pub(super) struct Machines {
    known: BTreeMap<Key, MachineInfo>,
    pub(super) schedule: Schedule,
}

fn key(id: &MachineId) -> Key {
    let hostname = id.hostname.as_ref().map(|name| name.to_lowercase());
    (hostname, id.ip.clone())
}

impl Machines {
    pub(super) fn recovered(registry: &Registry) -> Self {
        let machines = registry.machines.iter();
        Self {
            known: machines.map(|info| (key(&info.id), info.clone())).collect(),
            schedule: registry.schedule.clone(),
        }
    }

    /// Writes down what a later master needs.
    pub(super) fn record(&self, registry: &mut Registry) {
        let machines = self.known.values();
        let machines = machines.filter(|info| mode(info) != Mode::Up);
        registry.machines = machines.cloned().collect();
        registry.schedule = self.schedule.clone();
    }

    /// Takes note of a machine that an agent runs on.
    pub(super) fn meet(&mut self, id: MachineId) {
        let machine = self.known.entry(key(&id));
        machine.or_insert_with(|| info(id, Mode::Up));
    }

    /// How the machine stands; `None` if nobody spoke of it.
    pub(super) fn mode(&self, id: &MachineId) -> Option<Mode> {
        self.known.get(&key(id)).map(mode)
    }

    pub(super) fn set_mode(&mut self, id: &MachineId, mode: Mode) {
        if let Some(machine) = self.known.get_mut(&key(id)) {
            machine.mode = Some(mode.into());
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&MachineId, Mode)> {
        let machines = self.known.values();
        machines.map(|info| (&info.id, mode(info)))
    }

    pub(super) fn unavailability(&self, id: &MachineId) -> Option<Unavailability> {
        self.known.get(&key(id))?.unavailability
    }

    pub(super) fn set_unavailability(&mut self, id: &MachineId, when: Option<Unavailability>) {
        let machine = self.known.entry(key(id));
        let machine = machine.or_insert_with(|| info(id.clone(), Mode::Draining));
        machine.unavailability = when;
    }

    pub(super) fn is_scheduled(&self, id: &MachineId) -> bool {
        let wanted = key(id);
        windows(&self.schedule).any(|(own, _)| key(own) == wanted)
    }

    /// Puts machines back into service, and out of the schedule.
    pub(super) fn raise(&mut self, ids: &[MachineId]) {
        for id in ids {
            if let Some(machine) = self.known.get_mut(&key(id)) {
                machine.mode = Some(Mode::Up.into());
                machine.unavailability = None;
            }
        }
        let raised: Vec<Key> = ids.iter().map(key).collect();
        for window in &mut self.schedule.windows {
            window.machine_ids.retain(|id| !raised.contains(&key(id)));
        }
        self.schedule
            .windows
            .retain(|window| !window.machine_ids.is_empty());
    }

    /// Why `schedule` cannot be the new one, if so.
    pub(super) fn check_schedule(&self, schedule: &Schedule) -> Result<(), String> {
        let mut scheduled = Vec::new();
        for window in &schedule.windows {
            if window.machine_ids.is_empty() {
                return Err("List of machines in the maintenance window is empty".to_owned());
            }
            let duration = window.unavailability.duration.as_ref();
            if duration.is_some_and(|duration| duration.nanoseconds < 0) {
                return Err("Unavailability 'duration' is negative".to_owned());
            }
            check_each(&window.machine_ids, &mut scheduled)?;
        }
        let mut down = self.known.iter();
        let down = down.find(|(key, info)| mode(info) == Mode::Down && !scheduled.contains(key));
        match down {
            Some((_, info)) => Err(format!(
                "Machine '{}' is deactivated and cannot be removed from the schedule",
                shown(&info.id)
            )),
            None => Ok(()),
        }
    }

    /// What is answered if these machines cannot go from `from` to another mode. Each is looked at on its own, and then
    /// whether that is allowed at all.
    pub(super) fn check_all(
        &self,
        ids: &[MachineId],
        from: Mode,
        is_allowed: bool,
    ) -> Result<(), Reply> {
        if ids.is_empty() {
            return Err(Reply::bad_request("List of machines is empty"));
        }
        check_each(ids, &mut Vec::new()).map_err(Reply::bad_request)?;
        for id in ids {
            self.check_mode(id, from).map_err(Reply::bad_request)?;
            if !is_allowed {
                return Err(Reply::not_allowed());
            }
        }
        Ok(())
    }

    fn check_mode(&self, id: &MachineId, from: Mode) -> Result<(), String> {
        let shown = shown(id);
        match self.mode(id) {
            None => Err(format!(
                "Machine '{shown}' is not part of a maintenance schedule"
            )),
            Some(mode) if mode != from => {
                let (mode, to) = match from {
                    Mode::Down => ("DOWN", "up"),
                    Mode::Up | Mode::Draining => ("DRAINING", "down"),
                };
                Err(format!(
                    "Machine '{shown}' is not in {mode} mode and cannot be brought {to}"
                ))
            }
            Some(_) => Ok(()),
        }
    }
}

/// When each scheduled machine is not available.
pub(super) fn windows(schedule: &Schedule) -> impl Iterator<Item = (&MachineId, Unavailability)> {
    schedule.windows.iter().flat_map(|window| {
        let machines = window.machine_ids.iter();
        machines.map(|id| (id, window.unavailability))
    })
}

fn mode(info: &MachineInfo) -> Mode {
    info.mode
        .and_then(|mode| Mode::try_from(mode).ok())
        .unwrap_or(Mode::Up)
}

fn info(id: MachineId, mode: Mode) -> MachineInfo {
    MachineInfo {
        id,
        mode: Some(mode.into()),
        unavailability: None,
    }
}

/// Checks machines, none of which may have been `seen`.
fn check_each(ids: &[MachineId], seen: &mut Vec<Key>) -> Result<(), String> {
    for id in ids {
        if id.hostname().is_empty() && id.ip().is_empty() {
            return Err("Both 'hostname' and 'ip' for a machine are empty".to_owned());
        }
        if !id.ip().is_empty() && id.ip().parse::<Ipv4Addr>().is_err() {
            return Err(format!("Failed to parse IPv4: {}", id.ip()));
        }
        let key = key(id);
        if seen.contains(&key) {
            return Err(format!(
                "Machine '{}' appears more than once in the schedule",
                shown(id)
            ));
        }
        seen.push(key);
    }
    Ok(())
}

/// In JSON, as messages name machines.
fn shown(id: &MachineId) -> String {
    json!(id).to_string()
}

/// As texts name it.
pub(super) fn named(id: &MachineId) -> String {
    match (&id.hostname, &id.ip) {
        (Some(hostname), Some(ip)) => format!("{hostname} ({ip})"),
        (Some(name), None) | (None, Some(name)) => name.clone(),
        (None, None) => String::new(),
    }
}

fn machine_of(info: &AgentInfo) -> MachineId {
    MachineId {
        hostname: Some(info.hostname.clone()),
        ip: Some(HOST.to_owned()),
    }
}

impl Agent {
    pub(super) fn machine(&self) -> MachineId {
        machine_of(&self.info)
    }
}

impl Master {
    /// Whether an agent cannot register because its machine is down; it is told so.
    pub(super) fn turns_away(&mut self, index: usize, info: &AgentInfo) -> bool {
        let is_down = self.machines.mode(&machine_of(info)) == Some(Mode::Down);
        if is_down {
            let message = "Machine is `DOWN`".to_owned();
            self.send_to(index, ToAgent::Shutdown { message });
        }
        is_down
    }

    /// When the agent's machine is planned not to be available.
    pub(super) fn unavailability_of(&self, agent: &Agent) -> Option<Unavailability> {
        self.machines.unavailability(&agent.machine())
    }

    pub(super) fn agents_on(&self, id: &MachineId) -> Vec<AgentId> {
        let agents = self.agents.iter();
        agents
            .filter(|(_, agent)| key(&agent.machine()) == key(id))
            .map(|(agent_id, _)| agent_id.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::maintenance::Window;

    fn machine(hostname: &str) -> MachineId {
        MachineId {
            hostname: Some(hostname.to_owned()),
            ip: None,
        }
    }

    fn schedule(machines: &[&str]) -> Schedule {
        Schedule {
            windows: vec![Window {
                machine_ids: machines.iter().map(|name| machine(name)).collect(),
                unavailability: Unavailability::default(),
            }],
        }
    }

    #[test]
    fn machines_are_told_apart_whatever_their_case() {
        let machines = Machines::default();
        assert!(machines.check_schedule(&schedule(&["a", "b"])).is_ok());
        let error = machines.check_schedule(&schedule(&["a", "A"])).unwrap_err();
        let text = r#"Machine '{"hostname":"A"}' appears more than once in the schedule"#;
        assert_eq!(error, text);
    }

    #[test]
    fn only_what_drains_can_go_down() {
        let mut machines = Machines::default();
        let ids = [machine("a")];
        let check = |machines: &Machines| {
            let checked = machines.check_all(&ids, Mode::Draining, true);
            checked.map_err(|refusal| refusal.refusal().unwrap_or_default().to_owned())
        };
        assert!(check(&machines).unwrap_err().contains("is not part of"));
        machines.meet(machine("a"));
        assert!(
            check(&machines)
                .unwrap_err()
                .contains("not in DRAINING mode")
        );
        machines.set_mode(&ids[0], Mode::Draining);
        assert!(check(&machines).is_ok());
        machines.set_mode(&ids[0], Mode::Down);
        let removed = machines.check_schedule(&schedule(&["b"])).unwrap_err();
        assert!(removed.contains("cannot be removed"), "{removed}");
    }
}
