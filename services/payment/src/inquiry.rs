//! The provider is asked about a payment, and what it shows moves the payment, under its lock, by the same machine and
//! the same way out as what it tells.

use chrono::{DateTime, Utc};
use common::{
    ids::PaymentId,
    money::{Currency, Money},
    payment::{Event, State},
};
use sqlx::PgConnection;

use crate::{
    app::App,
    db::{books, exceptions, lookup, payments::Saved},
    domain::{
        Change, Effect, Exception, Kind, Observation, Payment, Post, Told, Transaction, observe,
    },
    error::Error,
    late, ledger,
    provider::{Failure, Inquired},
    suspense,
    transition::{self, Made},
};

/// What moves a payment that was looked at.
const FETCHED: &str = "fetched";

/// What asking about a payment came to.
pub struct Found {
    /// The payment as it stands now.
    pub payment: Payment,
    /// Whether it has changed.
    pub changed: bool,
    /// When its money is available, where the provider has said so and that time is still to come.
    pub available_at: Option<DateTime<Utc>>,
    /// Whether some of the money went back, or the donor's bank wants it.
    pub goes_back: bool,
}

/// Asks the provider about a payment whose intent is known, and applies the answer; none where there is nothing to ask
/// about, or the provider knows no such intent, which is a matter for a person.
///
/// # Errors
/// 503 when the provider or the database does not answer.
pub async fn ask(app: &App, id: PaymentId) -> Result<Option<Found>, Error> {
    let Some(payment) = lookup::find(app.db.pool(), id).await? else {
        return Ok(None);
    };
    let Some(intent) = &payment.provider_ref else {
        return Ok(None);
    };
    let shown = match app.charges.psp().inquire(intent).await {
        Ok(shown) => shown,
        Err(Failure::Missing) => {
            missing(app, &payment).await?;
            return Ok(None);
        }
        Err(failure) => {
            tracing::warn!(payment.id = %id, error = %failure, "the provider was asked about a payment in vain");
            return Err(Error::PspUnavailable);
        }
    };
    chassis::failpoint!("payment.after_inquiry");
    let mut tx = app.db.begin().await?;
    let found = apply(&mut tx, &payment, &shown, app.clock.now()).await?;
    tx.commit().await?;
    if found.changed {
        let state = found.payment.state.as_str();
        tracing::info!(payment.id = %id, state, "the provider was asked, and the payment went along");
    }
    Ok(Some(found))
}

/// Moves a payment to where its intent stands, in one transaction. Every attempt of the pledge is locked: what is taken
/// late is judged by the others, too.
///
/// # Errors
/// When the database refuses; nothing of the transaction may stand then.
pub async fn apply(
    connection: &mut PgConnection,
    known: &Payment,
    shown: &Inquired,
    now: DateTime<Utc>,
) -> Result<Found, sqlx::Error> {
    let mut others = lookup::lock_attempts(connection, known.pledge_id).await?;
    let at = others
        .iter()
        .position(|held| held.payment_id == known.payment_id);
    let mut payment = at
        .map(|at| others.remove(at))
        .ok_or(sqlx::Error::RowNotFound)?;
    let was = payment.version;
    let mut changes: Vec<(Box<Change>, &'static str)> = Vec::new();
    let seen = shown.intent.seen();
    let transaction = shown
        .latest_charge
        .as_ref()
        .and_then(|charge| charge.balance_transaction.as_ref());
    let mut agreed = true;
    let mut recorded = false;
    match observe(&mut payment, &seen, now) {
        Observation::Change(change) => changes.push((change, FETCHED)),
        Observation::Recorded => recorded = true,
        Observation::Nothing => {}
        Observation::Contradiction(_)
            if seen.received > 0
                && !is_ours(&payment, &seen.currency, seen.amount, seen.received) =>
        {
            agreed = false;
            let went_back = shown
                .latest_charge
                .as_ref()
                .map_or(0, |charge| charge.amount_refunded);
            if let Ok(currency) = Currency::parse(&seen.currency.to_uppercase()) {
                let taken = Money::new(seen.received, currency);
                let ended = suspense::keep(connection, &mut payment, taken, went_back, now).await?;
                changes.extend(ended.map(|change| (change, "suspense.given_back")));
            } else {
                let why = "taken in a currency that we do not know";
                disagree(connection, &payment, why, now).await?;
            }
        }
        Observation::Contradiction(why) => {
            let taken = late::judge(connection, &mut payment, &others, seen.received, now).await?;
            if let Some(change) = taken {
                changes.push((change, late::CAUSE));
            } else {
                disagree(connection, &payment, why, now).await?;
                agreed = false;
            }
        }
    }
    if let Some(transaction) = transaction.filter(|_| agreed)
        && let Some(change) = settle(connection, &mut payment, transaction, now).await?
    {
        changes.push((change, "settled"));
    }
    if recorded || !changes.is_empty() {
        let made: Vec<Made<'_>> = changes
            .iter()
            .map(|(change, cause)| Made::by(cause, None, &payment, change))
            .collect();
        let saved = Saved {
            payment: &payment,
            was,
        };
        transition::write(connection, &[saved], &made).await?;
    }
    if agreed {
        let subject = payment.payment_id.to_string();
        for kind in [Kind::Conflict, Kind::Quarantined, Kind::Unknown] {
            exceptions::close(connection, kind, &[&subject], exceptions::PROVIDER, now).await?;
        }
    }
    let available = transaction.and_then(|it| DateTime::from_timestamp(it.available_on, 0));
    let charge = shown.latest_charge.as_ref();
    Ok(Found {
        changed: !changes.is_empty(),
        available_at: available.filter(|at| *at > now),
        goes_back: charge.is_some_and(|charge| charge.amount_refunded > 0 || charge.disputed),
        payment,
    })
}

/// Whether this is money that we asked for.
fn is_ours(payment: &Payment, currency: &str, amount: i64, received: i64) -> bool {
    payment
        .amount
        .currency
        .as_str()
        .eq_ignore_ascii_case(currency)
        && amount == payment.amount.minor
        && received <= amount
}

/// The money has become available: its settlement is booked under the provider's own entry. Of money that went back
/// before, only the provider's fee is left to book.
async fn settle(
    connection: &mut PgConnection,
    payment: &mut Payment,
    transaction: &Transaction,
    now: DateTime<Utc>,
) -> Result<Option<Box<Change>>, sqlx::Error> {
    if !transaction.is_available() {
        return Ok(None);
    }
    let (id, object) = (payment.payment_id, &transaction.id);
    match payment.state {
        State::Captured => {}
        State::Refunded if !books::has(&mut *connection, id, Effect::Settled, object).await? => {}
        _ => return Ok(None),
    }
    let fee = if payment
        .amount
        .currency
        .as_str()
        .eq_ignore_ascii_case(&transaction.currency)
    {
        transaction.fee
    } else {
        let detail = format!("settled in {}: its fee is not booked", transaction.currency);
        let currency = Currency::parse(&transaction.currency.to_uppercase());
        let fee = currency.map(|currency| Money::new(transaction.fee, currency));
        let matter = matter(
            payment,
            Kind::Reconciliation,
            transaction.id.clone(),
            detail,
            fee.ok(),
        );
        exceptions::open(connection, &[matter], now).await?;
        0
    };
    if payment.state == State::Refunded {
        if fee != 0 {
            let post = Post::fee(object, Money::new(fee, payment.amount.currency));
            ledger::post(connection, id, &[post], None, now).await?;
        }
        return Ok(None);
    }
    let told = Told {
        minor: payment.captured,
        fee,
        object: Some(object),
        ..Told::default()
    };
    Ok(payment.hear(Event::Settled, told, now).ok().map(Box::new))
}

/// The provider itself shows what cannot be: a person must look.
async fn disagree(
    connection: &mut PgConnection,
    payment: &Payment,
    why: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let detail = format!("the provider was asked, and still: {why}");
    let matter = matter(
        payment,
        Kind::Conflict,
        payment.payment_id.to_string(),
        detail,
        Some(payment.amount),
    );
    exceptions::open(connection, &[matter], now).await
}

async fn missing(app: &App, payment: &Payment) -> Result<(), Error> {
    let detail = "the provider does not know the intent that it once gave".to_owned();
    let subject = payment.provider_ref.clone().unwrap_or_default();
    let matter = matter(
        payment,
        Kind::Reconciliation,
        subject,
        detail,
        Some(payment.amount),
    );
    let mut tx = app.db.begin().await?;
    exceptions::open(&mut tx, &[matter], app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

fn matter(
    payment: &Payment,
    kind: Kind,
    subject: String,
    detail: String,
    amount: Option<Money>,
) -> Exception {
    Exception {
        kind,
        subject,
        payment_id: Some(payment.payment_id),
        amount,
        detail,
        due_at: None,
    }
}
