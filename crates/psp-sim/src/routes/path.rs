use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::{App, error::ApiError, reply::Reply};

/// The `{id}` of a path.
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<App> for Id {
    type Rejection = Reply;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Reply> {
        let unrecognized = || {
            Reply::from(ApiError::unrecognized(
                parts.method.as_str(),
                parts.uri.path(),
            ))
        };
        let not_found = unrecognized();
        let Ok(params) = RawPathParams::from_request_parts(parts, app).await else {
            return Err(not_found);
        };
        let id = params
            .iter()
            .find(|(name, _)| *name == "id")
            .map(|(_, id)| Self(id.to_owned()));
        id.ok_or(not_found)
    }
}
