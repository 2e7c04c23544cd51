//! What the provider pays out is followed until it has arrived or failed: what each payout is made of is matched with the
//! books, and donors are told once that their money has arrived at the bank account of the platform.

use chrono::Duration;
use common::{
    ids::PaymentId,
    money::{Currency, Money},
};
use uuid::Uuid;

use crate::{
    app::App,
    db::{exceptions, lookup, paid_out, payments::Saved, payouts},
    domain::{Change, Exception, Kind, Payout},
    error::Error,
    matching::{Matcher, silent},
    provider::Span,
    transition::{self, Made},
};

/// How long a payout is followed: a bank books it days after it was made, and may send it back days after that.
const FOLLOWED: Duration = Duration::days(14);
/// How many payments one transaction tells of.
const AT_ONCE: i64 = 200;
/// What moves a payment that is paid out.
const CAUSE: &str = "paid out";

/// Looks at the payouts of a run's time and of the time before it.
///
/// # Errors
/// 503 when the provider or the database does not answer: what was kept and told until then stays.
pub async fn follow(matcher: &mut Matcher<'_>, run: Span) -> Result<(), Error> {
    let app = matcher.app;
    let made = Span {
        from: run.from - FOLLOWED,
        until: run.until,
    };
    let found = app.charges.psp().payouts(made).await;
    let found = found.map_err(|failure| silent(&failure))?;
    keep(app, &found).await?;
    let itemised = found.iter().filter(|payout| payout.is_itemised());
    let itemised: Vec<&str> = itemised.map(|payout| payout.id.as_str()).collect();
    for payout in payouts::unread(app.db.pool(), &itemised).await? {
        read(matcher, &payout).await?;
    }
    for payout in found.iter().filter(|payout| payout.has_arrived()) {
        tell(app, &payout.id).await?;
    }
    Ok(())
}

/// Keeps payouts as they stand. One that has failed since is a matter for a person, and no run closes it.
async fn keep(app: &App, found: &[Payout]) -> Result<(), Error> {
    let ids: Vec<&str> = found.iter().map(|payout| payout.id.as_str()).collect();
    let mut tx = app.db.begin().await?;
    let known = payouts::failed(&mut *tx, &ids).await?;
    let news = found
        .iter()
        .filter(|it| it.has_failed() && !known.contains(&it.id));
    let matters: Vec<Exception> = news.map(failed).collect();
    payouts::keep(&mut tx, found).await?;
    exceptions::open(&mut tx, &matters, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

fn failed(payout: &Payout) -> Exception {
    let currency = Currency::parse(&payout.currency.to_uppercase());
    Exception {
        kind: Kind::Reconciliation,
        subject: payout.id.clone(),
        payment_id: None,
        amount: currency.ok().map(|it| Money::new(payout.amount, it)),
        detail: format!(
            "a payout does not reach the bank account: {}",
            payout.status
        ),
        due_at: None,
    }
}

/// Matches what a payout is made of with the books.
async fn read(matcher: &mut Matcher<'_>, payout: &str) -> Result<(), Error> {
    let app = matcher.app;
    let parts = match app.charges.psp().paid_out(payout).await {
        Ok(parts) => parts,
        // It would say the same for ever, and everything else must not wait for that.
        Err(failure) if failure.is_answer() => {
            tracing::error!(psp.payout = payout, error = %failure, "the provider does not say what a payout is made of");
            return Ok(());
        }
        Err(failure) => return Err(silent(&failure)),
    };
    let fits = matcher.compare(&parts).await?;
    let parts: Vec<_> = parts
        .iter()
        .zip(fits)
        .map(|(part, (fit, payment))| (part, fit, payment))
        .collect();
    let mut tx = app.db.begin().await?;
    payouts::keep_items(&mut tx, payout, &parts, app.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Tells of the payments of a payout that has arrived; whoever was told of before is left alone.
async fn tell(app: &App, payout: &str) -> Result<(), Error> {
    let mut last = Uuid::nil();
    loop {
        let found = payouts::untold(app.db.pool(), payout, last, AT_ONCE).await?;
        let Some(end) = found.last() else {
            return Ok(());
        };
        last = end.get();
        tell_of(app, payout, &found).await?;
    }
}

async fn tell_of(app: &App, payout: &str, found: &[PaymentId]) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let mut held = lookup::lock(&mut tx, found, &[]).await?;
    // Only under the locks is it certain that nobody else tells of the same, and that something is left to be paid out.
    let known = paid_out::known(&mut *tx, found).await?;
    held.retain(|payment| payment.left() > 0 && !known.contains(&payment.payment_id));
    if held.is_empty() {
        tx.rollback().await?;
        return Ok(());
    }
    let changed: Vec<(i64, Change)> = held
        .iter_mut()
        .map(|payment| (payment.version, payment.paid_out(now)))
        .collect();
    let pairs = || held.iter().zip(&changed);
    let saved: Vec<Saved<'_>> = pairs()
        .map(|(payment, (was, _))| Saved { payment, was: *was })
        .collect();
    let made: Vec<Made<'_>> = pairs()
        .map(|(payment, (_, change))| Made::by(CAUSE, None, payment, change))
        .collect();
    let versions: Vec<(PaymentId, i64)> = held
        .iter()
        .map(|payment| (payment.payment_id, payment.version))
        .collect();
    transition::write(&mut tx, &saved, &made).await?;
    paid_out::insert(&mut tx, payout, &versions, now).await?;
    tx.commit().await?;
    Ok(())
}
