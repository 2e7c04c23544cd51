//! Who is calling: access tokens of people, the secret of our services, and the capability tokens that a guest's pledge comes with.
//!
//! The gateway verifies the access token, and each service verifies it again: no position in the network is trusted.

mod claims;
mod extract;
mod service;
pub mod tokens;

pub use claims::{Identity, Issuer, Role, TokenError, Verifier};
pub use extract::{Admin, Caller, caller_of};
pub use service::{Service, ServiceKey};
