//! Donors are told that their money is on its way to the bank account of the platform: once for each payment, from the
//! payout in which its charge was found.

use common::ids::PaymentId;

use crate::{
    app::App,
    db::{lookup, paid_out, payments::Saved},
    domain::{Change, Payout},
    error::Error,
    transition::{self, Made},
};

/// How many payments one transaction tells of.
const AT_ONCE: usize = 200;
/// What moves a payment that is paid out.
const CAUSE: &str = "paid out";

/// Tells of these payments that this payout has their money; whoever was told of before is left alone, and nobody is told
/// of a payout that does not arrive.
///
/// # Errors
/// 503 when the database does not answer: what was told until then stays told.
pub async fn tell(app: &App, payout: &Payout, found: &[PaymentId]) -> Result<(), Error> {
    if !payout.arrives() {
        return Ok(());
    }
    for found in found.chunks(AT_ONCE) {
        if paid_out::known(app.db.pool(), found).await?.len() == found.len() {
            continue;
        }
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        let mut held = lookup::lock(&mut tx, found, &[]).await?;
        // Only under the locks is it certain that nobody else tells of the same.
        let known = paid_out::known(&mut *tx, found).await?;
        held.retain(|payment| !known.contains(&payment.payment_id));
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
        paid_out::insert(&mut tx, &payout.id, &versions, now).await?;
        tx.commit().await?;
    }
    Ok(())
}
