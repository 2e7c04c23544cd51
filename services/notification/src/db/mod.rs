//! Every query of this service; each table is written from one file.

pub mod campaigns;
pub mod contacts;
pub mod deliveries;
