//! Streams however they arrive.

use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

use super::*;

const REQUEST: &[u8] = b"POST /api/v1/scheduler HTTP/1.1\r\nContent-Length: 0\r\n\r\n";

const CHUNKED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
    Content-Type: application/json\r\nmesos-stream-id: 130ae4e3\r\n\r\n\
    3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";

/// A peer that is sent the request, and answers in `pieces`.
async fn answer(mut peer: DuplexStream, pieces: Vec<Vec<u8>>) {
    let mut request = vec![0; REQUEST.len()];
    peer.read_exact(&mut request).await.unwrap();
    assert_eq!(request, REQUEST);
    for piece in pieces {
        // Whoever has seen enough of it leaves.
        if peer.write_all(&piece).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// The answer with its whole content as text; or the first error.
async fn post(pieces: Vec<Vec<u8>>) -> io::Result<Reply> {
    let (stream, peer) = duplex(1024);
    let (answered, ()) = tokio::join!(
        async {
            let (reply, mut incoming) = Incoming::post(Box::new(stream), REQUEST).await?;
            let mut content = Vec::new();
            while let Some(piece) = incoming.next().await {
                content.extend_from_slice(&piece?);
            }
            let body = String::from_utf8(content).unwrap();
            Ok(Reply { body, ..reply })
        },
        answer(peer, pieces)
    );
    answered
}

fn split(text: &str, at: usize) -> Vec<Vec<u8>> {
    text.as_bytes().chunks(at).map(<[u8]>::to_vec).collect()
}

#[tokio::test]
async fn head_and_content_are_the_same_at_every_split() {
    for at in [1, 2, 3, 7, 64, CHUNKED.len()] {
        let reply = post(split(CHUNKED, at)).await.unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.content_type.as_deref(), Some("application/json"));
        assert_eq!(reply.stream_id.as_deref(), Some("130ae4e3"));
        assert_eq!(reply.body, "abc0123456789", "{at}");
    }
}

#[tokio::test]
async fn a_body_ends_with_its_length_or_with_the_connection() {
    let sized = "HTTP/1.1 307 Temporary Redirect\r\nLocation: //10.0.0.6:5050\r\nContent-Length: 2\r\n\r\nno";
    let reply = post(split(sized, 5)).await.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (307, "no"));
    assert_eq!(reply.location.as_deref(), Some("//10.0.0.6:5050"));
    let reply = post(split("HTTP/1.1 503 \r\n\r\nnot now", 9))
        .await
        .unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (503, "not now"));
}

#[tokio::test]
async fn what_is_cut_or_no_http_is_an_error() {
    let chunked =
        |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2 * MAX_HEAD));
    for (text, kind) in [
        (String::new(), io::ErrorKind::UnexpectedEof),
        (
            "HTTP/1.1 200 OK\r\nCont".into(),
            io::ErrorKind::UnexpectedEof,
        ),
        (chunked("3\r\nab"), io::ErrorKind::UnexpectedEof),
        (chunked("3\r\nabc\r\n"), io::ErrorKind::UnexpectedEof),
        (chunked("x\r\nabc\r\n"), io::ErrorKind::InvalidData),
        (chunked("3\r\nabcd\r\n"), io::ErrorKind::InvalidData),
        ("SSH-2.0-OpenSSH_9.2\r\n".into(), io::ErrorKind::InvalidData),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(),
            io::ErrorKind::InvalidData,
        ),
        (endless, io::ErrorKind::InvalidData),
    ] {
        let error = post(split(&text, 4096)).await.expect_err("an error");
        assert_eq!(error.kind(), kind, "{text}: {error}");
    }
}

#[tokio::test]
async fn a_text_is_cut_at_its_limit_and_where_it_breaks() {
    let long = "HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\nwords, and then";
    for (limit, text, is_cut) in [(5, "words", false), (1000, "words, and then", true)] {
        let (stream, peer) = duplex(1024);
        let (answered, ()) = tokio::join!(
            async {
                let posted = Incoming::post(Box::new(stream), REQUEST).await;
                let (mut reply, incoming) = posted.unwrap();
                incoming.read_text(&mut reply, limit).await;
                reply
            },
            answer(peer, split(long, 1024))
        );
        assert_eq!((&*answered.body, answered.is_cut), (text, is_cut));
    }
}
