//! RENDLER, the second demo of the 2015 article: a crawler that draws the graph of a site's links, with a picture of each
//! page. One scheduler, two executors: one crawls, the other renders with headless Chromium.
//!
//!     cargo run --example rendler -- --demo-site                                   # on an embedded cluster
//!     cargo run --example rendler -- https://mesos.apache.org 10.0.0.5:5050 50     # on a real one
//!
//! The graph is in `result.dot`; Graphviz makes a picture of it (`--picture graph.png`).

#[path = "rendler/crawl.rs"]
mod crawl;
#[path = "rendler/graph.rs"]
mod graph;
#[path = "rendler/render.rs"]
mod render;
#[path = "rendler/scheduler.rs"]
mod scheduler;
#[path = "rendler/site.rs"]
mod site;
#[path = "rendler/work.rs"]
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mesos_framework::{ExecutorDriver, SchedulerDriver, SchedulerHandle};

use crawl::Crawler;
use render::Renderer;
use scheduler::Rendler;

type Failed = Box<dyn std::error::Error>;

/// How long running tasks may go on when the user has had enough.
const GRACEFUL_STOP: Duration = Duration::from_secs(30);

const USAGE: &str = "\
Usage: rendler [OPTIONS] SEED_URL MASTER [MAX_RENDER_TASKS]
       rendler [OPTIONS] --demo-site [MASTER [MAX_RENDER_TASKS]]

  SEED_URL           where to begin
  MASTER             host:port of a Mesos master, or `local`: an embedded cluster
  MAX_RENDER_TASKS   no further pages once as many are known (0, the default: all)

  --demo-site        begin with a small site that this program serves itself; MASTER is `local` by default
  --renderer COMMAND makes the pictures: called as `COMMAND URL FILE.png` on the agent (headless Chromium)
  --output FILE      the graph (result.dot); the pictures of the pages are copied to a folder beside it
  --picture FILE     a picture of the graph, made with Graphviz's `dot`: a .png, .svg or .pdf
  --help             this text

Ctrl-C launches nothing more, waits up to 30 s for what runs, and writes the graph.";

/// What the command line says.
struct Arguments {
    seed: Option<String>,
    master: String,
    limit: usize,
    renderer: Option<String>,
    output: PathBuf,
    picture: Option<PathBuf>,
}

impl Arguments {
    /// `None`: the call is wrong.
    fn parse(mut given: impl Iterator<Item = String>) -> Option<Self> {
        let (mut is_demo, mut renderer, mut picture) = (false, None, None);
        let mut output = PathBuf::from("result.dot");
        let mut rest = Vec::new();
        while let Some(argument) = given.next() {
            match argument.as_str() {
                "--demo-site" => is_demo = true,
                "--renderer" => renderer = Some(given.next()?),
                "--output" => output = given.next()?.into(),
                "--picture" => picture = Some(given.next()?.into()),
                option if option.starts_with("--") => return None,
                _ => rest.push(argument),
            }
        }
        let mut rest = rest.into_iter();
        let seed = if is_demo { None } else { Some(rest.next()?) };
        let master = match rest.next() {
            Some(master) => master,
            None if is_demo => "local".to_owned(),
            None => return None,
        };
        // As in the original: what is no number means no limit.
        let limit = rest.next().and_then(|limit| limit.parse().ok());
        if rest.next().is_some() {
            return None;
        }
        Some(Self {
            seed,
            master,
            limit: limit.unwrap_or(0),
            renderer,
            output,
            picture,
        })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut given: Vec<String> = std::env::args().skip(1).collect();
    let done = match given.first().map(String::as_str) {
        Some("--help") => {
            println!("{USAGE}");
            Ok(())
        }
        Some("crawl-executor") => run_executor(ExecutorDriver::builder(Crawler::new())).await,
        Some("render-executor") => {
            let renderer = given.drain(1..).nth(1);
            run_executor(ExecutorDriver::builder(Renderer::new(renderer))).await
        }
        _ => match Arguments::parse(given.into_iter()) {
            Some(arguments) => run(arguments).await,
            None => Err(USAGE.into()),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_executor(builder: mesos_framework::ExecutorDriverBuilder) -> Result<(), Failed> {
    builder.build()?.run().await?;
    Ok(())
}

async fn run(arguments: Arguments) -> Result<(), Failed> {
    if arguments.renderer.is_none() && arguments.master == "local" {
        // On a cluster it is the agents' hosts that need one.
        render::find_chromium()?;
    }
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => site::serve().await?,
    };
    println!("Crawling and rendering {seed}");
    let images = arguments.output.with_extension("images");
    let is_stopping = Arc::new(AtomicBool::new(false));
    let scheduler = Rendler::new(
        &seed,
        arguments.limit,
        arguments.renderer.as_deref(),
        images,
        Arc::clone(&is_stopping),
    )?;
    let builder = SchedulerDriver::builder(scheduler, scheduler::framework(), &arguments.master);
    let mut driver = builder.build()?;
    driver.start()?;
    let watch = tokio::spawn(stop_on_interrupt(driver.handle(), is_stopping));
    let ended = driver.join().await;
    watch.abort();
    // Whatever the end was, what is known is written.
    let rendler: Rendler = driver.into_scheduler()?;
    graph::write(&arguments.output, rendler.results())?;
    println!("{}", rendler.summary(&arguments.output));
    if let Some(picture) = &arguments.picture {
        graph::draw(&arguments.output, picture).await?;
        println!("Drawn: {}", picture.display());
    }
    ended?;
    Ok(())
}

async fn stop_on_interrupt(driver: SchedulerHandle, is_stopping: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    println!("Stopping: waiting up to {GRACEFUL_STOP:?} for what runs");
    is_stopping.store(true, Ordering::Relaxed);
    // The scheduler stops earlier, once nothing runs any more.
    tokio::select! {
        () = tokio::time::sleep(GRACEFUL_STOP) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    driver.stop();
}
