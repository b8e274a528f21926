//! Credentials that do not stay the same: who gives them is asked again after a 401.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::{Credential, CredentialProvider, ErrorKind, Outcome, Receipt, async_trait};

use crate::cluster::{Agents, Needs, OwnCluster};
use crate::framework::{Framework, info};
use crate::peer::{Incoming, within};
use crate::recorder::Callback;
use crate::support::{Rig, outcome};

/// Gives what it was made with, one after another and the last one for ever, and keeps what it was asked.
#[derive(Clone)]
struct Giver(Arc<Mutex<Given>>);

struct Given {
    rest: VecDeque<Result<Credential, &'static str>>,
    asked: Vec<Option<Credential>>,
}

fn giver(rest: impl IntoIterator<Item = Result<Credential, &'static str>>) -> Giver {
    let rest = rest.into_iter().collect();
    let asked = Vec::new();
    Giver(Arc::new(Mutex::new(Given { rest, asked })))
}

impl Giver {
    fn asked(&self) -> Vec<Option<Credential>> {
        self.0.lock().unwrap().asked.clone()
    }
}

#[async_trait]
impl CredentialProvider for Giver {
    async fn credential(
        &self,
        refused: Option<&Credential>,
    ) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        let mut given = self.0.lock().unwrap();
        given.asked.push(refused.cloned());
        let next = match given.rest.len() {
            1 => given.rest[0].clone(),
            _ => given.rest.pop_front().unwrap(),
        };
        Ok(next?)
    }
}

/// Never answers.
struct Silent;

#[async_trait]
impl CredentialProvider for Silent {
    async fn credential(
        &self,
        _: Option<&Credential>,
    ) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        std::future::pending().await
    }
}

fn token(text: &str) -> Credential {
    Credential::bearer(text)
}

fn authorization(request: &Incoming) -> &str {
    request.header("authorization").unwrap_or("none")
}

fn refuse(request: Incoming) {
    request.answer(401, &[], "no");
}

async fn suppress(rig: &Rig) -> Receipt {
    rig.handle.suppress_offers(Vec::new()).await.unwrap()
}

#[tokio::test]
async fn a_provider_is_asked_once_and_what_it_gave_is_kept() {
    let giver = giver([Ok(token("one")), Ok(token("two"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver.clone())).await;
    let _stream = rig.subscribe().await;
    let receipt = suppress(&rig).await;
    let call = rig.peer.call(Type::Suppress).await;
    assert_eq!(authorization(&call), "Bearer one");
    call.accept();
    assert!(outcome(receipt).await.is_accepted());
    assert_eq!(giver.asked(), [None]);
}

#[tokio::test]
async fn a_refused_subscribe_is_sent_again_with_another_credential() {
    let giver = giver([Ok(token("old")), Ok(token("new"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver.clone())).await;
    let first = rig.peer.call(Type::Subscribe).await;
    assert_eq!(authorization(&first), "Bearer old");
    refuse(first);
    let second = rig.peer.call(Type::Subscribe).await;
    assert_eq!(authorization(&second), "Bearer new");
    assert_eq!(giver.asked(), [None, Some(token("old"))]);
}

#[tokio::test]
async fn refused_calls_go_out_again_in_their_order_under_the_same_subscription() {
    let giver = giver([Ok(token("old")), Ok(token("new"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver.clone())).await;
    let stream = rig.subscribe().await;
    // So that the calls behind it leave back to back.
    let first = suppress(&rig).await;
    rig.peer.call(Type::Suppress).await.accept();
    assert!(outcome(first).await.is_accepted());
    let mut receipts = Vec::new();
    for name in ["a", "b", "c"] {
        let kill = rig.handle.kill_task(name.into(), None).await;
        receipts.push(kill.unwrap());
    }
    for _ in 0..3 {
        refuse(rig.peer.call(Type::Kill).await);
    }
    for name in ["a", "b", "c"] {
        let call = rig.peer.call(Type::Kill).await;
        assert_eq!(authorization(&call), "Bearer new");
        assert_eq!(call.header("mesos-stream-id"), Some(stream.id.as_str()));
        assert_eq!(call.scheduler_call().kill.unwrap().task_id.value, name);
        call.accept();
    }
    for receipt in receipts {
        assert!(outcome(receipt).await.is_accepted());
    }
    assert_eq!(giver.asked(), [None, Some(token("old"))]);
}

#[tokio::test]
async fn a_call_behind_refused_ones_waits_for_them() {
    let giver = giver([Ok(token("old")), Ok(token("new"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver)).await;
    let _stream = rig.subscribe().await;
    let kill = rig.handle.kill_task("a".into(), None).await.unwrap();
    let refused = rig.peer.call(Type::Kill).await;
    let behind = suppress(&rig).await;
    refuse(refused);
    rig.peer.call(Type::Kill).await.accept();
    rig.peer.call(Type::Suppress).await.accept();
    assert!(outcome(kill).await.is_accepted());
    assert!(outcome(behind).await.is_accepted());
}

#[tokio::test]
async fn the_same_credential_again_lets_the_refusal_stand() {
    let giver = giver([Ok(token("only"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver.clone())).await;
    let _stream = rig.subscribe().await;
    let receipt = suppress(&rig).await;
    refuse(rig.peer.call(Type::Suppress).await);
    let Outcome::Refused {
        status, message, ..
    } = outcome(receipt).await
    else {
        panic!("not refused");
    };
    assert_eq!((status, message.as_str()), (401, "no"));
    assert_eq!(giver.asked(), [None, Some(token("only"))]);
}

#[tokio::test]
async fn a_call_that_every_credential_is_refused_for_ends_as_refused() {
    let many = (0..100).map(|number| Ok(token(&number.to_string())));
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver(many))).await;
    let _stream = rig.subscribe().await;
    let receipt = suppress(&rig).await;
    let mut tries = 0;
    let outcome = outcome(receipt);
    tokio::pin!(outcome);
    let outcome = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome,
            call = rig.peer.call(Type::Suppress) => {
                tries += 1;
                refuse(call);
            }
        }
    };
    assert!(
        matches!(outcome, Outcome::Refused { status: 401, .. }),
        "{outcome:?}"
    );
    assert_eq!(tries, 6);
}

#[tokio::test]
async fn two_refusals_of_a_subscribe_end_the_driver() {
    let many = (0..100).map(|number| Ok(token(&number.to_string())));
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver(many))).await;
    refuse(rig.peer.call(Type::Subscribe).await);
    refuse(rig.peer.call(Type::Subscribe).await);
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_provider_that_has_none_now_is_asked_again_later() {
    let giver = giver([Err("the vault is sealed"), Ok(token("one"))]);
    let mut rig = Rig::configured(|builder| builder.credential_provider(giver)).await;
    let error = rig.last_error("the vault is sealed").await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        authorization(&rig.peer.call(Type::Subscribe).await),
        "Bearer one"
    );
}

#[tokio::test]
async fn a_provider_that_never_answers_is_left_after_the_call_timeout() {
    let limit = Duration::from_millis(100);
    let rig = Rig::configured(|builder| builder.credential_provider(Silent).call_timeout(limit));
    let error = rig.await.last_error("no credential").await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

/// Gives a token, and then panics.
struct Panicking;

#[async_trait]
impl CredentialProvider for Panicking {
    async fn credential(
        &self,
        refused: Option<&Credential>,
    ) -> Result<Credential, Box<dyn Error + Send + Sync>> {
        match refused {
            None => Ok(Credential::bearer("old")),
            Some(_) => panic!("no other"),
        }
    }
}

#[tokio::test]
async fn a_provider_that_panics_ends_the_driver_and_every_call() {
    let mut rig = Rig::configured(|builder| builder.credential_provider(Panicking)).await;
    let subscribe = rig.peer.call(Type::Subscribe).await;
    subscribe.answer(401, &[], "expired");
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "subscribing panicked: no other");

    let mut rig = Rig::configured(|builder| builder.credential_provider(Panicking)).await;
    let _stream = rig.subscribe().await;
    let mut receipts = Vec::new();
    for id in ["a", "b"] {
        let kill = rig.handle.kill_task(id.into(), None).await;
        receipts.push(kill.unwrap());
    }
    rig.peer.call(Type::Kill).await.answer(401, &[], "expired");
    let error = rig.ended().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallbackPanicked);
    assert_eq!(error.to_string(), "sending calls panicked: no other");
    for receipt in receipts {
        let ended = outcome(receipt).await;
        assert!(!ended.is_accepted(), "{ended:?}");
    }
    let last = rig.recording.rest().pop();
    assert!(
        matches!(&last, Some(Callback::Error(told)) if told.kind() == error.kind()),
        "{last:?}"
    );
}

#[tokio::test]
async fn a_master_lets_in_whose_provider_comes_to_the_right_secret() {
    let needs = Needs {
        agents: Agents::None,
        credential: Some(("me", "hunter2")),
        ..Needs::default()
    };
    let Some(cluster) = OwnCluster::start(needs).await else {
        return;
    };
    let giver = giver([
        Ok(Credential::new("me", "before")),
        Ok(Credential::new("me", "hunter2")),
    ]);
    let address = cluster.address();
    let registered = Framework::register_with(&address, info("rotated"), |builder| {
        builder.credential_provider(giver.clone())
    });
    let framework = within("a subscription", registered).await;
    let receipt = framework.handle.suppress_offers(Vec::new()).await.unwrap();
    assert!(receipt.outcome().await.is_accepted());
    assert_eq!(giver.asked(), [None, Some(Credential::new("me", "before"))]);
    framework.teardown().await;
    cluster.shutdown().await;
}
