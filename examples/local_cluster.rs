//! A cluster to point any framework at, until Ctrl-C.
//!
//! `cargo run --example local_cluster --features local`

use mesos_framework::local::LocalCluster;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = LocalCluster::builder().agents(2).start().await?;
    println!("{}", cluster.master_address());
    tokio::signal::ctrl_c().await?;
    cluster.shutdown().await;
    Ok(())
}
