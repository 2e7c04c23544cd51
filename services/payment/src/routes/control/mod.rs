//! What admins do to payments and to charging as a whole, and how anybody sees what may happen to a payment.

mod capture;
mod charging;
mod list;
mod machine;
mod transitions;
mod void;

use common::{
    idempotency::{self, Claim, Joined, Reply},
    payment::State,
};
use http::StatusCode;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::view::View;
use crate::{App, domain::Payment, error::Error};

/// What can be read.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(machine::machine))
        .routes(routes!(transitions::transitions))
        .routes(routes!(list::list))
        .routes(routes!(charging::get))
}

/// What takes an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(capture::capture))
        .routes(routes!(void::void))
        .routes(routes!(charging::put))
}

/// Answers with the payment: 200 once it is `done`, whatever has become of the payment since, and 202 while the provider
/// has not answered. Only what is done is stored under the key: the same request later tells how it went.
///
/// # Errors
/// 409 where the payment went another way.
async fn answer(app: &App, claim: &Claim, payment: &Payment, done: bool) -> Result<Reply, Error> {
    if !done && payment.state == State::Authorized {
        return Ok(Reply::json(StatusCode::ACCEPTED, &View::from(payment)));
    }
    if !done {
        return Err(Error::InvalidTransition);
    }
    let reply = Reply::json(StatusCode::OK, &View::from(payment));
    let mut tx = app.db.begin().await?;
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    tx.commit().await?;
    Ok(reply)
}
