//! What the page of conformance (`src/docs/conformance.md`) is made of: which test ran on which kind of cluster.
//!
//! With `MESOS_CONFORMANCE` set to a file, every test that is given a cluster adds a line to it. `tests/conformance.py`
//! makes the page of two such files, one of a run on embedded clusters and one of a run on real Mesos.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// Where the lines go; unset: nowhere.
pub const FILE: &str = "MESOS_CONFORMANCE";

#[derive(Clone, Copy)]
pub enum Kind {
    Embedded,
    Real,
    /// A real one, with this crate's built-in executors in the place of Mesos's.
    RealAgent,
}

/// Notes that the test of this thread has been given a cluster.
pub fn note(kind: Kind) {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let kind = match kind {
        Kind::Embedded => "local",
        Kind::Real => "real",
        Kind::RealAgent => "real agent",
    };
    // The harness names its threads after the tests; it has none of its own with one test thread.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    assert!(test.contains("::"), "{test:?} is no test's thread");
    let line = format!("{test}\t{kind}\n");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(file)
        .unwrap();
    // One write, so that lines of different threads do not mix.
    file.write_all(line.as_bytes()).unwrap();
}

/// A cluster that is made elsewhere would be missing from the page.
#[test]
fn every_cluster_of_a_test_is_noted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_made = text.contains("LocalCluster::builder()") || text.contains("Kit::start(");
        let may_make = ["cluster.rs", "command_rig.rs", "conformance.rs"].contains(&name);
        assert!(!is_made || may_make, "{name} makes a cluster of its own");
    }
}
