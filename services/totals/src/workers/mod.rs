//! What goes on by itself.

pub(crate) mod announce;
pub(crate) mod refresh;
