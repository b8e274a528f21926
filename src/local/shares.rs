//! What roles are due from the start: weights and quota.

use std::collections::BTreeMap;

use super::builder::LocalClusterBuilder;
use super::master;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::quota::QuotaConfig;
use crate::proto::value;
use crate::resources::Resources;

impl LocalClusterBuilder {
    /// Sets a role's weight: a role of weight 2 is due twice as much as one of weight 1, the default.
    ///
    /// An operator may change it later (`UPDATE_WEIGHTS`).
    ///
    /// Source: `--weights` of the master.
    pub fn weight(mut self, role: &str, weight: f64) -> Self {
        self.weights.insert(role.to_owned(), weight);
        self
    }

    /// Sets a role's quota: what is held back for it, and what it gets at most, in the form of [`Resources::parse`]
    /// (scalars only; empty: none). Default, for every role: neither.
    ///
    /// An operator may change it later (`UPDATE_QUOTA`). Whether the agents have what is guaranteed is not looked at.
    ///
    /// Source: `UPDATE_QUOTA`, `master.proto`; a real master has no flag for it.
    pub fn quota(mut self, role: &str, guarantees: &str, limits: &str) -> Self {
        let quota = (guarantees.to_owned(), limits.to_owned());
        self.quotas.insert(role.to_owned(), quota);
        self
    }
}

pub(super) fn checked_weights(weights: BTreeMap<String, f64>) -> Result<BTreeMap<String, f64>> {
    let is_wrong = |weight: f64| weight.is_nan() || weight <= 0.0;
    match weights.iter().find(|(_, weight)| is_wrong(**weight)) {
        Some((role, weight)) => {
            let context = format!("weight {weight} of role '{role}' is not positive");
            Err(Error::new(ErrorKind::Config, context))
        }
        None => Ok(weights),
    }
}

pub(super) fn checked_quotas(
    quotas: &BTreeMap<String, (String, String)>,
) -> Result<Vec<QuotaConfig>> {
    let quotas = quotas.iter();
    quotas
        .map(|(role, (guarantees, limits))| {
            let config = QuotaConfig {
                role: role.clone(),
                guarantees: scalars(guarantees)?,
                limits: scalars(limits)?,
            };
            master::check_quota(&config).map_err(|why| {
                let context = format!("quota of role '{role}' is not valid: {why}");
                Error::new(ErrorKind::Config, context)
            })?;
            Ok(config)
        })
        .collect()
}

fn scalars(resources: &str) -> Result<BTreeMap<String, value::Scalar>> {
    let resources = Resources::parse(resources)?;
    let names = resources.scalar_names();
    Ok(names
        .map(|name| {
            let value = resources.scalar(name);
            (name.to_owned(), value::Scalar { value })
        })
        .collect())
}
