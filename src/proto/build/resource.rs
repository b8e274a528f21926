//! Resources.

use std::ops::RangeInclusive;

use crate::proto::resource::{DiskInfo, ReservationInfo, SharedInfo, disk_info, reservation_info};
use crate::proto::{Resource, Volume, value, volume};

impl Resource {
    /// So much of what is counted: `cpus`, `mem` (MB), `disk` (MB), `gpus`, or anything that agents have. Mesos counts
    /// with three decimals.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::Resource;
    /// use mesos_framework::resources::Resources;
    ///
    /// let wanted = [
    ///     Resource::scalar("cpus", 0.5),
    ///     Resource::ranges("ports", [31_000..=31_001, 31_005..=31_005]),
    /// ];
    /// let shown = Resources::from_protos(&wanted)?.to_string();
    /// assert_eq!(shown, "cpus:0.5; ports:[31000-31001, 31005-31005]");
    /// # Ok::<(), mesos_framework::Error>(())
    /// ```
    ///
    /// Source: `Value.Scalar`, mesos.proto.
    pub fn scalar(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            r#type: value::Type::Scalar.into(),
            scalar: Some(value::Scalar { value }),
            ..Self::default()
        }
    }

    /// Numbers: `ports`. The ranges may not overlap.
    ///
    /// Source: `Value.Ranges`, mesos.proto.
    pub fn ranges(
        name: impl Into<String>,
        ranges: impl IntoIterator<Item = RangeInclusive<u64>>,
    ) -> Self {
        let ranges = ranges.into_iter();
        let range = ranges.map(|range| value::Range {
            begin: *range.start(),
            end: *range.end(),
        });
        Self {
            name: name.into(),
            r#type: value::Type::Ranges.into(),
            ranges: Some(value::Ranges {
                range: range.collect(),
            }),
            ..Self::default()
        }
    }

    /// Names, each once.
    ///
    /// Source: `Value.Set`, mesos.proto.
    pub fn set<T: Into<String>>(
        name: impl Into<String>,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        let item = items.into_iter().map(Into::into).collect();
        Self {
            name: name.into(),
            r#type: value::Type::Set.into(),
            set: Some(value::Set { item }),
            ..Self::default()
        }
    }

    /// With one more dynamic reservation on top, for `role`; `principal`: that of the framework, if it has one.
    ///
    /// Source: `Resource.ReservationInfo`, mesos.proto; `docs/reservation.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn reserved(mut self, role: impl Into<String>, principal: Option<&str>) -> Self {
        self.reservations.push(ReservationInfo {
            r#type: Some(reservation_info::Type::Dynamic.into()),
            role: Some(role.into()),
            principal: principal.map(str::to_owned),
            labels: None,
        });
        self
    }

    /// Reserved disk as a persistent volume, which tasks see at `container_path`. `principal`: that of the framework, if it
    /// has one. The source of the disk is kept.
    ///
    /// `id`: unique on the agent, for the role; 1 to 255 characters that may stand in a file name.
    ///
    /// # Examples
    /// ```
    /// use mesos_framework::proto::Resource;
    /// use mesos_framework::proto::offer::Operation;
    ///
    /// let disk = Resource::scalar("disk", 1024.0).reserved("database", None);
    /// let volume = disk.clone().persistent("data-0", "data", None);
    /// let operations = [Operation::reserve([disk]), Operation::create([volume])];
    /// # let _ = operations;
    /// ```
    ///
    /// Source: `Resource.DiskInfo.Persistence`, mesos.proto; `docs/persistent-volume.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn persistent(
        mut self,
        id: impl Into<String>,
        container_path: impl Into<String>,
        principal: Option<&str>,
    ) -> Self {
        let source = self.disk.and_then(|disk| disk.source);
        self.disk = Some(Box::new(DiskInfo {
            persistence: Some(disk_info::Persistence {
                id: id.into(),
                principal: principal.map(str::to_owned),
            }),
            volume: Some(Volume {
                container_path: container_path.into(),
                mode: volume::Mode::Rw.into(),
                ..Volume::default()
            }),
            source,
        }));
        self
    }

    /// A persistent volume that several tasks may use at once.
    ///
    /// Source: `Resource.SharedInfo`, mesos.proto; `docs/shared-resources.md` of Apache Mesos 1.11.0.
    #[must_use]
    pub fn shared(mut self) -> Self {
        self.shared = Some(SharedInfo {});
        self
    }
}
