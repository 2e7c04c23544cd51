//! Queries, one file per table that they write.

pub(crate) mod donations;
pub(crate) mod donors;
pub(crate) mod totals;
pub(crate) mod watermarks;
