//! Replies as bytes.
//!
//! Source: `3rdparty/libprocess/src/encoder.hpp` of Apache Mesos 1.11.0.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, BytesMut};
use hyper::StatusCode;
use hyper::header::{self, HeaderName};

use crate::local::gzip;
use crate::local::http::Reply;
use crate::local::stream::EventBody;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// How the answer goes on.
pub(super) enum Written {
    /// It is whole.
    Whole,
    /// With the chunks of a stream.
    Stream(EventBody),
    /// There is none, and the connection closes.
    Lost,
}

/// Writes `reply` to `out`, compressed if it is long and `may_compress`.
pub(super) fn write(reply: Reply, may_compress: bool, out: &mut BytesMut) -> Written {
    match reply {
        Reply::Plain {
            status,
            text,
            header,
        } => {
            begin(status, out);
            if let Some((name, value)) = header {
                // A line break would begin another header.
                let value = value.replace(['\r', '\n'], " ");
                field(written_name(&name), &value, out);
            }
            // A 404 has a text, which may be empty.
            if !text.is_empty() || status == StatusCode::NOT_FOUND {
                field("Content-Type", "text/plain; charset=utf-8", out);
            }
            content(text.as_bytes(), out);
            Written::Whole
        }
        Reply::Content { media_type, body } => {
            begin(StatusCode::OK, out);
            let deflated = may_compress.then(|| gzip::deflated(&body)).flatten();
            if deflated.is_some() {
                field("Content-Encoding", "gzip", out);
            }
            field("Content-Type", media_type, out);
            content(&deflated.unwrap_or(body), out);
            Written::Whole
        }
        Reply::Stream {
            content_type,
            stream_id,
            body,
        } => {
            begin(StatusCode::OK, out);
            field("Transfer-Encoding", "chunked", out);
            if let Some(id) = stream_id {
                field("Mesos-Stream-Id", &id, out);
            }
            field("Content-Type", content_type.media_type(), out);
            out.put_slice(b"\r\n");
            Written::Stream(body)
        }
        Reply::Lost => Written::Lost,
    }
}

/// One chunk.
pub(super) fn chunk(content: &[u8], out: &mut BytesMut) {
    line(out, format_args!("{:x}", content.len()));
    out.put_slice(content);
    out.put_slice(b"\r\n");
}

/// What ends the chunks.
pub(super) fn last_chunk(out: &mut BytesMut) {
    out.put_slice(b"0\r\n\r\n");
}

fn begin(status: StatusCode, out: &mut BytesMut) {
    let reason = status.canonical_reason().unwrap_or_default();
    line(out, format_args!("HTTP/1.1 {} {reason}", status.as_u16()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs());
    write_date(seconds, out);
}

fn field(name: &str, value: &str, out: &mut BytesMut) {
    line(out, format_args!("{name}: {value}"));
}

fn content(body: &[u8], out: &mut BytesMut) {
    line(out, format_args!("Content-Length: {}\r\n", body.len()));
    out.put_slice(body);
}

fn line(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.writer().write_fmt(format_args!("{text}\r\n"));
}

fn written_name(name: &HeaderName) -> &str {
    match *name {
        header::ALLOW => "Allow",
        header::LOCATION => "Location",
        header::WWW_AUTHENTICATE => "WWW-Authenticate",
        _ => name.as_str(),
    }
}

/// The header `Date` of a time in seconds since the epoch.
fn write_date(seconds: u64, out: &mut BytesMut) {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or_default()];
    let (year, month, day) = civil(days);
    let month = MONTHS[month];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    line(
        out,
        format_args!(
            "Date: {weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT"
        ),
    );
}

/// Year, month from 0, and day of the month.
fn civil(mut days: u64) -> (u64, usize, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // In whole rounds of the calendar first, which are 400 years.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_794_787_199, "Sun, 15 Nov 2026 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let mut out = BytesMut::new();
            write_date(seconds, &mut out);
            let expected = format!("Date: {date}\r\n");
            assert_eq!(std::str::from_utf8(&out), Ok(expected.as_str()));
        }
    }

    #[test]
    fn a_header_stays_one() {
        let mut out = BytesMut::new();
        let reply = Reply::Plain {
            status: StatusCode::TEMPORARY_REDIRECT,
            text: String::new(),
            header: Some((header::LOCATION, "//a\r\nX: y".to_owned())),
        };
        assert!(matches!(write(reply, true, &mut out), Written::Whole));
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(
            text.contains("\r\nLocation: //a  X: y\r\nContent-Length: 0\r\n\r\n"),
            "{text}"
        );
    }
}
