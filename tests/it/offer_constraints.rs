//! Offer constraints: frameworks that want to be offered some agents only.

use std::collections::BTreeMap;

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::proto::scheduler::attribute_constraint::{
    self, predicate, selector::PseudoattributeType, selector::Selector,
};
use mesos_framework::proto::scheduler::offer_constraints::{RoleConstraints, role_constraints};
use mesos_framework::proto::scheduler::{AttributeConstraint, OfferConstraints};
use mesos_framework::{ErrorKind, Outcome};
use serde_json::json;

use crate::cluster::{Needs, OwnCluster};
use crate::framework::{self, Framework, QUIET};
use crate::operator::Api;
use crate::recorder::Callback;

const NEEDS: Needs = Needs {
    attributes: "rack:rack-12;rack:other;level:3",
    ..Needs::PLAIN
};

/// With a user, which cannot be changed by an update.
fn info(test: &str) -> FrameworkInfo {
    FrameworkInfo {
        user: "nobody".to_owned(),
        ..framework::info(test)
    }
}

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

fn rack(predicate: predicate::Predicate) -> AttributeConstraint {
    constraint(Selector::AttributeName("rack".to_owned()), predicate)
}

fn equals(value: &str) -> predicate::Predicate {
    let value = value.to_owned();
    predicate::Predicate::TextEquals(predicate::TextEquals { value })
}

fn matches(regex: &str) -> predicate::Predicate {
    let regex = regex.to_owned();
    predicate::Predicate::TextMatches(predicate::TextMatches { regex })
}

fn constraints(role: &str, groups: Vec<Vec<AttributeConstraint>>) -> OfferConstraints {
    let groups = groups.into_iter();
    let groups = groups.map(|attribute_constraints| role_constraints::Group {
        attribute_constraints,
    });
    let role_constraints = RoleConstraints {
        groups: groups.collect(),
    };
    OfferConstraints {
        role_constraints: BTreeMap::from([(role.to_owned(), role_constraints)]),
    }
}

#[tokio::test]
async fn only_agents_that_meet_a_group_are_offered() {
    let Some(cluster) = OwnCluster::start(NEEDS).await else {
        return;
    };
    let info = info("constrained");
    let role = info.roles[0].clone();
    let excluding = constraints(&role, vec![vec![rack(equals("other"))]]);
    let mut framework = Framework::register_with(&cluster.address(), info, |builder| {
        builder.offer_constraints(excluding.clone())
    })
    .await;
    let is_offers = |callback: &Callback| matches!(callback, Callback::Offers(_));
    // The agents of a real cluster need a while; this is an upper bound of it only by experience.
    assert!(framework.is_without(2 * QUIET, is_offers).await);
    let api = Api::of_master(&cluster.address());
    let shown = api.ask("GET_FRAMEWORKS").await;
    let shown = &shown["frameworks"][0]["offer_constraints"]["role_constraints"][&role];
    let stated = json!({ "groups": [{ "attribute_constraints": [{
        "selector": { "attribute_name": "rack" },
        "predicate": { "text_equals": { "value": "other" } },
    }]}]});
    assert_eq!(*shown, stated);
    let level = Selector::AttributeName("level".to_owned());
    let hostname = Selector::PseudoattributeType(PseudoattributeType::Hostname.into());
    let region = Selector::PseudoattributeType(PseudoattributeType::Region.into());
    let exists = predicate::Predicate::Exists(predicate::Exists {});
    let not_exists = predicate::Predicate::NotExists(predicate::NotExists {});
    let meeting = vec![
        rack(matches(r"rack-\d+")),
        constraint(level, equals("what is no text passes")),
        constraint(hostname, exists),
        constraint(region, not_exists),
    ];
    let groups = vec![vec![rack(equals("nowhere"))], meeting];
    let info = framework.info.clone();
    let wanted = constraints(&role, groups);
    let receipt = framework
        .handle
        .update_framework(info, Vec::new(), Some(wanted));
    let outcome = receipt.await.unwrap().outcome().await;
    assert!(matches!(outcome, Outcome::Accepted), "{outcome:?}");
    framework.next_offer(|_| true).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn constraints_that_mean_nothing_are_refused() {
    let Some(cluster) = OwnCluster::start(NEEDS).await else {
        return;
    };
    let address = cluster.address();
    let framework = Framework::register(&address, info("fine")).await;
    let unset = AttributeConstraint::default();
    let without_predicate = AttributeConstraint {
        predicate: attribute_constraint::Predicate::default(),
        ..rack(equals("x"))
    };
    let unknown = constraint(Selector::PseudoattributeType(0), equals("x"));
    let invalid = "A role r has an invalid 'AttributeConstraint': ";
    let large = "a".repeat(97);
    let refused = [
        (vec![], "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role r".to_owned()),
        (vec![vec![]], "'OfferConstraints::RoleConstraints::groups' for role rcontains an empty RoleConstraints::Group".to_owned()),
        (vec![vec![unset]], format!("{invalid}Exactly one of 'AttributeConstraint::Selector::name' or 'AttributeConstraint::Selector::pseudoattribute_type' must be set")),
        (vec![vec![without_predicate]], format!("{invalid}Unknown predicate type")),
        (vec![vec![unknown]], format!("{invalid}Unknown pseudoattribute type")),
        (vec![vec![rack(matches("(a"))]], format!("{invalid}Failed to construct regex from pattern '(a': missing ): (a")),
        (vec![vec![rack(matches("a**"))]], format!("{invalid}Failed to construct regex from pattern 'a**': bad repetition operator: **")),
        (vec![vec![rack(matches(&large))]], format!("{invalid}Regex '{large}' is too complex: program size of 101 is larger than maximum of 100 allowed")),
    ];
    for (groups, text) in refused {
        let wrong = constraints("r", groups);
        let result = Framework::subscribe(&address, info("wrong"), |builder| {
            builder.offer_constraints(wrong.clone())
        });
        let error = result.await.err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::ErrorEvent);
        assert!(error.to_string().contains(&text), "{error}");
        let info = framework.info.clone();
        let update = framework
            .handle
            .update_framework(info, Vec::new(), Some(wrong));
        match update.await.unwrap().outcome().await {
            Outcome::Refused {
                status, message, ..
            } => {
                let expected = format!("'UpdateFramework.offer_constraints' are not valid: {text}");
                assert_eq!((status, message), (400, expected));
            }
            other => panic!("not refused: {other:?}"),
        }
    }
    framework.teardown().await;
    cluster.shutdown().await;
}
