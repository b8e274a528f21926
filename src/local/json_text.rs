//! JSON as Mesos reads it, which is more than JSON: bytes in strings that are no UTF-8, and numbers as C takes them; and
//! what it says of what it cannot read.
//!
//! Source: `JSON::parse`, `3rdparty/stout/include/stout/json.hpp` of Apache Mesos 1.11.0, and picojson 1.3.

use serde_json::{Map, Number, Value};

/// How deep values may stand in each other.
const MAX_DEPTH: usize = 200;

/// The value, or why there is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = Reader::new(bytes);
    let Some(value) = reader.value(0) else {
        if reader.is_out_of_range {
            return Err("Value out of range".to_owned());
        }
        let (line, near) = reader.rest();
        return Err(format!("syntax error at line {line} near: {near}"));
    };
    let is_visible = |byte: &u8| !b" \t\n\r".contains(byte);
    let end = bytes
        .iter()
        .rposition(is_visible)
        .map_or(0, |last| last + 1);
    if reader.at == end {
        return Ok(value);
    }
    let rest = bytes.get(reader.at..end.max(reader.at)).unwrap_or_default();
    Err(format!(
        "Parsed JSON included non-whitespace trailing characters: {}",
        String::from_utf8_lossy(rest)
    ))
}

/// One byte at a time, of which the last may be given back.
#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    /// Behind the last byte that was read, given back or not.
    at: usize,
    last: Option<u8>,
    is_given_back: bool,
    line: usize,
    /// Whether a number ended the reading that is none of a double's.
    is_out_of_range: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            last: None,
            is_given_back: false,
            line: 1,
            is_out_of_range: false,
        }
    }

    fn next(&mut self) -> Option<u8> {
        if std::mem::take(&mut self.is_given_back) {
            return self.last;
        }
        let next = self.bytes.get(self.at).copied();
        if next.is_some() {
            self.line += usize::from(self.last == Some(b'\n'));
            self.at += 1;
        }
        self.last = next;
        next
    }

    fn give_back(&mut self) {
        self.is_given_back = self.last.is_some();
    }

    /// Where reading stopped: the line, and what is left of it but for control characters.
    fn rest(&mut self) -> (usize, String) {
        let line = self.line;
        let mut near = Vec::new();
        while let Some(byte) = self.next().filter(|byte| *byte != b'\n') {
            if byte >= b' ' {
                near.push(byte);
            }
        }
        (line, String::from_utf8_lossy(&near).into_owned())
    }

    fn expect(&mut self, expected: u8) -> bool {
        self.skip_space();
        let is_there = self.next() == Some(expected);
        if !is_there {
            self.give_back();
        }
        is_there
    }

    fn skip_space(&mut self) {
        while matches!(self.next(), Some(b' ' | b'\t' | b'\n' | b'\r')) {}
        self.give_back();
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        match self.next() {
            Some(b'n') => self.word(b"ull", Value::Null),
            Some(b't') => self.word(b"rue", Value::Bool(true)),
            Some(b'f') => self.word(b"alse", Value::Bool(false)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'[' | b'{') if depth >= MAX_DEPTH => None,
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'0'..=b'9' | b'-') => {
                self.give_back();
                self.number()
            }
            _ => {
                self.give_back();
                None
            }
        }
    }

    fn word(&mut self, rest: &[u8], value: Value) -> Option<Value> {
        for byte in rest {
            if self.next() != Some(*byte) {
                self.give_back();
                return None;
            }
        }
        Some(value)
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        let mut values = Vec::new();
        if self.expect(b']') {
            return Some(Value::Array(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if !self.expect(b',') {
                break;
            }
        }
        self.expect(b']').then_some(Value::Array(values))
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut values = Map::new();
        if self.expect(b'}') {
            return Some(Value::Object(values));
        }
        loop {
            if !self.expect(b'"') {
                return None;
            }
            let key = self.string()?;
            if !self.expect(b':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            values.insert(key, value);
            if !self.expect(b',') {
                break;
            }
        }
        self.expect(b'}').then_some(Value::Object(values))
    }

    fn string(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            match self.next() {
                Some(b'"') => return Some(String::from_utf8_lossy(&text).into_owned()),
                Some(b'\\') => self.escape(&mut text)?,
                Some(byte) if byte >= b' ' => text.push(byte),
                _ => {
                    self.give_back();
                    return None;
                }
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let byte = match self.next()? {
            own @ (b'"' | b'\\' | b'/') => own,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let letter = self.code_point()?;
                text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                return Some(());
            }
            _ => return None,
        };
        text.push(byte);
        Some(())
    }

    fn code_point(&mut self) -> Option<char> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            // None of a second half that stands alone.
            return char::from_u32(first);
        }
        if self.next() != Some(b'\\') || self.next() != Some(b'u') {
            self.give_back();
            return None;
        }
        let second = self.four_digits()?.checked_sub(0xdc00)?;
        let is_second = second < 0x400;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second).filter(|_| is_second)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = char::from(self.next()?).to_digit(16);
            if digit.is_none() {
                self.give_back();
            }
            number = number * 16 + digit?;
        }
        Some(number)
    }

    fn number(&mut self) -> Option<Value> {
        let mut text = String::new();
        while let Some(byte) = self.next() {
            if !byte.is_ascii_digit() && !b"+-.eE".contains(&byte) {
                break;
            }
            text.push(char::from(byte));
        }
        self.give_back();
        if let Ok(whole) = text.parse::<i64>() {
            return Some(whole.into());
        }
        // What Rust takes for a double and C does not, or the other way round, has other letters.
        let number = Number::from_f64(text.parse().ok()?);
        self.is_out_of_range = number.is_none();
        number.map(Value::Number)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As a real master read them.
    #[test]
    fn more_than_json_is_read() {
        for (text, value) in [
            (&b"{} \n"[..], json!({})),
            (
                b"{\"a\":1,\"a\":[2,-3.5e1,true]}",
                json!({ "a": [2, -35.0, true] }),
            ),
            (b"[007,1.]", json!([7, 1.0])),
            (b"\"\\u00e9\\ud83d\\ude00\\/\"", json!("\u{e9}\u{1f600}/")),
            (b"\"\xff\"", json!("\u{fffd}")),
        ] {
            assert_eq!(parse(text), Ok(value), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let near = |rest: &str| format!("syntax error at line 1 near: {rest}");
        let trailing =
            |rest: &str| format!("Parsed JSON included non-whitespace trailing characters: {rest}");
        for (text, why) in [
            ("", near("")),
            ("x", near("x")),
            ("{", near("")),
            ("{\"a\u{7}b\"\n}", near("b\"")),
            ("{\"a\"\"b\"}", near("\"b\"}")),
            (
                "{\"a\":\n\nnulx}",
                "syntax error at line 3 near: x}".to_owned(),
            ),
            ("[1,2", near("")),
            ("\"\\x\"", near("\"")),
            ("\"\\ud83d\"", near("\"")),
            ("1e x", near(" x")),
            ("[1e999] x", "Value out of range".to_owned()),
            ("{} x", trailing(" x")),
            ("6ab", trailing("b")),
            (&"[".repeat(1000), near(&"[".repeat(1000 - MAX_DEPTH - 1))),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(why), "{text}");
        }
    }
}
