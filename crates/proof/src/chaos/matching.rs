//! The provider's account is matched with the books while everything breaks, and once more when all has come to rest.

use std::fmt;

use anyhow::Result;
use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{office::Office, world::World};

/// Where a run stands, and what it found.
const RUN: &str = "select state from payment.reconciliation_runs where run_id = $1";
const DIFFERENCES: &str =
    "select kind || ' of ' || subject from payment.reconciliation_differences where run_id = $1
                           order by subject";

/// What runs have told a person of, and no run has found settled.
const OPEN: &str =
    "select count(*) from payment.exceptions where kind = 'RECONCILIATION' and closed_at is null";

/// The last run: an admin's, which looks at the whole time of the load.
pub(super) struct LastRun {
    office: Office,
    run: Option<Uuid>,
    /// What the one before has found.
    differences: Vec<String>,
}

impl LastRun {
    /// A run that is still to be asked for.
    pub(super) fn new(world: &World) -> Self {
        Self {
            office: world.office.clone(),
            run: None,
            differences: Vec::new(),
        }
    }

    /// What is left until a run has found that everything agrees. What differs has been asked about by the run that found
    /// it, and is looked at by another.
    ///
    /// # Errors
    /// When the platform takes no order, or the database does not answer.
    pub(super) async fn left(&mut self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let Some(run) = self.run else {
            self.office.renew().await;
            self.run = Some(self.office.match_account().await?);
            return Ok(self.unfinished());
        };
        let state = sqlx::query_scalar(RUN).bind(run);
        let state: Option<String> = state.fetch_optional(&mut *connection).await?;
        match state.as_deref() {
            Some("QUEUED" | "RUNNING") => return Ok(self.unfinished()),
            Some("DONE") => {}
            _ => {
                self.run = None;
                return Ok(vec![format!(
                    "run {run} that matches the provider's account, which failed"
                )]);
            }
        }
        let differences = sqlx::query_scalar(DIFFERENCES).bind(run);
        self.differences = differences.fetch_all(&mut *connection).await?;
        if !self.differences.is_empty() {
            self.run = None;
            return Ok(self.unfinished());
        }
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(connection).await?;
        let open = (open > 0).then(|| format!("{open} open matters RECONCILIATION"));
        Ok(open.into_iter().collect())
    }

    fn unfinished(&self) -> Vec<String> {
        if self.differences.is_empty() {
            return vec!["the provider's account to match with the books".to_owned()];
        }
        self.differences.clone()
    }
}

/// What came of matching, and of paying out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// Runs that were ended before everything was healed.
    pub runs: i64,
    /// Runs after that.
    pub later: i64,
    /// Payouts that were found.
    pub payouts: i64,
    /// Gifts whose donors were told that their money is paid out.
    pub paid_out: i64,
}

impl Matched {
    /// Counts; runs are told apart by when they ended.
    pub(super) async fn count(url: &str, healed_at: DateTime<Utc>) -> Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let counts: (i64, i64, i64, i64) = sqlx::query_as(
            "select (select count(*) from payment.reconciliation_runs where finished_at <= $1),
                    (select count(*) from payment.reconciliation_runs where finished_at > $1),
                    (select count(*) from payment.payouts),
                    (select count(*) from payment.paid_out_payments)",
        )
        .bind(healed_at)
        .fetch_one(&mut connection)
        .await?;
        connection.close().await?;
        let (runs, later, payouts, paid_out) = counts;
        Ok(Self {
            runs,
            later,
            payouts,
            paid_out,
        })
    }
}

impl fmt::Display for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            later,
            payouts,
            paid_out,
        } = self;
        write!(
            f,
            "the provider's account was matched {runs} times under faults and {later} times after them: {payouts} payouts, \
             {paid_out} gifts paid out"
        )
    }
}
