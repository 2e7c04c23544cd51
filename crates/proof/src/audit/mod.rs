//! The audit: twelve invariants that hold whenever nothing is under way, whatever happened before.
//!
//! Each compares witnesses that know of each other only by what the services did: the provider's own ledger, the
//! databases, the topics, the mailbox, the logs, and the journal of what clients were told. The provider's ledger and
//! the topics are read once. What has to be compared with more than one table is laid out on benches, as temporary tables
//! beside the services' own; the comparisons are then statements over whole tables, in two read-only transactions that see
//! the same moment. Nothing of the fleet is changed.

mod bench;
mod fleet;
mod groups;
mod i01_acknowledged;
mod i02_refused;
mod i03_provider;
mod i04_ledger;
mod i05_totals;
mod i06_outbox;
mod i07_once;
mod i08_history;
mod i09_consumed;
mod i10_thanks;
mod i11_sessions;
mod i12_logs;
mod journal;
mod mailbox;
mod pattern;
mod provider;
mod report;
mod sources;
mod sums;
mod told;
mod topics;

use std::time::Instant;

use anyhow::{Context, Result};
use futures::future::try_join;

pub use fleet::Held;
pub(crate) use groups::{GROUPS, partitions};
pub use report::{Finding, Report, Verdict};
pub use sources::{Lost, Sources};

use bench::Bench;

/// Audits a fleet that has come to rest.
///
/// # Errors
/// Fails when a witness that was named cannot be asked: that nothing could be compared is no verdict.
pub async fn audit(sources: &Sources) -> Result<Report> {
    let began = Instant::now();
    let url = &sources.database_url;
    let (mut outside, mut inside) = (Bench::open(url).await?, Bench::open(url).await?);
    let (witnesses, topics) = try_join(
        Outside::lay_out(&mut outside, sources),
        lay_out_topics(&mut inside, sources),
    )
    .await?;
    let moment = outside.freeze().await?;
    inside.freeze_at(&moment).await?;
    // The two take about as long as each other.
    let of_outside = witnesses.examine(&mut outside, sources);
    let of_inside = async {
        Ok(vec![
            i04_ledger::examine(&mut inside).await?,
            i05_totals::examine(&mut inside, topics.as_ref()).await?,
            i06_outbox::examine(&mut inside, topics.as_ref()).await?,
        ])
    };
    let (of_outside, of_inside) = try_join(of_outside, of_inside).await?;
    let mut verdicts = [of_outside, of_inside].concat();
    verdicts.push(i12_logs::examine(
        sources.logs.as_deref(),
        sources.journal.as_deref(),
    )?);
    verdicts.sort_by_key(Verdict::number);
    Ok(Report {
        verdicts,
        took: began.elapsed(),
    })
}

/// What those outside say: the provider, the mailbox, and the donors.
struct Outside {
    provider: provider::Ledger,
    mailbox: Option<mailbox::Mailbox>,
    journal: Option<journal::Size>,
}

impl Outside {
    async fn lay_out(bench: &mut Bench, sources: &Sources) -> Result<Self> {
        let provider = provider::lay_out(bench, &sources.ledger)
            .await
            .context("the provider's ledger")?;
        let mailbox = match &sources.mail_url {
            Some(url) => Some(mailbox::lay_out(bench, url).await.context("the mailbox")?),
            None => None,
        };
        let journal = match &sources.journal {
            Some(path) => Some(journal::lay_out(bench, path).await.context("the journal")?),
            None => None,
        };
        let into = "copy lost (since, until) from stdin";
        bench.fill(into, sources.lost.iter().map(lost)).await?;
        Ok(Self {
            provider,
            mailbox,
            journal,
        })
    }

    /// The invariants that compare what they say with the databases, and those that need no more than these.
    async fn examine(self, bench: &mut Bench, sources: &Sources) -> Result<Vec<Verdict>> {
        Ok(vec![
            i01_acknowledged::examine(bench, self.journal).await?,
            i02_refused::examine(bench, self.journal).await?,
            i03_provider::examine(bench, &self.provider).await?,
            i07_once::examine(bench, &self.provider).await?,
            i08_history::examine(bench).await?,
            i09_consumed::examine(bench, sources).await?,
            i10_thanks::examine(bench, self.mailbox).await?,
            i11_sessions::examine(bench).await?,
        ])
    }
}

async fn lay_out_topics(bench: &mut Bench, sources: &Sources) -> Result<Option<told::Topics>> {
    let Some(brokers) = &sources.brokers else {
        return Ok(None);
    };
    let read = topics::lay_out(bench, brokers, &sources.topic_prefix).await;
    Ok(Some(read.context("the topics")?))
}

fn lost(lost: &Lost) -> String {
    format!("{}\t{}", lost.since.to_rfc3339(), lost.until.to_rfc3339())
}

/// What consumer groups have not heard yet, as `group: topic/partition, n behind`; nothing where no broker is named.
///
/// # Errors
/// When the broker does not answer.
pub async fn behind(sources: &Sources) -> Result<Vec<String>> {
    match &sources.brokers {
        Some(brokers) => Ok(groups::ask(brokers, &sources.topic_prefix).await?.behind),
        None => Ok(Vec::new()),
    }
}
