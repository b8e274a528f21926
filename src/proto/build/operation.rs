//! Operations on offers.

use crate::proto::offer::{Operation, operation};
use crate::proto::resource::disk_info::source;
use crate::proto::{ExecutorInfo, OperationId, Resource, TaskGroupInfo, TaskInfo, value};

impl Operation {
    /// Launches tasks, each by itself.
    ///
    /// Source: `Offer.Operation.Launch`, mesos.proto.
    pub fn launch(tasks: impl IntoIterator<Item = TaskInfo>) -> Self {
        let task_infos = tasks.into_iter().collect();
        Self {
            launch: Some(operation::Launch { task_infos }),
            ..Self::of(operation::Type::Launch)
        }
    }

    /// Launches a group of tasks under one executor, all or none.
    ///
    /// Source: `Offer.Operation.LaunchGroup`, mesos.proto.
    #[must_use]
    pub fn launch_group(executor: ExecutorInfo, task_group: TaskGroupInfo) -> Self {
        Self {
            launch_group: Some(operation::LaunchGroup {
                executor,
                task_group,
            }),
            ..Self::of(operation::Type::LaunchGroup)
        }
    }

    /// Reserves resources: as they shall be, with the dynamic reservation on top.
    ///
    /// Source: `Offer.Operation.Reserve`, mesos.proto.
    pub fn reserve(resources: impl IntoIterator<Item = Resource>) -> Self {
        Self {
            reserve: Some(operation::Reserve {
                source: Vec::new(),
                resources: resources.into_iter().collect(),
            }),
            ..Self::of(operation::Type::Reserve)
        }
    }

    /// Gives the topmost dynamic reservation of resources up.
    ///
    /// Source: `Offer.Operation.Unreserve`, mesos.proto.
    pub fn unreserve(resources: impl IntoIterator<Item = Resource>) -> Self {
        let resources = resources.into_iter().collect();
        Self {
            unreserve: Some(operation::Unreserve { resources }),
            ..Self::of(operation::Type::Unreserve)
        }
    }

    /// Creates persistent volumes.
    ///
    /// Source: `Offer.Operation.Create`, mesos.proto.
    pub fn create(volumes: impl IntoIterator<Item = Resource>) -> Self {
        let volumes = volumes.into_iter().collect();
        Self {
            create: Some(operation::Create { volumes }),
            ..Self::of(operation::Type::Create)
        }
    }

    /// Destroys persistent volumes, with all that is in them.
    ///
    /// Source: `Offer.Operation.Destroy`, mesos.proto.
    pub fn destroy(volumes: impl IntoIterator<Item = Resource>) -> Self {
        let volumes = volumes.into_iter().collect();
        Self {
            destroy: Some(operation::Destroy { volumes }),
            ..Self::of(operation::Type::Destroy)
        }
    }

    /// Makes a persistent volume larger by `addition`, disk of the same kind.
    ///
    /// Source: `Offer.Operation.GrowVolume`, mesos.proto.
    #[must_use]
    pub fn grow_volume(volume: Resource, addition: Resource) -> Self {
        Self {
            grow_volume: Some(operation::GrowVolume { volume, addition }),
            ..Self::of(operation::Type::GrowVolume)
        }
    }

    /// Makes a persistent volume smaller by `subtract` (MB).
    ///
    /// Source: `Offer.Operation.ShrinkVolume`, mesos.proto.
    #[must_use]
    pub fn shrink_volume(volume: Resource, subtract: f64) -> Self {
        Self {
            shrink_volume: Some(operation::ShrinkVolume {
                volume,
                subtract: value::Scalar { value: subtract },
            }),
            ..Self::of(operation::Type::ShrinkVolume)
        }
    }

    /// Makes a MOUNT or BLOCK disk of a RAW one of a resource provider; `target_profile` if the source has none.
    ///
    /// Source: `Offer.Operation.CreateDisk`, mesos.proto.
    #[must_use]
    pub fn create_disk(
        source: Resource,
        target_type: source::Type,
        target_profile: Option<&str>,
    ) -> Self {
        Self {
            create_disk: Some(operation::CreateDisk {
                source,
                target_type: target_type.into(),
                target_profile: target_profile.map(str::to_owned),
            }),
            ..Self::of(operation::Type::CreateDisk)
        }
    }

    /// Makes a RAW disk of a MOUNT or BLOCK one, with nothing in it.
    ///
    /// Source: `Offer.Operation.DestroyDisk`, mesos.proto.
    #[must_use]
    pub fn destroy_disk(source: Resource) -> Self {
        Self {
            destroy_disk: Some(operation::DestroyDisk { source }),
            ..Self::of(operation::Type::DestroyDisk)
        }
    }

    /// Sets the id under which Mesos tells how the operation ended. Launches have none.
    ///
    /// Source: `Offer.Operation.id`, mesos.proto.
    #[must_use]
    pub fn id(mut self, id: impl Into<OperationId>) -> Self {
        self.id = Some(id.into());
        self
    }

    fn of(kind: operation::Type) -> Self {
        Self {
            r#type: Some(kind.into()),
            ..Self::default()
        }
    }
}
