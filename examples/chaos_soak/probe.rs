//! Whether a real master can be subscribed with.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::scheduler::Shared;

/// From one look to the next.
const INTERVAL: Duration = Duration::from_millis(50);

/// A master that takes longer is no master.
const PATIENCE: Duration = Duration::from_secs(1);

/// No call, so a master that leads and has recovered answers 405, before which it answers 503 or 307 (`Http::scheduler`
/// in `src/master/http.cpp`, Apache Mesos 1.11.0).
const QUESTION: &[u8] =
    b"GET /api/v1/scheduler HTTP/1.1\r\nHost: master\r\nConnection: close\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 405";

/// Tells the ledger, for ever.
pub async fn watch(master: &str, shared: &Shared) {
    loop {
        let answer = tokio::time::timeout(PATIENCE, is_up(master)).await;
        shared.ledger().outages.master(answer.unwrap_or(false));
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn is_up(master: &str) -> bool {
    let Ok(mut connection) = TcpStream::connect(master).await else {
        return false;
    };
    let mut answer = [0; ANSWER.len()];
    let asked = connection.write_all(QUESTION).await;
    asked.is_ok() && connection.read_exact(&mut answer).await.is_ok() && answer == ANSWER
}
