//! The chassis against real servers.

mod cache;
mod kafka;
mod telemetry;
