//! Attempts to subscribe over TCP: where they lead, and how long they may take.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::http::{Credential, CredentialProvider};

const SECOND: Duration = Duration::from_secs(1);

/// The defaults of drivers.
fn config(provider: Option<Slow>) -> HttpConfig {
    HttpConfig {
        connect_timeout: 10 * SECOND,
        reply_timeout: 75 * SECOND,
        window: 1,
        user_agent: "test".into(),
        credentials: provider.map(|provider| Credentials::Provider(Arc::new(provider))),
        confine_credential: false,
        tls: TlsConfig::default(),
        proxy_from_environment: false,
    }
}

/// Gives credentials, each after a while.
struct Slow(Mutex<VecDeque<Duration>>);

impl Slow {
    fn new(waits: &[Duration]) -> Self {
        Self(Mutex::new(waits.iter().copied().collect()))
    }
}

#[async_trait::async_trait]
impl CredentialProvider for Slow {
    async fn credential(
        &self,
        _: Option<&Credential>,
    ) -> Result<Credential, Box<dyn std::error::Error + Send + Sync>> {
        let wait = self.0.lock().unwrap().pop_front().expect("a further one");
        tokio::time::sleep(wait).await;
        Ok(Credential::bearer(format!("after {wait:?}")))
    }
}

/// Where names lead.
struct Names(Arc<Mutex<Option<IpAddr>>>);

impl Names {
    fn lead_to(&self, host: &str) {
        *self.0.lock().unwrap() = Some(host.parse().unwrap());
    }
}

/// Answers each request so, and closes nothing.
async fn peer(at: &str, answer: &'static str) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(answer_all(stream, answer));
        }
    });
    (address, tasks)
}

async fn answer_all(mut stream: TcpStream, answer: &'static str) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

const SILENCE: &str = "";
const STANDBY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 17\r\n\r\nNo leader elected";
const STARTING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
const HALF: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\nNot";

fn client_of(address: &Address, config: HttpConfig) -> HttpClient {
    HttpClient::new(config, vec![address.clone()]).unwrap()
}

async fn open(client: &HttpClient, to: &Address) -> Result<Opened> {
    let request = Request {
        path: "/api/v1/scheduler",
        media_type: "application/x-protobuf",
        body: Bytes::from_static(b"subscribe"),
        deadline: Instant::now() + 75 * SECOND,
    };
    client.open(to, request).await
}

fn status(opened: Result<Opened>) -> u16 {
    match opened.unwrap() {
        Opened::Answer(reply) | Opened::Stream(reply, _) => reply.status,
        Opened::Unanswered(error) => panic!("{error}"),
    }
}

fn failure(opened: Result<Opened>) -> String {
    let error = match opened {
        Err(error) | Ok(Opened::Unanswered(error)) => error,
        Ok(_) => panic!("it fails"),
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    error.to_string()
}

/// To a master of a name that leads nowhere yet.
fn by_name(port: u16) -> (HttpClient, Address, Names) {
    let names = Names(Arc::default());
    let address = Address::parse(&format!("master.invalid:{port}")).unwrap();
    let mut client = client_of(&address, config(None));
    let inner = Arc::get_mut(&mut client.inner).unwrap();
    inner.connector.names = Some(Arc::clone(&names.0));
    (client, address, names)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn each_attempt_resolves_the_name_anew_while_the_peer_of_before_keeps_its_connection_open() {
    let (old, _old) = peer("127.0.0.1:0", STANDBY).await;
    let port = old.port();
    let (_, _new) = peer(&format!("127.0.0.2:{port}"), STARTING).await;
    let (client, address, names) = by_name(port);
    names.lead_to("127.0.0.1");
    for _ in 0..2 {
        assert_eq!(status(open(&client, &address).await), 503);
    }
    names.lead_to("127.0.0.2");
    assert_eq!(status(open(&client, &address).await), 404);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_never_resolved_is_given_up_with_the_connect_timeout() {
    let (client, address, _names) = by_name(5050);
    let begun = Instant::now();
    let error = failure(open(&client, &address).await);
    assert_eq!(error, "connecting to master.invalid:5050 took too long");
    assert_eq!(begun.elapsed().as_secs(), 10);
}

/// How an attempt at a peer that answers so fails, after the provider's waits; and that it takes 75 s.
async fn failure_after(waits: &[Duration], answer: &'static str) -> (String, SocketAddr) {
    let (at, _tasks) = peer("127.0.0.1:0", answer).await;
    let address = Address::parse(&at.to_string()).unwrap();
    let client = client_of(&address, config(Some(Slow::new(waits))));
    let begun = Instant::now();
    let error = failure(open(&client, &address).await);
    assert_eq!(begun.elapsed().as_secs(), 75, "{error}");
    (error, at)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_with_the_call_timeout_whatever_it_waits_for() {
    let of_provider = "no credential from its provider within 75s";
    let (error, _) = failure_after(&[100 * SECOND], SILENCE).await;
    assert_eq!(error, of_provider);
    let (error, _) = failure_after(&[40 * SECOND, 40 * SECOND], UNAUTHORIZED).await;
    assert_eq!(error, of_provider);
    for answer in [SILENCE, HALF] {
        let (error, at) = failure_after(&[40 * SECOND], answer).await;
        let expected = format!("no answer from {at} to SUBSCRIBE within 75s");
        assert_eq!(error, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_what_another_asks_the_provider_waits_no_longer_than_its_time_out() {
    let (at, _tasks) = peer("127.0.0.1:0", SILENCE).await;
    let address = Address::parse(&at.to_string()).unwrap();
    let client = client_of(&address, config(Some(Slow::new(&[1000 * SECOND; 2]))));
    let authority = &client.inner.authority;
    let begun = Instant::now();
    let late = authority.obtain(begun + 1000 * SECOND);
    let (_, soon) = tokio::join!(
        tokio::time::timeout(90 * SECOND, late),
        authority.obtain(begun + 75 * SECOND)
    );
    assert_eq!(soon.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!(begun.elapsed().as_secs(), 90);
}
