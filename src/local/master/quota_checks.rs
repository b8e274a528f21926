//! Whether a quota can be set.
//!
//! Source: `src/master/quota.cpp` and `src/master/quota_handler.cpp` of Apache Mesos 1.11.0.

use std::collections::{BTreeMap, BTreeSet};
use std::num::FpCategory;

use super::allocator::{Limits, Quantities};
use crate::proto::quota::{QuotaConfig, QuotaRequest};
use crate::proto::{Resource, value};
use crate::resources::Resources;
use crate::resources::role;

/// Megabytes in an exabyte: the most of `mem` and `disk`.
const EXABYTE: f64 = 1_099_511_627_776.0;

/// The most of anything else.
const TRILLION: f64 = 1e12;

type Amounts = BTreeMap<String, value::Scalar>;

/// Why a new-style quota is not valid, if so.
pub(in crate::local) fn config(config: &QuotaConfig) -> Result<(), String> {
    role::validate(&config.role).map_err(|why| format!("Invalid 'QuotaConfig.role': {why}"))?;
    too_large(&config.guarantees)
        .map_err(|why| format!("Invalid 'QuotaConfig.guarantees': {why}"))?;
    too_large(&config.limits).map_err(|why| format!("Invalid 'QuotaConfig.limits': {why}"))?;
    scalars(&config.guarantees, "guarantee")?;
    scalars(&config.limits, "limit")?;
    let (limits, guarantees) = (
        Limits::of_map(&config.limits),
        Quantities::of_map(&config.guarantees),
    );
    if !limits.contains(&guarantees) {
        return Err(format!(
            "'QuotaConfig.guarantees' {} is not contained within the 'QuotaConfig.limits' {}",
            shown(&config.guarantees),
            shown(&config.limits)
        ));
    }
    Ok(())
}

fn too_large(amounts: &Amounts) -> Result<(), String> {
    for (name, amount) in amounts {
        let value = amount.value;
        let (most, text) = if name == "mem" || name == "disk" {
            (EXABYTE, "1 exabyte (1099511627776)")
        } else {
            (TRILLION, "1 trillion (1000000000000)")
        };
        if value > most {
            return Err(format!(
                "{{'{name}': {value}}} is invalid: values greater than {text} are not supported"
            ));
        }
    }
    Ok(())
}

fn scalars(amounts: &Amounts, kind: &str) -> Result<(), String> {
    for (name, amount) in amounts {
        let value = amount.value;
        let why = match value.classify() {
            FpCategory::Infinite => "Infinite values not supported",
            FpCategory::Nan => "NaN not supported",
            FpCategory::Subnormal => "Subnormal values not supported",
            FpCategory::Normal if value < 0.0 => "Negative values not supported",
            FpCategory::Normal | FpCategory::Zero => continue,
        };
        return Err(format!(
            "Invalid {kind} configuration {{'{name}': {value}}}: {why}"
        ));
    }
    Ok(())
}

/// As the map of a message is printed.
fn shown(amounts: &Amounts) -> String {
    let amounts = amounts.iter();
    let amounts: Vec<String> = amounts
        .map(|(name, amount)| format!("{name}: {}", amount.value))
        .collect();
    format!("{{ {} }}", amounts.join(", "))
}

/// The new form of an old-style request, whose guarantee is also its limit; or why it is not valid.
pub(super) fn request(request: &QuotaRequest) -> Result<QuotaConfig, String> {
    Resources::from_protos(&request.guarantee)
        .map_err(|error| format!("QuotaInfo with invalid resource: {error}"))?;
    let role = request.role.as_ref();
    let role = role.ok_or("QuotaInfo must specify a role")?;
    role::validate(role).map_err(|why| format!("QuotaInfo with invalid role: {why}"))?;
    if request.guarantee.is_empty() {
        return Err("QuotaInfo with empty 'guarantee'".to_owned());
    }
    let mut names = BTreeSet::new();
    for resource in &request.guarantee {
        check_guarantee(resource)?;
        if !names.insert(&resource.name) {
            return Err(format!(
                "QuotaInfo contains duplicate resource name '{}'",
                resource.name
            ));
        }
    }
    let guarantee = request.guarantee.iter();
    let amounts: Amounts = guarantee
        .map(|own| (own.name.clone(), own.scalar.unwrap_or_default()))
        .collect();
    Ok(QuotaConfig {
        role: role.clone(),
        guarantees: amounts.clone(),
        limits: amounts,
    })
}

#[expect(deprecated, reason = "reservations may come in the old form")]
fn check_guarantee(resource: &Resource) -> Result<(), String> {
    let is_reserved = resource.role.as_ref().is_some_and(|role| role != "*");
    let why = if is_reserved || !resource.reservations.is_empty() || resource.reservation.is_some()
    {
        "QuotaInfo must not contain any ReservationInfo"
    } else if resource.disk.is_some() {
        "QuotaInfo must not contain DiskInfo"
    } else if resource.revocable.is_some() {
        "QuotaInfo must not contain RevocableInfo"
    } else if resource.r#type != i32::from(value::Type::Scalar) {
        "QuotaInfo must not include non-scalar resources"
    } else {
        return Ok(());
    };
    Err(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(of: &[(&str, f64)]) -> Amounts {
        let of = of.iter();
        of.map(|(name, value)| ((*name).to_owned(), value::Scalar { value: *value }))
            .collect()
    }

    fn refusal(guarantees: &[(&str, f64)], limits: &[(&str, f64)]) -> Option<String> {
        let quota = QuotaConfig {
            role: "a".to_owned(),
            guarantees: amounts(guarantees),
            limits: amounts(limits),
        };
        config(&quota).err()
    }

    #[test]
    fn guarantees_are_within_limits() {
        assert_eq!(refusal(&[("cpus", 1.0)], &[("mem", 1.0)]), None);
        assert_eq!(refusal(&[("cpus", 1.0)], &[("cpus", 1.0)]), None);
        let text = "'QuotaConfig.guarantees' { cpus: 2 } is not contained within the 'QuotaConfig.limits' { cpus: 1 }";
        let refused = refusal(&[("cpus", 2.0)], &[("cpus", 1.0)]);
        assert_eq!(refused.as_deref(), Some(text));
    }

    #[test]
    fn amounts_that_are_no_amounts_are_refused() {
        let negative = refusal(&[], &[("cpus", -1.0)]).unwrap();
        let text = "Invalid limit configuration {'cpus': -1}: Negative values not supported";
        assert_eq!(negative, text);
        let large = refusal(&[], &[("cpus", 1e13)]).unwrap();
        assert!(
            large.contains("greater than 1 trillion (1000000000000)"),
            "{large}"
        );
        assert!(
            refusal(&[("mem", 1e13)], &[])
                .unwrap()
                .contains("1 exabyte")
        );
    }
}
