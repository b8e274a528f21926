//! Answers that no master gives, cut in every way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use crate::tests::{cases, changed, changes, cut};

/// How a connection went: status, body and whether it was the last of each answer; then the error, or what was begun.
type Seen = (
    Vec<(u16, String, bool)>,
    Result<Option<(u16, String)>, DecodeError>,
);

/// Reads as a connection does, and checks what must hold on the way.
fn read(pieces: &[&[u8]]) -> Seen {
    let mut answers = Answers::default();
    let (mut seen, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (used, answered) = match answers.read(&buffer) {
                Ok(read) => read,
                Err(error) => return (seen, Err(error)),
            };
            assert!(used <= buffer.len() && answers.body.len() <= MAX_ANSWER);
            buffer.drain(..used);
            let Some(answered) = answered else { break };
            let reply = answered.reply;
            assert!((200..=999).contains(&reply.status), "{}", reply.status);
            seen.push((reply.status, reply.body, answered.is_last));
            if answered.is_last {
                return (seen, Ok(None));
            }
        }
        // What is kept for later has a bound.
        assert!(buffer.len() <= MAX_HEAD + piece.len());
    }
    let begun = answers.finish();
    (seen, Ok(begun.map(|reply| (reply.status, reply.body))))
}

fn text(of: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(of).prop_map(|text| text.as_bytes().to_vec())
}

fn head() -> impl Strategy<Value = Vec<u8>> {
    let status = text(&[
        "HTTP/1.1 202 Accepted\r\n",
        "HTTP/1.1 200 OK\n",
        "HTTP/1.1 100 Continue\r\n",
        "HTTP/1.0 202 A\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 N\r\n",
        "HTTP/1.1 403 \r\n",
        "HTTP/1.1 101 S\r\n",
        "HTTP/1.1 999 X\r\n",
        "HTTP/1.1 000 X\r\n",
        "HTTP/1.1 099 X\r\n",
        "HTTP/2 200\r\n",
        "\r\n",
    ]);
    let header = text(&[
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "content-length: 5, 5\r\n",
        "Content-Length: 18446744073709551615\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Upgrade, close\r\n",
        "X: y\r\n",
        ": y\r\n",
        "X : y\r\n",
        " folded\r\n",
        "X: \u{ff}\r\n",
    ]);
    (status, vec(header, 0..4)).prop_map(|(status, headers)| {
        let mut head = status;
        head.extend(headers.concat());
        head.extend(b"\r\n");
        head
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let chunks = text(&[
        "hello",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\nTrailer: t\r\n\r\n",
        "5;x=y\r\nhello\r\n",
        "00A\r\n0123456789\r\n",
        "ffffffffffffffff\r\n",
        "10000000000000000\r\n",
        "-1\r\n",
        "x\r\n",
        "3\r\nabcd\r\n",
        "\r\n",
        "3\n",
    ]);
    prop_oneof![3 => chunks, 1 => vec(any::<u8>(), 0..30)]
}

fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![3 => head(), 3 => body(), 1 => vec(any::<u8>(), 0..20)];
    vec(part, 0..8).prop_map(|parts| parts.concat())
}

/// Answers as a master gives them, and what they are.
fn answers() -> impl Strategy<Value = Vec<(u16, String, bool)>> {
    let status = prop::sample::select(vec![200, 202, 204, 307, 400, 401, 403, 404, 503]);
    let body = prop_oneof![2 => Just(String::new()), 1 => "[ -~]{1,40}", 1 => "[a\r\n0]{1,10}"];
    let body = (body, any::<bool>());
    vec((status, body), 1..6).prop_map(|answers| {
        let answer = |(status, (body, is_chunked)): (u16, (String, bool))| match status {
            204 => (status, String::new(), false),
            _ => (status, body, is_chunked),
        };
        answers.into_iter().map(answer).collect()
    })
}

fn written(answers: &[(u16, String, bool)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (status, body, is_chunked) in answers {
        let framed = match (status, is_chunked, body.len()) {
            (204, ..) => "\r\n".to_owned(),
            (_, false, length) => format!("Content-Length: {length}\r\n\r\n{body}"),
            (_, true, 0) => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            (_, true, length) => {
                format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
            }
        };
        bytes.extend(format!("HTTP/1.1 {status} Some Reason\r\nDate: today\r\n{framed}").bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_answers_in_any_pieces_are_those_that_they_are_at_once(
        bytes in conversation(),
        changes in changes(0..4),
        lengths in vec(1..40_usize, 1..6),
    ) {
        let mut bytes = changed(bytes, &changes);
        // A head is looked at when a line of it ends: nonsense without one may be found later, byte by byte.
        bytes.push(b'\n');
        prop_assert_eq!(read(&cut(&bytes, &lengths)), read(&[&bytes]));
    }

    #[test]
    fn answers_are_read_as_they_were_written(
        answers in answers(),
        lengths in vec(1..40_usize, 1..6),
    ) {
        let expected = answers.iter().map(|(status, body, _)| (*status, body.clone(), false));
        let expected: Vec<_> = expected.collect();
        prop_assert_eq!(read(&cut(&written(&answers), &lengths)), (expected, Ok(None)));
    }

    /// Whatever follows, what came before it was an answer, and stays the one that it was.
    #[test]
    fn no_change_reaches_back(answers in answers(), changes in changes(1..4), lengths in vec(1..40_usize, 1..6)) {
        let written = written(&answers);
        let changed = changed(written.clone(), &changes);
        let same = written.iter().zip(&changed).take_while(|(one, other)| one == other).count();
        let untouched = read(&[&written[..same]]).0;
        let seen = read(&cut(&changed, &lengths)).0;
        let untouched = untouched.iter().map(|(status, body, _)| (status, body));
        let seen = seen.iter().map(|(status, body, _)| (status, body));
        prop_assert!(untouched.zip(seen).all(|(before, after)| before == after));
    }

    #[test]
    fn nothing_is_kept_without_bound(head in head(), filler in any::<u8>(), pieces in 1..20_usize) {
        let filler = vec![filler; 8000];
        let mut all = vec![&head[..]];
        all.extend(std::iter::repeat_n(&filler[..], pieces));
        let _ = read(&all);
    }
}
