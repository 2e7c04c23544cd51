//! What comes out of a topic, and what can go wrong with it.

use std::fmt;

use rdkafka::{
    Message as _,
    message::{BorrowedMessage, Headers},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

/// One message, free of the client library's buffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topic without the prefix.
    pub topic: String,
    /// Partition that it came from.
    pub partition: i32,
    /// Position in the partition.
    pub offset: i64,
    /// Key; empty when there is none or when it is not text.
    pub key: String,
    /// Payload; empty for the deletion of a key.
    pub payload: Vec<u8>,
    /// Headers in the order in which they were sent.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// Copies a message; `topic` is its name without the prefix.
    pub(super) fn copy(from: &BorrowedMessage<'_>, topic: &str) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = from.headers().map(|headers| {
            headers
                .iter()
                .map(|header| {
                    (
                        header.key.to_owned(),
                        header.value.map(text).unwrap_or_default(),
                    )
                })
                .collect()
        });
        Self {
            topic: topic.to_owned(),
            partition: from.partition(),
            offset: from.offset(),
            key: from.key().map(text).unwrap_or_default(),
            payload: from.payload().map(<[u8]>::to_vec).unwrap_or_default(),
            headers: headers.unwrap_or_default(),
        }
    }

    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the payload as JSON.
    ///
    /// # Errors
    /// A payload of another shape will never fit, so that the fault is permanent.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        Ok(serde_json::from_slice(&self.payload)?)
    }

    /// The CloudEvents id, which stays the same when an event is published twice.
    ///
    /// # Errors
    /// A message without one is no event of ours, and never will be.
    pub fn event_id(&self) -> Result<Uuid, Fault> {
        let id = self
            .header("ce_id")
            .ok_or_else(|| Fault::permanent("the header ce_id is missing"))?;
        id.parse()
            .map_err(|_| Fault::permanent("the header ce_id is not a uuid"))
    }
}

/// Why a handler could not do its work.
#[derive(Debug)]
pub enum Fault {
    /// Something else is away or busy: the same messages will do later.
    Transient(anyhow::Error),
    /// The message itself: it will never do.
    Permanent(anyhow::Error),
}

impl Fault {
    /// A fault that passes.
    pub fn transient(cause: impl fmt::Display) -> Self {
        Self::Transient(anyhow::anyhow!("{cause}"))
    }

    /// A fault that stays.
    pub fn permanent(cause: impl fmt::Display) -> Self {
        Self::Permanent(anyhow::anyhow!("{cause}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Transient(cause) | Self::Permanent(cause)) = self;
        write!(f, "{cause:#}")
    }
}

impl std::error::Error for Fault {}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Permanent(error.into())
    }
}

impl From<sqlx::Error> for Fault {
    /// Bad data (SQLSTATE classes 21 to 23) and values that do not decode stay bad. Everything else is the state
    /// of the database or of a deployment, and no reason to set a message aside.
    fn from(error: sqlx::Error) -> Self {
        let permanent = match &error {
            sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
                ["21", "22", "23"]
                    .iter()
                    .any(|class| code.starts_with(class))
            }),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::Encode(_)
            | sqlx::Error::RowNotFound => true,
            _ => false,
        };
        if permanent {
            Self::Permanent(error.into())
        } else {
            Self::Transient(error.into())
        }
    }
}
