//! What stands in the OpenAPI description of many operations: `params(openapi::IdempotencyKey)`, and who may call.

use serde::Deserialize;
use utoipa::{
    IntoParams,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};

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

/// Adds the credentials that are no access token to a description, so that operations can name them:
/// `security(("guest" = []), ("bearer" = ["OWNER"]))`. Whoever has one of them may call; `()` stands for nobody in
/// particular. Behind a scheme stands who the caller must be: `ADMIN`, `ORGANISER` of the campaign, `OWNER` of the pledge,
/// or nothing where every bearer may call and finds what is theirs.
#[must_use]
pub fn credentials(mut document: OpenApi) -> OpenApi {
    let schemes = [
        (
            "guest",
            key(
                ApiKey::Header,
                "X-Guest-Token",
                "the token that the pledge came with",
            ),
        ),
        (
            "ticket",
            key(
                ApiKey::Query,
                "ticket",
                "the ticket that the pledge came with; a body that has a member of this name carries it there instead",
            ),
        ),
        (
            "stripe",
            key(
                ApiKey::Header,
                "Stripe-Signature",
                "the provider's HMAC over time and raw body",
            ),
        ),
        ("service", secret("the secret that the services share")),
    ];
    let components = document.components.get_or_insert_default();
    for (name, scheme) in schemes {
        components.add_security_scheme(name, scheme);
    }
    document
}

fn key(place: fn(ApiKeyValue) -> ApiKey, name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(place(ApiKeyValue::with_description(name, description)))
}

fn secret(description: &str) -> SecurityScheme {
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer);
    SecurityScheme::Http(bearer.description(Some(description)).build())
}
