//! Whether an operation on reservations, volumes or disks can be carried out.

use super::roles::{has_capability, roles};
use super::{Check, resources};
use crate::proto::framework_info::capability;
use crate::proto::offer::{Operation, operation};
use crate::proto::resource::disk_info::source;
use crate::proto::{FrameworkInfo, Resource};
use crate::resources::{
    Resources, bare, is_dynamically_reserved, reservation_role, shown_resource,
};

/// Why `operation` lacks what belongs to its type, or has a resource that is none; if so.
pub(crate) fn shape(operation: &Operation) -> Check {
    let list = |resources: &[Resource]| match Resources::from_protos(resources) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    match operation.r#type() {
        operation::Type::Reserve => {
            let reserve = operation.reserve.as_ref();
            let reserve = reserve.ok_or_else(|| missing("A RESERVE offer", "reserve", "."))?;
            list(&reserve.resources)?;
            list(&reserve.source)
        }
        operation::Type::Unreserve => {
            let unreserve = operation.unreserve.as_ref();
            let unreserve =
                unreserve.ok_or_else(|| missing("An UNRESERVE offer", "unreserve", "."))?;
            list(&unreserve.resources)
        }
        operation::Type::Create => {
            let create = operation.create.as_ref();
            let create = create.ok_or_else(|| missing("A CREATE offer", "create", "."))?;
            list(&create.volumes)
        }
        operation::Type::Destroy => {
            let destroy = operation.destroy.as_ref();
            let destroy = destroy.ok_or_else(|| missing("A DESTROY offer", "destroy", "."))?;
            list(&destroy.volumes)
        }
        operation::Type::GrowVolume => {
            let grow = operation.grow_volume.as_ref();
            let grow = grow.ok_or_else(|| missing("A GROW_VOLUME", "grow_volume", ""))?;
            Resources::check(&grow.volume)?;
            Resources::check(&grow.addition)
        }
        operation::Type::ShrinkVolume => {
            let shrink = operation.shrink_volume.as_ref();
            let shrink =
                shrink.ok_or_else(|| missing("A SHRINK_VOLUME offer", "shrink_volume", ""))?;
            Resources::check(&shrink.volume)
        }
        operation::Type::CreateDisk => {
            let create = operation.create_disk.as_ref();
            let create =
                create.ok_or_else(|| missing("A CREATE_DISK offer", "create_disk", "."))?;
            Resources::check(&create.source)
        }
        operation::Type::DestroyDisk => {
            let destroy = operation.destroy_disk.as_ref();
            let destroy =
                destroy.ok_or_else(|| missing("A DESTROY_DISK offer", "destroy_disk", "."))?;
            Resources::check(&destroy.source)
        }
        operation::Type::Launch | operation::Type::LaunchGroup => Ok(()),
        operation::Type::Unknown => Err("Unknown offer operation".to_owned()),
    }
}

fn missing(what: &str, field: &str, end: &str) -> String {
    format!("{what} operation must have the Offer.Operation.{field} field set{end}")
}

/// Who wants an operation, and what there is on the agent.
#[derive(Debug)]
pub(crate) struct Requester<'a> {
    pub(crate) principal: Option<&'a str>,
    /// `None` for an operator.
    pub(crate) framework: Option<&'a FrameworkInfo>,
    /// The agent's dynamic reservations and persistent volumes, if they are known, and those of them in use; without marks of
    /// allocation.
    pub(crate) checkpointed: Option<&'a Resources>,
    pub(crate) used: &'a Resources,
}

impl Requester<'_> {
    /// Why `operation`, whose shape is right, cannot be carried out, if so.
    pub(crate) fn check(&self, operation: &Operation) -> Check {
        match operation.r#type() {
            operation::Type::Reserve => operation.reserve.as_ref().map(|own| self.reserve(own)),
            operation::Type::Unreserve => operation.unreserve.as_ref().map(unreserve),
            operation::Type::Create => operation.create.as_ref().map(|own| self.create(own)),
            operation::Type::Destroy => operation.destroy.as_ref().map(|own| self.destroy(own)),
            operation::Type::GrowVolume => operation.grow_volume.as_ref().map(grow),
            operation::Type::ShrinkVolume => operation.shrink_volume.as_ref().map(shrink),
            operation::Type::CreateDisk => operation.create_disk.as_ref().map(create_disk),
            operation::Type::DestroyDisk => operation.destroy_disk.as_ref().map(destroy_disk),
            operation::Type::Launch | operation::Type::LaunchGroup | operation::Type::Unknown => {
                None
            }
        }
        .unwrap_or(Ok(()))
    }

    fn reserve(&self, reserve: &operation::Reserve) -> Check {
        resources::usable(&reserve.resources).map_err(|why| format!("Invalid resources: {why}"))?;
        resources::usable(&reserve.source).map_err(|why| format!("Invalid source: {why}"))?;
        if !reserve.source.is_empty() {
            check_source(reserve)?;
        }
        resources::single_provider(&reserve.resources)
            .map_err(|why| format!("Invalid resources: {why}"))?;
        for resource in &reserve.resources {
            if !is_dynamically_reserved(resource) {
                let shown = shown_resource(resource);
                return Err(format!("Resource {shown} is not dynamically reserved"));
            }
            self.check_reserver(resource)?;
            self.check_allocation(resource)?;
        }
        if self.framework.is_some() {
            let all = Resources::from_unchecked(&reserve.resources);
            resources::single_role(&all)
                .map_err(|why| format!("Invalid reservation resources: {why}"))?;
        }
        Ok(())
    }

    fn check_reserver(&self, resource: &Resource) -> Check {
        let Some(principal) = self.principal else {
            return Ok(());
        };
        let reservation = resource.reservations.last();
        match reservation.and_then(|own| own.principal.as_deref()) {
            None => Err(format!(
                "A reserve operation was attempted by principal '{principal}', but there is a reserved resource in the request with no principal set"
            )),
            Some(reserver) if reserver != principal => Err(format!(
                "A reserve operation was attempted by authenticated principal '{principal}', which does not match a reserved resource in the request with principal '{reserver}'"
            )),
            Some(_) => Ok(()),
        }
    }

    /// Frameworks reserve what is allocated to the same role, operators what is not allocated.
    fn check_allocation(&self, resource: &Resource) -> Check {
        let allocation = resource.allocation_info.as_ref();
        let Some(info) = self.framework else {
            return match allocation {
                None => Ok(()),
                Some(_) => Err(
                    "A reserve operation was attempted with an allocated resource, but the operator API only allows reservations to be made to unallocated resources"
                        .to_owned(),
                ),
            };
        };
        let Some(role) = allocation.and_then(|own| own.role.as_deref()) else {
            return Err(format!(
                "A reserve operation was attempted on unallocated resource {}, but frameworks can only perform reservations on allocated resources",
                shown_resource(resource)
            ));
        };
        let reserved = reservation_role(resource).unwrap_or_default();
        if role != reserved {
            return Err(format!(
                "A reserve operation was attempted for a resource with role '{reserved}', but the resource was allocated to role '{role}'"
            ));
        }
        let own = roles(info);
        if !own.contains(role) {
            let own: Vec<String> = own.into_iter().collect();
            return Err(format!(
                "A reserve operation was attempted for a resource allocated to role '{role}', but the framework only has roles '{{ {} }}'",
                own.join(", ")
            ));
        }
        Ok(())
    }

    fn create(&self, create: &operation::Create) -> Check {
        let volumes = &create.volumes;
        check_volumes(volumes)?;
        let all = Resources::from_unchecked(volumes);
        let mut with_others = self.checkpointed.cloned().unwrap_or_default();
        with_others += &all;
        resources::unique_persistence_ids(&with_others)?;
        for volume in volumes {
            self.check_sharing(volume)?;
            self.check_creator(volume)?;
        }
        if self.framework.is_some() {
            resources::single_role(&all)
                .map_err(|why| format!("Invalid volume resources: {why}"))?;
        }
        Ok(())
    }

    fn check_sharing(&self, volume: &Resource) -> Check {
        match self.framework {
            Some(info)
                if volume.shared.is_some()
                    && !has_capability(info, capability::Type::SharedResources) =>
            {
                Err(format!(
                    "Create volume operation for '{}' has been attempted by framework '{}' with no SHARED_RESOURCES capability",
                    shown_resource(volume),
                    info.id.clone().unwrap_or_default()
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_creator(&self, volume: &Resource) -> Check {
        let Some(principal) = self.principal else {
            return Ok(());
        };
        let disk = volume.disk.as_ref();
        let persistence = disk.and_then(|disk| disk.persistence.as_ref());
        match persistence.and_then(|own| own.principal.as_deref()) {
            None => Err(format!(
                "Create volume operation attempted by principal '{principal}', but there is a volume in the operation with no principal set in 'disk.persistence'"
            )),
            Some(creator) if creator != principal => Err(format!(
                "Create volume operation attempted by authenticated principal '{principal}', which does not match a volume in the operation with principal '{creator}' set in 'disk.persistence'"
            )),
            Some(_) => Ok(()),
        }
    }

    fn destroy(&self, destroy: &operation::Destroy) -> Check {
        let volumes = Resources::from_unchecked(&destroy.volumes).unallocated();
        let listed = volumes.to_protos();
        check_volumes(&listed)?;
        let single = |volume: &Resource| Resources::from_unchecked(std::slice::from_ref(volume));
        let mut own = listed.iter().filter(|volume| volume.provider_id.is_none());
        if let Some(checkpointed) = self.checkpointed
            && own.any(|volume| !checkpointed.contains(&single(volume)))
        {
            return Err("Persistent volumes not found".to_owned());
        }
        if listed
            .iter()
            .any(|volume| self.used.contains(&single(volume)))
        {
            return Err("Persistent volumes in use".to_owned());
        }
        Ok(())
    }
}

/// What an operator's reservation takes must be what it gives, differently reserved.
fn check_source(reserve: &operation::Reserve) -> Check {
    let alike = |resources: &[Resource]| {
        let Some(first) = resources.first() else {
            return Err("Resource cannot be empty".to_owned());
        };
        let mut all = resources.iter();
        if all.all(|resource| resource.reservations == first.reservations) {
            return Ok(());
        }
        let shown = resources::shown(resources);
        Err(format!("Mixed reservations are not supported{shown}"))
    };
    alike(&reserve.source).map_err(|why| format!("Invalid source: {why}"))?;
    alike(&reserve.resources).map_err(|why| format!("Invalid resources: {why}"))?;
    let source = Resources::from_unchecked(&reserve.source).to_unreserved();
    let target = Resources::from_unchecked(&reserve.resources).to_unreserved();
    if source == target {
        return Ok(());
    }
    Err(format!(
        "Source and target resources should refer to identical resource quantities: {source} vs. {target}"
    ))
}

fn check_volumes(volumes: &[Resource]) -> Check {
    resources::usable(volumes).map_err(|why| format!("Invalid resources: {why}"))?;
    resources::single_provider(volumes).map_err(|why| format!("Invalid resources: {why}"))?;
    resources::persistent_volumes(volumes).map_err(|why| format!("Not a persistent volume: {why}"))
}

fn unreserve(unreserve: &operation::Unreserve) -> Check {
    let all = &unreserve.resources;
    resources::usable(all).map_err(|why| format!("Invalid resources: {why}"))?;
    resources::single_provider(all).map_err(|why| format!("Invalid resources: {why}"))?;
    for resource in all {
        let shown = shown_resource(resource);
        if !is_dynamically_reserved(resource) {
            return Err(format!("Resource {shown} is not dynamically reserved"));
        }
        let disk = resource.disk.as_ref();
        if disk.is_some_and(|disk| disk.persistence.is_some()) {
            return Err(format!(
                "A dynamically reserved persistent volume {shown} cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource"
            ));
        }
    }
    Ok(())
}

fn size(resource: &Resource) -> f64 {
    Resources::from_unchecked(std::slice::from_ref(resource)).scalar(&resource.name)
}

fn grow(grow: &operation::GrowVolume) -> Check {
    let (volume, addition) = (&grow.volume, &grow.addition);
    Resources::check(volume)
        .map_err(|why| format!("Invalid resource in the 'GrowVolume.volume' field: {why}"))?;
    Resources::check(addition)
        .map_err(|why| format!("Invalid resource in the 'GrowVolume.addition' field: {why}"))?;
    if size(addition) <= 0.0 {
        return Err("The size of 'GrowVolume.addition' field must be greater than zero".to_owned());
    }
    if volume.provider_id.is_some() {
        return Err("Growing a volume from a resource provider is not supported".to_owned());
    }
    resources::persistent_volumes(std::slice::from_ref(volume)).map_err(|why| {
        format!("Invalid persistent volume in the 'GrowVolume.volume' field: {why}")
    })?;
    if volume.shared.is_some() {
        return Err("Growing a shared persistent volume is not supported".to_owned());
    }
    let sum = Resources::from_unchecked(&[bare(volume), addition.clone()]);
    if sum.to_protos().len() != 1 {
        return Err(
            "Incompatible resources in the 'GrowVolume.volume' and 'GrowVolume.addition' fields"
                .to_owned(),
        );
    }
    Ok(())
}

fn shrink(shrink: &operation::ShrinkVolume) -> Check {
    let (volume, subtract) = (&shrink.volume, shrink.subtract.value);
    Resources::check(volume)
        .map_err(|why| format!("Invalid resource in the 'ShrinkVolume.volume' field: {why}"))?;
    // As scalars compare: in thousandths.
    let steps = |value: f64| (value * 1000.0).round();
    if steps(subtract) <= 0.0 {
        return Err("Value of 'ShrinkVolume.subtract' must be greater than zero".to_owned());
    }
    if steps(size(volume)) <= steps(subtract) {
        return Err(
            "Value of 'ShrinkVolume.subtract' must be smaller than the size of 'ShrinkVolume.volume'"
                .to_owned(),
        );
    }
    if volume.provider_id.is_some() {
        return Err("Shrinking a volume from a resource provider is not supported".to_owned());
    }
    if disk_type(volume) == Some(source::Type::Mount) {
        return Err("Shrinking a volume on a MOUNT disk is not supported".to_owned());
    }
    resources::persistent_volumes(std::slice::from_ref(volume)).map_err(|why| {
        format!("Invalid persistent volume in the 'ShrinkVolume.volume' field: {why}")
    })?;
    if volume.shared.is_some() {
        return Err("Shrinking a shared persistent volume is not supported".to_owned());
    }
    Ok(())
}

fn disk_type(resource: &Resource) -> Option<source::Type> {
    let source = resource.disk.as_ref()?.source.as_ref()?;
    Some(source.r#type())
}

/// Agents of this cluster have no resource providers, so that nothing gets beyond the first check.
fn provided(source: &Resource) -> Check {
    resources::usable(std::slice::from_ref(source))
        .map_err(|why| format!("Invalid resource: {why}"))?;
    if source.provider_id.is_none() {
        return Err("'source' is not managed by a resource provider".to_owned());
    }
    Ok(())
}

fn create_disk(create: &operation::CreateDisk) -> Check {
    let source = &create.source;
    provided(source)?;
    if disk_type(source) != Some(source::Type::Raw) {
        return Err("'source' is not a RAW disk resource".to_owned());
    }
    if !matches!(
        create.target_type(),
        source::Type::Mount | source::Type::Block
    ) {
        return Err("'target_type' is neither MOUNT or BLOCK".to_owned());
    }
    let disk = source.disk.as_ref().and_then(|disk| disk.source.as_ref());
    let has_profile = disk.is_some_and(|own| own.profile.is_some());
    match (has_profile, create.target_profile.is_some()) {
        (true, true) => {
            Err("'target_profile' must not be set when 'source' has a profile".to_owned())
        }
        (false, false) => {
            Err("'target_profile' must be set when 'source' has no profile".to_owned())
        }
        _ => Ok(()),
    }
}

fn destroy_disk(destroy: &operation::DestroyDisk) -> Check {
    let source = &destroy.source;
    provided(source)?;
    if !matches!(
        disk_type(source),
        Some(source::Type::Mount | source::Type::Block | source::Type::Raw)
    ) {
        return Err("'source' is neither a MOUNT, BLOCK or RAW disk resource".to_owned());
    }
    let disk = source.disk.as_ref();
    if disk
        .and_then(|disk| disk.source.as_ref())
        .is_none_or(|own| own.id.is_none())
    {
        return Err("'source' is not backed by a CSI volume".to_owned());
    }
    if disk.is_some_and(|disk| disk.persistence.is_some()) {
        return Err(format!(
            "A disk resource containing a persistent volume {} cannot be destroyed directly. Please destroy the persistent volume first then destroy the disk resource",
            shown_resource(source)
        ));
    }
    Ok(())
}

/// Everything in an operation that is a resource.
pub(crate) fn resources_of(operation: &mut Operation) -> Vec<&mut Resource> {
    let mut all: Vec<&mut Resource> = Vec::new();
    if let Some(reserve) = &mut operation.reserve {
        all.extend(reserve.source.iter_mut().chain(&mut reserve.resources));
    }
    if let Some(unreserve) = &mut operation.unreserve {
        all.extend(&mut unreserve.resources);
    }
    if let Some(create) = &mut operation.create {
        all.extend(&mut create.volumes);
    }
    if let Some(destroy) = &mut operation.destroy {
        all.extend(&mut destroy.volumes);
    }
    if let Some(grow) = &mut operation.grow_volume {
        all.extend([&mut grow.volume, &mut grow.addition]);
    }
    if let Some(shrink) = &mut operation.shrink_volume {
        all.push(&mut shrink.volume);
    }
    if let Some(create) = &mut operation.create_disk {
        all.push(&mut create.source);
    }
    if let Some(destroy) = &mut operation.destroy_disk {
        all.push(&mut destroy.source);
    }
    all
}
