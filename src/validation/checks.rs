//! Whether a task's checks are well formed.
//!
//! Source: `validateCheckInfo` and `validateHealthCheck`, `src/common/validation.cpp` of Apache Mesos 1.11.0.

use super::Check;
use super::container::check_command;
use crate::proto::{CheckInfo, CommandInfo, HealthCheck, TaskInfo, check_info, health_check};

pub(super) fn check_checks(task: &TaskInfo) -> Check {
    if let Some(own) = &task.check {
        check(own).map_err(|why| format!("Task uses invalid check: {why}"))?;
    }
    if let Some(own) = &task.health_check {
        health(own).map_err(|why| format!("Task uses invalid health check: {why}"))?;
    }
    Ok(())
}

fn check(check: &CheckInfo) -> Check {
    let kind = check.r#type.map(check_info::Type::try_from);
    match kind {
        None => return Err("CheckInfo must specify 'type'".to_owned()),
        Some(Ok(check_info::Type::Command)) => {
            let Some(command) = &check.command else {
                return Err("Expecting 'command' to be set for COMMAND check".to_owned());
            };
            given(&command.command, "Command check")?;
            check_command(Some(&command.command))
                .map_err(|why| format!("Check's `CommandInfo` is invalid: {why}"))?;
        }
        Some(Ok(check_info::Type::Http)) => {
            let Some(http) = &check.http else {
                return Err("Expecting 'http' to be set for HTTP check".to_owned());
            };
            rooted(http.path.as_deref(), "HTTP check")?;
        }
        Some(Ok(check_info::Type::Tcp)) if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP check".to_owned());
        }
        Some(Ok(check_info::Type::Tcp)) => {}
        Some(Ok(check_info::Type::Unknown) | Err(_)) => {
            return Err("'UNKNOWN' is not a valid check type".to_owned());
        }
    }
    not_negative(&[
        ("delay_seconds", check.delay_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ])
}

fn health(check: &HealthCheck) -> Check {
    let kind = check.r#type.map(health_check::Type::try_from);
    match kind {
        None => return Err("HealthCheck must specify 'type'".to_owned()),
        Some(Ok(health_check::Type::Command)) => {
            let Some(command) = &check.command else {
                return Err("Expecting 'command' to be set for COMMAND health check".to_owned());
            };
            given(command, "Command health check")?;
            check_command(Some(command))
                .map_err(|why| format!("Health check's `CommandInfo` is invalid: {why}"))?;
        }
        Some(Ok(health_check::Type::Http)) => {
            let Some(http) = &check.http else {
                return Err("Expecting 'http' to be set for HTTP health check".to_owned());
            };
            if let Some(scheme) = http.scheme.as_deref()
                && !matches!(scheme, "http" | "https")
            {
                return Err(format!("Unsupported HTTP health check scheme: '{scheme}'"));
            }
            rooted(http.path.as_deref(), "HTTP health check")?;
        }
        Some(Ok(health_check::Type::Tcp)) if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP health check".to_owned());
        }
        Some(Ok(health_check::Type::Tcp)) => {}
        Some(Ok(health_check::Type::Unknown) | Err(_)) => {
            return Err("'UNKNOWN' is not a valid health check type".to_owned());
        }
    }
    not_negative(&[
        ("delay_seconds", check.delay_seconds),
        ("grace_period_seconds", check.grace_period_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ])
}

fn given(command: &CommandInfo, what: &str) -> Check {
    let missing = if command.shell() {
        "'shell command'"
    } else {
        "'executable path'"
    };
    match command.value {
        Some(_) => Ok(()),
        None => Err(format!("{what} must contain {missing}")),
    }
}

fn rooted(path: Option<&str>, what: &str) -> Check {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(format!("The path '{path}' of {what} must start with '/'"))
        }
        _ => Ok(()),
    }
}

fn not_negative(fields: &[(&str, Option<f64>)]) -> Check {
    let is_negative = |value: Option<f64>| value.is_some_and(|seconds| seconds < 0.0);
    match fields.iter().find(|(_, value)| is_negative(*value)) {
        Some((name, _)) => Err(format!("Expecting '{name}' to be non-negative")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(path: &str) -> HealthCheck {
        HealthCheck {
            r#type: Some(health_check::Type::Http.into()),
            http: Some(health_check::HttpCheckInfo {
                port: 80,
                path: Some(path.to_owned()),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn why(task: &TaskInfo) -> String {
        check_checks(task).err().unwrap_or_default()
    }

    #[test]
    fn health_checks_are_refused_in_mesos_words() {
        let of = |health: HealthCheck| {
            why(&TaskInfo {
                health_check: Some(health),
                ..Default::default()
            })
        };
        let prefix = "Task uses invalid health check: ";
        assert_eq!(
            of(HealthCheck::default()),
            format!("{prefix}HealthCheck must specify 'type'")
        );
        assert_eq!(of(http("/ok")), "");
        assert_eq!(
            of(http("ok")),
            format!("{prefix}The path 'ok' of HTTP health check must start with '/'")
        );
        let mut other = http("/");
        other.http.as_mut().unwrap().scheme = Some("ftp".to_owned());
        assert_eq!(
            of(other),
            format!("{prefix}Unsupported HTTP health check scheme: 'ftp'")
        );
        let negative = HealthCheck {
            grace_period_seconds: Some(-1.0),
            ..http("/")
        };
        assert_eq!(
            of(negative),
            format!("{prefix}Expecting 'grace_period_seconds' to be non-negative")
        );
        let command = HealthCheck {
            r#type: Some(health_check::Type::Command.into()),
            command: Some(CommandInfo::default()),
            ..Default::default()
        };
        assert_eq!(
            of(command),
            format!("{prefix}Command health check must contain 'shell command'")
        );
    }

    #[test]
    fn checks_are_refused_in_mesos_words() {
        let of = |kind: check_info::Type| {
            why(&TaskInfo {
                check: Some(CheckInfo {
                    r#type: Some(kind.into()),
                    ..Default::default()
                }),
                ..Default::default()
            })
        };
        let prefix = "Task uses invalid check: ";
        assert_eq!(
            of(check_info::Type::Tcp),
            format!("{prefix}Expecting 'tcp' to be set for TCP check")
        );
        assert_eq!(
            of(check_info::Type::Unknown),
            format!("{prefix}'UNKNOWN' is not a valid check type")
        );
    }
}
