//! Controls with which a test plays the bank, the cardholder and the calendar.

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, extract::State};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{disputes, path::Id, refunds};
use crate::{
    App,
    desk::{Origin, PayoutOrder},
    error::ApiError,
    machine::{self, Bank, Change, Opening},
    model::{DisputeStatus, Fact, PayoutStatus, RefundStatus, Turn},
    reply::Reply,
    store::Slot,
    view::PayoutView,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complaint {
    amount: Option<i64>,
    #[serde(default = "fraudulent")]
    reason: String,
    #[serde(default = "needs_response")]
    status: DisputeStatus,
}

fn fraudulent() -> String {
    "fraudulent".to_owned()
}

fn needs_response() -> DisputeStatus {
    DisputeStatus::NeedsResponse
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ruling {
    status: DisputeStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settlement {
    status: RefundStatus,
    failure_reason: Option<String>,
    /// How much later; at once by default.
    after_ms: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    currency: Option<String>,
    /// As the schedule does it; by hand without.
    #[serde(default)]
    automatic: bool,
    /// How much later the bank books it; as the rules say without.
    arrives_after_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrival {
    status: PayoutStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    per_second: u32,
}

/// `POST /_sim/charges/{id}/dispute`: the cardholder complains.
pub(crate) async fn dispute(
    State(app): State<App>,
    Id(id): Id,
    body: Bytes,
) -> Result<Reply, ApiError> {
    let complaint: Complaint = read(&body)?;
    let slot = {
        let tables = app.desk.store.read();
        let fact = tables.charges.get(&id);
        let slot = fact.and_then(|fact| tables.intents.get(fact.intent_id()));
        slot.cloned()
            .ok_or_else(|| ApiError::missing("charge", &id, "id"))?
    };
    let opening = Opening {
        amount: complaint.amount,
        reason: complaint.reason,
        status: complaint.status,
    };
    Ok(act(&app, slot, move |fact, bank| {
        if fact.intent.latest_charge.as_deref() != Some(&id) {
            return Err(ApiError::refused("A failed charge cannot be disputed."));
        }
        machine::open(fact, opening, bank)
    })
    .await)
}

/// `POST /_sim/disputes/{id}`: the bank rules, or asks.
pub(crate) async fn rule(
    State(app): State<App>,
    Id(id): Id,
    body: Bytes,
) -> Result<Reply, ApiError> {
    let Ruling { status } = read(&body)?;
    let slot = disputes::slot(&app.desk, &id)?;
    Ok(act(&app, slot, move |fact, bank| {
        machine::rule(fact, &id, status, bank)
    })
    .await)
}

/// `POST /_sim/refunds/{id}`: the payer's bank moves a refund on, now or later.
pub(crate) async fn settle(
    State(app): State<App>,
    Id(id): Id,
    body: Bytes,
) -> Result<Reply, ApiError> {
    let Settlement {
        status,
        failure_reason,
        after_ms,
    } = read(&body)?;
    let slot = refunds::slot(&app.desk, &id)?;
    Ok(act(&app, slot, move |fact, bank| match after_ms {
        None => machine::settle(fact, &id, status, failure_reason, bank),
        Some(wait) => {
            let at = bank.after(Duration::from_millis(wait));
            let turn = Turn { at, to: status };
            machine::annotate(fact, &id, [].into(), Some(turn))
        }
    })
    .await)
}

/// `POST /_sim/payouts`: all that is available is paid out.
pub(crate) async fn pay_out(State(app): State<App>, body: Bytes) -> Result<Reply, ApiError> {
    let run: Run = if body.is_empty() {
        Run::default()
    } else {
        read(&body)?
    };
    let order = PayoutOrder {
        currency: run.currency,
        automatic: run.automatic,
        arrives_after: run.arrives_after_ms.map(Duration::from_millis),
    };
    let made = app.desk.pay_out(&order).await;
    let made = made.map_err(|_| ApiError::internal())?;
    let data: Vec<_> = made.iter().map(|fact| PayoutView(&fact.payout)).collect();
    Ok(Reply::ok(&json!({ "data": data })))
}

/// `POST /_sim/payouts/{id}`: the merchant's bank books a payout, or sends it back.
pub(crate) async fn arrive(
    State(app): State<App>,
    Id(id): Id,
    body: Bytes,
) -> Result<Reply, ApiError> {
    let Arrival { status } = read(&body)?;
    let moved = app.desk.move_payout(&id, status).await?;
    Ok(Reply::ok(&PayoutView(&moved.payout)))
}

/// `POST /_sim/rate`: how many requests the merchant may make in a second; zero is without a limit.
pub(crate) async fn limit(State(app): State<App>, body: Bytes) -> Result<Reply, ApiError> {
    let Limit { per_second } = read(&body)?;
    app.desk.rate.set(per_second, app.desk.now_ms());
    Ok(rate(State(app)).await)
}

/// `GET /_sim/rate`
pub(crate) async fn rate(State(app): State<App>) -> Reply {
    Reply::ok(&json!({ "per_second": app.desk.rate.per_second() }))
}

/// A control is carried out even when whoever asked for it leaves.
async fn act(
    app: &App,
    slot: Arc<Slot>,
    decide: impl FnOnce(&Fact, &Bank<'_>) -> Result<Change, ApiError> + Send + 'static,
) -> Reply {
    let desk = app.desk.clone();
    let work = async move { desk.act(&slot, Origin::own(), decide).await };
    let done = app.desk.life.track(work).await;
    done.unwrap_or_else(|_| ApiError::internal().into())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|why| ApiError::invalid(format!("Unusable: {why}")))
}
