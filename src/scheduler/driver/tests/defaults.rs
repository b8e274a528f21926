//! What takes its default time, or has its default room.

use tokio::time::Instant;

use super::*;
use crate::backoff::Backoff;
use crate::tests::Traced;

/// The longest wait between attempts that fail, of many.
async fn longest_wait(failover_timeout: Option<f64>, backoff: Option<Backoff>) -> Duration {
    let mut rig = Rig::of(SECOND, failover_timeout, |builder| match backoff {
        Some(backoff) => builder.backoff(backoff),
        None => builder,
    });
    let mut longest = Duration::ZERO;
    let mut failed_at = Instant::now();
    for _ in 0..60 {
        let subscribing = within(rig.peer.subscribing()).await;
        longest = longest.max(failed_at.elapsed());
        failed_at = Instant::now();
        let error = Error::new(ErrorKind::Connect, "refused");
        subscribing.answer(Err(error));
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn waits_between_attempts_are_at_most_a_tenth_of_the_failover_timeout() {
    let minute = Backoff::new(60 * SECOND, 60 * SECOND);
    for (failover_timeout, backoff, limit) in [
        (None, None, 15 * SECOND),
        (Some(0.0), None, 15 * SECOND),
        (Some(600.0), None, 15 * SECOND),
        (Some(10.0), None, SECOND),
        (Some(10.0), Some(minute), SECOND),
        (Some(600.0), Some(minute), 60 * SECOND),
    ] {
        let longest = longest_wait(failover_timeout, backoff).await;
        // Each wait is random up to the limit, and the clock counts whole milliseconds.
        let is_right = longest <= limit + SECOND / 1000 && longest > limit / 4;
        assert!(
            is_right,
            "{longest:?} with {failover_timeout:?}, {backoff:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_is_warned_of_every_30_s() {
    let mut rig = Rig::with(100 * SECOND);
    let stream = rig.subscribed().await;
    rig.is_told("registered as f").await;
    let traced = Traced::new();
    tell_of(&stream, "t").await;
    rig.is_told("t begins").await;
    rig.is_told("t ends").await;
    let warned = traced.lines("WARN");
    let told: Vec<_> = warned
        .iter()
        .map(|line| line.contains("a callback is still running; events wait behind it elapsed="))
        .collect();
    assert_eq!(told, [true; 3], "{warned:?}");
    for (line, elapsed) in warned.iter().zip(["30", "60", "90"]) {
        assert!(line.contains(&format!("elapsed={elapsed}")), "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn events_unread_for_75_s_behind_64_renew_the_subscription() {
    for (behind, is_renewed) in [(64, false), (65, true)] {
        let mut rig = Rig::with(DAY);
        let stream = rig.subscribed().await;
        rig.is_told("registered as f").await;
        tell_of(&stream, "slow").await;
        rig.is_told("slow begins").await;
        for _ in 0..behind {
            tell_of(&stream, "t").await;
        }
        let begun = Instant::now();
        if is_renewed {
            let why = "events unread for 75s: a callback takes too long";
            assert_eq!(rig.lost().await, why);
            assert_eq!(begun.elapsed().as_secs(), 75);
        } else {
            tokio::time::sleep(1000 * SECOND).await;
            assert!(rig.handle.connection().is_subscribed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn silence_of_75_s_renews_the_subscription_with_a_masters_heartbeats() {
    let mut rig = Rig::with(SECOND);
    let _stream = rig.subscribed_with(Some(15.0)).await;
    rig.is_told("registered as f").await;
    let begun = Instant::now();
    let why = "no event from master 10.0.0.5:5050 for 75 s (5 heartbeats of 15 s)";
    assert_eq!(rig.lost().await, why);
    assert_eq!(begun.elapsed().as_secs(), 75);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_followed_by_another_after_75_s() {
    let mut rig = Rig::with(SECOND);
    let _unanswered = within(rig.peer.subscribing()).await;
    let begun = Instant::now();
    let _next = within(rig.peer.subscribing()).await;
    assert!((75..76).contains(&begun.elapsed().as_secs()));
}

#[tokio::test(start_paused = true)]
async fn the_call_after_1024_waits() {
    let mut rig = Rig::with(SECOND);
    let _stream = rig.subscribed().await;
    rig.is_told("registered as f").await;
    let mut receipts = Vec::new();
    for number in 0..1024 {
        let kill = rig.handle.kill_task(format!("{number}").into(), None);
        receipts.push(kill.await.unwrap());
    }
    let handle = rig.handle.clone();
    let one_more = handle.kill_task("1024".into(), None);
    tokio::pin!(one_more);
    let waited = tokio::time::timeout(1000 * SECOND, &mut one_more).await;
    assert!(waited.is_err());
    rig.call("KILL").await.0.answer(202, "");
    let _receipt = within(one_more).await.unwrap();
}
