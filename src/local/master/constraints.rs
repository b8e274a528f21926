//! Offer constraints: which agents a framework wants to be offered under a role, by their attributes.
//!
//! Source: `src/master/allocator/mesos/offer_constraints_filter.cpp` of Apache Mesos 1.11.0.

use std::collections::BTreeMap;

use super::patterns::Pattern;
use crate::proto::scheduler::attribute_constraint::predicate;
use crate::proto::scheduler::attribute_constraint::selector::{PseudoattributeType, Selector};
use crate::proto::scheduler::{AttributeConstraint, OfferConstraints, offer_constraints};
use crate::proto::{AgentInfo, Attribute, value};

/// Checked constraints of one framework.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    /// As the framework stated them.
    stated: OfferConstraints,
    /// An agent is wanted if all constraints of any group hold. A role without entry takes every agent.
    groups: BTreeMap<String, Vec<Vec<Constraint>>>,
}

#[derive(Debug)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Debug)]
enum Predicate {
    Exists,
    NotExists,
    Equals(String),
    NotEquals(String),
    Matches(Pattern),
    NotMatches(Pattern),
}

/// What a selector finds of an agent.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    Nothing,
    Text(&'a str),
    /// An attribute that is no text.
    Other,
}

impl Constraints {
    /// Checks what a framework states.
    pub(super) fn of(stated: OfferConstraints) -> Result<Self, String> {
        let mut groups = BTreeMap::new();
        for (role, constraints) in &stated.role_constraints {
            groups.insert(role.clone(), checked(role, constraints)?);
        }
        Ok(Self { stated, groups })
    }

    pub(super) fn stated(&self) -> &OfferConstraints {
        &self.stated
    }

    /// Whether the agent is not wanted under `role`.
    pub(super) fn exclude(&self, role: &str, agent: &AgentInfo) -> bool {
        let groups = self.groups.get(role);
        groups.is_some_and(|groups| {
            let holds = |group: &Vec<Constraint>| group.iter().all(|own| own.holds_of(agent));
            !groups.iter().any(holds)
        })
    }
}

fn checked(
    role: &str,
    constraints: &offer_constraints::RoleConstraints,
) -> Result<Vec<Vec<Constraint>>, String> {
    if constraints.groups.is_empty() {
        return Err(format!(
            "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role {role}"
        ));
    }
    let groups = constraints.groups.iter();
    groups
        .map(|group| {
            if group.attribute_constraints.is_empty() {
                // Without a space, as Mesos has it.
                return Err(format!(
                    "'OfferConstraints::RoleConstraints::groups' for role {role}contains an empty RoleConstraints::Group"
                ));
            }
            let constraints = group.attribute_constraints.iter().map(Constraint::of);
            constraints
                .collect::<Result<Vec<_>, _>>()
                .map_err(|why| format!("A role {role} has an invalid 'AttributeConstraint': {why}"))
        })
        .collect()
}

impl Constraint {
    fn of(constraint: &AttributeConstraint) -> Result<Self, String> {
        let selector = constraint.selector.selector.clone().ok_or(
            "Exactly one of 'AttributeConstraint::Selector::name' or \
             'AttributeConstraint::Selector::pseudoattribute_type' must be set",
        )?;
        if let Selector::PseudoattributeType(kind) = selector
            && PseudoattributeType::try_from(kind).unwrap_or_default()
                == PseudoattributeType::Unknown
        {
            return Err("Unknown pseudoattribute type".to_owned());
        }
        let predicate = constraint.predicate.predicate.as_ref();
        Ok(Self {
            selector,
            predicate: Predicate::of(predicate.ok_or("Unknown predicate type")?)?,
        })
    }

    fn holds_of(&self, agent: &AgentInfo) -> bool {
        self.predicate.holds_of(self.find(agent))
    }

    fn find<'a>(&self, agent: &'a AgentInfo) -> Found<'a> {
        let domain = agent.domain.as_ref();
        let domain = domain.and_then(|domain| domain.fault_domain.as_ref());
        match &self.selector {
            Selector::AttributeName(name) => {
                let mut attributes = agent.attributes.iter();
                let first = attributes.find(|attribute| attribute.name == *name);
                first.map_or(Found::Nothing, text_of)
            }
            Selector::PseudoattributeType(kind) => match PseudoattributeType::try_from(*kind) {
                Ok(PseudoattributeType::Hostname) => Found::Text(&agent.hostname),
                Ok(PseudoattributeType::Region) => {
                    domain.map_or(Found::Nothing, |own| Found::Text(&own.region.name))
                }
                Ok(PseudoattributeType::Zone) => {
                    domain.map_or(Found::Nothing, |own| Found::Text(&own.zone.name))
                }
                Ok(PseudoattributeType::Unknown) | Err(_) => Found::Nothing,
            },
        }
    }
}

fn text_of(attribute: &Attribute) -> Found<'_> {
    match &attribute.text {
        Some(text) if attribute.r#type == i32::from(value::Type::Text) => Found::Text(&text.value),
        _ => Found::Other,
    }
}

impl Predicate {
    fn of(stated: &predicate::Predicate) -> Result<Self, String> {
        Ok(match stated {
            predicate::Predicate::Exists(_) => Self::Exists,
            predicate::Predicate::NotExists(_) => Self::NotExists,
            predicate::Predicate::TextEquals(own) => Self::Equals(own.value.clone()),
            predicate::Predicate::TextNotEquals(own) => Self::NotEquals(own.value.clone()),
            predicate::Predicate::TextMatches(own) => Self::Matches(Pattern::of(&own.regex)?),
            predicate::Predicate::TextNotMatches(own) => Self::NotMatches(Pattern::of(&own.regex)?),
        })
    }

    /// What is no text passes every question about text; what is missing passes the negative ones.
    fn holds_of(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Exists, found) => !matches!(found, Found::Nothing),
            (Self::NotExists, found) => matches!(found, Found::Nothing),
            (Self::NotEquals(_) | Self::NotMatches(_), Found::Nothing) | (_, Found::Other) => true,
            (Self::Equals(_) | Self::Matches(_), Found::Nothing) => false,
            (Self::Equals(value), Found::Text(text)) => text == value,
            (Self::NotEquals(value), Found::Text(text)) => text != value,
            (Self::Matches(pattern), Found::Text(text)) => pattern.matches(text),
            (Self::NotMatches(pattern), Found::Text(text)) => !pattern.matches(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::config::parse_attributes;
    use crate::proto::scheduler::attribute_constraint;
    use crate::proto::scheduler::offer_constraints::{RoleConstraints, role_constraints};

    fn constraint(selector: Selector, predicate: predicate::Predicate) -> AttributeConstraint {
        AttributeConstraint {
            selector: attribute_constraint::Selector {
                selector: Some(selector),
            },
            predicate: attribute_constraint::Predicate {
                predicate: Some(predicate),
            },
        }
    }

    fn equals(name: &str, value: &str) -> AttributeConstraint {
        let value = value.to_owned();
        let equals = predicate::TextEquals { value };
        constraint(
            Selector::AttributeName(name.to_owned()),
            predicate::Predicate::TextEquals(equals),
        )
    }

    fn constraints(groups: Vec<Vec<AttributeConstraint>>) -> Result<Constraints, String> {
        let groups = groups.into_iter();
        let groups = groups.map(|attribute_constraints| role_constraints::Group {
            attribute_constraints,
        });
        let role = RoleConstraints {
            groups: groups.collect(),
        };
        Constraints::of(OfferConstraints {
            role_constraints: BTreeMap::from([("a".to_owned(), role)]),
        })
    }

    fn agent() -> AgentInfo {
        AgentInfo {
            hostname: "here".to_owned(),
            attributes: parse_attributes("rack:a;rack:b;level:2").unwrap(),
            ..Default::default()
        }
    }

    #[test]
    fn one_group_of_which_everything_holds_is_enough() {
        let excludes = |groups| constraints(groups).unwrap().exclude("a", &agent());
        assert!(!excludes(vec![vec![equals("rack", "a")]]));
        // The first attribute of a name counts.
        assert!(excludes(vec![vec![equals("rack", "b")]]));
        assert!(excludes(vec![vec![
            equals("rack", "a"),
            equals("zone", "z")
        ]]));
        assert!(!excludes(vec![
            vec![equals("zone", "z")],
            vec![equals("rack", "a")]
        ]));
        // What is no text passes.
        assert!(!excludes(vec![vec![equals("level", "9")]]));
        let others = constraints(vec![vec![equals("rack", "b")]]).unwrap();
        assert!(!others.exclude("b", &agent()));
    }

    #[test]
    fn what_is_missing_passes_negations_only() {
        let region = Selector::PseudoattributeType(PseudoattributeType::Region.into());
        let excludes = |predicate| {
            let groups = vec![vec![constraint(region.clone(), predicate)]];
            constraints(groups).unwrap().exclude("a", &agent())
        };
        let regex = "x.*".to_owned();
        let matches = predicate::TextMatches {
            regex: regex.clone(),
        };
        assert!(excludes(predicate::Predicate::TextMatches(matches)));
        let matches = predicate::TextNotMatches { regex };
        assert!(!excludes(predicate::Predicate::TextNotMatches(matches)));
        assert!(excludes(predicate::Predicate::Exists(predicate::Exists {})));
        let not_exists = predicate::NotExists {};
        assert!(!excludes(predicate::Predicate::NotExists(not_exists)));
    }

    #[test]
    fn empty_groups_are_refused() {
        assert!(
            constraints(Vec::new())
                .unwrap_err()
                .contains("an empty 'RoleConstraints::groups'")
        );
        assert!(
            constraints(vec![Vec::new()])
                .unwrap_err()
                .contains("role acontains")
        );
    }
}
