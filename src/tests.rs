//! What tests have in common.
//!
//! Property tests run few cases each, to be fast. `PROPTEST_CASES=1000000 cargo test --release --all-features --lib hostile`
//! runs a million of each that is about hostile bytes.

pub(crate) mod addresses;

use std::sync::{Arc, Mutex, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tracing::subscriber::DefaultGuard;

/// So many cases, or as many as `PROPTEST_CASES` says.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig {
            cases: few,
            ..config
        },
    }
}

/// `bytes` in pieces of these lengths, again and again; 0 counts as 1.
pub(crate) fn cut<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut lengths = lengths.iter().copied().cycle();
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = lengths.next().unwrap_or(rest.len()).clamp(1, rest.len());
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What is traced in the thread that made it, as long as it lives.
pub(crate) struct Traced {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Traced {
    pub(crate) fn new() -> Self {
        // With a single subscriber, `tracing` asks that of whichever thread comes to a place first, and other tests'
        // threads have none.
        static SECOND: OnceLock<tracing::Dispatch> = OnceLock::new();
        SECOND.get_or_init(|| {
            let sink = tracing_subscriber::fmt().with_writer(std::io::sink);
            let subscriber = sink.with_max_level(tracing::Level::TRACE).finish();
            tracing::Dispatch::new(subscriber)
        });
        let text = Arc::default();
        let written = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(move || Writer(Arc::clone(&written)));
        Self {
            text,
            _guard: tracing::subscriber::set_default(subscriber.finish()),
        }
    }

    /// The lines at this level, from the level on.
    pub(crate) fn lines(&self, level: &str) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(str::trim_start);
        lines
            .filter(|line| line.starts_with(level))
            .map(str::to_owned)
            .collect()
    }
}

/// Something that goes wrong with bytes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(u8),
    Insert(Vec<u8>),
    Remove(usize),
    Repeat(usize),
    Cut,
}

/// So many changes, each at a place.
pub(crate) fn changes(
    count: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Vec<(Index, Change)>> {
    vec((any::<Index>(), change()), count)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => any::<u8>().prop_map(Change::Set),
        2 => prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff]).prop_map(Change::Set),
        1 => vec(any::<u8>(), 0..12).prop_map(Change::Insert),
        // A length of 2^63 and more, and one that never ends.
        1 => Just(Change::Insert([vec![0xff; 9], vec![1]].concat())),
        1 => Just(Change::Insert(vec![0xff; 12])),
        1 => (1..9_usize).prop_map(Change::Remove),
        1 => (1..40_usize).prop_map(Change::Repeat),
        1 => Just(Change::Cut),
    ]
}

/// `bytes` with these changes, one after the other.
pub(crate) fn changed(mut bytes: Vec<u8>, changes: &[(Index, Change)]) -> Vec<u8> {
    for (at, change) in changes {
        if bytes.is_empty() {
            return bytes;
        }
        let at = at.index(bytes.len());
        let until = |length: usize| bytes.len().min(at + length);
        match change {
            Change::Set(byte) => bytes[at] = *byte,
            Change::Insert(more) => drop(bytes.splice(at..at, more.iter().copied())),
            Change::Remove(length) => drop(bytes.drain(at..until(*length))),
            Change::Repeat(length) => bytes.extend_from_within(at..until(*length)),
            Change::Cut => bytes.truncate(at),
        }
    }
    bytes
}
