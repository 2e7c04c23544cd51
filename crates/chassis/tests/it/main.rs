//! The chassis against real servers.

mod cache;
mod db;
mod env;
mod http;
mod kafka;
mod lifecycle;
mod telemetry;
