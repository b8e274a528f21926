//! An operation that was not carried out.

use std::error::Error as StdError;
use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::proto::{OperationState, OperationStatus, offer};

/// An operation that has ended otherwise than finished: the source of an error of kind [`ErrorKind::OperationFailed`].
///
/// # Examples
/// ```
/// use mesos_framework::Error;
/// use mesos_framework::toolkit::OperationFailure;
///
/// /// Mesos's words, if it was Mesos that refused.
/// fn why(error: &Error) -> Option<&str> {
///     OperationFailure::of(error).map(|failure| failure.status.message())
/// }
/// # assert_eq!(why(&Error::new(mesos_framework::ErrorKind::Config, "no")), None);
/// ```
///
/// Source: `OperationStatus`, mesos.proto.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperationFailure {
    /// What kind of operation it was.
    pub operation: offer::operation::Type,
    /// Its last status: the state is `OPERATION_FAILED`, `OPERATION_ERROR`, `OPERATION_DROPPED` or
    /// `OPERATION_GONE_BY_OPERATOR`; or `OPERATION_UNKNOWN`, if nobody knows of the operation when asked again and again.
    pub status: OperationStatus,
}

impl OperationFailure {
    /// The failure that `error` tells of, if it does.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// How it ended.
    #[must_use]
    pub fn state(&self) -> OperationState {
        self.status.state()
    }
}

impl fmt::Display for OperationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.status.operation_id.as_ref();
        let id = id.map_or("", |id| &id.value);
        let (operation, state) = (self.operation.as_str_name(), self.state().as_str_name());
        write!(f, "{operation} {id} came to {state}")?;
        match self.status.message() {
            "" => Ok(()),
            message => write!(f, ": {message}"),
        }
    }
}

impl StdError for OperationFailure {}

impl From<OperationFailure> for Error {
    fn from(failure: OperationFailure) -> Self {
        Self::caused_by(
            ErrorKind::OperationFailed,
            "operation was not carried out",
            failure,
        )
    }
}
