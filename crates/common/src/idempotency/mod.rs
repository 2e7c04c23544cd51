//! One effect per Idempotency-Key (draft-ietf-httpapi-idempotency-key-header; rules R1 to R6).
//!
//! A key belongs to a caller, a method and a route. [`required`] wraps a route: it refuses a request without a
//! usable key and gives the handler a [`Claim`]. The handler stores its [`Reply`] under the claim in the statement
//! or transaction of its effect ([`join`], or its own statement), so that effect and reply commit together or not at
//! all. Whoever comes second gets the first's bytes. PostgreSQL decides; Redis is a
//! read-through copy that the first request with a key never touches.
//!
//! Only 2xx replies are stored. A refusal is answered after the key was looked up ([`Idempotency::refuse`]), so that
//! a retry of a gift that was accepted is told so even when the campaign has ended in between.

mod claim;
mod reply;
mod store;

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chassis::{cache::Cache, db::Db, http::Problem};
use http::StatusCode;

pub use claim::Claim;
pub use reply::Reply;
pub use store::{Joined, Stored, insert_columns, insert_new, join, stored};

use crate::auth::{Verifier, caller_of};

/// The largest body that is read for its fingerprint, in bytes.
const BODY_LIMIT: usize = 64 * 1024;
/// How long Redis remembers a finished reply that was asked for again; PostgreSQL keeps it longer.
const REMEMBERED: Duration = Duration::from_hours(24);

/// What can go wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The same key came with another body.
    #[error("this key was used with another request body")]
    KeyReused,
    /// A twin in another process has not committed yet.
    #[error("a request with this key is still running")]
    InProgress,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                error.to_string(),
            ),
            Error::InProgress => Self::new(
                StatusCode::CONFLICT,
                "idempotency_in_progress",
                error.to_string(),
            )
            .retry_after(1),
            Error::Database(error) => Self::database(&error),
        }
    }
}

/// The store of finished replies.
#[derive(Clone)]
pub struct Idempotency(Arc<Store>);

struct Store {
    db: Db,
    cache: Cache,
    verifier: Verifier,
}

impl Idempotency {
    /// Opens the store over the service's own schema.
    pub fn new(db: &Db, cache: &Cache, verifier: &Verifier) -> Self {
        Self(Arc::new(Store {
            db: db.clone(),
            cache: cache.clone(),
            verifier: verifier.clone(),
        }))
    }

    /// The finished reply of this claim, if there is one: from Redis, else from PostgreSQL, and then Redis knows it too.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key belongs to another body, [`Error::Database`].
    pub async fn lookup(&self, claim: &Claim) -> Result<Option<Reply>, Error> {
        let Store { db, cache, .. } = &*self.0;
        let key = claim.cache_key();
        if let Some(found) = cache
            .get(&key)
            .await
            .and_then(|bytes| Stored::decode(&bytes))
        {
            return found.reply_for(claim).map(Some);
        }
        let mut connection = db.pool().acquire().await?;
        let mut found = stored(&mut connection, &[claim.scope()]).await?;
        drop(connection);
        let Some(found) = found.remove(&claim.scope()) else {
            return Ok(None);
        };
        cache.put(&key, &found.encode(), REMEMBERED).await;
        found.reply_for(claim).map(Some)
    }

    /// Answers a refusal, unless the key has a finished reply: then that one.
    ///
    /// # Errors
    /// The refusal itself, or what the look-up of the key says.
    pub async fn refuse<E: From<Error>>(&self, claim: &Claim, refusal: E) -> Result<Reply, E> {
        match self.lookup(claim).await? {
            Some(reply) => Ok(reply.replayed()),
            None => Err(refusal),
        }
    }
}

/// Wraps a route that takes an Idempotency-Key: `.layer(middleware::from_fn_with_state(idempotency, required))`.
///
/// Reads the body once, at most 64 KiB of it, and hands it on.
pub async fn required(State(store): State<Idempotency>, request: Request, next: Next) -> Response {
    let request = match claim_of(&store.0, request).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    next.run(request).await
}

async fn claim_of(store: &Store, request: Request) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let caller = caller_of(&parts.headers, &store.verifier)?;
    let key = claim::key_of(&parts.headers, &caller)?;
    let bytes = to_bytes(body, BODY_LIMIT).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "the body is larger than this route accepts",
        )
    })?;
    // The path and not the route's template: one key must not span two resources.
    let target = parts.uri.path();
    let claim = Claim::new(&caller, &parts.method, target, &key, &bytes)?;
    parts.extensions.insert(claim);
    parts.extensions.insert(caller);
    Ok(Request::from_parts(parts, Body::from(bytes)))
}
