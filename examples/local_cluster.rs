//! A whole Mesos in one program, for frameworks of any language, until Ctrl-C or SIGTERM.
//!
//!     cargo run --example local_cluster -- --port 5050 --agents 3 --masters 3
//!
//! Standard output has one line: the master string for frameworks. The log is on standard error, a line for each call and
//! each event; `RUST_LOG` says how much of it (`RUST_LOG=warn` for less).

use std::path::PathBuf;
use std::process::ExitCode;

use mesos_framework::ErrorKind;
use mesos_framework::local::{Acls, LocalCluster, LocalClusterBuilder};
use tracing_subscriber::EnvFilter;

const HELP: &str = "\
A Mesos cluster in one process, on 127.0.0.1.

Usage: local_cluster [OPTION VALUE]...

  --port PORT          of the first master; further masters follow it (default: any free ones)
  --masters COUNT      one leads, the others redirect to it (default: 1)
  --agents COUNT       (default: 2)
  --resources TEXT     of each agent (default: cpus:4;mem:4096;disk:8192;ports:[31000-31999])
  --attributes TEXT    of each agent, as in rack:a;level:2 (default: none)
  --acls JSON          who may do what, in the form of Mesos's --acls (default: everybody everything)
  --work-dir FOLDER    kept, and recovered from if there was a cluster in it (default: a temporary one)
  --help               this text

Prints the master string for frameworks. Ends on Ctrl-C or SIGTERM.
RUST_LOG filters the log on standard error (default: mesos_framework::local=debug).
";

/// Status of a program that was called wrongly.
const BAD_ARGUMENTS: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    ExitCode::from(run(std::env::args().skip(1)).await)
}

/// The program; its status.
pub(crate) async fn run(arguments: impl Iterator<Item = String>) -> u8 {
    let builder = match parse(arguments) {
        Ok(Some(builder)) => builder,
        Ok(None) => {
            print!("{HELP}");
            return 0;
        }
        Err(why) => {
            eprintln!("local_cluster: {why}; --help tells the options");
            return BAD_ARGUMENTS;
        }
    };
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new("mesos_framework::local=debug"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    // Before the start, so that no signal is missed.
    let end = match end() {
        Ok(end) => end,
        Err(error) => {
            eprintln!("local_cluster: cannot wait for signals: {error}");
            return 1;
        }
    };
    let cluster = match builder.start().await {
        Ok(cluster) => cluster,
        Err(error) => {
            eprintln!("local_cluster: {error}");
            let is_setting = error.kind() == ErrorKind::Config;
            return if is_setting { BAD_ARGUMENTS } else { 1 };
        }
    };
    welcome(&cluster);
    end.await;
    eprintln!("The cluster ends.");
    cluster.shutdown().await;
    0
}

/// None if only help is wanted.
fn parse(
    mut arguments: impl Iterator<Item = String>,
) -> Result<Option<LocalClusterBuilder>, String> {
    let mut builder = LocalCluster::builder().agents(2);
    while let Some(option) = arguments.next() {
        if option == "--help" {
            return Ok(None);
        }
        let known = [
            "--port",
            "--masters",
            "--agents",
            "--resources",
            "--attributes",
            "--acls",
            "--work-dir",
        ];
        if !known.contains(&option.as_str()) {
            return Err(format!("{option:?} is not an option"));
        }
        let value = arguments.next();
        let value = value.ok_or_else(|| format!("{option} needs a value"))?;
        let number = || format!("{option} {value:?} is not a number that it can be");
        builder = match option.as_str() {
            "--port" => builder.port(value.parse().map_err(|_| number())?),
            "--masters" => builder.masters(value.parse().map_err(|_| number())?),
            "--agents" => builder.agents(value.parse().map_err(|_| number())?),
            "--resources" => builder.resources(&value),
            "--attributes" => builder.attributes(&value),
            "--acls" => builder.acls(Acls::parse(&value).map_err(|error| error.to_string())?),
            _ => builder.work_directory(PathBuf::from(value)),
        };
    }
    Ok(Some(builder))
}

fn welcome(cluster: &LocalCluster) {
    println!("{}", cluster.master_string());
    let leader = cluster.master_address();
    eprintln!("A Mesos cluster is running. Frameworks find it at:");
    for master in cluster.master_addresses() {
        let role = if master == leader {
            "leads"
        } else {
            "stands by"
        };
        eprintln!("    {master}  ({role})");
    }
    eprintln!(
        "Its agents are at: {}",
        cluster.agent_addresses().join(", ")
    );
    eprintln!("What it knows:     http://{leader}/state");
    eprintln!("Ctrl-C ends it.");
}

/// Done when somebody wants the end.
#[cfg(unix)]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done when somebody wants the end.
#[cfg(not(unix))]
fn end() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("local_cluster: {error}");
        }
    })
}
