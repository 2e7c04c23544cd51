//! PostgreSQL's connection URL, taken apart as far as the launcher needs it.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// `postgres://user:password@host:port/database?options`. The parts keep the percent-encoding they came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl {
    user: String,
    password: Option<String>,
    authority: String,
    database: String,
    options: String,
}

impl DatabaseUrl {
    /// The same server and role in another database.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self {
            database: database.to_owned(),
            ..self.clone()
        }
    }

    /// The same server and database as another role. Its name and password must not need percent-encoding.
    #[must_use]
    pub fn with_role(&self, role: &str, password: &str) -> Self {
        Self {
            user: role.to_owned(),
            password: Some(password.to_owned()),
            ..self.clone()
        }
    }

    /// The same with this password, or without one.
    #[must_use]
    pub fn with_password(&self, password: Option<&str>) -> Self {
        Self {
            password: password.map(str::to_owned),
            ..self.clone()
        }
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The password as it is, without percent-encoding.
    pub fn password(&self) -> Option<String> {
        self.password.as_deref().map(percent_decoded)
    }
}

impl FromStr for DatabaseUrl {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let shape = "a database url looks like postgres://user:password@host:port/database";
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .context(shape)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, authority) = rest.rsplit_once('@').context(shape)?;
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password.to_owned())),
            None => (credentials, None),
        };
        if user.is_empty() || authority.is_empty() {
            bail!(shape);
        }
        Ok(Self {
            user: user.to_owned(),
            password,
            authority: authority.to_owned(),
            database: if database.is_empty() { user } else { database }.to_owned(),
            options: options.to_owned(),
        })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}", self.user)?;
        if let Some(password) = &self.password {
            write!(f, ":{password}")?;
        }
        write!(f, "@{}/{}", self.authority, self.database)?;
        if !self.options.is_empty() {
            write!(f, "?{}", self.options)?;
        }
        Ok(())
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        if let Some(byte) = code {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
