//! What is answered to requests that are not right.

use prost::Message as _;

use super::client::{Executor, Scheduler, call, framework, request, subscribe_call, task};
use super::{LocalCluster, SLEEP, cluster};
use crate::proto::scheduler::call;

/// Start line, headers, body; status and text of the answer.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);

async fn check(address: &str, cases: &[Case<'_>]) {
    for (start, headers, body, status, text) in cases {
        let (answer, _) = request(address, start, headers, body).await;
        assert_eq!((answer.status, answer.body.as_str()), (*status, *text));
    }
}

#[tokio::test]
async fn headers_are_refused_with_mesos_statuses_and_texts() {
    let cluster = LocalCluster::builder()
        .credential("me", "secret")
        .start()
        .await
        .unwrap();
    let master = cluster.master_address();
    let path = "POST /api/v1/scheduler";
    let basic = ("Authorization", "Basic bWU6c2VjcmV0");
    let protobuf = ("Content-Type", "application/x-protobuf");
    let body = subscribe_call(&framework()).encode_to_vec();
    let charset = ("Content-Type", "application/x-protobuf; charset=utf-8");
    let cases: [Case<'_>; 4] = [
        (path, &[protobuf], &body, 401, "401 Unauthorized."),
        (
            "GET /api/v1/scheduler",
            &[basic],
            b"",
            405,
            "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.",
        ),
        (
            path,
            &[basic],
            &body,
            400,
            "Expecting 'Content-Type' to be present",
        ),
        (
            path,
            &[basic, charset],
            &body,
            415,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        ),
    ];
    check(&master, &cases).await;
    assert_eq!(
        request(&master, "GET /health", &[], b"").await.0.status,
        200
    );
    assert_eq!(request(&master, "GET /none", &[], b"").await.0.status, 404);
    cluster.shutdown().await;
}

#[tokio::test]
async fn calls_are_refused_with_mesos_statuses_and_texts() {
    let cluster = LocalCluster::builder().start().await.unwrap();
    let path = "POST /api/v1/scheduler";
    let protobuf = ("Content-Type", "application/x-protobuf");
    let accept = ("Accept", "application/x-protobuf");
    let stream_id = ("Mesos-Stream-Id", "x");
    let body = subscribe_call(&framework()).encode_to_vec();
    let revive = crate::proto::scheduler::Call {
        framework_id: Some("none".into()),
        ..call(call::Type::Revive)
    }
    .encode_to_vec();
    let cases: [Case<'_>; 5] = [
        (
            path,
            &[protobuf],
            b"\xff",
            400,
            "Failed to parse body into Call protobuf",
        ),
        (
            path,
            &[protobuf],
            b"",
            400,
            "Failed to validate scheduler::Call: Expecting 'type' to be present",
        ),
        (
            path,
            &[protobuf, ("Accept", "text/html")],
            &body,
            406,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        ),
        (
            path,
            &[protobuf, accept, stream_id],
            &body,
            400,
            "Subscribe calls should not include the 'Mesos-Stream-Id' header",
        ),
        (path, &[protobuf], &revive, 400, "Framework cannot be found"),
    ];
    check(&cluster.master_address(), &cases).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_malformed_executor_update_is_refused() {
    let cluster = cluster().await;
    let mut scheduler = Scheduler::start(&cluster.master_address(), &framework()).await;
    let offer = scheduler.offer().await;
    scheduler
        .launch(&offer, vec![task(&offer, "t1", SLEEP)])
        .await;
    let executor = Executor::start(&cluster.agent_addresses()[0], &scheduler.id).await;
    let prefix = "Failed to validate Executor::Call: ";
    let mut status = crate::proto::TaskStatus {
        task_id: "t1".into(),
        ..Default::default()
    };
    let answer = executor.send(status.clone()).await;
    assert_eq!(
        answer.body,
        format!("{prefix}Expecting 'uuid' to be present")
    );
    status.uuid = Some(bytes::Bytes::copy_from_slice(
        uuid::Uuid::new_v4().as_bytes(),
    ));
    let answer = executor.send(status).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .body
            .ends_with("with invalid source, expecting 'SOURCE_EXECUTOR'")
    );
    cluster.shutdown().await;
}
