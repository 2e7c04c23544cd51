//! What goes on by itself.

pub(crate) mod announce;
pub(crate) mod audit;
pub(crate) mod rebuild;
pub(crate) mod refresh;
