//! What must hold for the crate as a whole. One binary, so that it links once.

mod schema;
