//! How a CareForAll process runs: environment, clock, lifecycle, telemetry, database, Kafka, cache and HTTP.
//!
//! Nothing in here knows what a pledge is; a chat server could be built on it. What CareForAll promises lives
//! in the `common` crate.

pub mod cache;
pub mod clock;
pub mod db;
pub mod env;
pub mod failpoint;
pub mod guard;
pub mod http;
pub mod kafka;
pub mod lifecycle;
pub mod process;
pub mod telemetry;

/// A request makes hundreds of small allocations, often freed by another thread: the C library's allocator took a fifth
/// of the pledge service's time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
