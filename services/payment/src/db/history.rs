//! The history of a payment, and lists of payments, read.

use chrono::{DateTime, Utc};
use common::{ids::PaymentId, payment::State};
use sqlx::PgExecutor;
use uuid::Uuid;

/// A step of a payment.
pub struct Step {
    /// Version of the snapshot that told of it.
    pub version: i64,
    /// Where the payment stood.
    pub from: State,
    /// Where it went.
    pub to: State,
    /// What moved it.
    pub cause: String,
    /// Whether nobody told of it.
    pub implied: bool,
    /// The provider's event behind it.
    pub psp_event: Option<String>,
    /// The request behind it.
    pub trace_id: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Row {
    version: i64,
    from_state: String,
    to_state: String,
    cause: String,
    implied: bool,
    psp_event: Option<String>,
    trace_id: Option<String>,
    at: DateTime<Utc>,
}

/// The steps of a payment, oldest first.
pub async fn of(executor: impl PgExecutor<'_>, id: PaymentId) -> Result<Vec<Step>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "select version, from_state, to_state, cause, implied, psp_event, trace_id, at
         from payment_transitions where payment_id = $1 order by id",
    )
    .bind(id.get())
    .fetch_all(executor)
    .await?;
    let state = |text: String| {
        let parsed: Result<State, _> = text.parse();
        parsed.map_err(|error| sqlx::Error::Decode(Box::new(error)))
    };
    let typed = |row: Row| {
        Ok(Step {
            version: row.version,
            from: state(row.from_state)?,
            to: state(row.to_state)?,
            cause: row.cause,
            implied: row.implied,
            psp_event: row.psp_event,
            trace_id: row.trace_id,
            at: row.at,
        })
    };
    rows.into_iter().map(typed).collect()
}

/// The ids of payments after this one, in the order of their ids.
pub async fn all(
    executor: impl PgExecutor<'_>,
    after: PaymentId,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select payment_id from payments where payment_id > $1 order by payment_id limit $2",
    )
    .bind(after.get())
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// The ids of payments in this state after this one, in the order of their ids.
pub async fn in_state(
    executor: impl PgExecutor<'_>,
    state: State,
    after: PaymentId,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select payment_id from payments where state = $1 and payment_id > $2 order by payment_id limit $3",
    )
    .bind(state.as_str())
    .bind(after.get())
    .bind(limit)
    .fetch_all(executor)
    .await
}

/// The ids of payments after this one, in the order of their ids, that wait for an answer of the provider and have not
/// moved since `before`; in one state, or in any.
pub async fn stuck(
    executor: impl PgExecutor<'_>,
    state: Option<State>,
    before: DateTime<Utc>,
    after: PaymentId,
    limit: i64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select p.payment_id
         from (select payment_id from payments where retry_at is not null and retry_at >= '-infinity'
               union select payment_id from payments where ending_at is not null and ending_at >= '-infinity'
               union select payment_id from captures where retry_at is not null and retry_at >= '-infinity') waiting
         join payments p on p.payment_id = waiting.payment_id
         where p.payment_id > $1 and p.updated_at <= $2 and ($3::text is null or p.state = $3)
         order by p.payment_id limit $4",
    )
    .bind(after.get())
    .bind(before)
    .bind(state.map(State::as_str))
    .bind(limit)
    .fetch_all(executor)
    .await
}
