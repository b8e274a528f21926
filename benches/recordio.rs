//! Framing alone: records taken out of 64-KiB chunks, against a floor that knows the lengths and only slices.
//!
//!     cargo bench --bench recordio
//!
//! Prints records per second of both, and their ratio, which is what matters: medians of several rounds in one run.

use std::hint::black_box;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mesos_framework::recordio::{Decoder, encode};

const CHUNK: usize = 64 * 1024;
const STREAM: usize = 32 * 1024 * 1024;
const ROUNDS: usize = 9;

fn main() {
    println!(
        "{:>10} {:>16} {:>16} {:>7}",
        "record", "floor_per_s", "decoder_per_s", "ratio"
    );
    for size in [100, 1024, 100 * 1024] {
        let (chunks, records) = stream(size);
        let mut floor = Vec::new();
        let mut decoder = Vec::new();
        for _ in 0..ROUNDS {
            floor.push(per_second(records, || slice(&chunks, size)));
            decoder.push(per_second(records, || decode(&chunks)));
        }
        let (floor, decoder) = (median(floor), median(decoder));
        println!(
            "{size:>10} {floor:>16.0} {decoder:>16.0} {:>7.2}",
            floor / decoder
        );
    }
}

fn stream(size: usize) -> (Vec<Bytes>, usize) {
    let record = vec![b'x'; size];
    let records = STREAM / size;
    let mut stream = BytesMut::new();
    for _ in 0..records {
        encode(&record, &mut stream);
    }
    let mut stream = stream.freeze();
    let mut chunks = Vec::new();
    while !stream.is_empty() {
        chunks.push(stream.split_to(stream.len().min(CHUNK)));
    }
    (chunks, records)
}

fn decode(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new(STREAM);
    let mut records = 0;
    for chunk in chunks {
        decoder.feed(chunk.clone());
        while let Ok(Some(record)) = decoder.next_record() {
            records += usize::from(!black_box(record).is_empty());
        }
    }
    records
}

/// Finds each line feed and slices as many bytes as are known to follow; a record on a border is copied together.
fn slice(chunks: &[Bytes], size: usize) -> usize {
    let mut records = 0;
    let mut begun = BytesMut::new();
    let mut missing = 0;
    for chunk in chunks {
        let mut rest = chunk.clone();
        if missing > 0 {
            let part = rest.split_to(rest.len().min(missing));
            begun.extend_from_slice(&part);
            missing -= part.len();
            if missing == 0 {
                black_box(std::mem::take(&mut begun).freeze());
            }
        }
        while let Some(at) = memchr::memchr(b'\n', &rest) {
            let mut record = rest.split_off(at + 1);
            rest = record.split_off(record.len().min(size));
            records += 1;
            if record.len() < size {
                missing = size - record.len();
                begun = BytesMut::with_capacity(size);
                begun.extend_from_slice(&record);
            } else {
                black_box(record);
            }
        }
    }
    records
}

fn per_second(records: usize, run: impl FnOnce() -> usize) -> f64 {
    let started = Instant::now();
    let seen = run();
    let seconds = started.elapsed().as_secs_f64();
    assert!(seen > 0 && seen <= records, "{seen} of {records} records");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let records = records as f64;
    records / seconds
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
