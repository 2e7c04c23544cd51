//! Who is calling: access tokens of people, and the capability tokens that a guest's pledge comes with.
//!
//! The gateway verifies the access token, and each service verifies it again: no position in the network is trusted.

mod claims;
mod extract;
pub mod tokens;

pub use claims::{Identity, Issuer, Role, TokenError, Verifier};
pub use extract::{Admin, Caller, caller_of};
