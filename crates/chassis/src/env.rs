//! The process environment, read once and judged as a whole.
//!
//! Each accessor answers with a usable value and notes what is wrong; [`Env::finish`] then reports every problem
//! at once, so that an operator does not mend a configuration one variable at a time.

use std::{collections::HashMap, fmt, str::FromStr};

use secrecy::SecretString;

/// The shortest secret that a process accepts, in bytes.
const SECRET_BYTES: usize = 32;

/// Variables and what was found wrong with them so far.
pub struct Env {
    vars: HashMap<String, String>,
    problems: Vec<String>,
}

/// Everything that was wrong with the environment.
#[derive(Debug, PartialEq, Eq)]
pub struct EnvError(Vec<String>);

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is not usable: {}", self.0.join("; "))
    }
}

impl std::error::Error for EnvError {}

impl Env {
    /// Reads the environment of this process.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the environment"
    )]
    pub fn process() -> Self {
        Self {
            vars: std::env::vars().collect(),
            problems: Vec::new(),
        }
    }

    /// Makes an environment of the given pairs.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let vars = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            vars,
            problems: Vec::new(),
        }
    }

    /// Gives the value of `name`, or the content of the file that `name_FILE` points to, without the final newline.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        if let Some(value) = self.vars.get(name).filter(|value| !value.is_empty()) {
            return Some(value.clone());
        }
        let path = self.vars.get(&format!("{name}_FILE"))?;
        match std::fs::read_to_string(path) {
            Ok(text) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => {
                self.problems
                    .push(format!("{name}_FILE={path} cannot be read: {error}"));
                None
            }
        }
    }

    /// Gives the value of `name`, which must be set.
    pub fn string(&mut self, name: &str) -> String {
        let known = self.problems.len();
        let value = self.optional(name);
        if value.is_none() && self.problems.len() == known {
            self.problems
                .push(format!("{name} (or {name}_FILE) is missing"));
        }
        value.unwrap_or_default()
    }

    /// Gives the secret `name`, which must be set and at least 32 bytes long.
    pub fn secret(&mut self, name: &str) -> SecretString {
        let value = self.string(name);
        if !value.is_empty() && value.len() < SECRET_BYTES {
            self.problems
                .push(format!("{name} is shorter than {SECRET_BYTES} bytes"));
        }
        value.into()
    }

    /// Gives the parsed value of `name`, or `default` where it is not set.
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T) -> T {
        let Some(text) = self.optional(name) else {
            return default;
        };
        text.parse().unwrap_or_else(|_| {
            self.problems.push(format!(
                "{name}={text} is not a valid {}",
                std::any::type_name::<T>()
            ));
            default
        })
    }

    /// Notes a problem that only the reader of the value can see.
    pub fn problem(&mut self, what: impl Into<String>) {
        self.problems.push(what.into());
    }

    /// Hands out the finished configuration.
    ///
    /// # Errors
    /// Names every variable that was missing or wrong.
    pub fn finish<T>(self, config: T) -> Result<T, EnvError> {
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(EnvError(self.problems))
        }
    }
}
