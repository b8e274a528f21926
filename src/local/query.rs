//! What follows `?` in the address of a page, and how it is written.

use std::collections::BTreeMap;

/// Parameters by name; of several of one name, the last.
#[derive(Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let parameters = parameters.map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            (text(name), text(value))
        });
        Self(parameters.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What is no number counts as not given, as in Mesos.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.parse().ok()
    }

    /// Whether `value` is what is asked for, or nothing is.
    pub(super) fn accepts(&self, name: &str, value: &str) -> bool {
        self.get(name).is_none_or(|wanted| wanted == value)
    }
}

fn text(encoded: &str) -> String {
    String::from_utf8_lossy(&decode(encoded)).into_owned()
}

/// The bytes behind `%` and `+`; what is no escape stays as it is.
pub(super) fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3);
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, escaped) {
            (b'%', Some(escaped)) => {
                decoded.push(escaped);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(*byte),
        }
        at += 1;
    }
    decoded
}

/// As Mesos writes what is part of an address or of a metric's name (`http::encode`).
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for byte in bytes {
        let is_reserved = b"$&+,/:;=?@ \"<>#%{}|\\^~[]`".contains(byte);
        if is_reserved || *byte <= b' ' || *byte >= 0x7f {
            encoded.push_str(&format!("%{byte:02X}"));
        } else {
            encoded.push(char::from(*byte));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_wrong_numbers_ignored() {
        let query = Query::parse("task_id=a%2Fb+c&limit=3&offset=x");
        assert_eq!(query.get("task_id"), Some("a/b c"));
        assert_eq!(query.number("limit"), Some(3));
        assert_eq!(query.number("offset"), None);
        assert!(query.accepts("framework_id", "any") && !query.accepts("task_id", "a"));
    }
}
