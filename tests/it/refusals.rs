//! What masters refuse, and their words.

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::{Credential, Error, ErrorKind, Outcome};

use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::framework::{Framework, info, refuse};

async fn refusal(address: &str, info: FrameworkInfo) -> Error {
    let refused = Framework::subscribe(address, info, |builder| builder).await;
    refused.err().expect("such a framework is refused")
}

#[expect(deprecated, reason = "`role` is one of the things to refuse")]
#[tokio::test]
async fn frameworks_that_mesos_refuses_end_with_its_words() {
    type Spoil = fn(&mut FrameworkInfo);
    let cases: [(Spoil, &str); 4] = [
        (
            |info| info.roles = vec!["/slash".into()],
            "'FrameworkInfo.roles' contains invalid role: ",
        ),
        (
            |info| info.roles = vec!["twice".into(), "twice".into()],
            "'FrameworkInfo.roles' contains duplicate items: { twice }",
        ),
        (
            |info| info.role = Some("single".into()),
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            |info| info.failover_timeout = Some(1e30),
            "The framework failover_timeout (",
        ),
    ];
    let cluster = Cluster::start().await;
    for (spoil, text) in cases {
        let mut info = info("refused");
        spoil(&mut info);
        let error = refusal(&cluster.address(), info).await;
        assert_eq!(error.kind(), ErrorKind::ErrorEvent, "{error}");
        let begin = format!("master {} says: ", cluster.address());
        let words = error.to_string();
        let words = words
            .strip_prefix(&begin)
            .expect("the error tells who says so");
        assert!(words.contains(text), "{words}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_suppressed_role_must_be_one_of_the_roles() {
    let cluster = Cluster::start().await;
    let refused = Framework::subscribe(&cluster.address(), info("suppressed"), |builder| {
        builder.suppressed_roles(["other"])
    })
    .await;
    let error = refused.err().expect("such a framework is refused");
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    let expected = "Suppressed role 'other' is not contained in the list of roles";
    assert!(error.to_string().ends_with(expected), "{error}");
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_framework_may_be_updated() {
    let cluster = Cluster::start().await;
    let mut framework = Framework::register(&cluster.address(), info("updated")).await;
    let added = format!("{}.added", framework.info.name);
    let mut updated = framework.info.clone();
    updated.roles.push(added.clone());
    // Unset, the driver fills these in for SUBSCRIBE; an update is sent as it is.
    updated.user = user(&framework).await;
    let only_added = vec![framework.info.roles[0].clone()];
    let receipt = framework
        .handle
        .update_framework(updated, only_added, None)
        .await
        .unwrap();
    let outcome = receipt.outcome().await;
    assert!(outcome.is_accepted(), "{outcome:?}");
    let offer = framework
        .next_offer(|offer| {
            offer
                .allocation_info
                .as_ref()
                .is_some_and(|info| info.role() == added)
        })
        .await;
    framework.decline(&[offer], refuse(0.0)).await;
    framework.teardown().await;
    cluster.shutdown().await;
}

/// The user that the driver has filled in, in the words of the master's refusal of another.
async fn user(framework: &Framework) -> String {
    let message = refused_update(framework, |info| info.user = "somebody".into()).await;
    let (_, from) = message.split_once("from '").unwrap();
    from.split_once('\'').unwrap().0.to_owned()
}

async fn refused_update(framework: &Framework, spoil: impl FnOnce(&mut FrameworkInfo)) -> String {
    let mut update = framework.info.clone();
    spoil(&mut update);
    let receipt = framework
        .handle
        .update_framework(update, Vec::new(), None)
        .await
        .unwrap();
    match receipt.outcome().await {
        Outcome::Refused {
            status: 400,
            message,
            ..
        } => message,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn updates_of_the_framework_that_mesos_refuses_tell_its_words() {
    let cluster = Cluster::start().await;
    let framework = Framework::register(&cluster.address(), info("not-updated")).await;
    let user = user(&framework).await;
    let message = refused_update(&framework, |info| info.user = "somebody".into()).await;
    let expected = format!(
        "Updating 'FrameworkInfo.user' is unsupported; attempted to update from '{user}' to 'somebody'"
    );
    assert!(message.contains(&expected), "{message}");
    let message = refused_update(&framework, |info| {
        info.user.clone_from(&user);
        info.roles = vec!["/slash".into()];
    })
    .await;
    assert!(
        message.contains("'FrameworkInfo.roles' contains invalid role: "),
        "{message}"
    );
    // Nothing of it holds: the framework is as it was.
    assert!(framework.handle.connection().is_subscribed());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn malformed_calls_are_refused_one_by_one() {
    let cluster = Cluster::start().await;
    let framework = Framework::register(&cluster.address(), info("malformed")).await;
    let status = mesos_framework::proto::TaskStatus {
        task_id: "task".into(),
        agent_id: Some("agent".into()),
        uuid: Some(bytes::Bytes::from_static(b"too short")),
        ..mesos_framework::proto::TaskStatus::default()
    };
    let receipt = framework
        .handle
        .acknowledge_status_update(&status)
        .await
        .unwrap();
    match receipt.unwrap().outcome().await {
        Outcome::Refused {
            status: 400,
            message,
            ..
        } => assert!(message.contains("Not a valid UUID"), "{message}"),
        other => panic!("not refused: {other:?}"),
    }
    assert!(framework.handle.connection().is_subscribed());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn who_cannot_prove_its_principal_is_not_let_in() {
    let needs = Needs {
        agents: Agents::None,
        credential: Some(("me", "hunter2")),
        ..Needs::default()
    };
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let address = cluster.address();
    let wrong = [
        None,
        Some(Credential::new("me", "wrong")),
        Some(Credential::new("you", "hunter2")),
    ];
    for credential in wrong {
        let refused =
            Framework::subscribe(&address, info("stranger"), |builder| match credential {
                Some(credential) => builder.credential(credential),
                None => builder,
            })
            .await;
        let error = refused.err().expect("strangers are refused");
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
        let begin = format!("SUBSCRIBE at {address} answered 401");
        assert!(error.to_string().starts_with(&begin), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    let framework = Framework::register_with(&address, info("friend"), |builder| {
        builder.credential(Credential::new("me", "hunter2"))
    })
    .await;
    // Calls prove it too.
    let receipt = framework.handle.suppress_offers(Vec::new()).await.unwrap();
    assert!(receipt.outcome().await.is_accepted());
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn roles_outside_the_whitelist_are_refused() {
    let needs = Needs {
        agents: Agents::None,
        roles: &["allowed"],
        ..Needs::default()
    };
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let with_role = |role: &str| FrameworkInfo {
        roles: vec![role.into()],
        ..info("whitelist")
    };
    let error = refusal(&cluster.address(), with_role("forbidden")).await;
    assert_eq!(error.kind(), ErrorKind::ErrorEvent);
    assert!(
        error
            .to_string()
            .contains("are not present in the master's --roles"),
        "{error}"
    );
    for role in ["allowed", "*"] {
        let framework = Framework::register(&cluster.address(), with_role(role)).await;
        framework.teardown().await;
    }
    cluster.shutdown().await;
}
