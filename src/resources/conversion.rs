//! What operations turn resources into.
//!
//! Source: `getResourceConversions`, `src/common/resources_utils.cpp`, and `ResourceConversion::apply`,
//! `src/common/resources.cpp` of Apache Mesos 1.11.0.

use super::entry::shown;
use super::{Resources, amount, bare};
use crate::proto::offer::{Operation, operation};
use crate::proto::{Resource, value};

/// Resources that become others.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub(crate) consumed: Resources,
    pub(crate) converted: Resources,
    /// A volume of which no copy may be left.
    destroyed: Option<Resource>,
}

impl Conversion {
    pub(super) fn new(consumed: Resources, converted: Resources) -> Self {
        Self {
            consumed,
            converted,
            destroyed: None,
        }
    }

    /// The same without marks of allocation.
    #[cfg(feature = "local")]
    pub(crate) fn unallocated(&self) -> Self {
        let destroyed = self.destroyed.clone();
        Self {
            consumed: self.consumed.unallocated(),
            converted: self.converted.unallocated(),
            destroyed: destroyed.map(|mut volume| {
                volume.allocation_info = None;
                volume
            }),
        }
    }
}

impl Resources {
    /// These resources with all of `conversions` carried out, in order.
    pub(crate) fn converted(&self, conversions: &[Conversion]) -> Result<Self, String> {
        let mut result = self.clone();
        for conversion in conversions {
            let Conversion {
                consumed,
                converted,
                destroyed,
            } = conversion;
            if !result.contains(consumed) {
                return Err(format!("{result} does not contain {consumed}"));
            }
            result -= consumed;
            result += converted;
            if let Some(volume) = destroyed
                && result.contains(&one(volume))
            {
                let volume = shown(volume);
                return Err(format!(
                    "Persistent volume {volume} cannot be removed due to additional shared copies"
                ));
            }
        }
        Ok(result)
    }
}

/// What `operation`, whose resources are in the format with reservation refinement, turns into what.
pub(crate) fn conversions(operation: &Operation) -> Result<Vec<Conversion>, String> {
    let conversions = match operation.r#type() {
        operation::Type::Reserve => {
            let reserve = operation.reserve.clone().unwrap_or_default();
            let reserved = Resources::from_unchecked(&reserve.resources);
            let consumed = if reserve.source.is_empty() {
                popped(&reserved)?
            } else {
                Resources::from_unchecked(&reserve.source)
            };
            vec![Conversion::new(consumed, reserved)]
        }
        operation::Type::Unreserve => {
            let reserved = operation.unreserve.iter().flat_map(|own| &own.resources);
            let converted = reserved.map(|reserved| {
                let reserved = one(reserved);
                let popped = popped(&reserved)?;
                Ok(Conversion::new(reserved, popped))
            });
            converted.collect::<Result<_, String>>()?
        }
        operation::Type::Create => {
            let volumes = operation.create.iter().flat_map(|own| &own.volumes);
            let converted = volumes.map(|volume| Conversion::new(one(&bare(volume)), one(volume)));
            converted.collect()
        }
        operation::Type::Destroy => {
            let volumes = operation.destroy.iter().flat_map(|own| &own.volumes);
            volumes.map(destruction).collect()
        }
        operation::Type::GrowVolume => {
            let grow = operation.grow_volume.clone().unwrap_or_default();
            of_no_provider(&grow.volume)?;
            let mut grown = grow.volume.clone();
            resize(&mut grown, size(&grow.volume) + size(&grow.addition));
            let consumed = one(&grow.volume) + one(&grow.addition);
            vec![Conversion::new(consumed, one(&grown))]
        }
        operation::Type::ShrinkVolume => {
            let shrink = operation.shrink_volume.clone().unwrap_or_default();
            of_no_provider(&shrink.volume)?;
            let subtract = amount::to_thousandths(shrink.subtract.value);
            let mut freed = bare(&shrink.volume);
            resize(&mut freed, subtract);
            let mut shrunk = shrink.volume.clone();
            resize(&mut shrunk, size(&shrink.volume) - subtract);
            let converted = one(&shrunk) + one(&freed);
            vec![Conversion::new(one(&shrink.volume), converted)]
        }
        operation::Type::Unknown => return Err("Unknown operation".to_owned()),
        operation::Type::Launch
        | operation::Type::LaunchGroup
        | operation::Type::CreateDisk
        | operation::Type::DestroyDisk => return Err("Operation not supported".to_owned()),
    };
    Ok(conversions)
}

fn destruction(volume: &Resource) -> Conversion {
    Conversion {
        consumed: one(volume),
        converted: one(&bare(volume)),
        destroyed: Some(volume.clone()),
    }
}

fn popped(reserved: &Resources) -> Result<Resources, String> {
    reserved
        .pop_reservation()
        .map_err(|error| error.to_string())
}

fn of_no_provider(volume: &Resource) -> Result<(), String> {
    match volume.provider_id {
        None => Ok(()),
        Some(_) => Err("Operation not supported for resource provider".to_owned()),
    }
}

fn one(resource: &Resource) -> Resources {
    Resources::from_unchecked(std::slice::from_ref(resource))
}

/// In thousandths.
fn size(resource: &Resource) -> i64 {
    let scalar = resource.scalar.as_ref();
    scalar.map_or(0, |scalar| amount::to_thousandths(scalar.value))
}

fn resize(resource: &mut Resource, thousandths: i64) {
    let value = amount::to_float(thousandths);
    resource.scalar = Some(value::Scalar { value });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Volume;
    use crate::proto::resource::disk_info::Persistence;
    use crate::proto::resource::{DiskInfo, SharedInfo};

    fn volume(megabytes: f64) -> Resource {
        let mut disk = Resources::parse("disk(web):1").unwrap().to_protos();
        let mut volume = disk.remove(0);
        volume.scalar = Some(value::Scalar { value: megabytes });
        volume.disk = Some(Box::new(DiskInfo {
            persistence: Some(Persistence {
                id: "data".to_owned(),
                principal: None,
            }),
            volume: Some(Volume {
                container_path: "path".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }));
        volume
    }

    fn operation(kind: operation::Type) -> Operation {
        Operation {
            r#type: Some(kind.into()),
            ..Default::default()
        }
    }

    #[test]
    fn a_volume_is_made_grown_shrunk_and_removed() {
        let mut create = operation(operation::Type::Create);
        create.create = Some(operation::Create {
            volumes: vec![volume(10.0)],
        });
        let free = Resources::parse("disk(web):16;cpus:1").unwrap();
        let made = free.converted(&conversions(&create).unwrap()).unwrap();
        assert_eq!(
            made.to_string(),
            "disk(reservations: [(STATIC,web)]):6; cpus:1; disk(reservations: [(STATIC,web)])[data:path]:10"
        );
        let mut grow = operation(operation::Type::GrowVolume);
        let addition = Resources::parse("disk(web):6").unwrap().to_protos();
        grow.grow_volume = Some(operation::GrowVolume {
            volume: volume(10.0),
            addition: addition[0].clone(),
        });
        let grown = made.converted(&conversions(&grow).unwrap()).unwrap();
        assert!(grown.contains(&one(&volume(16.0))));
        let mut shrink = operation(operation::Type::ShrinkVolume);
        shrink.shrink_volume = Some(operation::ShrinkVolume {
            volume: volume(16.0),
            subtract: value::Scalar { value: 6.0 },
        });
        let shrunk = grown.converted(&conversions(&shrink).unwrap()).unwrap();
        assert_eq!(shrunk, made);
        let mut destroy = operation(operation::Type::Destroy);
        destroy.destroy = Some(operation::Destroy {
            volumes: vec![volume(10.0)],
        });
        let conversions = conversions(&destroy).unwrap();
        assert_eq!(shrunk.converted(&conversions).unwrap(), free);
        let why = free.converted(&conversions).unwrap_err();
        assert!(why.contains(" does not contain disk("), "{why}");
    }

    #[test]
    fn a_shared_volume_is_not_removed_while_another_copy_is_there() {
        let mut shared = volume(10.0);
        shared.shared = Some(SharedInfo {});
        let mut destroy = operation(operation::Type::Destroy);
        destroy.destroy = Some(operation::Destroy {
            volumes: vec![shared.clone()],
        });
        let conversions = conversions(&destroy).unwrap();
        let two = one(&shared) + one(&shared);
        let why = two.converted(&conversions).unwrap_err();
        assert_eq!(
            why,
            "Persistent volume disk(reservations: [(STATIC,web)])[data:path]<SHARED>:10 cannot be removed due to additional shared copies"
        );
        assert!(one(&shared).converted(&conversions).is_ok());
    }
}
