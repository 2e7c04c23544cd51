//! `GET /api/admin/ledger/trial-balance`

use axum::{extract::State, response::IntoResponse};
use chassis::http::{Json, Problems};
use chrono::{DateTime, Utc};
use common::{
    auth::Admin,
    money::{Currency, Money},
};
use http::header;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App,
    db::books::{self, Balance},
    domain::Account,
    error::Error,
};

/// What every account holds.
#[derive(Serialize, ToSchema)]
pub struct TrialBalance {
    /// When it held so.
    as_of: DateTime<Utc>,
    /// One for each currency, by its code.
    currencies: Vec<CurrencyBalance>,
}

/// Every account in one currency.
#[derive(Serialize, ToSchema)]
pub struct CurrencyBalance {
    /// The currency's code.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Those that ever had an entry.
    accounts: Vec<AccountBalance>,
    /// Sum of all debits.
    debit: Money,
    /// Sum of all credits.
    credit: Money,
    /// Debits minus credits: zero, or the books are wrong.
    balance: Money,
}

/// One account in one currency.
#[derive(Serialize, ToSchema)]
pub struct AccountBalance {
    account: Account,
    debit: Money,
    credit: Money,
    /// Debits minus credits.
    balance: Money,
}

/// What every account holds, in each currency. For admins.
#[utoipa::path(
    get, path = "/api/admin/ledger/trial-balance", tag = "admin", operation_id = "trial_balance",
    security(("bearer" = ["ADMIN"])),
    responses((status = 200, description = "debits, credits and balance of every account", body = TrialBalance), Problems),
)]
pub async fn trial_balance(State(app): State<App>, _: Admin) -> Result<impl IntoResponse, Error> {
    let as_of = app.clock.now();
    let found = books::balances(app.db.pool()).await?;
    let currencies = found
        .chunk_by(|one, next| one.currency == next.currency)
        .map(|balances| balance(balances[0].currency, balances))
        .collect::<Option<_>>();
    let currencies = currencies.ok_or_else(|| Error::Internal("a sum left 64 bits".to_owned()))?;
    let reply = TrialBalance { as_of, currencies };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(reply)))
}

/// None when a sum leaves 64 bits.
fn balance(currency: Currency, balances: &[Balance]) -> Option<CurrencyBalance> {
    let money = |minor| Money::new(minor, currency);
    let sum = |side: fn(&Balance) -> i64| {
        let mut sides = balances.iter().map(side);
        sides.try_fold(0, i64::checked_add)
    };
    let (debit, credit) = (sum(|b| b.debit)?, sum(|b| b.credit)?);
    let account = |held: &Balance| AccountBalance {
        account: held.account,
        debit: money(held.debit),
        credit: money(held.credit),
        balance: money(held.debit - held.credit),
    };
    Some(CurrencyBalance {
        currency: currency.as_str(),
        accounts: balances.iter().map(account).collect(),
        debit: money(debit),
        credit: money(credit),
        balance: money(debit - credit),
    })
}
