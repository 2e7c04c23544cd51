//! The user service on real PostgreSQL and Kafka.

mod admin;
mod domain;
mod helpers;
mod login;
mod logout;
mod me;
mod openapi;
mod password;
mod refresh;
mod register;
mod sql;
