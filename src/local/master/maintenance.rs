//! Maintenance of machines: the operator's calls.
//!
//! Source: `src/master/http.cpp` of Apache Mesos 1.11.0.

use super::machines::windows;
use super::state::Master;
use super::views::Viewer;
use crate::local::acls::AclAction;
use crate::local::http::Reply;
use crate::proto::machine_info::Mode;
use crate::proto::maintenance::cluster_status::DrainingMachine;
use crate::proto::maintenance::{ClusterStatus, Schedule};
use crate::proto::{MachineId, OfferId, Unavailability};

impl Master {
    /// Replaces the schedule: new machines drain, those that are left out are up again.
    pub(super) fn update_maintenance_schedule(
        &mut self,
        schedule: Schedule,
        by: Option<&str>,
    ) -> Reply {
        if let Err(why) = self.machines.check_schedule(&schedule) {
            return Reply::bad_request(why);
        }
        let action = AclAction::UpdateMaintenanceSchedules;
        if windows(&schedule).next().is_some() && !self.allows(by, action, None) {
            return Reply::not_allowed();
        }
        let planned: Vec<(MachineId, Unavailability)> = windows(&schedule)
            .map(|(id, when)| (id.clone(), when))
            .collect();
        let before: Vec<MachineId> = self.machines.all().map(|(id, _)| id.clone()).collect();
        self.machines.schedule = Schedule::default();
        for (id, when) in &planned {
            self.machines.set_unavailability(id, Some(*when));
            if self.machines.mode(id) == Some(Mode::Up) {
                self.machines.set_mode(id, Mode::Draining);
            }
            self.unavailability_changed(id);
        }
        self.machines.schedule = schedule;
        for id in before {
            if !self.machines.is_scheduled(&id) {
                self.machines.raise(std::slice::from_ref(&id));
                self.unavailability_changed(&id);
            }
        }
        self.machines.record(&mut self.registry);
        Reply::ok()
    }

    /// Takes back everything that was said of the machine's agents without knowing this.
    fn unavailability_changed(&mut self, id: &MachineId) {
        for agent_id in self.agents_on(id) {
            let offers = self.offers_where(|offer| offer.agent_id == agent_id);
            let offers: Vec<OfferId> = offers.map(|(id, _)| id.clone()).collect();
            for offer_id in offers {
                self.rescind(&offer_id);
            }
            self.rescind_inverse_of_agent(&agent_id);
            self.inverse_offers.forget_answers(&agent_id);
            for framework in self.frameworks.values_mut() {
                framework.filters.forget_inverse(&agent_id);
            }
            self.allocate_on(&agent_id);
        }
    }

    /// Removes the agents of draining machines, which are down from now on.
    pub(super) fn start_maintenance(&mut self, ids: &[MachineId], by: Option<&str>) -> Reply {
        let is_allowed = self.allows(by, AclAction::StartMaintenances, None);
        if let Err(refusal) = self.machines.check_all(ids, Mode::Draining, is_allowed) {
            return refusal;
        }
        for id in ids {
            for agent_id in self.agents_on(id) {
                self.shut_agent_down(&agent_id, "Operator initiated 'Machine DOWN'");
            }
            self.machines.set_mode(id, Mode::Down);
        }
        self.machines.record(&mut self.registry);
        Reply::ok()
    }

    /// Lets the agents of machines that are down register again.
    pub(super) fn stop_maintenance(&mut self, ids: &[MachineId], by: Option<&str>) -> Reply {
        let is_allowed = self.allows(by, AclAction::StopMaintenances, None);
        if let Err(refusal) = self.machines.check_all(ids, Mode::Down, is_allowed) {
            return refusal;
        }
        self.machines.raise(ids);
        self.machines.record(&mut self.registry);
        Reply::ok()
    }

    /// Empty for those who may not see it.
    pub(super) fn maintenance_schedule(&self, viewer: &Viewer<'_>) -> Schedule {
        match viewer.may(AclAction::GetMaintenanceSchedules, None) {
            true => self.machines.schedule.clone(),
            false => Schedule::default(),
        }
    }

    pub(super) fn maintenance_status(&self, viewer: &Viewer<'_>) -> ClusterStatus {
        let mut status = ClusterStatus::default();
        if !viewer.may(AclAction::GetMaintenanceStatuses, None) {
            return status;
        }
        for (id, mode) in self.machines.all() {
            match mode {
                Mode::Draining => {
                    let agents = self.agents_on(id);
                    let answers = agents.iter();
                    let answers = answers.flat_map(|own| self.inverse_offers.answers(own));
                    status.draining_machines.push(DrainingMachine {
                        id: id.clone(),
                        statuses: answers.cloned().collect(),
                    });
                }
                Mode::Down => status.down_machines.push(id.clone()),
                Mode::Up => {}
            }
        }
        status
    }
}
