//! Extractors that say who is calling.

use axum::extract::{FromRef, FromRequestParts};
use chassis::http::Problem;
use http::{HeaderMap, StatusCode, header, request::Parts};

use super::{Identity, Role, TokenError, Verifier};

/// Whoever calls: an account, or a guest, who sent no token. A token that is not valid is refused (401), never
/// taken for a guest's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A verified account.
    User(Identity),
    /// Nobody we know.
    Guest,
}

/// An account that may run the platform; others get 403.
#[derive(Clone, Copy, Debug)]
pub struct Admin(pub Identity);

impl Caller {
    /// The account, unless it is a guest.
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::User(identity) => Some(*identity),
            Self::Guest => None,
        }
    }

    /// Whether it is an admin's account.
    pub fn is_admin(&self) -> bool {
        matches!(
            self,
            Self::User(Identity {
                role: Role::Admin,
                ..
            })
        )
    }
}

/// Reads the caller off the `Authorization` header.
///
/// # Errors
/// 401 `invalid_token` for a token that is not valid, or another scheme than `Bearer`.
pub fn caller_of(headers: &HeaderMap, verifier: &Verifier) -> Result<Caller, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Ok(Caller::Guest);
    };
    let token = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let verified = token
        .ok_or(TokenError::Invalid)
        .and_then(|(_, token)| verifier.verify(token.trim()));
    verified
        .map(Caller::User)
        .map_err(|error| unauthorized("invalid_token", &error.to_string()))
}

fn unauthorized(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).header(
        header::WWW_AUTHENTICATE,
        http::HeaderValue::from_static("Bearer"),
    )
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // The idempotency layer has already asked, where a route has one.
        if let Some(caller) = parts.extensions.get::<Self>() {
            return Ok(*caller);
        }
        caller_of(&parts.headers, &Verifier::from_ref(state))
    }
}

impl<S> FromRequestParts<S> for Identity
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Caller::from_request_parts(parts, state).await? {
            Caller::User(identity) => Ok(identity),
            Caller::Guest => Err(unauthorized(
                "unauthenticated",
                "this needs an access token",
            )),
        }
    }
}

impl<S> FromRequestParts<S> for Admin
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Identity::from_request_parts(parts, state).await? {
            identity @ Identity {
                role: Role::Admin, ..
            } => Ok(Self(identity)),
            _ => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                "only an admin may do this",
            )),
        }
    }
}
