//! The chassis against real servers.

mod cache;
mod db;
mod described;
mod env;
mod history;
mod http;
mod kafka;
mod lifecycle;
mod telemetry;
