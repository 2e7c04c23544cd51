//! What a person may enter, parsed once and believed ever after.
//!
//! Pure: no I/O. A value of these types has passed its rules.

use std::{collections::HashSet, sync::LazyLock};

use secrecy::{ExposeSecret, SecretString};

/// The longest address that SMTP can carry, in bytes (RFC 5321, 4.5.3.1.3).
const EMAIL_BYTES: usize = 254;
/// The longest name, in characters.
const NAME_CHARS: usize = 100;
/// The shortest password, in characters; 15 and more are what the documentation recommends.
const PASSWORD_MIN: usize = 8;
/// The longest password, in characters. Nothing is ever cut off: a longer one is refused.
const PASSWORD_MAX: usize = 128;

/// The passwords that every guesser tries first, one in a line, in lower case.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// An e-mail address that mail can be sent to.
#[derive(Clone)]
pub struct Email {
    text: String,
    key: String,
}

impl Email {
    /// Reads an ASCII address, without the spaces around it.
    ///
    /// # Errors
    /// Says what a person should enter instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const REFUSED: &str = "must be an e-mail address";
        let text = text.trim();
        if text.len() > EMAIL_BYTES {
            return Err("must be at most 254 characters");
        }
        garde::rules::email::parse_email(text).map_err(|_| REFUSED)?;
        // Mail servers refuse dots at the ends of the local part or side by side, which the rule above lets pass.
        let local = text.split('@').next().unwrap_or_default();
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return Err(REFUSED);
        }
        Ok(Self {
            text: text.to_owned(),
            key: text.to_lowercase(),
        })
    }

    /// The address as it was entered: where mail goes.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normalised address: two addresses with one key are one account.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A name as a person wants to be called.
#[derive(Clone)]
pub struct Name(String);

impl Name {
    /// Reads a name of 1 to 100 characters, without the spaces around it.
    ///
    /// Line breaks and other control characters are refused: names stand in mail headers.
    ///
    /// # Errors
    /// Says what a person should enter instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.chars().count() > NAME_CHARS {
            return Err("must be at most 100 characters");
        }
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
        {
            return Err("must not contain line breaks or control characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
