//! Why a task has no place.

use std::fmt;

use super::constraint::Constraint;
use super::rule::Rule;
use crate::resources::{Missing, Shortage};

/// Why an agent's offers do not suit a task.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The task cannot be placed anywhere: what is wrong with it.
    Invalid(String),
    /// They are allocated to another role.
    Role,
    /// The agent is not like that.
    Constraint(Constraint),
    /// Maintenance is planned.
    Maintenance,
    /// Of where other tasks are.
    Rule(Rule),
    /// There is too little of a resource.
    Short(Shortage),
}

/// One reason, and how often it was met.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Reason {
    /// The first of its kind.
    pub refusal: Refusal,
    /// How many agents' offers: at least 1.
    pub offers: usize,
    /// How much was missing of a scalar or count where the least was; 0 for others.
    pub least: f64,
    /// How much was missing where the most was; 0 for others.
    pub most: f64,
}

/// All reasons why a task has no place, over all offers.
///
/// Offers of one agent and role count as one. Each counts at the first hurdle only: role, constraints, rules, resources; but
/// there with every constraint, rule or resource that is in the way. So one that is the last hurdle is known to be so.
///
/// `Display` says it in one line, the most frequent reason first: `short of mem by 96 on 3 offers; attribute rack on 2`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals {
    offers: usize,
    /// On how many of them only resources were in the way.
    short: usize,
    reasons: Vec<Reason>,
}

impl Refusals {
    /// On how many offers: of one agent and role they count as one. 0: there was no offer.
    #[must_use]
    pub fn offers(&self) -> usize {
        self.offers
    }

    /// The reasons, the most frequent first.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// The reason that there is too little of the resource called `name`, if there is.
    #[must_use]
    pub fn short_of(&self, name: &str) -> Option<&Reason> {
        let mut reasons = self.reasons.iter();
        reasons.find(|own| matches!(&own.refusal, Refusal::Short(short) if short.name == name))
    }

    /// On how many offers nothing but a lack of resources was in the way.
    #[must_use]
    pub fn short_only(&self) -> usize {
        self.short
    }

    /// One more offer, with all that is in the way at one hurdle.
    pub(super) fn add(&mut self, refusals: Vec<Refusal>) {
        self.offers += 1;
        let is_short = refusals.iter().any(|own| matches!(own, Refusal::Short(_)));
        self.short += usize::from(is_short);
        for refusal in refusals {
            let missing = missing(&refusal);
            let mut known = self.reasons.iter_mut();
            match known.find(|own| own.refusal.is_like(&refusal)) {
                Some(reason) => {
                    reason.offers += 1;
                    reason.least = reason.least.min(missing);
                    reason.most = reason.most.max(missing);
                }
                None => self.reasons.push(Reason {
                    refusal,
                    offers: 1,
                    least: missing,
                    most: missing,
                }),
            }
        }
    }

    pub(super) fn sorted(mut self) -> Self {
        self.reasons
            .sort_by_key(|own| std::cmp::Reverse(own.offers));
        self
    }
}

fn missing(refusal: &Refusal) -> f64 {
    let Refusal::Short(shortage) = refusal else {
        return 0.0;
    };
    match &shortage.missing {
        Missing::Scalar(value) => *value,
        #[expect(clippy::cast_precision_loss, reason = "a measure, which is shown")]
        Missing::Count(count) => *count as f64,
        _ => 0.0,
    }
}

impl Refusal {
    /// Whether both are one reason: the same but for the amount.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Short(own), Self::Short(other)) => {
                let kind = std::mem::discriminant::<Missing>;
                own.resource == other.resource && kind(&own.missing) == kind(&other.missing)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Role => f.write_str("role"),
            Self::Constraint(constraint) => write!(f, "{}", constraint.field),
            Self::Maintenance => f.write_str("maintenance"),
            Self::Rule(rule) => write!(f, "{rule}"),
            Self::Short(shortage) => write!(f, "short of {shortage}"),
        }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offers == 0 {
            return f.write_str("no offers");
        }
        for (index, reason) in self.reasons.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{}", self.shown(reason))?;
            match (index, reason.offers) {
                (0, 1) => f.write_str(" on 1 offer")?,
                (0, offers) => write!(f, " on {offers} offers")?,
                (_, offers) => write!(f, " on {offers}")?,
            }
        }
        Ok(())
    }
}

impl Refusals {
    fn shown(&self, reason: &Reason) -> String {
        let (least, most) = (reason.least, reason.most);
        match &reason.refusal {
            Refusal::Short(short) if least < most => {
                format!("short of {} by {least} to {most}", short.resource)
            }
            // Two constraints on one field would look alike.
            Refusal::Constraint(own) if self.is_ambiguous(own) => own.to_string(),
            refusal => refusal.to_string(),
        }
    }

    fn is_ambiguous(&self, constraint: &Constraint) -> bool {
        self.reasons.iter().any(|reason| match &reason.refusal {
            Refusal::Constraint(other) => other != constraint && other.field == constraint.field,
            _ => false,
        })
    }
}
