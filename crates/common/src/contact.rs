//! Names and addresses as people enter them, parsed once and believed ever after: where one service took what another
//! refuses, a donor would go without thanks.
//!
//! Pure: no I/O. A value of these types has passed its rules.

/// The longest address that SMTP can carry, in bytes (RFC 5321, 4.5.3.1.3).
const EMAIL_BYTES: usize = 254;
/// The longest name, in characters.
const NAME_CHARS: usize = 100;

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
