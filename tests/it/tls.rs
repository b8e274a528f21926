//! https: a TLS server in front of the scripted peer.

use std::sync::Arc;

use mesos_framework::proto::FrameworkInfo;
use mesos_framework::{Credential, ErrorKind, SchedulerDriver, SchedulerDriverBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::peer::{Peer, within};
use crate::recorder::{Callback, recorder};

/// Ends TLS, and passes on to a plain peer.
struct TlsFront {
    port: u16,
    certificate: String,
    _tasks: JoinSet<()>,
}

impl TlsFront {
    async fn before(peer: &Peer) -> Self {
        let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behind = peer.address().to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                connections.spawn(async move {
                    // A client that does not trust the certificate breaks the handshake off.
                    let Ok(mut front) = acceptor.accept(stream).await else {
                        return;
                    };
                    let mut back = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
                });
            }
        });
        Self {
            port,
            certificate: pair.cert.pem(),
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }
}

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
async fn https_works_with_a_root_certificate_of_ones_own() {
    let mut peer = Peer::bind().await;
    let front = TlsFront::before(&peer).await;
    let (builder, mut recording) = builder(&front.url());
    let mut driver = builder
        .root_certificates(front.certificate.clone())
        .build()
        .unwrap();
    driver.start().unwrap();
    let _stream = peer.subscribed("f-1").await;
    assert!(matches!(recording.next().await, Callback::Registered(_)));
    driver.handle().abort();
    within("the driver's end", driver.join()).await.unwrap();
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_and_the_connection_says_so() {
    let peer = Peer::bind().await;
    let front = TlsFront::before(&peer).await;
    let other = TlsFront::before(&peer).await;
    let (builder, _recording) = builder(&front.url());
    let mut driver = builder
        .root_certificates(other.certificate.clone())
        .build()
        .unwrap();
    driver.start().unwrap();
    let mut watch = driver.handle().watch_connection();
    let connection = within("an error", watch.until(|now| now.last_error.is_some())).await;
    let error = connection.last_error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn credentials_never_go_from_https_to_http() {
    let mut standby = Peer::bind().await;
    let mut leader = Peer::bind().await;
    let front = TlsFront::before(&standby).await;
    let (builder, _recording) = builder(&front.url());
    let builder = builder.credential(Credential::new("me", "hunter2"));
    let mut driver = builder
        .root_certificates(front.certificate.clone())
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
