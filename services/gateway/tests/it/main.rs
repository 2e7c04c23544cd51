//! The gateway before real HTTP servers of the test's own.

mod bodies;
mod breaker;
mod client;
mod failures;
mod headers;
mod helpers;
mod limits;
mod platform;
mod raw;
mod routing;
mod streaming;
mod tokens;
mod websocket;
