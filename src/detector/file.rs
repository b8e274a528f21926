//! Master strings kept in a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::address::redacted;
use crate::error::{Error, ErrorKind, Result};

/// In bytes: a master string is one line.
const LONGEST: u64 = 64 * 1024;

/// What stands in the file of `file:///path`, without white space around it.
///
/// Source: `MasterDetector::create`, `src/master/detector/detector.cpp`, Apache Mesos 1.11.0.
pub(super) fn read(path: &str) -> Result<String> {
    let failed = |path: &str, why: &str| Error::new(ErrorKind::Config, context(path, why));
    if !Path::new(path).is_absolute() {
        // What is no path may hold a password.
        let why = "expected file:// and an absolute path";
        return Err(failed(&redacted(path), why));
    }
    let file = File::open(path);
    let file = file.map_err(|error| unreadable(path, error))?;
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text);
    let length = length.map_err(|error| unreadable(path, error))?;
    if length as u64 > LONGEST {
        return Err(failed(path, &format!("more than {LONGEST} bytes")));
    }
    Ok(text.trim().to_owned())
}

fn unreadable(path: &str, error: std::io::Error) -> Error {
    Error::caused_by(ErrorKind::Config, context(path, "cannot be read"), error)
}

fn context(path: &str, why: &str) -> String {
    format!("master file://{path}: {why}")
}
