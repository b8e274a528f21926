//! What this process takes of memory.

use std::fmt;

/// What it takes at the end of seeds, in MB.
#[derive(Debug, Default)]
pub struct Growth {
    first: f64,
    last: f64,
}

impl Growth {
    /// A seed has ended.
    pub fn note(&mut self, is_warm_up: bool) {
        self.last = resident();
        if is_warm_up {
            self.first = self.first.max(self.last);
        }
    }

    pub fn megabytes(&self) -> f64 {
        self.last - self.first
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} MB after the first seeds and {:.0} MB after the last",
            self.first, self.last
        )
    }
}

/// Peaks are counted anew from here on, where the system can do that.
pub fn reset_peak() {
    // `man proc_pid_clear_refs`. Without it, a peak is that of all seeds so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// In MB; 0 where it is not told.
pub fn peak() -> f64 {
    field("VmHWM:")
}

/// In MB; 0 where it is not told.
fn resident() -> f64 {
    field("VmRSS:")
}

fn field(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes = kilobytes.and_then(|own| own.parse::<f64>().ok());
    kilobytes.unwrap_or_default() / 1024.0
}
