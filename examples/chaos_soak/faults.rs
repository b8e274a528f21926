//! Deaths in an embedded cluster, from a seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesos_framework::local::LocalCluster;

use crate::scheduler::Shared;

/// Kills and starts again, one thing after another, until it is dropped. Counts what it does.
pub async fn strike(cluster: &LocalCluster, seed: u64, count: &AtomicU64, shared: &Shared) {
    let mut random = fastrand::Rng::with_seed(seed);
    let agents = cluster.agent_addresses().len();
    loop {
        pause(&mut random, 1500).await;
        count.fetch_add(1, Ordering::Relaxed);
        let agent = random.usize(..agents);
        match random.u32(..5) {
            0 => {
                shared.ledger().outages.master(false);
                cluster.kill_master();
                pause(&mut random, 500).await;
                restarted(cluster.restart_master().await);
                shared.ledger().outages.master(true);
            }
            1 | 2 => {
                cluster.kill_agent(agent);
                pause(&mut random, 500).await;
                restarted(cluster.restart_agent(agent).await);
            }
            3 => {
                cluster.partition_agent(agent);
                pause(&mut random, 1000).await;
                cluster.heal_agent(agent);
            }
            _ => {
                let state = cluster.state();
                let executors = &state.executors;
                if let Some(own) = random.choice(executors) {
                    cluster.kill_executor(&own.framework_id, &own.id);
                }
            }
        }
    }
}

/// Everything lives, and nothing is cut off.
pub async fn heal(cluster: &LocalCluster, shared: &Shared) -> mesos_framework::Result<()> {
    let state = cluster.state();
    if !state.is_master_alive {
        cluster.restart_master().await?;
    }
    shared.ledger().outages.master(true);
    for (index, agent) in state.agents.iter().enumerate() {
        cluster.heal_agent(index);
        if !agent.is_alive {
            cluster.restart_agent(index).await?;
        }
    }
    Ok(())
}

fn restarted(result: mesos_framework::Result<()>) {
    if let Err(error) = result {
        eprintln!("not restarted: {error}");
    }
}

async fn pause(random: &mut fastrand::Rng, longest: u64) {
    tokio::time::sleep(Duration::from_millis(random.u64(longest / 10..longest))).await;
}
