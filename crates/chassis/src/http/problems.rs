//! The error replies of operations, for their OpenAPI descriptions: each status with the codes that it comes with.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses, PartialSchema, ToSchema,
    openapi::{
        AllOfBuilder, ContentBuilder, ObjectBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Type,
        response::Response,
    },
};

use super::{FieldError, ProblemBody};

/// What every operation may answer, whatever else it does.
const EVERYWHERE: [(u16, &str, &[&str]); 13] = [
    (
        400,
        "malformed request, or a required header is missing",
        &[
            "malformed_json",
            "unreadable_body",
            "invalid_query",
            "invalid_limit",
            "invalid_cursor",
            "idempotency_key_missing",
            "idempotency_key_invalid",
        ],
    ),
    (
        401,
        "the credentials are not valid",
        &["unauthenticated", "invalid_token"],
    ),
    (403, "the caller may not do this", &["forbidden"]),
    (404, "nothing here, or not for this caller", &["not_found"]),
    (405, "the method is not allowed", &["method_not_allowed"]),
    (
        409,
        "the state of the resource does not allow this now",
        &["idempotency_in_progress"],
    ),
    (413, "the body is too large", &["body_too_large"]),
    (
        415,
        "the content type is not supported",
        &["unsupported_media_type"],
    ),
    (
        422,
        "the request is well-formed but not valid",
        &["invalid_body", "idempotency_key_reused"],
    ),
    (429, "too many requests", &["rate_limited"]),
    (500, "a mistake of ours", &["internal"]),
    (
        503,
        "not available just now, try again",
        &["unavailable", "overloaded"],
    ),
    (504, "took too long", &["timeout"]),
];

/// The error replies that every operation can give: `responses(Problems)`. An operation with codes of its own declares
/// them by [`crate::problems!`].
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        Self::with(&[])
    }
}

impl Problems {
    /// Where a reply that [`Self::reply`] describes has its codes, as a JSON pointer (RFC 6901).
    pub const CODES: &str =
        "/content/application~1problem+json/schema/allOf/1/properties/code/enum";

    /// These error replies, and an operation's own.
    pub fn with(own: &[(u16, &[&str])]) -> BTreeMap<String, RefOr<Response>> {
        let mut all: BTreeMap<u16, (&str, Vec<&str>)> = EVERYWHERE
            .into_iter()
            .map(|(status, description, codes)| (status, (description, codes.to_vec())))
            .collect();
        for (status, codes) in own {
            let (_, known) = all.entry(*status).or_insert_with(|| {
                let status = http::StatusCode::from_u16(*status).ok();
                let name = status.and_then(|status| status.canonical_reason());
                (name.unwrap_or("refused"), Vec::new())
            });
            known.extend_from_slice(codes);
        }
        let told = |(status, (description, codes)): (u16, (&str, Vec<&str>))| {
            (
                status.to_string(),
                RefOr::T(Self::reply(description, &codes)),
            )
        };
        all.into_iter().map(told).collect()
    }

    /// One error reply with its codes.
    pub fn reply(description: &str, codes: &[&str]) -> Response {
        let code = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(codes.iter().copied()));
        let body = AllOfBuilder::new()
            .item(Ref::from_schema_name(ProblemBody::name()))
            .item(ObjectBuilder::new().property("code", code));
        let content = ContentBuilder::new().schema(Some(body)).build();
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build()
    }

    /// Puts the schemas that the replies refer to into an OpenAPI document.
    pub fn register(document: &mut OpenApi) {
        let components = document.components.get_or_insert_default();
        components
            .schemas
            .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
        components
            .schemas
            .insert(FieldError::name().into_owned(), FieldError::schema());
    }
}

/// Declares what an operation may answer beside what every operation may, each status with its codes, as a type for
/// `responses(...)`:
///
/// ```
/// chassis::problems!(Refusals: 409 payment_closed, 410 pledge_expired, 503 psp_unavailable charging_paused);
/// ```
///
/// A debug build holds every reply against it, see [`crate::http::service`].
#[macro_export]
macro_rules! problems {
    ($name:ident: $($status:literal $($code:ident)+),+ $(,)?) => {
        struct $name;

        impl ::utoipa::IntoResponses for $name {
            fn responses() -> ::std::collections::BTreeMap<
                ::std::string::String,
                ::utoipa::openapi::RefOr<::utoipa::openapi::response::Response>,
            > {
                $crate::http::Problems::with(&[$(($status, &[$(stringify!($code)),+])),+])
            }
        }
    };
}
