//! What a person may enter, parsed once and believed ever after.
//!
//! Pure: no I/O. A value of these types has passed its rules.

use std::{collections::HashSet, sync::LazyLock};

use common::contact::Email;
use secrecy::{ExposeSecret, SecretString};

/// The shortest password, in characters; 15 and more are what the documentation recommends.
const PASSWORD_MIN: usize = 8;
/// The longest password, in characters. Nothing is ever cut off: a longer one is refused.
const PASSWORD_MAX: usize = 128;

/// The passwords that every guesser tries first, one in a line, in lower case.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// A password that is good enough to be set.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Accepts 8 to 128 characters of any kind that are neither well known nor the address itself.
    ///
    /// # Errors
    /// Says what a person should enter instead.
    pub fn parse(text: &str, email: &Email) -> Result<Self, &'static str> {
        let length = text.chars().count();
        if length < PASSWORD_MIN {
            return Err("must have at least 8 characters; 15 or more are better");
        }
        if length > PASSWORD_MAX {
            return Err("must have at most 128 characters");
        }
        let lower = text.to_lowercase();
        if COMMON.contains(lower.as_str()) {
            return Err("is one of the most common passwords");
        }
        let local = email.key().split('@').next().unwrap_or_default();
        if lower == email.key() || lower == local {
            return Err("must not be the e-mail address");
        }
        if text.chars().all(|c| text.starts_with(c)) {
            return Err("must not be one character repeated");
        }
        Ok(Self(text.into()))
    }

    /// The password, to be hashed.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}
