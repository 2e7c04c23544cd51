//! The notification service on real PostgreSQL and Kafka, with MailCrab's mail server.

mod deliveries;
mod facts;
mod helpers;
mod mail;
mod mailbox;
mod openapi;
mod pure;
mod retries;
mod socket;
mod socket_limits;
mod sql;
