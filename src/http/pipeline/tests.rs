//! The pipeline over connections in memory, which break wherever a test says.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;

const LIMIT: Duration = Duration::from_secs(75);

/// Length of each request: the head, `1`, two line ends, a letter.
const REQUEST: usize = HEAD.len() + 6;
const HEAD: &str = "POST / HTTP/1.1\r\nContent-Length: ";

/// A peer: what it takes, and what it says.
#[derive(Default)]
struct Peer {
    /// Bytes that it has taken.
    taken: Vec<u8>,
    /// How many it takes; nothing more can be written then.
    takes: usize,
    /// Whether the connection breaks when more is written, or the writer waits.
    breaks: bool,
    /// What it answers, one entry for each call that it has whole.
    answers: Vec<Vec<u8>>,
    /// How many bytes it answers before it closes.
    says: usize,
    said: usize,
    /// What it says unasked.
    unasked: Vec<u8>,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Default)]
struct Script(Arc<Mutex<Peer>>);

impl Script {
    /// Takes all and answers each call with 202 and its letter.
    fn perfect() -> Self {
        Self::new(usize::MAX, usize::MAX, |letter| answer(202, letter))
    }

    fn new(takes: usize, says: usize, answer: impl Fn(u8) -> Vec<u8>) -> Self {
        let peer = Peer {
            takes,
            breaks: true,
            says,
            answers: (b'a'..=b'z').map(answer).collect(),
            ..Peer::default()
        };
        Self(Arc::new(Mutex::new(peer)))
    }

    /// The calls that the peer has whole.
    fn whole(&self) -> String {
        let peer = self.0.lock().unwrap();
        let whole = peer.taken.chunks_exact(REQUEST);
        whole
            .map(|call| {
                assert!(call.starts_with(HEAD.as_bytes()), "{call:?}");
                char::from(call[REQUEST - 1])
            })
            .collect()
    }

    fn with<T>(&self, change: impl FnOnce(&mut Peer) -> T) -> T {
        let mut peer = self.0.lock().unwrap();
        let changed = change(&mut peer);
        if let Some(waker) = peer.waker.take() {
            waker.wake();
        }
        changed
    }
}

/// Whole calls are told by their letters, answers by theirs.
fn answer(status: u16, letter: u8) -> Vec<u8> {
    let letter = char::from(letter);
    format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\n{letter}").into_bytes()
}

impl AsyncRead for Script {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut peer = self.0.lock().unwrap();
        let mut all: Vec<u8> = peer.unasked.clone();
        for call in peer.taken.chunks_exact(REQUEST) {
            all.extend_from_slice(&peer.answers[usize::from(call[REQUEST - 1] - b'a')]);
        }
        let end = all.len().min(peer.says);
        if peer.said < end {
            let count = (end - peer.said).min(buffer.remaining());
            buffer.put_slice(&all[peer.said..peer.said + count]);
            peer.said += count;
            return Poll::Ready(Ok(()));
        }
        if peer.closed || peer.said >= peer.says {
            return Poll::Ready(Ok(()));
        }
        peer.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut peer = self.0.lock().unwrap();
        let count = bytes
            .len()
            .min(peer.takes - peer.taken.len().min(peer.takes));
        if count == 0 && !peer.breaks {
            peer.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        if let Some(waker) = peer.waker.take() {
            waker.wake();
        }
        if count == 0 {
            peer.closed = true;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        peer.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Connections in the order in which they are made; then none can be.
struct Scripts(Mutex<VecDeque<Script>>);

impl Way for Scripts {
    type Stream = Script;

    fn head(&self, _: &Address, target: &Target) -> Result<Head> {
        match target.stream_id.as_deref() {
            Some("bad") => Err(Error::new(ErrorKind::Protocol, "bad stream id")),
            _ => Ok(Head {
                bytes: HEAD.as_bytes().to_vec(),
                credential: None,
            }),
        }
    }

    fn renew(&self, _: u64) -> Renewing {
        Box::pin(async { Ok(false) })
    }

    fn connect(&self, _: &Address) -> Connecting<Script> {
        let next = self.0.lock().unwrap().pop_front();
        let refused = Error::new(ErrorKind::Connect, "refused");
        Box::pin(async move { next.ok_or(refused) })
    }
}

/// Sends calls as the outbox does, and keeps what becomes of each.
struct Sender {
    pipeline: Pipeline<Scripts>,
    queue: VecDeque<char>,
    sent: VecDeque<char>,
    /// A call's letter and how it ended: `=` and the answer's body, `?` unknown, `!` not sent.
    ended: Vec<String>,
}

impl Sender {
    fn new(window: usize, scripts: &[&Script]) -> Self {
        let scripts = scripts.iter().map(|script| (*script).clone()).collect();
        let mut pipeline = Pipeline::new(Scripts(Mutex::new(scripts)), window, LIMIT);
        let target = Target {
            path: "/",
            media_type: "x",
            stream_id: None,
        };
        pipeline.aim(&Address::parse("peer:1").unwrap(), &target);
        Self {
            pipeline,
            queue: VecDeque::new(),
            sent: VecDeque::new(),
            ended: Vec::new(),
        }
    }

    fn queue(mut self, calls: &str) -> Self {
        self.queue.extend(calls.chars());
        self
    }

    fn launch(&mut self) {
        while self.pipeline.has_room() {
            let Some(call) = self.queue.pop_front() else {
                return;
            };
            self.pipeline.send(&[call as u8]);
            self.sent.push_back(call);
        }
    }

    /// Takes the answers that there are; false if there were none.
    async fn turn(&mut self) -> bool {
        self.launch();
        let mut answers = Vec::new();
        std::future::poll_fn(|context| {
            // What the first turn writes is answered in the second.
            for _ in 0..2 {
                while let Poll::Ready(answer) = self.pipeline.poll_answer(context) {
                    answers.push(answer);
                }
            }
            Poll::Ready(())
        })
        .await;
        let is_any = !answers.is_empty();
        self.take(answers);
        is_any
    }

    fn take(&mut self, answers: Vec<Answer>) {
        let mut again = Vec::new();
        for answer in answers {
            let call = self.sent.pop_front().expect("a call for each answer");
            match answer {
                Ok(reply) => self.ended.push(format!("{call}={}", reply.body)),
                Err(Undelivered::Unknown(_)) => self.ended.push(format!("{call}?")),
                Err(Undelivered::NotSent(_)) => self.ended.push(format!("{call}!")),
                Err(Undelivered::NotWritten | Undelivered::Unauthorized(_)) => again.push(call),
            }
        }
        for call in again.into_iter().rev() {
            self.queue.push_front(call);
        }
    }

    /// Until nothing moves any more.
    async fn run(&mut self) -> String {
        while self.turn().await {}
        self.ended.join(" ")
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_written_back_to_back_once_the_peer_has_taken_one() {
    let script = Script::perfect();
    let mut sender = Sender::new(4, &[&script]).queue("abcdefg");
    script.with(|peer| peer.answers[0] = Vec::new());
    assert!(!sender.turn().await);
    assert_eq!(script.whole(), "a");
    script.with(|peer| peer.answers[0] = answer(202, b'a'));
    script.with(|peer| peer.answers[1..].fill(Vec::new()));
    assert!(sender.turn().await);
    assert!(!sender.turn().await);
    assert_eq!(script.whole(), "abcde");
    script.with(|peer| peer.answers[1] = answer(202, b'b'));
    assert_eq!(sender.run().await, "a=a b=b");
    assert_eq!(script.whole(), "abcdef");
}

#[tokio::test(start_paused = true)]
async fn a_window_of_one_sends_each_call_when_the_one_before_is_answered() {
    let script = Script::perfect();
    let mut sender = Sender::new(1, &[&script]).queue("abc");
    for whole in ["a", "ab", "abc"] {
        assert!(sender.turn().await);
        assert_eq!(script.whole(), whole);
    }
}

/// Whatever the byte at which a connection ends, every call has the outcome that is true of it.
#[tokio::test(start_paused = true)]
async fn a_break_at_every_byte_of_calls_and_answers_leaves_no_call_with_a_wrong_outcome() {
    const CALLS: &str = "abcd";
    let one = answer(202, b'a').len();
    for takes in 0..=CALLS.len() * REQUEST {
        for says in 0..=CALLS.len() * one {
            let first = Script::new(takes, says, |letter| answer(202, letter));
            let second = Script::perfect();
            let mut sender = Sender::new(4, &[&first, &second]).queue(CALLS);
            sender.run().await;
            let got = first.whole();
            let mut expected = Vec::new();
            let mut rest = String::new();
            for (at, call) in CALLS.chars().enumerate() {
                let head = says >= at * one + one - 1;
                let body = says >= (at + 1) * one;
                expected.push(match (got.contains(call), head) {
                    (true, true) if body => format!("{call}={call}"),
                    (true, true) => format!("{call}="),
                    (true, false) => format!("{call}?"),
                    // The connection carried nothing, so the peer cannot be reached.
                    (false, _) if got.is_empty() && call == 'a' => format!("{call}!"),
                    (false, _) => {
                        rest.push(call);
                        format!("{call}={call}")
                    }
                });
            }
            assert_eq!(sender.ended, expected, "{takes} {says}");
            assert_eq!(second.whole(), rest, "{takes} {says}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_written_in_part_is_not_unknown() {
    let first = Script::new(2 * REQUEST + 5, usize::MAX, |letter| answer(202, letter));
    first.with(|peer| peer.breaks = false);
    let second = Script::perfect();
    let mut sender = Sender::new(4, &[&first, &second]).queue("abcd");
    first.with(|peer| peer.answers[1] = Vec::new());
    assert_eq!(sender.run().await, "a=a");
    first.with(|peer| peer.closed = true);
    assert_eq!(sender.run().await, "a=a b? c=c d=d");
    assert_eq!(second.whole(), "cd");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_behind_each_answer_costs_no_call_its_outcome() {
    let closing = |letter| {
        let letter = char::from(letter);
        format!("HTTP/1.1 202 A\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{letter}")
            .into_bytes()
    };
    let scripts: Vec<_> = (0..4)
        .map(|_| Script::new(usize::MAX, usize::MAX, closing))
        .collect();
    let mut sender = Sender::new(64, &scripts.iter().collect::<Vec<_>>()).queue("abcd");
    assert_eq!(sender.run().await, "a=a b=b c=c d=d");
    for (script, whole) in scripts.iter().zip(["a", "b", "c", "d"]) {
        assert_eq!(script.whole(), whole);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_behind_an_answer_that_closes_are_unknown() {
    let first = Script::perfect();
    first.with(|peer| {
        peer.answers[1] =
            b"HTTP/1.1 202 A\r\nConnection: close\r\nContent-Length: 1\r\n\r\nb".to_vec();
    });
    let second = Script::perfect();
    let mut sender = Sender::new(3, &[&first, &second]).queue("abcdef");
    assert_eq!(sender.run().await, "a=a b=b c? d? e=e f=f");
    assert_eq!(
        (first.whole(), second.whole()),
        ("abcd".into(), "ef".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_ready_is_sent_one_call_at_a_time() {
    let script = Script::new(usize::MAX, usize::MAX, |letter| answer(503, letter));
    let mut sender = Sender::new(64, &[&script]).queue("abc");
    for whole in ["a", "ab", "abc"] {
        assert!(sender.turn().await);
        assert_eq!(script.whole(), whole);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_that_ends_is_replaced_without_harm() {
    for unasked in [None, Some(b"HTTP/1.1 408 Request Timeout\r\n\r\n")] {
        for polled in [true, false] {
            let (first, second) = (Script::perfect(), Script::perfect());
            let mut sender = Sender::new(4, &[&first, &second]).queue("ab");
            assert_eq!(sender.run().await, "a=a b=b");
            match unasked {
                Some(bytes) => first.with(|peer| {
                    peer.unasked = bytes.to_vec();
                    peer.said = 0;
                }),
                None => first.with(|peer| peer.closed = true),
            }
            if polled {
                assert!(!sender.turn().await);
            }
            sender.queue.extend("cd".chars());
            assert_eq!(sender.run().await, "a=a b=b c=c d=d");
            assert_eq!(second.whole(), "cd");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_early_need_not_read_the_rest() {
    let first = Script::new(2 * REQUEST - 2, usize::MAX, |letter| answer(202, letter));
    first.with(|peer| peer.breaks = false);
    let second = Script::perfect();
    let mut sender = Sender::new(4, &[&first, &second]).queue("abc");
    assert_eq!(sender.run().await, "a=a");
    first.with(|peer| {
        peer.unasked = [answer(202, b'a'), answer(413, b'x')].concat();
        peer.takes = peer.taken.len();
    });
    assert_eq!(sender.run().await, "a=a b=x c=c");
    assert_eq!(second.whole(), "c");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_after_the_timeout_and_those_behind_it_with_it() {
    let (first, second) = (Script::perfect(), Script::perfect());
    first.with(|peer| peer.answers[1..].fill(Vec::new()));
    let mut sender = Sender::new(3, &[&first, &second]).queue("abcde");
    assert_eq!(sender.run().await, "a=a");
    let begun = Instant::now();
    let answer = std::future::poll_fn(|context| sender.pipeline.poll_answer(context)).await;
    assert_eq!(begun.elapsed().as_secs(), LIMIT.as_secs());
    let Err(Undelivered::Unknown(error)) = &answer else {
        panic!("not unknown: {answer:?}");
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "no answer from peer:1 to call within 75s"
    );
    sender.take(vec![answer]);
    assert_eq!(sender.run().await, "a=a b? c? d? e=e");
}

#[tokio::test(start_paused = true)]
async fn nonsense_for_an_answer_ends_the_connection() {
    let (first, second) = (Script::perfect(), Script::perfect());
    first.with(|peer| peer.answers[1] = b"nonsense\n".to_vec());
    let mut sender = Sender::new(2, &[&first, &second]).queue("abcd");
    assert_eq!(sender.run().await, "a=a b? c? d=d");
    assert_eq!((first.whole(), second.whole()), ("abc".into(), "d".into()));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_cannot_be_reached_and_a_head_that_cannot_be_written_are_told() {
    let mut sender = Sender::new(4, &[]).queue("ab");
    assert_eq!(sender.run().await, "a! b!");
    let target = Target {
        path: "/",
        media_type: "x",
        stream_id: Some("bad".into()),
    };
    let peer = Address::parse("peer:1").unwrap();
    sender.pipeline.aim(&peer, &target);
    let mut sender = sender.queue("c");
    assert_eq!(sender.run().await, "a! b! c!");
}

#[tokio::test(start_paused = true)]
async fn what_is_abandoned_is_unknown_only_if_it_was_written() {
    let first = Script::new(3 * REQUEST, usize::MAX, |letter| answer(202, letter));
    first.with(|peer| {
        peer.breaks = false;
        peer.answers[1..].fill(Vec::new());
    });
    let mut sender = Sender::new(4, &[&first]).queue("abcde");
    assert_eq!(sender.run().await, "a=a");
    let why = Error::new(ErrorKind::Disconnected, "gone");
    let answers = sender.pipeline.abandon(&why);
    sender.take(answers);
    assert_eq!(sender.ended.join(" "), "a=a b? c?");
    assert_eq!(sender.queue, ['d', 'e']);
    assert!(sender.pipeline.abandon(&why).is_empty());
}

#[test]
fn the_head_of_requests_shows_no_credential() {
    let head = Head {
        bytes: b"POST / HTTP/1.1\r\nAuthorization: Bearer secret".to_vec(),
        credential: Some(3),
    };
    assert_eq!(format!("{head:?}"), "Head { credential: Some(3), .. }");
}
