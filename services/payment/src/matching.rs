//! The provider's account is matched with the books: what each payout is made of, every charge that became available,
//! and every settlement that is booked. What differs is a matter for a person, until a later run finds it as it should be.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use chassis::telemetry::metrics;
use chrono::Duration;
use common::ids::PaymentId;
use prometheus::GaugeVec;
use uuid::Uuid;

use crate::{
    app::App,
    db::{
        exceptions, lookup, payments,
        runs::{self, Difference, Run},
        settlements,
    },
    domain::{EntryKind, Exception, Fit, Kind, Settled, Transaction, fit},
    error::Error,
    inquiry, money_back, paying_out,
    provider::{Failure, Span},
};

/// How much of the provider's account is read at once, and of how long before the run a charge may be that became
/// available in it.
const STRETCH: Duration = Duration::hours(1);
const EARLIER: Duration = Duration::days(14);
/// How many settlements are looked up one by one in one run.
const SINGLE: i64 = 10_000;
/// Who closes a matter that a later run settles.
const RUN: &str = "a later run";

static DIFFERENCES: LazyLock<GaugeVec> = LazyLock::new(|| {
    metrics::gauge(
        "reconciliation_differences",
        "Differences between the provider's account and the books, of the last run.",
        &["kind"],
    )
});

/// Works through a run and ends it.
///
/// # Errors
/// When the provider or the database does not answer: the run is taken up again.
pub async fn work(app: &App, mut run: Run) -> Result<Run, Error> {
    let mut matcher = Matcher {
        app,
        run: run.id,
        differences: HashMap::new(),
    };
    let all = Span {
        from: run.from_time,
        until: run.until_time,
    };
    paying_out::follow(&mut matcher, all).await?;
    matcher.charges(all).await?;
    matcher.settlements(all).await?;
    let count = |kind| {
        let found = matcher
            .differences
            .values()
            .filter(|difference| difference.fit == kind);
        i64::try_from(found.count()).unwrap_or(i64::MAX)
    };
    run.missing_local = count(Fit::MissingLocal);
    run.missing_psp = count(Fit::MissingPsp);
    run.amount_diff = count(Fit::AmountDiff);
    "DONE".clone_into(&mut run.state);
    run.finished_at = Some(app.clock.now());
    matcher.finish(&mut run).await?;
    for (kind, found) in [
        (Fit::MissingLocal, run.missing_local),
        (Fit::MissingPsp, run.missing_psp),
        (Fit::AmountDiff, run.amount_diff),
    ] {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 2^52 one more matters little"
        )]
        DIFFERENCES
            .with_label_values(&[kind.as_str()])
            .set(found as f64);
    }
    Ok(run)
}

/// A run at work, with what it has found.
pub struct Matcher<'a> {
    /// The service.
    pub app: &'a App,
    run: Uuid,
    differences: HashMap<String, Difference>,
}

impl Matcher<'_> {
    /// Every charge whose money became available in this time is in the books.
    async fn charges(&mut self, all: Span) -> Result<(), Error> {
        // What has just become available is looked at by the reconciler first.
        let head_start = Duration::from_std(self.app.settings.cadences.reconcile_after);
        let settled_by = (all.until - head_start.unwrap_or(STRETCH)).timestamp();
        let mut from = all.from - EARLIER;
        while from < all.until {
            let until = (from + STRETCH).min(all.until);
            let charged = self
                .app
                .charges
                .psp()
                .charged(Span { from, until })
                .await
                .map_err(|failure| silent(&failure))?;
            let due: Vec<_> = charged
                .into_iter()
                .filter(|it| it.is_available() && it.available_on <= settled_by)
                .collect();
            self.compare(&due).await?;
            from = until;
        }
        Ok(())
    }

    /// Every settlement that was booked in this time is in the provider's account.
    async fn settlements(&mut self, all: Span) -> Result<(), Error> {
        let left = settlements::unmatched(self.app.db.pool(), all.from, all.until, SINGLE).await?;
        for booked in left {
            if self.differences.contains_key(&booked.txn) {
                continue;
            }
            match self.app.charges.psp().transaction(&booked.txn).await {
                Ok(found) => {
                    self.compare(std::slice::from_ref(&found)).await?;
                }
                Err(Failure::Missing) => self.differ(Difference {
                    subject: booked.txn,
                    fit: Fit::MissingPsp,
                    payment_id: Some(booked.payment_id),
                    currency: Some(booked.currency),
                    there: None,
                    here: Some(booked.gross),
                }),
                Err(failure) => return Err(silent(&failure)),
            }
        }
        Ok(())
    }

    /// Compares entries of the provider's with the books, and says of each how it fits and whose payment it is.
    ///
    /// # Errors
    /// When the provider or the database does not answer.
    pub async fn compare(
        &mut self,
        there: &[Transaction],
    ) -> Result<Vec<(Fit, Option<PaymentId>)>, Error> {
        let (here, asked) = self.booked(there).await?;
        let (mut matched, mut settled) = (Vec::new(), Vec::new());
        let mut fits = Vec::with_capacity(there.len());
        for entry in there {
            let Some(moved) = entry.moved() else {
                fits.push((Fit::Other, None));
                continue;
            };
            let booked = here.get(&entry.id);
            let entered = entry.entered(moved);
            let fit = fit(entered, booked);
            let mut payment_id = booked.map(|booked| booked.payment_id);
            if fit == Fit::Matched {
                matched.push(entry.id.as_str());
                // The fee of what was converted waits for a person.
                if booked.is_some_and(|booked| !entered.is_converted(booked)) {
                    settled.push(entry.id.as_str());
                }
            } else {
                if payment_id.is_none() {
                    payment_id = match asked.get(entry.id.as_str()) {
                        Some(found) => *found,
                        None => self.payment_of(moved, entry).await?,
                    };
                    self.ask(payment_id).await?;
                }
                self.differ(Difference {
                    subject: entry.id.clone(),
                    fit,
                    payment_id,
                    currency: Some(entry.currency.to_uppercase()),
                    there: Some(entered.gross - entered.fee),
                    here: booked.map(|booked| booked.gross - booked.fee),
                });
            }
            fits.push((fit, payment_id));
        }
        self.note(&matched, &settled).await?;
        Ok(fits)
    }

    /// What the books have of these entries, by balance transaction. Of what they do not have the provider is asked first:
    /// nobody may have told of a refund or a dispute, nor looked for a settlement yet. Whose payment it is is given too,
    /// by entry.
    async fn booked<'t>(
        &self,
        there: &'t [Transaction],
    ) -> Result<
        (
            HashMap<String, Settled>,
            HashMap<&'t str, Option<PaymentId>>,
        ),
        Error,
    > {
        let pool = self.app.db.pool();
        let (charges, back): (Vec<_>, Vec<_>) = there
            .iter()
            .filter_map(|entry| Some((entry, entry.moved()?)))
            .partition(|(_, moved)| *moved == EntryKind::Charge);
        let txns: Vec<&str> = charges.iter().map(|(it, _)| it.id.as_str()).collect();
        let rows: Vec<_> = back
            .iter()
            .filter_map(|(it, moved)| Some((it.id.as_str(), it.object()?, *moved)))
            .map(|(txn, object, moved)| (txn, object, moved == EntryKind::RefundFailure))
            .collect();
        let look = async || -> Result<Vec<Settled>, sqlx::Error> {
            let mut here = settlements::by(pool, &txns).await?;
            here.extend(settlements::gone_back(pool, &rows).await?);
            Ok(here)
        };
        let mut here = look().await?;
        let known: HashSet<&str> = here.iter().map(|it| it.txn.as_str()).collect();
        let mut asked = HashMap::new();
        let mut learned = HashSet::new();
        for (entry, moved) in charges.iter().chain(&back) {
            let charge = *moved == EntryKind::Charge;
            // What is not available yet cannot have been settled.
            if known.contains(entry.id.as_str()) || (charge && !entry.is_available()) {
                continue;
            }
            let found = self.payment_of(*moved, entry).await?;
            asked.insert(entry.id.as_str(), found);
            match found.filter(|id| learned.insert((charge, *id))) {
                Some(id) if charge => drop(inquiry::ask(self.app, id).await?),
                Some(id) => money_back::ask(self.app, id).await?,
                None => {}
            }
        }
        if !learned.is_empty() {
            here = look().await?;
        }
        let here = here.into_iter().map(|it| (it.txn.clone(), it)).collect();
        Ok((here, asked))
    }

    async fn note(&self, matched: &[&str], settled: &[&str]) -> Result<(), Error> {
        if matched.is_empty() {
            return Ok(());
        }
        let now = self.app.clock.now();
        let mut tx = self.app.db.begin().await?;
        settlements::matched(&mut tx, self.run, matched, now).await?;
        exceptions::close(&mut tx, Kind::Reconciliation, settled, RUN, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The payment of ours that an entry is about.
    async fn payment_of(
        &self,
        moved: EntryKind,
        entry: &Transaction,
    ) -> Result<Option<PaymentId>, Error> {
        let Some(id) = entry.object() else {
            return Ok(None);
        };
        let intent = match self.app.charges.psp().intent_of(moved, id).await {
            Ok(intent) => intent,
            Err(Failure::Missing) => None,
            Err(failure) => return Err(silent(&failure)),
        };
        let Some(intent) = intent else {
            return Ok(None);
        };
        let ids = lookup::ids_of(self.app.db.pool(), &[&intent]).await?;
        Ok(ids.first().copied())
    }

    /// Has a payment looked at, which books what is ours.
    async fn ask(&self, id: Option<PaymentId>) -> Result<(), Error> {
        let Some(id) = id else { return Ok(()) };
        let mut tx = self.app.db.begin().await?;
        payments::ask_by(&mut tx, &[id], self.app.clock.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    fn differ(&mut self, difference: Difference) {
        self.differences
            .insert(difference.subject.clone(), difference);
    }

    async fn finish(&self, run: &mut Run) -> Result<(), Error> {
        let now = self.app.clock.now();
        let found: Vec<Difference> = self.differences.values().cloned().collect();
        let matters: Vec<Exception> = found
            .iter()
            .map(|difference| Exception {
                kind: Kind::Reconciliation,
                subject: difference.subject.clone(),
                payment_id: difference.payment_id,
                amount: difference.money(),
                detail: format!(
                    "the provider's account and the books differ: {}",
                    difference.fit.as_str()
                ),
                due_at: None,
            })
            .collect();
        let mut tx = self.app.db.begin().await?;
        run.matched = settlements::matched_by(&mut *tx, run.id).await?;
        runs::insert_differences(&mut tx, run.id, &found).await?;
        exceptions::open(&mut tx, &matters, now).await?;
        runs::finish(&mut tx, run).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Nobody answers: the run is taken up again.
pub fn silent(failure: &Failure) -> Error {
    tracing::warn!(error = %failure, "the provider's account is not read just now");
    Error::PspUnavailable
}
