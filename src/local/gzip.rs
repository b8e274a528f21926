//! Compressed bodies: of requests, and of long answers to who accepts them.
//!
//! Source: `3rdparty/libprocess/src/encoder.hpp`, `decoder.hpp` and `http.cpp` of Apache Mesos 1.11.0.

use std::io::{self, Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use hyper::header::{self, HeaderMap};

/// Shortest answer that is compressed (`GZIP_MINIMUM_BODY_LENGTH`, `encoder.hpp`).
const MIN_LENGTH: usize = 1024;

/// What every gzip file begins with (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The body as it was before it was compressed, if it was; or why there is none. `limit` is for the memory's sake.
pub(super) fn inflated(
    headers: &HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<Bytes, &'static str> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_none_or(|encoding| encoding != "gzip") {
        return Ok(body);
    }
    if !body.starts_with(&MAGIC) {
        return Err("failed to decode body");
    }
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut inflated = Vec::new();
    match GzDecoder::new(&*body).take(most).read_to_end(&mut inflated) {
        Ok(_) => Ok(inflated.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("Failed to decompress body")
        }
        Err(_) => Err("failed to decode body"),
    }
}

/// Whether an answer to such a request is compressed if it is long.
pub(super) fn is_accepted(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let accepted = accepted.map(|value| String::from_utf8_lossy(value.as_bytes()));
    accepted.is_some_and(|accepted| {
        accepted.split(',').any(|encoding| {
            let mut parts = encoding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let is_refused = parts.any(|own| {
                let quality = own.strip_prefix("q=");
                quality.is_some_and(|quality| quality.parse() == Ok(0.0))
            });
            matches!(name, "gzip" | "*") && !is_refused
        })
    })
}

/// A long body, compressed; `None` if it stays as it is.
pub(super) fn deflated(body: &[u8]) -> Option<Bytes> {
    if body.len() < MIN_LENGTH {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    encoder.write_all(body).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip() -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_ENCODING, "gzip".parse().unwrap())])
    }

    #[test]
    fn what_is_deflated_inflates_again() {
        let body = vec![b'x'; 5000];
        let short = deflated(&body).unwrap();
        assert!(short.len() < 100);
        let back = inflated(&gzip(), short.clone(), usize::MAX).unwrap();
        assert_eq!(back, body);
        assert_eq!(
            inflated(&gzip(), short.slice(..20), 9999),
            Err("Failed to decompress body")
        );
        assert_eq!(deflated(b"short"), None);
    }

    #[test]
    fn gzip_is_accepted_where_it_is_named() {
        let accepts = |value: &str| {
            let value = value.parse().unwrap();
            is_accepted(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]))
        };
        assert!(accepts("deflate, gzip"));
        assert!(!accepts("gzip;q=0, deflate"));
        assert!(!accepts("identity"));
        assert!(!is_accepted(&HeaderMap::new()));
    }
}
