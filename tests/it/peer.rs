//! A scripted master or agent: plain TCP, so that it can answer anything. A test takes the requests one by one, in the
//! order of their arrival, and says what becomes of each.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mesos_framework::proto::scheduler::{self, event};
use mesos_framework::proto::{FrameworkId, executor};
use mesos_framework::recordio;
use prost::Message;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::net::Listener;

/// Longest wait for anything that must come.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Awaits `future`, for at most [`LIMIT`].
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// The peer; dropped, it closes everything.
pub struct Peer {
    address: String,
    incoming: mpsc::Receiver<Incoming>,
    /// Taken from `incoming`, and put back by [`Peer::next_call`].
    kept: VecDeque<Incoming>,
    early_bytes: Arc<AtomicUsize>,
    /// Dropped to refuse connections.
    open: Option<oneshot::Sender<()>>,
    _tasks: JoinSet<()>,
}

/// A request that waits for what becomes of it. Dropped, it closes its connection.
pub struct Incoming {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    answer: oneshot::Sender<Answer>,
}

enum Answer {
    /// Written as it is; the connection goes on.
    Bytes(Vec<u8>),
    /// Written piece by piece, until the sender is dropped; then the connection closes.
    Stream(mpsc::Receiver<Vec<u8>>),
}

impl Peer {
    /// A peer on a free port of the loopback interface.
    pub async fn bind() -> Self {
        Self::bind_at("127.0.0.1:0").await
    }

    /// A peer at this address.
    pub async fn bind_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self::listen(listener, address)
    }

    /// A peer on a Unix domain socket.
    #[cfg(unix)]
    pub async fn bind_socket(path: &std::path::Path) -> Self {
        let listener = tokio::net::UnixListener::bind(path).unwrap();
        Self::listen(listener, path.display().to_string())
    }

    fn listen<L>(mut listener: L, address: String) -> Self
    where
        L: Listener<Io: Send + Unpin + 'static, Addr: Send> + Send + 'static,
    {
        let (sender, incoming) = mpsc::channel(64);
        let early_bytes = Arc::new(AtomicUsize::new(0));
        let early = Arc::clone(&early_bytes);
        let mut tasks = JoinSet::new();
        let (open, mut closed) = oneshot::channel();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = tokio::select! {
                    biased;
                    _ = &mut closed => break,
                    accepted = listener.accept() => accepted.unwrap(),
                };
                connections.spawn(serve(stream, number, sender.clone(), Arc::clone(&early)));
            }
            drop(listener);
            while connections.join_next().await.is_some() {}
        });
        Self {
            address,
            incoming,
            kept: VecDeque::new(),
            early_bytes,
            open: Some(open),
            _tasks: tasks,
        }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Takes no further connection; those that are open go on.
    pub async fn refuse_connections(&mut self) {
        self.open = None;
        let refused = async {
            while TcpStream::connect(&self.address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        within("the port to close", refused).await;
    }

    /// The next request.
    pub async fn next(&mut self) -> Incoming {
        if let Some(kept) = self.kept.pop_front() {
            return kept;
        }
        within("a request", self.incoming.recv())
            .await
            .expect("the acceptor lives as long as the peer")
    }

    /// The next request, which must be a scheduler's call of this type.
    pub async fn call(&mut self, r#type: scheduler::call::Type) -> Incoming {
        let incoming = self.next().await;
        assert_eq!(incoming.scheduler_call().r#type(), r#type);
        incoming
    }

    /// Bytes of requests that have come while the request before them, on the same connection, is not answered yet.
    pub fn early_bytes(&self) -> usize {
        self.early_bytes.load(Ordering::SeqCst)
    }

    /// Waits until there are as many.
    pub async fn early(&self, bytes: usize) {
        let come = async {
            while self.early_bytes() < bytes {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        within("calls before the answer", come).await;
    }

    /// Checks that no request is left: one of our own must be the next.
    pub async fn assert_no_request(&mut self) {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let marker = b"POST /marker HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(marker).await.unwrap();
        let next = self.next().await;
        assert!(
            next.path == "/marker",
            "unexpected: {:?}",
            next.scheduler_call()
        );
    }

    /// The next SUBSCRIBE of a scheduler, answered with SUBSCRIBED under `stream-<n>` and this framework id.
    pub async fn subscribed(&mut self, framework_id: &str) -> Stream {
        let stream = self.call(scheduler::call::Type::Subscribe).await.stream();
        stream.send(&subscribed(framework_id, Some(15.0))).await;
        stream
    }

    /// True if no request comes within `quiet`.
    pub async fn is_quiet(&mut self, quiet: Duration) -> bool {
        match tokio::time::timeout(quiet, self.incoming.recv()).await {
            Ok(Some(incoming)) => {
                self.kept.push_back(incoming);
                false
            }
            Ok(None) | Err(_) => true,
        }
    }
}

impl Incoming {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub fn scheduler_call(&self) -> scheduler::Call {
        scheduler::Call::decode(self.body.clone()).expect("a scheduler call")
    }

    pub fn executor_call(&self) -> executor::Call {
        executor::Call::decode(self.body.clone()).expect("an executor call")
    }

    /// Answers with `202 Accepted`.
    pub fn accept(self) {
        self.answer(202, &[], "");
    }

    pub fn answer(self, status: u16, headers: &[(&str, &str)], body: &str) {
        let mut head = format!(
            "HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        self.raw(format!("{head}\r\n{body}").as_bytes());
    }

    /// Answers with these bytes, whatever they are.
    pub fn raw(self, bytes: &[u8]) {
        let _ = self.answer.send(Answer::Bytes(bytes.to_vec()));
    }

    /// Answers with these bytes, and closes the connection.
    pub fn cut(self, bytes: &[u8]) {
        let (sender, receiver) = mpsc::channel(1);
        let _ = sender.try_send(bytes.to_vec());
        let _ = self.answer.send(Answer::Stream(receiver));
    }

    /// Answers 200 with an event stream in protobuf, under the stream id `stream-<connection>`.
    pub fn stream(self) -> Stream {
        self.stream_of("application/x-protobuf")
    }

    pub fn stream_of(self, content_type: &str) -> Stream {
        let (sender, receiver) = mpsc::channel(64);
        let head = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: {content_type}\r\n\
             Mesos-Stream-Id: stream-{}\r\n\r\n",
            self.connection
        );
        sender
            .try_send(head.into_bytes())
            .expect("the channel is empty");
        let _ = self.answer.send(Answer::Stream(receiver));
        let id = format!("stream-{}", self.connection);
        Stream { id, sender }
    }
}

/// An event stream; dropped, its connection closes without the final chunk.
pub struct Stream {
    /// Value of `Mesos-Stream-Id`.
    pub id: String,
    sender: mpsc::Sender<Vec<u8>>,
}

impl Stream {
    /// One event, one record, one chunk.
    pub async fn send(&self, event: &impl Message) {
        let mut record = BytesMut::new();
        recordio::encode(&event.encode_to_vec(), &mut record);
        self.chunk(&record).await;
    }

    /// One chunk of these bytes.
    pub async fn chunk(&self, bytes: &[u8]) {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.raw(&chunk).await;
    }

    /// These bytes, outside of any chunk. A client that has gone is no error here.
    pub async fn raw(&self, bytes: &[u8]) {
        let _ = self.sender.send(bytes.to_vec()).await;
    }

    /// Ends the stream as a master does: with the final chunk.
    pub async fn finish(self) {
        self.raw(b"0\r\n\r\n").await;
    }

    /// Waits until the client has closed the connection.
    pub async fn closed(&self) {
        within("the client to close the stream", self.sender.closed()).await;
    }
}

/// A SUBSCRIBED event for schedulers.
pub fn subscribed(framework_id: &str, heartbeat_interval_seconds: Option<f64>) -> scheduler::Event {
    let subscribed = event::Subscribed {
        framework_id: FrameworkId::from(framework_id),
        heartbeat_interval_seconds,
        master_info: None,
    };
    scheduler::Event {
        r#type: Some(event::Type::Subscribed as i32),
        subscribed: Some(Box::new(subscribed)),
        ..Default::default()
    }
}

/// An ERROR event for schedulers.
pub fn error(message: &str) -> scheduler::Event {
    scheduler::Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error {
            message: message.into(),
        }),
        ..Default::default()
    }
}

/// A HEARTBEAT event for schedulers.
pub fn heartbeat() -> scheduler::Event {
    scheduler::Event {
        r#type: Some(event::Type::Heartbeat as i32),
        ..Default::default()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut stream: S,
    number: usize,
    sender: mpsc::Sender<Incoming>,
    early_bytes: Arc<AtomicUsize>,
) {
    let mut buffer = BytesMut::new();
    while let Some((path, headers, body)) = read_request(&mut stream, &mut buffer).await {
        early_bytes.store(buffer.len(), Ordering::SeqCst);
        let (answer, mut what) = oneshot::channel();
        let incoming = Incoming {
            path,
            headers,
            body,
            connection: number,
            answer,
        };
        if sender.send(incoming).await.is_err() {
            return;
        }
        let what = loop {
            tokio::select! {
                biased;
                what = &mut what => break what,
                read = stream.read_buf(&mut buffer) => match read {
                    Ok(count) if count > 0 => early_bytes.store(buffer.len(), Ordering::SeqCst),
                    _ => return,
                },
            };
        };
        match what {
            Ok(Answer::Bytes(bytes)) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Ok(Answer::Stream(pieces)) => return pump(stream, pieces).await,
            Err(_) => return,
        }
    }
}

/// Writes the pieces, and notices when the client closes.
async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    mut pieces: mpsc::Receiver<Vec<u8>>,
) {
    let mut scratch = [0; 64];
    loop {
        tokio::select! {
            piece = pieces.recv() => {
                let Some(piece) = piece else { return };
                if stream.write_all(&piece).await.is_err() {
                    return;
                }
            }
            read = stream.read(&mut scratch) => {
                if !matches!(read, Ok(n) if n > 0) {
                    return;
                }
            }
        }
    }
}

type Parsed = (String, Vec<(String, String)>, Bytes);

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Option<Parsed> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer.split_to(end + 4)).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")?
        .1
        .parse()
        .ok()?;
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some((path, headers, buffer.split_to(length).freeze()))
}
