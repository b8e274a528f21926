//! What this process takes, as Linux tells; 0 where it is not told.

#![allow(dead_code, reason = "each bench takes what it needs")]

use std::fs;

/// Megabytes of a line of `/proc/self/status`, such as `VmRSS` or `VmHWM`.
pub(crate) fn megabytes(name: &str) -> f64 {
    of_status("/proc/self/status", name) / 1024.0
}

/// Seconds on a processor, of all threads that there are now.
pub(crate) fn cpu_seconds() -> f64 {
    let nanoseconds = of_threads(|thread| {
        let text = fs::read_to_string(format!("{thread}/schedstat")).unwrap_or_default();
        text.split(' ')
            .next()
            .and_then(|own| own.parse().ok())
            .unwrap_or_default()
    });
    nanoseconds / 1e9
}

/// How often a thread has gone to sleep, and so was woken.
pub(crate) fn sleeps() -> f64 {
    of_threads(|thread| of_status(&format!("{thread}/status"), "voluntary_ctxt_switches"))
}

pub(crate) fn threads() -> f64 {
    of_threads(|_| 1.0)
}

fn of_status(file: &str, name: &str) -> f64 {
    let status = fs::read_to_string(file).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.and_then(|line| line.split_whitespace().next());
    value
        .and_then(|value| value.parse().ok())
        .unwrap_or_default()
}

fn of_threads(figure: impl Fn(&str) -> f64) -> f64 {
    let threads = fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    threads
        .map(|thread| figure(&thread.path().to_string_lossy()))
        .sum()
}
