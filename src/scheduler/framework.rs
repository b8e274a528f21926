//! What every SUBSCRIBE says about the framework.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};
use crate::proto::scheduler::OfferConstraints;
use crate::proto::scheduler::call::{Subscribe, UpdateFramework};
use crate::proto::{FrameworkId, FrameworkInfo, framework_info};

/// The framework as it wants to be known: kept up to date, for a new master knows only what SUBSCRIBE tells it, and what
/// SUBSCRIBE leaves out is undone (`src/master/master.cpp`, Apache Mesos 1.11.0).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Framework {
    /// Its `id` is set as soon as it is known.
    pub(super) info: FrameworkInfo,
    pub(super) suppressed_roles: BTreeSet<String>,
    pub(super) offer_constraints: Option<OfferConstraints>,
}

impl Framework {
    pub(super) fn subscribe(&self) -> Subscribe {
        Subscribe {
            framework_info: self.info.clone(),
            suppressed_roles: self.suppressed_roles.iter().cloned().collect(),
            offer_constraints: self.offer_constraints.clone(),
        }
    }

    /// No roles means all of them.
    pub(super) fn suppress(&mut self, roles: &[String]) {
        match roles.is_empty() {
            true => self.suppressed_roles = self.roles().into_iter().collect(),
            false => self.suppressed_roles.extend(roles.iter().cloned()),
        }
    }

    /// No roles means all of them.
    pub(super) fn revive(&mut self, roles: &[String]) {
        match roles.is_empty() {
            true => self.suppressed_roles.clear(),
            false => self.suppressed_roles.retain(|role| !roles.contains(role)),
        }
    }

    pub(super) fn update(&mut self, update: &UpdateFramework) {
        let id = self.info.id.take();
        self.info = FrameworkInfo {
            id,
            ..update.framework_info.clone()
        };
        self.suppressed_roles = update.suppressed_roles.iter().cloned().collect();
        self.offer_constraints.clone_from(&update.offer_constraints);
    }

    pub(super) fn roles(&self) -> Vec<String> {
        let multi_role = framework_info::capability::Type::MultiRole as i32;
        if self
            .info
            .capabilities
            .iter()
            .any(|capability| capability.r#type == Some(multi_role))
        {
            return self.info.roles.clone();
        }
        let role = self.info.role();
        vec![role.to_owned()]
    }
}

/// Fills in what Java's driver fills in, and refuses what cannot work.
pub(super) fn completed(mut info: FrameworkInfo) -> Result<FrameworkInfo> {
    if info.user.is_empty() {
        info.user = current_user().unwrap_or_default();
    }
    if info.hostname.is_none() {
        info.hostname = hostname();
    }
    info.id = info.id.filter(|id: &FrameworkId| !id.value.is_empty());
    if let Some(timeout) = info.failover_timeout
        && !timeout.is_finite()
    {
        let context = format!(
            "failover_timeout of framework {:?} is {timeout}, not a number of seconds",
            info.name
        );
        return Err(Error::new(ErrorKind::Config, context));
    }
    if info.failover_timeout.is_none() {
        tracing::warn!(
            framework = info.name,
            "FrameworkInfo.failover_timeout is not set: when the connection breaks, the master kills all tasks at once"
        );
    }
    Ok(info)
}

#[cfg(unix)]
fn current_user() -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid());
    user.ok().flatten().map(|user| user.name)
}

#[cfg(not(unix))]
fn current_user() -> Option<String> {
    std::env::var("USERNAME").ok()
}

#[cfg(unix)]
fn hostname() -> Option<String> {
    nix::unistd::gethostname().ok()?.into_string().ok()
}

#[cfg(not(unix))]
fn hostname() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framework(roles: &[&str]) -> Framework {
        let capability = framework_info::Capability {
            r#type: Some(framework_info::capability::Type::MultiRole as i32),
        };
        let info = FrameworkInfo {
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            capabilities: vec![capability],
            ..FrameworkInfo::default()
        };
        Framework {
            info,
            suppressed_roles: BTreeSet::new(),
            offer_constraints: None,
        }
    }

    #[test]
    fn suppression_is_kept_by_role_for_the_next_subscribe() {
        let mut framework = framework(&["a", "b"]);
        framework.suppress(&[]);
        assert_eq!(framework.subscribe().suppressed_roles, ["a", "b"]);
        framework.revive(&["a".into()]);
        assert_eq!(framework.subscribe().suppressed_roles, ["b"]);
        framework.revive(&[]);
        assert!(framework.subscribe().suppressed_roles.is_empty());
        framework.suppress(&["a".into()]);
        assert_eq!(framework.subscribe().suppressed_roles, ["a"]);
    }

    #[test]
    fn an_update_replaces_everything_but_the_id() {
        let mut framework = framework(&["a"]);
        framework.info.id = Some("x".into());
        let update = UpdateFramework {
            framework_info: FrameworkInfo {
                name: "new".into(),
                ..FrameworkInfo::default()
            },
            suppressed_roles: vec!["b".into()],
            offer_constraints: Some(OfferConstraints::default()),
        };
        framework.update(&update);
        let subscribe = framework.subscribe();
        assert_eq!(subscribe.framework_info.name, "new");
        assert_eq!(subscribe.framework_info.id, Some("x".into()));
        assert_eq!(subscribe.suppressed_roles, ["b"]);
        assert!(subscribe.offer_constraints.is_some());
    }

    #[test]
    fn user_and_hostname_are_filled_in_where_missing() {
        let filled = completed(FrameworkInfo::default()).unwrap();
        assert!(!filled.user.is_empty());
        assert!(filled.hostname.is_some());
        let given = FrameworkInfo {
            user: "me".into(),
            hostname: Some("here".into()),
            ..FrameworkInfo::default()
        };
        let kept = completed(given.clone()).unwrap();
        assert_eq!((kept.user, kept.hostname), (given.user, given.hostname));
    }

    #[test]
    fn a_failover_timeout_that_is_no_number_is_refused() {
        let info = FrameworkInfo {
            name: "x".into(),
            failover_timeout: Some(f64::NAN),
            ..FrameworkInfo::default()
        };
        let error = completed(info).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(
            error.to_string(),
            "failover_timeout of framework \"x\" is NaN, not a number of seconds"
        );
    }
}
