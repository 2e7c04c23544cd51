//! Parameters that stand in the OpenAPI description of many operations: `params(openapi::IdempotencyKey)`.

use serde::Deserialize;
use utoipa::IntoParams;

/// The header of every operation that [`idempotency`](crate::idempotency) wraps.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IdempotencyKey {
    /// Makes a retry safe: the same key gets the first reply again. 8 to 255 printable characters, a UUID where no
    /// access token is sent.
    #[serde(rename = "Idempotency-Key")]
    #[param(min_length = 8, max_length = 255)]
    pub key: String,
}
