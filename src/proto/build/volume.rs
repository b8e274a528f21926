//! Volumes of containers. (Persistent ones are resources.)

use crate::proto::volume::source::{self, sandbox_path};
use crate::proto::volume::{self, Mode};
use crate::proto::{Image, Secret, Volume};

impl Volume {
    /// A path of the agent's machine, writable, at `container_path`.
    ///
    /// Source: `Volume.host_path`, mesos.proto; `docs/container-volume.md` of Apache Mesos 1.11.0.
    pub fn of_host(host_path: impl Into<String>, container_path: impl Into<String>) -> Self {
        Self {
            host_path: Some(host_path.into()),
            ..Self::at(container_path.into())
        }
    }

    /// A path of the container's own sandbox, writable, at `container_path`.
    ///
    /// Source: `Volume.Source.SandboxPath` of type SELF, mesos.proto.
    pub fn of_sandbox(path: impl Into<String>, container_path: impl Into<String>) -> Self {
        Self::sandbox(
            sandbox_path::Type::Self_,
            path.into(),
            container_path.into(),
        )
    }

    /// A path of the sandbox of the task group's executor, which the tasks of the group share; writable, at
    /// `container_path`.
    ///
    /// Source: `Volume.Source.SandboxPath` of type PARENT, mesos.proto.
    pub fn of_executor_sandbox(path: impl Into<String>, container_path: impl Into<String>) -> Self {
        Self::sandbox(
            sandbox_path::Type::Parent,
            path.into(),
            container_path.into(),
        )
    }

    /// A volume of a Docker volume driver, writable, at `container_path`.
    ///
    /// Source: `Volume.Source.DockerVolume`, mesos.proto; `docs/docker-volume.md` of Apache Mesos 1.11.0.
    pub fn of_docker(
        driver: impl Into<String>,
        name: impl Into<String>,
        container_path: impl Into<String>,
    ) -> Self {
        Self {
            source: Some(volume::Source {
                docker_volume: Some(source::DockerVolume {
                    driver: Some(driver.into()),
                    name: name.into(),
                    driver_options: None,
                }),
                ..of(source::Type::DockerVolume)
            }),
            ..Self::at(container_path.into())
        }
    }

    /// A secret as a file, at `container_path`.
    ///
    /// Source: `Volume.Source` of type SECRET, mesos.proto; `docs/secrets.md` of Apache Mesos 1.11.0.
    pub fn of_secret(secret: Secret, container_path: impl Into<String>) -> Self {
        Self {
            source: Some(volume::Source {
                secret: Some(secret),
                ..of(source::Type::Secret)
            }),
            ..Self::at(container_path.into())
        }
        .read_only()
    }

    /// An image's files, writable, at `container_path`.
    ///
    /// Source: `Volume.image`, mesos.proto.
    pub fn of_image(image: Image, container_path: impl Into<String>) -> Self {
        Self {
            image: Some(image),
            ..Self::at(container_path.into())
        }
    }

    /// The same, not writable.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.mode = Mode::Ro.into();
        self
    }

    fn sandbox(kind: sandbox_path::Type, path: String, container_path: String) -> Self {
        Self {
            source: Some(volume::Source {
                sandbox_path: Some(source::SandboxPath {
                    r#type: Some(kind.into()),
                    path,
                }),
                ..of(source::Type::SandboxPath)
            }),
            ..Self::at(container_path)
        }
    }

    fn at(container_path: String) -> Self {
        Self {
            mode: Mode::Rw.into(),
            container_path,
            ..Self::default()
        }
    }
}

fn of(kind: source::Type) -> volume::Source {
    volume::Source {
        r#type: Some(kind.into()),
        ..volume::Source::default()
    }
}
