//! Resources at the size of a large offer: 40 kinds, among them 200 ranges of ports.
//!
//!     cargo bench --bench resources
//!
//! Prints nanoseconds of each operation, of a floor that does what no way around is known, and their ratio, which is what
//! matters: medians of several rounds in one run. The floor of all but two is to clone the offer's messages once; that of
//! `contains` is to compare them, and that of `parse` is to split the text and to read its numbers.

use std::hint::black_box;
use std::time::Instant;

use mesos_framework::resources::{Request, Resources};

const ROUNDS: usize = 9;
const TURNS: usize = 400;

fn main() {
    let text = text();
    let all = Resources::parse(&text).expect("it is well formed");
    let protos = all.to_protos();
    let part = Resources::parse(PART).expect("it is well formed");
    let missing = Resources::parse(MISSING).expect("it is well formed");
    let request = Request::new().cpus(1.5).mem(512.0).ports(3).port(50_000);
    let clone = || drop(black_box(black_box(&protos).clone()));
    let compare = || assert!(black_box(&protos) == black_box(&protos));
    let split = || assert!(numbers(black_box(&text)) > 0);

    println!(
        "{:>15} {:>12} {:>12} {:>7}",
        "operation", "ns", "floor_ns", "ratio"
    );
    show("parse", split, || Resources::parse(black_box(&text)));
    show("from_protos", clone, || {
        Resources::from_protos(black_box(&protos))
    });
    show("to_protos", clone, || black_box(&all).to_protos());
    show("clone", clone, || black_box(&all).clone());
    show("add", clone, || black_box(&all).clone() + black_box(&part));
    show("add_itself", clone, || {
        black_box(&all).clone() + black_box(&all)
    });
    show("subtract", clone, || {
        black_box(&all).clone() - black_box(&part)
    });
    show("contains", compare, || {
        black_box(&all).contains(black_box(&part))
    });
    show("contains_itself", compare, || {
        black_box(&all).contains(black_box(&all))
    });
    show("contains_not", compare, || {
        black_box(&all).contains(black_box(&missing))
    });
    show("find", clone, || black_box(&all).find(black_box(&part)));
    show("take", clone, || black_box(&all).take(black_box(&request)));
}

/// What a task takes of it.
const PART: &str = "cpus(web):1.5;mem:512;ports:[31005-31008,50000-50000];disk:64";

/// Of which the last is not there.
const MISSING: &str = "cpus:1;mem:64;ports:[31005-31007,50001-50001]";

/// 40 kinds: four names under ten reservations.
fn text() -> String {
    let mut pieces = Vec::new();
    let mut roles = vec![String::new(), "(web)".to_owned()];
    roles.extend((0..8).map(|number| format!("(team-{number}/service)")));
    for (index, role) in roles.iter().enumerate() {
        pieces.push(format!("cpus{role}:{}.25", index + 4));
        pieces.push(format!("mem{role}:{}", 4096 + index));
        pieces.push(format!("disk{role}:{}", 8192 + index));
        // Of each ten ports, some task has the last.
        let first = 31_000 + 1000 * index;
        let ranges = (0..20).map(|own| format!("{}-{}", first + own * 10, first + own * 10 + 8));
        let mut ranges: Vec<String> = ranges.collect();
        if role.is_empty() {
            ranges.push("50000-50000".to_owned());
        }
        pieces.push(format!("ports{role}:[{}]", ranges.join(",")));
    }
    pieces.join(";")
}

/// How many numbers there are in the text.
fn numbers(text: &str) -> usize {
    let pieces = text.split([';', ':', '[', ']', ',', '-', '(', ')']);
    pieces.filter(|own| own.parse::<f64>().is_ok()).count()
}

fn show<T>(name: &str, floor: impl Fn(), run: impl Fn() -> T) {
    let mut floors = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..ROUNDS {
        floors.push(nanoseconds(&floor));
        runs.push(nanoseconds(|| drop(black_box(run()))));
    }
    let (floor, run) = (median(floors), median(runs));
    println!("{name:>15} {run:>12.0} {floor:>12.0} {:>7.2}", run / floor);
}

fn nanoseconds(run: impl Fn()) -> f64 {
    let started = Instant::now();
    for _ in 0..TURNS {
        run();
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let turns = TURNS as f64;
    started.elapsed().as_secs_f64() * 1e9 / turns
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
