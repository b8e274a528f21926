//! A master to measure at: the one of `MESOS_MASTER`, or an embedded cluster in a process of its own, so that only the
//! client's figures are this process's.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use mesos_framework::local::{LocalCluster, LocalClusterBuilder};

/// Set in the cluster's process.
const ROLE: &str = "BENCH_CLUSTER";

/// Ends its process, if it has one, when it is dropped.
pub(crate) struct Cluster {
    pub(crate) master: String,
    process: Option<Child>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        if let Ok(master) = std::env::var("MESOS_MASTER") {
            let process = None;
            return Self { master, process };
        }
        let mut process = Command::new(std::env::current_exe().unwrap())
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        out.read_line(&mut address).unwrap();
        Self {
            master: address.trim().into(),
            process: Some(process),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// In the cluster's process: is that cluster, and true when it is to end.
pub(crate) fn served(
    runtime: &tokio::runtime::Runtime,
    builder: impl FnOnce(LocalClusterBuilder) -> LocalClusterBuilder,
) -> bool {
    if std::env::var_os(ROLE).is_none() {
        return false;
    }
    runtime.block_on(async {
        let cluster = builder(LocalCluster::builder()).start().await.unwrap();
        println!("{}", cluster.master_address());
        std::io::stdout().flush().unwrap();
        let end = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
        end.await.unwrap().unwrap();
        cluster.shutdown().await;
    });
    true
}
