//! Money that goes back, by refunds and disputes: the provider is asked for all that it lists of a payment, and what it
//! lists is written whole, under the payment's lock.
//!
//! Webhooks, the reply to our own call, and rounds without any webhook all end here, so that a refund is one row
//! whoever tells of it first.

use chassis::{clock::Clock, telemetry};
use chrono::{DateTime, Duration, Utc};
use common::{ids::PaymentId, payment::State};
use sqlx::PgConnection;

use crate::{
    app::App,
    db::{
        books, disputes, exceptions, lookup,
        payments::{self, Saved},
        refunds, transitions,
    },
    domain::{Effect, File, Learned, Look, Payment},
    error::Error,
    ledger,
    provider::{Failure, Stripe},
    transition::{self, Made},
};

/// How long after it was last seen a refund on its way is looked at again, where no webhook tells of it.
const AGAIN: Duration = Duration::minutes(1);

/// Asks the provider for the payment's refunds and disputes, and learns them.
///
/// # Errors
/// 503 when the provider gives no answer, or the database is away.
pub async fn ask(app: &App, id: PaymentId) -> Result<(), Error> {
    let found = lookup::find(app.db.pool(), id).await?;
    let Some(intent) = found.and_then(|payment| payment.provider_ref) else {
        return Ok(());
    };
    let look = look(app.charges.psp(), &intent, &app.clock).await.map_err(|failure| {
        tracing::warn!(payment.id = %id, error = %failure, "what went back is not known just now");
        Error::PspUnavailable
    })?;
    let mut tx = app.db.begin().await?;
    let Some(mut held) = Held::lock(&mut tx, id).await? else {
        return Ok(());
    };
    let went_back =
        !(look.refunds.is_empty() && look.disputes.is_empty() && look.unread.is_empty());
    if went_back
        && held.payment.captured == 0
        && !books::has(&mut *tx, id, Effect::Suspense, &intent).await?
    {
        // What went back was taken first: the news of that is still on its way.
        let soon = app.clock.now() + app.settings.resolve_after / 2;
        payments::ask_by(&mut tx, &[id], soon).await?;
    }
    let now = app.clock.now();
    let learned = held.file.learn(&mut held.payment, &look, held.settled, now);
    held.write(&mut tx, &learned, now).await?;
    tx.commit().await?;
    for caused in &learned.changes {
        let kind = caused.change.event.kind.as_str();
        tracing::info!(payment.id = %id, cause = caused.cause, "the provider was asked: {kind}");
    }
    Ok(())
}

async fn look(psp: &Stripe, intent: &str, clock: &Clock) -> Result<Look, Failure> {
    let (refunds, mut unread) = psp.refunds(intent).await?;
    // Right before: of two looks at once, the one that asked later has seen the newer.
    let listed_at = clock.now();
    let (disputes, more) = psp.disputes(intent).await?;
    unread.extend(more);
    for unread in &unread {
        tracing::error!(psp.object = unread.id, "the provider lists {}", unread.what);
    }
    Ok(Look {
        refunds,
        listed_at,
        disputes,
        unread,
    })
}

/// A payment under its lock, with its refunds and disputes.
pub struct Held {
    /// The payment.
    pub payment: Payment,
    /// Its refunds and disputes.
    pub file: File,
    was: i64,
    settled: bool,
}

impl Held {
    /// Locks a payment until the transaction ends.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn lock(
        connection: &mut PgConnection,
        id: PaymentId,
    ) -> Result<Option<Self>, sqlx::Error> {
        let locked = lookup::lock(connection, &[id], &[]).await?;
        let Some(payment) = locked.into_iter().next() else {
            return Ok(None);
        };
        let refunds = refunds::of_payment(&mut *connection, id).await?;
        let disputes = disputes::of_payment(&mut *connection, id).await?;
        let settled = transitions::was_settled(&mut *connection, id).await?;
        Ok(Some(Self {
            was: payment.version,
            payment,
            file: File { refunds, disputes },
            settled,
        }))
    }

    /// Writes what was learned.
    ///
    /// # Errors
    /// When the database refuses; nothing of the transaction may stand then.
    pub async fn write(
        &self,
        connection: &mut PgConnection,
        learned: &Learned,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let trace_id = telemetry::trace_id();
        let trace_id = trace_id.as_deref();
        refunds::save(connection, &learned.refunds, now + AGAIN).await?;
        disputes::save(connection, &learned.disputes).await?;
        ledger::post(
            connection,
            self.payment.payment_id,
            &learned.posts,
            trace_id,
            now,
        )
        .await?;
        let made: Vec<Made<'_>> = learned
            .changes
            .iter()
            .map(|caused| Made::by(&caused.cause, trace_id, &self.payment, &caused.change))
            .collect();
        if !made.is_empty() {
            let saved = Saved {
                payment: &self.payment,
                was: self.was,
            };
            transition::write(connection, &[saved], &made).await?;
            if self.payment.state == State::Refunded && !self.settled {
                // The provider's fee is to be booked once the charge is available.
                payments::ask_by(connection, &[self.payment.payment_id], now).await?;
            }
        }
        for (kind, subject) in &learned.closed {
            exceptions::close(connection, *kind, &[subject], "the provider", now).await?;
        }
        exceptions::open(connection, &learned.opened, now).await
    }
}
