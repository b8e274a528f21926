//! What the tests of both drivers share.

pub(crate) mod hostile;
