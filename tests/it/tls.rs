//! https: a TLS server in front of a scripted peer or of a master.

use mesos_framework::proto::scheduler::call::Type;
use mesos_framework::proto::{FrameworkInfo, TaskState};
use mesos_framework::{Credential, Error, ErrorKind, SchedulerDriver, SchedulerDriverBuilder};

use crate::cluster::Cluster;
use crate::executor_role::RUN;
use crate::framework::{Framework, info};
use crate::peer::{Peer, within};
use crate::recorder::{Callback, recorder};
use crate::tls_front::{CertificateAuthority, Identity, TlsFront};

fn builder(master: &str) -> (SchedulerDriverBuilder, crate::recorder::Recording) {
    let (scheduler, recording) = recorder();
    let framework = FrameworkInfo {
        name: "tls".into(),
        failover_timeout: Some(60.0),
        ..FrameworkInfo::default()
    };
    (
        SchedulerDriver::builder(scheduler, framework, master),
        recording,
    )
}

#[tokio::test]
async fn https_works_with_a_root_certificate_of_ones_own_for_stream_and_calls() {
    let mut peer = Peer::bind().await;
    let authority = CertificateAuthority::new("ours");
    let own = authority.identity("localhost");
    let front = TlsFront::before(peer.address(), &own, None).await;
    let (builder, mut recording) = builder(&front.url());
    let mut driver = builder
        .root_certificates(authority.certificate)
        .build()
        .unwrap();
    driver.start().unwrap();
    let _stream = peer.subscribed("f-1").await;
    assert!(matches!(recording.next().await, Callback::Registered(_)));
    let mut receipts = Vec::new();
    for _ in 0..3 {
        receipts.push(driver.handle().revive_offers(vec![]).await.unwrap());
    }
    for _ in 0..3 {
        peer.call(Type::Revive).await.accept();
    }
    for receipt in receipts {
        assert!(within("an outcome", receipt.outcome()).await.is_accepted());
    }
    driver.handle().abort();
    within("the driver's end", driver.join()).await.unwrap();
}

/// Why a driver that trusts `root`, and shows `client`, cannot subscribe at a peer that is `own` and asks for
/// certificates of `clients`.
async fn failure(
    root: &CertificateAuthority,
    own: &Identity,
    clients: Option<&CertificateAuthority>,
    client: Option<&Identity>,
) -> Error {
    let peer = Peer::bind().await;
    let front = TlsFront::before(peer.address(), own, clients).await;
    let (mut builder, _recording) = builder(&front.url());
    builder = builder.root_certificates(root.certificate.clone());
    if let Some(client) = client {
        builder = builder.client_certificate(client.certificate.clone(), client.key.clone());
    }
    let mut driver = builder.build().unwrap();
    driver.start().unwrap();
    let mut watch = driver.handle().watch_connection();
    let connection = within("an error", watch.until(|now| now.last_error.is_some())).await;
    connection.last_error.unwrap()
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_and_the_connection_says_so() {
    let (ours, theirs) = (
        CertificateAuthority::new("ours"),
        CertificateAuthority::new("theirs"),
    );
    let error = failure(&ours, &theirs.identity("localhost"), None, None).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_and_the_connection_names_it() {
    let ours = CertificateAuthority::new("ours");
    let error = failure(&ours, &ours.identity("elsewhere"), None, None).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    let text = error.to_string();
    assert!(text.contains("not valid for name"), "{text}");
    assert!(text.contains("elsewhere"), "{text}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_connection_says_so() {
    let ours = CertificateAuthority::new("ours");
    let error = failure(&ours, &ours.expired("localhost"), None, None).await;
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("certificate expired"), "{error}");
}

/// What nginx answers, or a TLS server.
fn says_why(error: &Error, nginx: &str, alert: &str) {
    let text = error.to_string();
    let why = match std::env::var_os("MESOS_NGINX") {
        Some(_) => nginx,
        None => alert,
    };
    assert!(text.contains(why), "{text}");
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_refuses_whoever_has_none() {
    let ours = CertificateAuthority::new("ours");
    let own = ours.identity("localhost");
    let error = failure(&ours, &own, Some(&ours), None).await;
    says_why(
        &error,
        "No required SSL certificate was sent",
        "CertificateRequired",
    );
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_refuses_one_of_another_authority() {
    let (ours, theirs) = (
        CertificateAuthority::new("ours"),
        CertificateAuthority::new("theirs"),
    );
    let (own, client) = (ours.identity("localhost"), theirs.identity("client"));
    let error = failure(&ours, &own, Some(&ours), Some(&client)).await;
    says_why(&error, "The SSL certificate error", "UnknownCA");
}

#[tokio::test]
async fn a_certificate_and_a_key_that_do_not_belong_together_are_a_configuration_error() {
    let ours = CertificateAuthority::new("ours");
    let (one, other) = (ours.identity("one"), ours.identity("other"));
    let refused = |chain: &str, key: &str| {
        let (builder, _recording) = builder("https://localhost:1");
        let builder = builder.root_certificates(ours.certificate.clone());
        let error = builder.client_certificate(chain, key).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(!error.to_string().contains("PRIVATE"), "{error}");
        error.to_string()
    };
    let text = refused(&one.certificate, &other.key);
    assert!(
        text.starts_with("client certificate and key cannot be used: "),
        "{text}"
    );
    let text = refused(&one.certificate, "nothing");
    assert!(
        text.starts_with("key of the client certificate cannot be read: "),
        "{text}"
    );
    assert_eq!(
        refused("nothing", &one.key),
        "PEM text holds no client certificate"
    );
}

/// A master behind a front that asks for certificates, or for none, runs a task.
async fn runs_tasks(is_mutual: bool) {
    let cluster = Cluster::start().await;
    let (servers, clients) = (
        CertificateAuthority::new("servers"),
        CertificateAuthority::new("clients"),
    );
    let own = servers.identity("localhost");
    let asked_for = is_mutual.then_some(&clients);
    let front = TlsFront::before(&cluster.address(), &own, asked_for).await;
    let client = clients.identity("framework");
    let mut framework = Framework::register_with(&front.url(), info("tls"), |builder| {
        let builder = builder.root_certificates(servers.certificate.clone());
        match is_mutual {
            true => builder.client_certificate(client.certificate.clone(), client.key.clone()),
            false => builder,
        }
    })
    .await;
    let task = framework.run("over-tls", RUN).await;
    let receipt = framework.handle.kill_task(task.task_id.clone(), None).await;
    assert!(receipt.unwrap().outcome().await.is_accepted());
    framework
        .comes_to(&task.task_id, TaskState::TaskKilled)
        .await;
    framework.teardown().await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn a_master_behind_tls_runs_tasks() {
    runs_tasks(false).await;
}

#[tokio::test]
async fn a_master_behind_mutual_tls_runs_tasks() {
    runs_tasks(true).await;
}

#[tokio::test]
async fn credentials_never_go_from_https_to_http() {
    let mut standby = Peer::bind().await;
    let mut leader = Peer::bind().await;
    let authority = CertificateAuthority::new("ours");
    let own = authority.identity("localhost");
    let front = TlsFront::before(standby.address(), &own, None).await;
    let (builder, _recording) = builder(&front.url());
    let builder = builder.credential(Credential::new("me", "hunter2"));
    let mut driver = builder
        .root_certificates(authority.certificate)
        .build()
        .unwrap();
    driver.start().unwrap();
    let subscribe = standby.next().await;
    assert!(subscribe.header("authorization").is_some());
    let location = format!("http://{}/api/v1/scheduler", leader.address());
    subscribe.answer(307, &[("Location", &location)], "");
    assert_eq!(leader.next().await.header("authorization"), None);
}

#[tokio::test]
async fn text_without_a_certificate_is_a_configuration_error() {
    let (builder, _recording) = builder("https://localhost:1");
    let error = builder.root_certificates("nothing").build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.to_string(), "PEM text holds no root certificate");
}

/// Set where this program is run with roots of its own: the address of the master.
const WITH_ROOTS: &str = "MESOS_TEST_WITH_ROOTS";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn without_root_certificates_of_ones_own_the_platforms_are_trusted() {
    if let Ok(master) = std::env::var(WITH_ROOTS) {
        let framework = Framework::register(&master, info("platform")).await;
        return framework.teardown().await;
    }
    let cluster = Cluster::start().await;
    let authority = CertificateAuthority::new("platform");
    let own = authority.identity("localhost");
    let front = TlsFront::before(&cluster.address(), &own, None).await;
    let roots = std::env::temp_dir().join(format!("roots-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&roots, &authority.certificate).unwrap();
    let test = "tls::without_root_certificates_of_ones_own_the_platforms_are_trusted";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    // What OpenSSL's programs look at, too.
    command
        .env("SSL_CERT_FILE", &roots)
        .env_remove("SSL_CERT_DIR");
    command.env(WITH_ROOTS, front.url());
    command.env_remove("MESOS_CONFORMANCE");
    let child = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = child.await.unwrap();
    std::fs::remove_file(&roots).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    cluster.shutdown().await;
}
