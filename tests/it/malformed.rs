//! What is wrong with a request, in the same words whoever is asked: a real master and agent, or embedded ones.

use crate::cluster::Cluster;
use crate::event_stream::EventStream;
use crate::http::{Answer, get, request};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

/// The four APIs: address, path, and what they say of a call that is not valid.
struct Apis {
    master: String,
    agent: String,
    /// `/slave(1)`.
    process: String,
}

impl Apis {
    async fn of(cluster: &Cluster) -> Self {
        let master = cluster.address();
        let slaves = get(&master, "/slaves").await.json();
        let pid = slaves["slaves"][0]["pid"].as_str().unwrap();
        let (process, agent) = pid.split_once('@').unwrap();
        Self {
            agent: agent.to_owned(),
            process: format!("/{process}"),
            master,
        }
    }

    fn all(&self) -> [(&str, String); 4] {
        [
            (self.master.as_str(), "/api/v1/scheduler".to_owned()),
            (self.master.as_str(), "/api/v1".to_owned()),
            (
                self.agent.as_str(),
                format!("{}/api/v1/executor", self.process),
            ),
            (self.agent.as_str(), format!("{}/api/v1", self.process)),
        ]
    }

    async fn scheduler(&self, header: (&str, &str), body: &[u8]) -> Answer {
        request(&self.master, "POST", "/api/v1/scheduler", &[header], body).await
    }

    async fn executor(&self, header: (&str, &str), body: &[u8]) -> Answer {
        let path = format!("{}/api/v1/executor", self.process);
        request(&self.agent, "POST", &path, &[header], body).await
    }
}

fn assert_refused(answer: &Answer, text: &str, of: &dyn std::fmt::Debug) {
    assert_eq!((answer.status, answer.text()), (400, text), "{of:?}");
    let media_type = answer.header("content-type");
    assert_eq!(media_type, Some("text/plain; charset=utf-8"), "{of:?}");
}

#[tokio::test]
async fn json_that_does_not_parse_is_refused_with_the_place() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    let near = "syntax error at line 1 near: ";
    for (address, path) in apis.all() {
        for (body, why) in [
            ("", near.to_owned()),
            ("x", format!("{near}x")),
            ("{", near.to_owned()),
            (
                r#"{"type":"SUBSCRIBE"} x"#,
                "Parsed JSON included non-whitespace trailing characters:  x".to_owned(),
            ),
        ] {
            let answer = request(address, "POST", &path, &[JSON], body.as_bytes()).await;
            let text = format!("Failed to parse body into JSON: {why}");
            assert_refused(&answer, &text, &(&path, body));
        }
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn json_of_another_shape_is_refused_by_the_first_wrong_value() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    for (address, path) in apis.all() {
        let is_operator_of_agent = address == apis.agent && path.ends_with("/v1");
        let begin = if is_operator_of_agent {
            ""
        } else {
            "Failed to convert JSON into Call protobuf: "
        };
        for (body, why) in [
            ("[]", "Expecting a JSON object"),
            ("null", "Expecting a JSON object"),
            ("1", "Expecting a JSON object"),
            (r#""x""#, "Expecting a JSON object"),
            (
                r#"{"type":1}"#,
                "Not expecting a JSON number for field 'type'",
            ),
            (
                r#"{"type":{}}"#,
                "Not expecting a JSON object for field 'type'",
            ),
            (
                r#"{"type":true}"#,
                "Not expecting a JSON boolean for field 'type'",
            ),
            (
                r#"{"type":["SUBSCRIBE"]}"#,
                "Not expecting a JSON array for field 'type'",
            ),
        ] {
            let answer = request(address, "POST", &path, &[JSON], body.as_bytes()).await;
            assert_refused(&answer, &format!("{begin}{why}"), &(&path, body));
        }
    }
    cluster.shutdown().await;
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[tokio::test]
async fn schedulers_calls_of_another_shape_are_refused_with_mesos_words() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    let subscribe = |info: &str| {
        let info = format!(r#"{{"user":"a","name":"x",{info}}}"#);
        format!(r#"{{"type":"SUBSCRIBE","subscribe":{{"framework_info":{info}}}}}"#)
    };
    let framework_id = |value: &str| format!(r#"{{"type":"TEARDOWN","framework_id":{value}}}"#);
    let acknowledge = |value: &str| {
        format!(r#"{{"type":"ACKNOWLEDGE","framework_id":{{"value":"x"}},"acknowledge":{value}}}"#)
    };
    let operation = |value: &str| {
        format!(
            r#"{{"type":"ACCEPT","framework_id":{{"value":"x"}},"accept":{{"operations":[{value}]}}}}"#
        )
    };
    let near = "syntax error at line 1 near:";
    for (body, why) in [
        (
            framework_id(r#""x""#),
            "Not expecting a JSON string for field 'framework_id'".to_owned(),
        ),
        (
            framework_id("1"),
            "Not expecting a JSON number for field 'framework_id'".into(),
        ),
        (
            framework_id("[]"),
            "Not expecting a JSON array for field 'framework_id'".into(),
        ),
        (
            framework_id("{}"),
            "Missing required fields: framework_id.value".into(),
        ),
        (
            framework_id(r#"{"value":1}"#),
            "Not expecting a JSON number for field 'value'".into(),
        ),
        (
            framework_id(r#"{"value":["a"]}"#),
            "Not expecting a JSON array for field 'value'".into(),
        ),
        (
            r#"{"type":"SUBSCRIBE","subscribe":{}}"#.into(),
            "Missing required fields: subscribe.framework_info".into(),
        ),
        (
            r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"a"}}}"#.into(),
            "Missing required fields: subscribe.framework_info.name".into(),
        ),
        (
            subscribe(r#""failover_timeout":"abc""#),
            format!(
                "Failed to parse 'abc' as a JSON number for field 'failover_timeout': {near} abc"
            ),
        ),
        (
            subscribe(r#""checkpoint":"maybe""#),
            format!(
                "Failed to parse 'maybe' as a JSON boolean for field 'checkpoint': {near} maybe"
            ),
        ),
        (
            subscribe(r#""checkpoint":1"#),
            "Not expecting a JSON number for field 'checkpoint'".into(),
        ),
        (
            subscribe(r#""roles":[1]"#),
            "Not expecting a JSON number for field 'roles'".into(),
        ),
        (
            subscribe(r#""roles":{}"#),
            "Not expecting a JSON object for field 'roles'".into(),
        ),
        (
            subscribe(r#""capabilities":[1]"#),
            "Not expecting a JSON number for field 'capabilities'".into(),
        ),
        (
            subscribe(r#""labels":[]"#),
            "Not expecting a JSON array for field 'labels'".into(),
        ),
        (
            acknowledge(r#"{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"-_"}"#),
            "Failed to base64 decode bytes field 'uuid': Invalid character '-'".into(),
        ),
        (
            acknowledge(r#"{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":5}"#),
            "Not expecting a JSON number for field 'uuid'".into(),
        ),
        (
            acknowledge("{}"),
            "Missing required fields: acknowledge.agent_id, acknowledge.task_id, acknowledge.uuid"
                .into(),
        ),
        (
            operation(r#"{"type":"LAUNCH","launch":{"task_infos":[{"name":"x"}]}}"#),
            "Missing required fields: accept.operations[0].launch.task_infos[0].task_id, \
             accept.operations[0].launch.task_infos[0].agent_id"
                .into(),
        ),
    ] {
        let answer = apis.scheduler(JSON, body.as_bytes()).await;
        let text = format!("Failed to convert JSON into Call protobuf: {why}");
        assert_refused(&answer, &text, &body);
    }
    // Not known, and so not there.
    for body in [
        "{}",
        r#"{"type":null}"#,
        r#"{"type":"SUBSCRIBE","type":"X"}"#,
    ] {
        let answer = apis.scheduler(JSON, body.as_bytes()).await;
        let text = "Failed to validate scheduler::Call: Expecting 'type' to be present";
        assert_refused(&answer, text, &body);
    }
    let answer = apis
        .scheduler(JSON, operation(r#"{"type":"NOPE"}"#).as_bytes())
        .await;
    assert_refused(
        &answer,
        "Framework cannot be found",
        &"an unknown operation",
    );
    let uuid = acknowledge(r#"{"agent_id":{"value":"a"},"task_id":{"value":"t"},"uuid":"YQ=="}"#);
    let answer = apis.scheduler(JSON, uuid.as_bytes()).await;
    let text = "Failed to validate scheduler::Call: Not a valid UUID";
    assert_refused(&answer, text, &uuid);
    cluster.shutdown().await;
}

#[tokio::test]
async fn protobuf_without_its_required_fields_does_not_parse() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    let unparsed = "Failed to parse body into Call protobuf";
    let invalid = |what: &str| {
        format!("Failed to validate scheduler::Call: Expecting '{what}' to be present")
    };
    for (body, text) in [
        (&b""[..], invalid("type")),
        (b"z", unparsed.to_owned()),
        (b"\x00", unparsed.to_owned()),
        (b"\x08", unparsed.to_owned()),
        (&[0xff; 20], unparsed.to_owned()),
        (b"\x0a\xff\xff\xff\xff\x0f", unparsed.to_owned()),
        // Types 1, and 99, which there is not.
        (b"\x10\x01", invalid("subscribe")),
        (b"\x10\x63", invalid("type")),
        // Framework ids without and with a value.
        (b"\x0a\x00", unparsed.to_owned()),
        (b"\x0a\x03\x0a\x01x", invalid("type")),
        (
            b"\x0a\x03\x0a\x01x\x10\x05",
            "Framework cannot be found".to_owned(),
        ),
        // SUBSCRIBE without framework_info, and without its name.
        (b"\x10\x01\x1a\x00", unparsed.to_owned()),
        (b"\x10\x01\x1a\x05\x0a\x03\x0a\x01u", unparsed.to_owned()),
        // ACKNOWLEDGE without submessage, with an empty one, and with an agent id only.
        (b"\x10\x08\x0a\x03\x0a\x01x", invalid("acknowledge")),
        (b"\x10\x08\x0a\x03\x0a\x01x\x42\x00", unparsed.to_owned()),
        (
            b"\x10\x08\x0a\x03\x0a\x01x\x42\x05\x0a\x03\x0a\x01a",
            unparsed.to_owned(),
        ),
    ] {
        let answer = apis.scheduler(PROTOBUF, body).await;
        assert_refused(&answer, &text, &body);
    }
    // Both ids are required of executors.
    for body in [&b""[..], b"\x10\x01", b"\x0a\x03\x0a\x01x"] {
        let answer = apis.executor(PROTOBUF, body).await;
        assert_refused(&answer, unparsed, &body);
    }
    for body in ["{}", r#"{"type":"SUBSCRIBE","subscribe":{}}"#] {
        let answer = apis.executor(JSON, body.as_bytes()).await;
        let text = "Failed to convert JSON into Call protobuf: Missing required fields: \
                    executor_id, framework_id";
        assert_refused(&answer, text, &body);
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn methods_and_media_types_are_looked_at_first() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    for (address, path) in apis.all() {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = request(address, method, &path, &[], b"{").await;
            let text = format!(
                "405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{method}'."
            );
            assert_eq!(
                (answer.status, answer.text()),
                (405, text.as_str()),
                "{path}"
            );
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let answer = request(address, "POST", &path, &[], b"{").await;
        assert_refused(&answer, "Expecting 'Content-Type' to be present", &path);
        let is_operator_of_agent = address == apis.agent && path.ends_with("/v1");
        let also = if is_operator_of_agent {
            " or application/recordio"
        } else {
            ""
        };
        for media_type in [
            "application/json; charset=utf-8",
            "APPLICATION/JSON",
            "application/x-protobuf;",
            "text/plain",
            "multipart/form-data",
            "",
        ] {
            let headers = [("Content-Type", media_type)];
            let answer = request(address, "POST", &path, &headers, b"{").await;
            let text = format!(
                "Expecting 'Content-Type' of application/json or application/x-protobuf{also}"
            );
            assert_eq!(
                (answer.status, answer.text()),
                (415, text.as_str()),
                "{media_type}"
            );
        }
        if is_operator_of_agent {
            let headers = [("Content-Type", "application/recordio")];
            let answer = request(address, "POST", &path, &headers, b"{}").await;
            let text = "Expecting 'Message-Content-Type' to be set for streaming requests";
            assert_refused(&answer, text, &path);
        }
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn what_is_nowhere_is_not_found() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    for address in [&apis.master, &apis.agent] {
        for path in ["/nothing", "/", "/API/V1", "/api/v1/.."] {
            let answer = request(address, "POST", path, &[JSON], b"{}").await;
            assert_eq!(
                (answer.status, answer.text()),
                (404, "404 Not Found."),
                "{path}"
            );
        }
    }
    // As a message of Mesos's own kind, this is to a process that is not there.
    let internal = [JSON, ("User-Agent", "libprocess/master@x:1")];
    let answer = request(&apis.master, "POST", "/api/v1", &internal, b"{}").await;
    assert_eq!(answer.status, 404);
    for (address, process) in [
        (&apis.master, "/master"),
        (&apis.agent, apis.process.as_str()),
    ] {
        let path = format!("{process}/api/v1");
        let answer = request(address, "POST", &path, &internal, b"{}").await;
        assert_eq!((answer.status, answer.text()), (202, ""), "{path}");
    }
    cluster.shutdown().await;
}

#[tokio::test]
async fn bodies_may_be_compressed() {
    let cluster = Cluster::start().await;
    let apis = Apis::of(&cluster).await;
    // `{"type":"GET_HEALTH"}`
    let health: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x2a, 0xa9, 0x2c,
        0x48, 0x55, 0xb2, 0x52, 0x72, 0x77, 0x0d, 0x89, 0xf7, 0x70, 0x75, 0xf4, 0x09, 0xf1, 0x50,
        0xaa, 0x05, 0x00, 0x3d, 0xe0, 0xaa, 0x12, 0x15, 0x00, 0x00, 0x00,
    ];
    let gzip = [JSON, ("Content-Encoding", "gzip")];
    for (address, path) in apis.all() {
        if path.ends_with("/v1") {
            let answer = request(address, "POST", &path, &gzip, health).await;
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            assert_eq!(answer.json()["get_health"]["healthy"], true);
        }
        // A real one may close the connection before this answer is read.
        if matches!(cluster, Cluster::Embedded(_)) {
            let answer = request(address, "POST", &path, &gzip, b"not gzip").await;
            assert_eq!(
                (answer.status, answer.text()),
                (500, "failed to decode body")
            );
            let truncated = &health[..health.len() - 4];
            let answer = request(address, "POST", &path, &gzip, truncated).await;
            assert_eq!(
                (answer.status, answer.text()),
                (500, "Failed to decompress body")
            );
        }
        // Another encoding is not looked at.
        let deflate = [JSON, ("Content-Encoding", "deflate")];
        let answer = request(address, "POST", &path, &deflate, b"[]").await;
        assert_eq!(answer.status, 400);
    }
    // Long answers are, for who wants it.
    let accepting = [JSON, ("Accept-Encoding", "gzip")];
    let state = br#"{"type":"GET_STATE"}"#;
    let answer = request(&apis.master, "POST", "/api/v1", &accepting, state).await;
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body[..2], [0x1f, 0x8b]);
    let short = br#"{"type":"GET_HEALTH"}"#;
    let answer = request(&apis.master, "POST", "/api/v1", &accepting, short).await;
    assert_eq!(answer.header("content-encoding"), None);
    cluster.shutdown().await;
}

#[tokio::test]
async fn streams_are_never_compressed() {
    let cluster = Cluster::start().await;
    let headers = [JSON, ("Accept-Encoding", "gzip")];
    let body = br#"{"type":"SUBSCRIBE"}"#;
    let mut stream = EventStream::open(&cluster.address(), "/api/v1", &headers, body).await;
    assert_eq!(stream.header("content-encoding"), None);
    assert!(stream.record().await.unwrap().starts_with(b"{"));
    drop(stream);
    cluster.shutdown().await;
}
