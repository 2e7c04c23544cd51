//! Every query of this service; each table is written from one file.

pub mod accounts;
pub mod sessions;
