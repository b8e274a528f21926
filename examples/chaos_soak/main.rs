//! A soak: a scheduler runs tasks while faults strike, and keeps its own ledger of what must never happen.
//!
//!     cargo run --release --example chaos_soak                                     # one random seed, embedded cluster
//!     cargo run --release --example chaos_soak -- --seed 1 --seeds 200
//!     cargo run --release --example chaos_soak -- --master 127.0.0.1:5050 --minutes 30
//!
//! On an embedded cluster its own chaos strikes, and masters, agents and executors are killed. On a real one,
//! `tests/mesos/cluster.py --kill SEED` kills and stops masters and agents. On both, all goes through a proxy that cuts,
//! delays, garbles, and lets connections hang for longer than the time-outs, which are short; on a real one, what the
//! executors and agents tell each other does so, too. A seed has 2,000 tasks (`--tasks`). Even seeds speak protobuf, odd ones
//! JSON; every other two of seeds know of partitions.
//!
//! Prints figures, why subscriptions ended, how tasks ended, and the later states of tasks that had ended, with the reason why
//! Mesos may tell of these. Ends with status 1 if a promise was broken or a bound (`settings.rs`) exceeded.

#![allow(missing_docs, unreachable_pub, reason = "a program, not a library")]

mod counts;
mod faults;
mod figures;
mod later;
mod ledger;
mod marks;
mod memory;
mod outage;
mod probe;
mod proxy;
mod run;
mod scheduler;
mod settings;
mod soak;
mod tap;
mod word;
mod worker;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::figures::Figures;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    pub master: String,
    pub seed: u64,
    pub seeds: u64,
    pub tasks: usize,
    /// No further seed is begun after so long.
    pub limit: Option<Duration>,
}

fn main() -> ExitCode {
    // Says what happens if `RUST_LOG` asks for it.
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut arguments = std::env::args().skip(1).peekable();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = match (runtime, arguments.peek().map(String::as_str)) {
        (Err(error), _) => Err(error.into()),
        (Ok(runtime), Some("--executor")) => runtime.block_on(worker::main(arguments.skip(1))),
        (Ok(runtime), _) => parse(arguments).and_then(|options| runtime.block_on(soak(options))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos_soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Outcome<Options> {
    let mut options = Options {
        master: "local".to_owned(),
        seed: fastrand::u64(..),
        seeds: 1,
        tasks: 2000,
        limit: None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--master" => options.master = value,
            "--seed" => options.seed = value.parse()?,
            "--seeds" => options.seeds = value.parse()?,
            "--tasks" => options.tasks = value.parse()?,
            "--minutes" => {
                let minutes: f64 = value.parse()?;
                options.limit = Some(Duration::try_from_secs_f64(60.0 * minutes)?);
                options.seeds = u64::MAX;
            }
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    Ok(options)
}

/// The first seeds, after which memory should grow no more.
const WARM_UP: u64 = 5;

/// One seed after another.
async fn soak(options: Options) -> Outcome<()> {
    let begun = Instant::now();
    let mut sum: Option<Figures> = None;
    let (mut runs, mut wrong) = (0u64, 0usize);
    let mut growth = memory::Growth::default();
    while runs < options.seeds && options.limit.is_none_or(|limit| begun.elapsed() < limit) {
        let seed = options.seed.wrapping_add(runs);
        let (figures, violations) = run::run(&options, seed)
            .await
            .map_err(|error| format!("seed {seed}: {error}"))?;
        println!("seed {seed}: {figures}");
        for violation in &violations {
            println!("seed {seed}: VIOLATION: {violation}");
        }
        wrong += violations.len();
        runs += 1;
        growth.note(runs <= WARM_UP);
        match &mut sum {
            Some(sum) => sum.add(&figures),
            None => sum = Some(figures),
        }
    }
    let Some(sum) = sum else { return Ok(()) };
    println!(
        "{runs} seeds in {:.0} s: {sum}; {growth}",
        begun.elapsed().as_secs_f64()
    );
    sum.print_tables();
    if growth.megabytes() > settings::GROWTH_MB {
        wrong += 1;
        println!("VIOLATION: {growth}");
    }
    match wrong {
        0 => Ok(()),
        _ => Err(format!("{wrong} violations").into()),
    }
}
