//! Containers, images and networks.

use crate::proto::container_info::docker_info;
use crate::proto::{
    ContainerInfo, Image, LinuxInfo, NetworkInfo, Parameter, Volume, container_info, image,
    network_info,
};

impl ContainerInfo {
    /// A container of Mesos's own containerizer, without an image yet: the agent's files.
    ///
    /// Source: `ContainerInfo` of type MESOS, mesos.proto; `docs/mesos-containerizer.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn mesos() -> Self {
        Self {
            r#type: container_info::Type::Mesos.into(),
            mesos: Some(container_info::MesosInfo::default()),
            ..Self::default()
        }
    }

    /// A container that the Docker daemon of the agent runs, from `image`.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::container_info::docker_info::Network;
    /// use mesos_framework::proto::{ContainerInfo, Volume};
    ///
    /// let container = ContainerInfo::docker("nginx:1.27")
    ///     .docker_network(Network::Bridge)
    ///     .port_mapping(31_000, 80, "tcp")
    ///     .docker_parameter("ulimit", "nofile=4096")
    ///     .volume(Volume::of_host("/srv/site", "/usr/share/nginx/html").read_only());
    /// assert_eq!(container.docker.unwrap().image, "nginx:1.27");
    /// ```
    ///
    /// Source: `ContainerInfo` of type DOCKER, mesos.proto; `docs/docker-containerizer.md` of Apache Mesos 1.11.0.
    pub fn docker(image: impl Into<String>) -> Self {
        Self {
            r#type: container_info::Type::Docker.into(),
            docker: Some(container_info::DockerInfo {
                image: image.into(),
                ..container_info::DockerInfo::default()
            }),
            ..Self::default()
        }
    }

    /// Sets the image that Mesos's own containerizer provides.
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.mesos.get_or_insert_default().image = Some(image);
        self
    }

    /// [`image`](Self::image) with a Docker image.
    #[must_use]
    pub fn docker_image(self, name: impl Into<String>) -> Self {
        self.image(Image::docker(name))
    }

    /// Adds a volume.
    #[must_use]
    pub fn volume(mut self, volume: Volume) -> Self {
        self.volumes.push(volume);
        self
    }

    /// Joins one more network, for Mesos's own containerizer; also the one user network of a Docker container.
    #[must_use]
    pub fn network(mut self, network: NetworkInfo) -> Self {
        self.network_infos.push(network);
        self
    }

    /// Sets whether a task of a group shares the cgroups of its executor, as it does by default; it needs its own to have
    /// limits.
    ///
    /// Source: `LinuxInfo.share_cgroups`, mesos.proto.
    #[must_use]
    pub fn share_cgroups(mut self, share: bool) -> Self {
        let linux: &mut LinuxInfo = self.linux_info.get_or_insert_default();
        linux.share_cgroups = Some(share);
        self
    }

    /// Sets the network of a Docker container; the agent's own by default.
    #[must_use]
    pub fn docker_network(mut self, network: docker_info::Network) -> Self {
        self.docker.get_or_insert_default().network = Some(network.into());
        self
    }

    /// Maps a port of the agent, which the task must have among its resources, to one of a Docker container; `protocol`:
    /// `tcp` or `udp`.
    #[must_use]
    pub fn port_mapping(
        mut self,
        host_port: u16,
        container_port: u16,
        protocol: impl Into<String>,
    ) -> Self {
        let mapping = docker_info::PortMapping {
            host_port: host_port.into(),
            container_port: container_port.into(),
            protocol: Some(protocol.into()),
        };
        let docker = self.docker.get_or_insert_default();
        docker.port_mappings.push(mapping);
        self
    }

    /// Adds an option of `docker run`: `--key=value`. The option `name` is Mesos's.
    #[must_use]
    pub fn docker_parameter(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let parameter = Parameter {
            key: key.into(),
            value: value.into(),
        };
        let docker = self.docker.get_or_insert_default();
        docker.parameters.push(parameter);
        self
    }

    /// Has a Docker image fetched again even if the agent has it.
    #[must_use]
    pub fn force_pull_image(mut self) -> Self {
        self.docker.get_or_insert_default().force_pull_image = Some(true);
        self
    }
}

impl Image {
    /// A Docker image: `name`, `name:tag` or `registry/name:tag`. The agent keeps it.
    ///
    /// Source: `Image` of type DOCKER, mesos.proto.
    pub fn docker(name: impl Into<String>) -> Self {
        Self {
            r#type: image::Type::Docker.into(),
            docker: Some(image::Docker {
                name: name.into(),
                ..image::Docker::default()
            }),
            ..Self::default()
        }
    }

    /// An Appc image.
    ///
    /// Source: `Image` of type APPC, mesos.proto.
    pub fn appc(name: impl Into<String>) -> Self {
        Self {
            r#type: image::Type::Appc.into(),
            appc: Some(image::Appc {
                name: name.into(),
                ..image::Appc::default()
            }),
            ..Self::default()
        }
    }
}

impl NetworkInfo {
    /// The network that agents know by `name`.
    ///
    /// Source: `NetworkInfo.name`, mesos.proto; `docs/cni.md` of Apache Mesos 1.11.0.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }

    /// Maps a port of the agent, which the task must have among its resources, to one of the container; `protocol`: `tcp`
    /// or `udp`.
    #[must_use]
    pub fn port_mapping(
        mut self,
        host_port: u16,
        container_port: u16,
        protocol: impl Into<String>,
    ) -> Self {
        self.port_mappings.push(network_info::PortMapping {
            host_port: host_port.into(),
            container_port: container_port.into(),
            protocol: Some(protocol.into()),
        });
        self
    }
}
