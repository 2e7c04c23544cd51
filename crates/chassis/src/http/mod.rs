//! HTTP as every service speaks it: problems, extractors that answer problems, health, and a hardened server.

mod described;
mod extract;
mod health;
mod problem;
mod problems;
mod server;
mod service;

pub use extract::{Form, Json, Path, Query};
pub use health::Health;
pub use problem::{FieldError, Problem, ProblemBody};
pub use problems::Problems;
pub use server::{Limits, serve, serve_with};
pub use service::{AppInfo, detach_writes, service};
