//! Request parameters in Stripe's notation: `metadata[order]=7&expand[]=latest_charge`.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// The decoded parameters of one request, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes a query string or a form body.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Self, ApiError> {
        let pairs = serde_urlencoded::from_bytes(encoded);
        pairs
            .map(Self)
            .map_err(|_| ApiError::invalid("Invalid request: the parameters cannot be decoded."))
    }

    /// The value of `name`, the last one if it was given twice. An empty value counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(key, _)| key == name)?;
        Some(found.1.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of `name`, owned.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The whole number `name`.
    pub(crate) fn integer(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        self.get(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::invalid(format!("Invalid integer: {text}"))
                        .code("parameter_invalid_integer")
                        .param(name)
                })
            })
            .transpose()
    }

    /// The entries of `name[key]=value`.
    pub(crate) fn map(&self, name: &str) -> BTreeMap<String, String> {
        let entry = |key: &str| {
            let inner = key
                .strip_prefix(name)?
                .strip_prefix('[')?
                .strip_suffix(']')?;
            Some(inner.to_owned())
        };
        self.0
            .iter()
            .filter_map(|(key, value)| Some((entry(key)?, value.clone())))
            .collect()
    }

    /// What the merchant wants to remember with an object.
    pub(crate) fn metadata(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let metadata = self.map("metadata");
        let too_long = |(key, value): (&String, &String)| {
            key.chars().count() > 40 || value.chars().count() > 500
        };
        if metadata.len() > 50 || metadata.iter().any(too_long) {
            let message = "Metadata can hold 50 keys of up to 40 characters with values of up to 500 characters.";
            return Err(ApiError::invalid(message).param("metadata"));
        }
        Ok(metadata)
    }

    /// The value of `name`, which must be one of `known`.
    pub(crate) fn choice(
        &self,
        name: &'static str,
        known: &[&str],
    ) -> Result<Option<String>, ApiError> {
        let value = self.text(name);
        match value.as_deref().filter(|value| !known.contains(value)) {
            Some(other) => {
                let known = known.join(", ");
                let message = format!("Invalid {name}: must be one of {known}; got {other}");
                Err(ApiError::invalid(message).param(name))
            }
            None => Ok(value),
        }
    }

    /// The values of `name[]=a&name[]=b` or `name[0]=a&name[1]=b`.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let matches = |key: &str| {
            key.strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('[')?.strip_suffix(']'))
                .is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.0
            .iter()
            .filter(|(key, _)| matches(key))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Refuses whatever is not in `known`, as Stripe does: a misspelt parameter must not pass in silence.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let root = |key: &'_ str| key.split('[').next().unwrap_or_default().to_owned();
        let unknown = self
            .0
            .iter()
            .map(|(key, _)| root(key))
            .find(|root| !known.contains(&root.as_str()));
        match unknown {
            Some(name) => {
                let message = format!("Received unknown parameter: {name}");
                Err(ApiError::invalid(message)
                    .code("parameter_unknown")
                    .param(name))
            }
            None => Ok(()),
        }
    }

    /// SHA-256 of the parameters whatever their order, in hex.
    pub(crate) fn fingerprint(&self) -> String {
        let mut pairs: Vec<_> = self.0.iter().collect();
        pairs.sort();
        let mut hash = Sha256::new();
        for (key, value) in pairs {
            for part in [key, value] {
                hash.update(part.len().to_le_bytes());
                hash.update(part);
            }
        }
        hex::encode(hash.finalize())
    }
}
