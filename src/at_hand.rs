//! What is ready without waiting.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// Polls `future` once: its output, if it need not wait for it. It is dropped by that, unless it is a reference.
pub(crate) async fn at_hand<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
