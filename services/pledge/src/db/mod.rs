//! Every SQL text of the service; each table is written from one file.

pub mod campaigns;
pub mod donors;
pub mod pledges;
pub mod receipts;
pub mod timeline;
pub mod twins;
