//! Identifiers in Stripe's manner: a prefix and random letters.

use rand::{RngExt, distr::Alphanumeric};

/// Makes a new identifier of an object, as `pi_3` and 23 random letters and digits.
pub(crate) fn object(prefix: &str) -> String {
    format!("{prefix}_3{}", random(23))
}

/// Makes a new identifier of a request.
pub(crate) fn request() -> String {
    format!("req_{}", random(14))
}

/// Makes the secret that lets a browser see and confirm the intent `id`, and nothing else.
pub(crate) fn client_secret(id: &str) -> String {
    format!("{id}_secret_{}", random(25))
}

fn random(length: usize) -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}
