use axum::extract::State;
use serde_json::{Value, json};

use crate::{App, call::Call, error::ApiError, reply::Reply};

/// `GET /v1/balance`: what was not paid out, by currency, and whether it already could be.
pub(crate) async fn get(State(app): State<App>, call: Call) -> Result<Reply, ApiError> {
    call.merchant()?;
    call.only(&[], &[])?;
    let now = app.desk.now_ms();
    let tables = app.desk.store.read();
    let (mut available, mut pending) = (Vec::new(), Vec::new());
    for (currency, unpaid) in tables.balance.unpaid() {
        let (free, bound): (Vec<_>, Vec<_>) = unpaid.iter().partition(|it| it.is_available(now));
        let sum = |part: Vec<_>| -> i64 {
            part.into_iter()
                .map(|it: &&crate::model::Transaction| it.net())
                .sum()
        };
        available.push(amount(currency, sum(free)));
        pending.push(amount(currency, sum(bound)));
    }
    Ok(Reply::ok(&json!({
        "object": "balance", "available": available, "livemode": false, "pending": pending,
    })))
}

fn amount(currency: &str, amount: i64) -> Value {
    json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } })
}
