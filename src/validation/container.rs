//! Whether commands and containers are well formed.
//!
//! Source: `validateCommandInfo`, `validateSecret`, `validateContainerInfo` and `validateVolume`,
//! `src/common/validation.cpp` of Apache Mesos 1.11.0.

use super::Check;
use crate::proto::{
    CommandInfo, ContainerInfo, Environment, Secret, Volume, container_info, environment, secret,
    volume,
};

pub(super) fn check_command(command: Option<&CommandInfo>) -> Check {
    let environment = command.and_then(|command| command.environment.as_ref());
    environment.map_or(Ok(()), check_environment)
}

fn check_environment(environment: &Environment) -> Check {
    use environment::variable::Type;
    for variable in &environment.variables {
        let name = &variable.name;
        let why = match variable.r#type.map(Type::try_from) {
            Some(Ok(Type::Secret)) if variable.secret.is_none() => {
                format!("Environment variable '{name}' of type 'SECRET' must have a secret set")
            }
            Some(Ok(Type::Secret)) if variable.value.is_some() => {
                format!("Environment variable '{name}' of type 'SECRET' must not have a value set")
            }
            Some(Ok(Type::Secret)) => match check_secret_variable(variable.secret.as_ref()) {
                Err(why) => format!("Environment variable '{name}' specifies {why}"),
                Ok(()) => continue,
            },
            Some(Ok(Type::Unknown) | Err(_)) => {
                "Environment variable of type 'UNKNOWN' is not allowed".to_owned()
            }
            None | Some(Ok(Type::Value)) if variable.value.is_none() => {
                format!("Environment variable '{name}' of type 'VALUE' must have a value set")
            }
            None | Some(Ok(Type::Value)) if variable.secret.is_some() => {
                format!("Environment variable '{name}' of type 'VALUE' must not have a secret set")
            }
            _ => continue,
        };
        return Err(why);
    }
    Ok(())
}

/// What follows on the variable's name.
fn check_secret_variable(secret: Option<&Secret>) -> Check {
    let Some(secret) = secret else {
        return Ok(());
    };
    check_secret(secret).map_err(|why| format!("an invalid secret: {why}"))?;
    let value = secret.value.as_ref();
    if value.is_some_and(|value| value.data.contains(&0)) {
        return Err(
            "a secret containing null bytes, which is not allowed in the environment".to_owned(),
        );
    }
    Ok(())
}

fn check_secret(secret: &Secret) -> Check {
    let why = match (secret.r#type(), &secret.reference, &secret.value) {
        (secret::Type::Reference, None, _) => {
            "Secret of type REFERENCE must have the 'reference' field set"
        }
        (secret::Type::Reference, Some(reference), Some(_)) => {
            return Err(format!(
                "Secret '{}' of type REFERENCE must not have the 'value' field set",
                reference.name
            ));
        }
        (secret::Type::Value, _, None) => "Secret of type VALUE must have the 'value' field set",
        (secret::Type::Value, Some(_), Some(_)) => {
            "Secret of type VALUE must not have the 'reference' field set"
        }
        _ => return Ok(()),
    };
    Err(why.to_owned())
}

/// What is in `container` is looked at whether it belongs to its type or not.
pub(super) fn check_container(container: Option<&ContainerInfo>) -> Check {
    let Some(container) = container else {
        return Ok(());
    };
    for volume in &container.volumes {
        check_volume(volume).map_err(|why| format!("Invalid volume: {why}"))?;
    }
    if !is_docker(Some(container)) {
        return Ok(());
    }
    let Some(docker) = &container.docker else {
        return Err("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo".to_owned());
    };
    let mut parameters = docker.parameters.iter();
    if parameters.any(|parameter| parameter.key == "name") {
        return Err("Parameter in DockerInfo must not be 'name'".to_owned());
    }
    Ok(())
}

fn check_volume(volume: &Volume) -> Check {
    let given = [
        volume.host_path.is_some(),
        volume.image.is_some(),
        volume.source.is_some(),
    ];
    if given.into_iter().filter(|is_given| *is_given).count() != 1 {
        return Err("Only one of them should be set: 'host_path', 'image' and 'source'".to_owned());
    }
    volume.source.as_ref().map_or(Ok(()), check_source)
}

fn check_source(source: &volume::Source) -> Check {
    use volume::source::Type;
    let csi = source.csi_volume.as_ref();
    let (is_set, field, kind) = match source.r#type() {
        Type::DockerVolume => (
            source.docker_volume.is_some(),
            "docker_volume",
            "DOCKER_VOLUME",
        ),
        Type::HostPath => (source.host_path.is_some(), "host_path", "HOST_PATH"),
        Type::SandboxPath => (
            source.sandbox_path.is_some(),
            "sandbox_path",
            "SANDBOX_PATH",
        ),
        Type::Secret => (source.secret.is_some(), "secret", "SECRET"),
        Type::CsiVolume if csi.is_some() => (
            csi.is_some_and(|own| own.static_provisioning.is_some()),
            "csi_volume.static_provisioning",
            "CSI",
        ),
        Type::CsiVolume => (false, "csi_volume", "CSI"),
        Type::Unknown => return Err("'source.type' is unknown".to_owned()),
    };
    if is_set {
        return Ok(());
    }
    Err(format!("'source.{field}' is not set for {kind} volume"))
}

pub(super) fn is_docker(container: Option<&ContainerInfo>) -> bool {
    container.is_some_and(|container| container.r#type() == container_info::Type::Docker)
}
