//! The promise of an operation's end.

use tokio::sync::oneshot;

use super::Operations;
use crate::error::{Error, ErrorKind, Result};
use crate::proto::{OperationId, OperationStatus};

/// Promise of the end of an operation.
///
/// Dropped, the operation goes its way, and nobody is told.
#[derive(Debug)]
#[must_use]
pub struct PendingOperation {
    operations: Operations,
    operation_id: OperationId,
    end: oneshot::Receiver<Result<OperationStatus>>,
}

impl PendingOperation {
    pub(super) fn new(
        operations: Operations,
        operation_id: OperationId,
        end: oneshot::Receiver<Result<OperationStatus>>,
    ) -> Self {
        Self {
            operations,
            operation_id,
            end,
        }
    }

    /// The operation's id, under which statuses tell of it.
    #[must_use]
    pub fn operation_id(&self) -> &OperationId {
        &self.operation_id
    }

    /// Waits for the end: the status `OPERATION_FINISHED`.
    ///
    /// That takes as long as the operation's agent is unreachable.
    ///
    /// # Errors
    /// [`ErrorKind::OperationFailed`] if it came to another end; see [`OperationFailure`](super::OperationFailure).
    /// [`ErrorKind::Rejected`] and [`ErrorKind::Disconnected`] if its call was surely not carried out.
    /// [`ErrorKind::FrameworkRemoved`] and [`ErrorKind::NotRunning`] if framework or driver ended before it.
    ///
    /// # Cancel safety
    /// Dropping the future drops the promise; the operation goes its way.
    ///
    /// Source: `UPDATE_OPERATION_STATUS`, scheduler.proto.
    pub async fn end(mut self) -> Result<OperationStatus> {
        (&mut self.end).await.unwrap_or_else(|_| {
            let context = "nobody follows the operation any more";
            Err(Error::new(ErrorKind::NotRunning, context))
        })
    }
}

impl Drop for PendingOperation {
    fn drop(&mut self) {
        self.end.close();
        self.operations.own.shared.lock().forget(&self.operation_id);
    }
}
