//! What a request line asks for.
//!
//! Source: `parse_url_char` and `http_parser_parse_url`, `http_parser.c` of http-parser 2.6, and `http::query::decode`,
//! `3rdparty/libprocess/src/http.cpp` of Apache Mesos 1.11.0.

/// Of a request; its host is of no interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::local) struct Target {
    /// As it came.
    pub(in crate::local) path: String,
    /// What follows `?`.
    pub(in crate::local) query: Option<String>,
}

/// Where in a target a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Start,
    Scheme,
    SchemeSlash,
    SchemeSlashes,
    /// Before the first byte of a server's name.
    Server,
    ServerName,
    /// Behind `@`.
    ServerAt,
    Path,
    Query,
    Fragment,
}

impl Place {
    /// Whether a target may be over here.
    pub(super) fn may_end(self) -> bool {
        !matches!(
            self,
            Self::Start | Self::Scheme | Self::SchemeSlash | Self::SchemeSlashes | Self::Server
        )
    }

    /// Where the byte behind this one stands; none if this one must not be here.
    pub(super) fn after(self, byte: u8) -> Option<Self> {
        let next = match (self, byte) {
            (Self::Start, b'/' | b'*') => Self::Path,
            (Self::Start | Self::Scheme, _) if byte.is_ascii_alphabetic() => Self::Scheme,
            (Self::Scheme, b':') => Self::SchemeSlash,
            (Self::SchemeSlash, b'/') => Self::SchemeSlashes,
            (Self::SchemeSlashes, b'/') => Self::Server,
            (Self::ServerAt, b'@') => return None,
            (Self::Server | Self::ServerName | Self::ServerAt, _) => match byte {
                b'/' => Self::Path,
                b'?' => Self::Query,
                b'@' => Self::ServerAt,
                _ if is_user_info(byte) => Self::ServerName,
                _ => return None,
            },
            (Self::Path | Self::Query, b'#') => Self::Fragment,
            (Self::Path, b'?') => Self::Query,
            (Self::Query | Self::Fragment, b'?') | (Self::Fragment, b'#') => self,
            (Self::Path | Self::Query | Self::Fragment, _) if is_plain(byte) => self,
            _ => return None,
        };
        Some(next)
    }
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_graphic() || matches!(byte, b'\t' | b'\x0c')
}

fn is_user_info(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()%;:&=+$,[]".contains(&byte)
}

/// None of a target that is refused as a whole.
pub(super) fn parse(target: &[u8]) -> Option<Target> {
    let own = match target.first() {
        Some(b'/' | b'*') => target,
        _ => behind_server(target)?,
    };
    let end = own.iter().position(|byte| *byte == b'#');
    let own = &own[..end.unwrap_or(own.len())];
    let (path, query) = match own.iter().position(|byte| *byte == b'?') {
        Some(at) => (&own[..at], Some(&own[at + 1..])),
        None => (own, None),
    };
    if query.is_some_and(|query| !is_decodable(query)) {
        return None;
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Target {
        path: text(path),
        query: query.map(text),
    })
}

/// What follows scheme and server; none if these are wrong.
fn behind_server(target: &[u8]) -> Option<&[u8]> {
    let at = target.windows(3).position(|window| window == b"://")?;
    let rest = &target[at + 3..];
    let end = rest.iter().position(|byte| b"/?#".contains(byte));
    let (server, rest) = rest.split_at(end.unwrap_or(rest.len()));
    let host = server.split(|byte| *byte == b'@').next_back()?;
    let (host, port) = match host.iter().position(|byte| *byte == b':') {
        Some(at) if host.first() != Some(&b'[') => (&host[..at], Some(&host[at + 1..])),
        _ => (host, None),
    };
    let is_port = |port: &[u8]| {
        let text = std::str::from_utf8(port).ok();
        let is_number = port.iter().all(u8::is_ascii_digit);
        is_number && text.is_some_and(|text| text.parse::<u16>().is_ok())
    };
    let is_right = !host.is_empty() && port.is_none_or(is_port);
    is_right.then_some(rest)
}

/// Whether what is escaped in it can be read.
fn is_decodable(query: &[u8]) -> bool {
    // Escapes do not go beyond a name or a value, but what ends them is no digit.
    let escapes = query.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    escapes.into_iter().all(|(at, _)| {
        let digits = query.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a real master took them.
    #[test]
    fn paths_and_queries_are_what_follows_a_server() {
        let parsed = |text: &str| {
            let target = parse(text.as_bytes())?;
            Some((target.path, target.query))
        };
        let of =
            |path: &str, query: Option<&str>| Some((path.to_owned(), query.map(str::to_owned)));
        assert_eq!(parsed("/a?b=c#d"), of("/a", Some("b=c")));
        assert_eq!(parsed("/a#d?x"), of("/a", None));
        assert_eq!(parsed("*"), of("*", None));
        assert_eq!(parsed("http://me@foo:80/a"), of("/a", None));
        assert_eq!(parsed("http://foo"), of("", None));
        for wrong in [
            "http://foo:x/a",
            "http:///a",
            "/a?b=%zz",
            "/a?b=%1",
            "http://foo:70000/",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
