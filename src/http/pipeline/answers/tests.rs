//! Answers however they arrive.

mod hostile;

use super::*;

const CLOSE: bool = true;
const STAY: bool = false;

/// Status, body, and whether it is the last.
type Seen = (u16, String, bool);

/// Feeds `pieces` one after another, as a connection does.
fn decode(pieces: &[&[u8]]) -> Result<(Vec<Seen>, Option<Reply>), DecodeError> {
    let mut answers = Answers::default();
    let (mut seen, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (used, answered) = answers.read(&buffer)?;
            buffer.drain(..used);
            let Some(answered) = answered else { break };
            let reply = answered.reply;
            seen.push((reply.status, reply.body, answered.is_last));
            if answered.is_last {
                return Ok((seen, None));
            }
        }
    }
    Ok((seen, answers.finish()))
}

fn only(text: &str) -> Seen {
    let (mut seen, rest) = decode(&[text.as_bytes()]).unwrap();
    assert!(rest.is_none() && seen.len() == 1, "{text}: {seen:?}");
    seen.remove(0)
}

const SEVERAL: &[u8] = b"HTTP/1.1 202 Accepted\r\nDate: now\r\nContent-Length: 0\r\n\r\n\
    HTTP/1.1 100 Continue\r\n\r\n\
    HTTP/1.1 400 Bad Request\r\ncontent-length: 5\r\n\r\nwords\
    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n\
    \r\nHTTP/1.1 204 No Content\r\n\r\n\
    HTTP/1.1 403 \r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno";

fn several() -> Vec<Seen> {
    let seen = |status, body: &str| (status, body.to_owned(), STAY);
    vec![
        seen(202, ""),
        seen(400, "words"),
        seen(200, "abc0123456789"),
        seen(204, ""),
        seen(403, "no"),
    ]
}

#[test]
fn answers_are_the_same_at_every_split() {
    assert_eq!(decode(&[SEVERAL]).unwrap().0, several());
    let bytes: Vec<&[u8]> = SEVERAL.chunks(1).collect();
    assert_eq!(decode(&bytes).unwrap().0, several());
    for first in 0..SEVERAL.len() {
        for second in first..SEVERAL.len() {
            let pieces = [
                &SEVERAL[..first],
                &SEVERAL[first..second],
                &SEVERAL[second..],
            ];
            assert_eq!(decode(&pieces).unwrap().0, several(), "{first} {second}");
        }
    }
}

#[test]
fn a_connection_that_ends_within_an_answer_gives_what_its_status_says() {
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\n0123456789";
    let head = answer.len() - 10;
    for end in 0..answer.len() {
        let (seen, rest) = decode(&[&answer[..end]]).unwrap();
        assert!(seen.is_empty());
        let expected =
            (end >= head).then(|| String::from_utf8_lossy(&answer[head..end]).into_owned());
        assert_eq!(rest.map(|reply| reply.body), expected, "{end}");
    }
}

#[test]
fn the_end_of_each_answer_is_found_as_its_head_says() {
    let told = |head: &str, body: &str| only(&format!("HTTP/1.1 {head}\r\n\r\n{body}"));
    for (head, body, is_last) in [
        ("202 A\r\nContent-Length: 0", "", STAY),
        ("202 A\r\nContent-Length: 2, 2", "ab", STAY),
        (
            "202 A\r\nContent-Length: 2\r\nContent-Length: 2",
            "ab",
            STAY,
        ),
        (
            "202 A\r\nContent-Length: 0\r\nConnection: foo, Close",
            "",
            CLOSE,
        ),
        ("202 A\r\nTransfer-Encoding: Chunked", "0\r\n\r\n", STAY),
        // What may be a second answer hidden in the first ends the connection.
        (
            "202 A\r\nContent-Length: 9\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
            CLOSE,
        ),
    ] {
        let kept = if body == "ab" { "ab" } else { "" };
        assert_eq!(told(head, body), (202, kept.into(), is_last), "{head}");
    }
    for head in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1, 2",
        "Content-Length: -1",
        "Content-Length: +1",
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let told = told(&format!("202 A\r\n{head}"), "");
        assert_eq!(told, (202, String::new(), CLOSE), "{head}");
    }
    for body in ["x\r\n", "1\r\nabc\r\n", "fffffffffffffffff\r\n"] {
        let told = told("202 A\r\nTransfer-Encoding: chunked", body);
        assert!(told.2, "{body}: {told:?}");
    }
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection() {
    let (seen, rest) = decode(&[b"HTTP/1.1 500 Oops\r\n\r\nwhatever ", b"follows"]).unwrap();
    assert!(seen.is_empty());
    assert_eq!(rest.unwrap().body, "whatever follows");
}

#[test]
fn a_peer_of_http_1_0_closes_unless_it_says_otherwise() {
    let old = |more: &str| {
        only(&format!(
            "HTTP/1.0 202 A\r\nContent-Length: 0{more}\r\n\r\n"
        ))
        .2
    };
    assert!(old(""));
    assert!(!old("\r\nConnection: Keep-Alive"));
}

#[test]
fn only_the_beginning_of_a_long_body_is_kept() {
    let long = "x".repeat(3 * MAX_ANSWER);
    let head = format!("HTTP/1.1 400 B\r\nContent-Length: {}\r\n\r\n", long.len());
    let (status, body, is_last) = only(&format!("{head}{long}"));
    assert_eq!((status, body.len(), is_last), (400, MAX_ANSWER, STAY));
}

#[test]
fn what_is_no_answer_is_told_and_never_read_without_bound() {
    let error = |text: &str| decode(&[text.as_bytes()]).unwrap_err();
    for text in [
        "nonsense\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        "\0\n",
    ] {
        assert!(matches!(error(text), DecodeError::NotHttp(_)), "{text}");
    }
    let many = format!("HTTP/1.1 202 A\r\n{}", "a: b\r\n".repeat(MAX_HEADERS + 1));
    assert!(matches!(error(&many), DecodeError::NotHttp(_)));
    let long = format!("HTTP/1.1 202 {}", "x".repeat(MAX_HEAD));
    assert_eq!(error(&long), DecodeError::TooLong);
    assert_eq!(
        error("HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n"),
        DecodeError::Upgraded
    );
    // A line of a chunked body that never ends.
    let chunked = "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let (status, _, is_last) = only(&format!("{chunked}{}", "x".repeat(MAX_HEAD + 1)));
    assert_eq!((status, is_last), (202, CLOSE));
}

proptest::proptest! {
    #![proptest_config(crate::tests::cases(256))]

    #[test]
    fn no_bytes_whatever_make_it_panic(bytes: Vec<u8>, cut in 0usize..64) {
        let cut = cut.min(bytes.len());
        let _ = decode(&[&bytes[..cut], &bytes[cut..]]);
        let chunked = b"HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = decode(&[chunked, &bytes[..cut], &bytes[cut..]]);
    }
}
