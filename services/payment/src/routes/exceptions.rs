//! `GET /api/admin/exceptions`, and what closes one.

use std::str::FromStr;

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Path, Problem, Problems, Query};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    idempotency::{self, Claim, Joined, Reply},
    ids::PaymentId,
    money::Money,
    openapi::IdempotencyKey,
    paging::{Moment, NoPlace, Page, Paging},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    App,
    db::{
        exceptions,
        matters::{self, Matter},
        parked,
    },
    domain::Kind,
    error::Error,
    suspense,
};

chassis::problems!(OfClose:
    422 invalid_reason,
);

/// The longest note, in characters.
const NOTE: usize = 500;

/// What can be read.
pub fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// What takes an Idempotency-Key.
pub fn keyed() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(close))
}

/// Which matters.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only those of this kind.
    kind: Option<Kind>,
    /// How many items to give at most; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
}

/// A matter that a person has to look at.
#[derive(Serialize, ToSchema)]
#[schema(as = Exception)]
pub struct ExceptionView {
    kind: Kind,
    /// What it is about.
    subject: String,
    payment_id: Option<PaymentId>,
    /// How much money.
    amount: Option<Money>,
    /// What happened.
    detail: String,
    opened_at: DateTime<Utc>,
    /// For how long it has been open, in seconds.
    age_seconds: i64,
    /// When it will be too late, where there is such a time.
    due_at: Option<DateTime<Utc>>,
    next_action: NextAction,
}

/// What to do about it.
#[derive(Serialize, ToSchema)]
pub struct NextAction {
    /// A stable code.
    #[schema(example = "wait_for_provider")]
    code: &'static str,
    /// The same for a person.
    text: &'static str,
}

/// Why a matter is closed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// What was found or done; it is logged.
    #[schema(min_length = 1, max_length = 500)]
    note: String,
}

/// A matter that is closed.
#[derive(Serialize, ToSchema)]
pub struct ClosedException {
    kind: Kind,
    subject: String,
    /// The admin, and the note.
    closed_by: String,
    closed_at: DateTime<Utc>,
}

/// What tells apart the matters of one time: kind and subject.
#[derive(Default)]
struct Place {
    kind: String,
    subject: String,
}

impl FromStr for Place {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (kind, subject) = text.split_once('.').ok_or(NoPlace)?;
        Kind::parse(kind).ok_or(NoPlace)?;
        Ok(Self {
            kind: kind.to_owned(),
            subject: subject.to_owned(),
        })
    }
}

/// The open matters, oldest first. For admins.
#[utoipa::path(
    get, path = "/api/admin/exceptions", tag = "admin", operation_id = "list_exceptions",
    params(Which), security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "a page of open matters", body = Page<ExceptionView>), Problems),
)]
pub async fn list(
    State(app): State<App>,
    _: Admin,
    Query(which): Query<Which>,
) -> Result<impl IntoResponse, Problem> {
    let paging = Paging::of(which.limit, which.cursor);
    let rows = paging.rows()?;
    let place = paging.after()?;
    let first = || Moment(DateTime::UNIX_EPOCH, Place::default());
    let Moment(at, last) = place.unwrap_or_else(first);
    let after = (at, last.kind.as_str(), last.subject.as_str());
    let found = matters::open(app.db.pool(), which.kind, after, rows).await?;
    let place = |matter: &Matter| {
        let what = format!("{}.{}", matter.kind.as_str(), matter.subject);
        Moment(matter.opened_at, what).to_string()
    };
    let now = app.clock.now();
    let page = Page::of(found, rows, place, |matter| view(matter, now));
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)))
}

/// Closes a matter. For admins.
///
/// What has to be done about it is done first, for this changes nothing else, but that a payment whose suspended money is
/// kept ends by it, and that a delivery about an unknown payment is not judged by itself any more.
#[utoipa::path(
    post, path = "/api/admin/exceptions/{kind}/{subject}/close", tag = "admin", operation_id = "close_exception",
    params(
        ("kind" = Kind, Path, description = "what kind of matter"),
        ("subject" = String, Path, description = "what it is about"),
        IdempotencyKey,
    ),
    request_body = Closing, security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "it is closed", body = ClosedException), OfClose),
)]
pub async fn close(
    State(app): State<App>,
    claim: Claim,
    Admin(by): Admin,
    Path((kind, subject)): Path<(Kind, String)>,
    Json(body): Json<Closing>,
) -> Result<Reply, Error> {
    let note = body.note.trim();
    if note.is_empty() || note.chars().count() > NOTE || note.contains('\0') {
        return app.idempotency.refuse(&claim, Error::Reason).await;
    }
    let closed_by = format!("{}: {note}", by.user_id);
    let closed_at = app.clock.now();
    let mut tx = app.db.begin().await?;
    let is_open = if subject.contains('\0') {
        None
    } else {
        matters::is_open(&mut *tx, kind, &subject).await?
    };
    if is_open != Some(true) {
        tx.rollback().await?;
        return app.idempotency.refuse(&claim, Error::NotFound).await;
    }
    let reply = Reply::json(
        StatusCode::OK,
        &ClosedException {
            kind,
            subject: subject.clone(),
            closed_by: closed_by.clone(),
            closed_at,
        },
    );
    if let Joined::Replay(earlier) = idempotency::join(&mut tx, &claim, &reply).await? {
        tx.rollback().await?;
        return Ok(earlier);
    }
    match kind {
        Kind::Suspense => {
            if let Some(payment) = matters::payment_of(&mut *tx, kind, &subject).await? {
                suspense::kept(&mut tx, payment, closed_at).await?;
            }
        }
        Kind::Parked => parked::remove(&mut tx, &[&subject]).await?,
        _ => {}
    }
    exceptions::close(&mut tx, kind, &[&subject], &closed_by, closed_at).await?;
    tx.commit().await?;
    tracing::info!(kind = kind.as_str(), subject, user.id = %by.user_id, note, "a matter was closed");
    Ok(reply)
}

fn view(matter: Matter, now: DateTime<Utc>) -> ExceptionView {
    let (code, text) = matter.kind.next_action();
    ExceptionView {
        kind: matter.kind,
        subject: matter.subject,
        payment_id: matter.payment_id,
        amount: matter.amount,
        detail: matter.detail,
        opened_at: matter.opened_at,
        age_seconds: (now - matter.opened_at).num_seconds().max(0),
        due_at: matter.due_at,
        next_action: NextAction { code, text },
    }
}
