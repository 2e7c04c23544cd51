//! Identifiers in Stripe's manner: a prefix, the time, and random letters.

use rand::{RngExt, distr::Alphanumeric};

/// Makes the identifier of an object that comes about now, at this Unix second: as `pi_3` and 23 letters and digits.
///
/// The first of them tell the time, so that later ones sort later. So they do at Stripe, to go by the examples in its API
/// reference (`re_1Nispe2eZvKYlo2Cd31jOCgZ` is younger than `evt_1NG8Du2eZvKYlo2CUI79vXWy`), and an index of them grows
/// at one end.
pub(crate) fn object(prefix: &str, now: i64) -> String {
    format!("{prefix}_3{now:08x}{}", random(15))
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
