//! The checks that a master makes of a scheduler's call, in their order, and its words.

use serde_json::{Value, json};

use crate::bare::{self, SCHEDULER, Scheduler, authorization, id, idle, post, subscribe, with};
use crate::cluster::{Agents, Cluster, Needs, OwnCluster};
use crate::event_stream::{End, EventStream};
use crate::framework::PATIENCE;
use crate::http::{Answer, request};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const HTML: (&str, &str) = ("Accept", "text/html");
const STREAM_ID: (&str, &str) = ("Mesos-Stream-Id", "x");

#[track_caller]
fn assert_answer(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text()), (status, text));
}

fn revive() -> Value {
    json!({ "type": "REVIVE" })
}

fn of(framework_id: &str, call: Value) -> Value {
    with(call, "framework_id", id(framework_id))
}

#[tokio::test]
async fn what_a_call_says_is_looked_at_before_its_headers() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let all = [HTML, STREAM_ID];
    let answer = request(&address, "POST", SCHEDULER, &[JSON, HTML, STREAM_ID], b"x").await;
    let text = "Failed to parse body into JSON: syntax error at line 1 near: x";
    assert_answer(&answer, 400, text);
    let answer = post(&address, &all, &json!({ "type": "SUBSCRIBE" })).await;
    let text = "Failed to validate scheduler::Call: Expecting 'subscribe' to be present";
    assert_answer(&answer, 400, text);
    let whole = subscribe(&idle("headers"));
    let unacceptable = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    let answer = post(&address, &all, &whole).await;
    assert_answer(&answer, 406, unacceptable);
    let answer = post(&address, &[STREAM_ID], &whole).await;
    let text = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
    assert_answer(&answer, 400, text);
    // One other call has its answer's encoding looked at, before anything is known of the framework.
    let reconcile = json!({ "type": "RECONCILE_OPERATIONS", "reconcile_operations": {} });
    let answer = post(&address, &[HTML], &of("nobody", reconcile)).await;
    assert_answer(&answer, 406, unacceptable);
    let answer = post(&address, &[HTML], &of("nobody", revive())).await;
    assert_answer(&answer, 400, "Framework cannot be found");
    cluster.shutdown().await;
}

#[tokio::test]
async fn the_framework_id_of_a_call_is_that_of_its_framework_info() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let differs = "Failed to validate scheduler::Call: 'framework_id' differs from ";
    let with_id = |value: Value| with(idle("ids"), "id", value);
    for (call, text) in [
        (
            of("a", subscribe(&idle("ids"))),
            "'subscribe.framework_info.id'",
        ),
        (
            of("a", subscribe(&with_id(id("b")))),
            "'subscribe.framework_info.id'",
        ),
        (
            with(subscribe(&with_id(id("b"))), "framework_id", Value::Null),
            "'subscribe.framework_info.id'",
        ),
        (
            of(
                "a",
                json!({
                    "type": "UPDATE_FRAMEWORK",
                    "update_framework": { "framework_info": with_id(id("b")) },
                }),
            ),
            "'update_framework.framework_info.id'",
        ),
        (
            of(
                "a",
                json!({
                    "type": "UPDATE_FRAMEWORK",
                    "update_framework": { "framework_info": idle("ids") },
                }),
            ),
            "'update_framework.framework_info.id'",
        ),
    ] {
        let answer = post(&address, &[], &call).await;
        assert_answer(&answer, 400, &format!("{differs}{text}"));
    }
    // An empty one is none.
    let scheduler = Scheduler::subscribe(&address, &with_id(id(""))).await;
    assert_ne!(scheduler.id, "");
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_carry_the_id_of_the_stream_that_their_framework_has_now() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let answer = post(&address, &[], &of("nobody", revive())).await;
    assert_answer(&answer, 400, "Framework cannot be found");
    let info = idle("streams");
    let mut first = Scheduler::subscribe(&address, &info).await;
    let answer = first.call_on(None, &revive()).await;
    let text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_answer(&answer, 400, text);
    let stale = |stream_id: &str| {
        format!(
            "The stream ID '{stream_id}' included in this request didn't match the stream ID currently associated \
             with framework ID {}",
            first.id
        )
    };
    let answer = first.call_on(Some("x"), &revive()).await;
    assert_answer(&answer, 400, &stale("x"));
    first.send(&revive()).await;

    let info = with(info, "id", id(&first.id));
    let second = Scheduler::subscribe(&address, &info).await;
    assert_eq!(second.id, first.id);
    let answer = first.call(&revive()).await;
    assert_answer(&answer, 400, &stale(&first.stream_id));
    second.send(&revive()).await;
    let error = bare::any(&mut first.events).await;
    assert_eq!(error["error"]["message"], "Framework failed over");
    assert_eq!(first.events.end().await, End::Clean);
    second.teardown().await;
    let answer = first.call(&revive()).await;
    assert_answer(&answer, 400, "Framework cannot be found");
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_whose_stream_has_ended_is_not_subscribed() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let info = idle("gone");
    let Scheduler {
        id: framework_id,
        stream_id,
        events,
        ..
    } = Scheduler::subscribe(&address, &info).await;
    drop(events);
    // Whether the stream's id is there, and right, is looked at later.
    let noticed = async {
        loop {
            let headers = [("Mesos-Stream-Id", stream_id.as_str())];
            let answer = post(&address, &headers, &of(&framework_id, revive())).await;
            if answer.status != 202 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, noticed).await.unwrap();
    assert_answer(&answer, 403, "Framework is not subscribed");
    let answer = post(&address, &[], &of(&framework_id, revive())).await;
    assert_answer(&answer, 403, "Framework is not subscribed");
    let again = Scheduler::subscribe(&address, &with(info, "id", id(&framework_id))).await;
    again.teardown().await;
    cluster.shutdown().await;
}

const ME: (&str, &str) = ("me", "secret");
const YOU: (&str, &str) = ("you", "secret");

#[tokio::test]
async fn who_asks_is_looked_at_first_and_whose_framework_it_is_before_its_stream() {
    let needs = Needs {
        agents: Agents::None,
        credential: Some(ME),
        other_credential: Some(YOU),
        ..Needs::default()
    };
    let cluster = OwnCluster::start(needs).await.unwrap();
    let address = cluster.address();
    // A principal that is not stated is filled in.
    let scheduler = Scheduler::subscribe_as(&address, &idle("mine"), Some(ME)).await;
    let you = authorization(Some(YOU)).unwrap();
    let you = ("Authorization", you.as_str());
    // Before method, media type and body.
    for method in ["GET", "POST"] {
        let answer = request(&address, method, SCHEDULER, &[], b"x").await;
        assert_answer(&answer, 401, "401 Unauthorized.");
        let realm = r#"Basic realm="mesos-master-scheduler""#;
        assert_eq!(answer.header("www-authenticate"), Some(realm));
    }
    let answer = request(&address, "GET", SCHEDULER, &[you], b"").await;
    assert_eq!(answer.status, 405);
    let answer = request(&address, "POST", SCHEDULER, &[you], b"").await;
    assert_answer(&answer, 400, "Expecting 'Content-Type' to be present");

    let mine = with(idle("mine"), "principal", json!("me"));
    let not_yours =
        "Authenticated principal 'you' does not match principal 'me' set in `FrameworkInfo`";
    let answer = post(&address, &[you], &subscribe(&mine)).await;
    let text = format!("Failed to validate scheduler::Call: {not_yours}");
    assert_answer(&answer, 400, &text);
    let stream_id = ("Mesos-Stream-Id", scheduler.stream_id.as_str());
    for headers in [vec![you], vec![you, STREAM_ID], vec![you, stream_id]] {
        let answer = post(&address, &headers, &of(&scheduler.id, revive())).await;
        assert_answer(&answer, 400, not_yours);
    }
    let answer = scheduler.call_on(None, &revive()).await;
    let text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_answer(&answer, 400, text);
    scheduler.send(&revive()).await;

    let same = with(idle("mine"), "id", id(&scheduler.id));
    cannot_change_its_principal(&address, &[you], &same).await;
    scheduler.send(&revive()).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_framework_keeps_its_principal_where_nobody_has_to_prove_one() {
    let cluster = Cluster::start().await;
    let address = cluster.address();
    let info = with(idle("principal"), "principal", json!("me"));
    let scheduler = Scheduler::subscribe(&address, &info).await;
    let same = with(info, "id", id(&scheduler.id));
    for principal in [json!("you"), Value::Null] {
        let changed = with(same.clone(), "principal", principal);
        cannot_change_its_principal(&address, &[], &changed).await;
    }
    scheduler.send(&revive()).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}

/// The stream of such a subscription tells of it, and ends; the one before goes on.
async fn cannot_change_its_principal(address: &str, headers: &[(&str, &str)], info: &Value) {
    let headers = [&[JSON], headers].concat();
    let body = subscribe(info).to_string();
    let mut events = EventStream::open(address, SCHEDULER, &headers, body.as_bytes()).await;
    assert_eq!(events.status(), 200);
    let error = bare::any(&mut events).await;
    let text = "Changing framework's principal is not allowed.";
    assert_eq!(
        error,
        json!({ "type": "ERROR", "error": { "message": text } })
    );
    assert_eq!(events.end().await, End::Clean);
}

#[tokio::test]
async fn a_call_of_type_unknown_that_ends_real_masters_is_not_implemented() {
    let cluster = crate::cluster::local().start().await.unwrap();
    let scheduler = Scheduler::subscribe(&cluster.master_address(), &idle("unknown")).await;
    let unknown = json!({ "type": "UNKNOWN" });
    // The checks come first, as they do on a real one, which they save.
    let answer = scheduler.call_on(None, &unknown).await;
    let text = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_answer(&answer, 400, text);
    let answer = scheduler.call(&unknown).await;
    assert_eq!(answer.status, 501);
    scheduler.send(&revive()).await;
    scheduler.teardown().await;
    cluster.shutdown().await;
}
