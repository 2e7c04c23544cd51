//! The audit: twelve invariants that hold whenever nothing is under way, whatever happened before.
//!
//! Each compares witnesses that know of each other only by what the services did: the provider's own ledger, the
//! databases, the topics, the mailbox, the logs, and the journal of what clients were told. The provider's ledger and
//! the topics are read once and laid out on the bench, as temporary tables beside the services' own; the comparisons
//! are then statements over whole tables, in one read-only transaction. Nothing of the fleet is changed.

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
mod topics;

use std::time::Instant;

use anyhow::{Context, Result};

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
    let mut bench = Bench::open(&sources.database_url).await?;
    let provider = provider::lay_out(&mut bench, &sources.ledger)
        .await
        .context("the provider's ledger")?;
    let topics = match &sources.brokers {
        Some(brokers) => Some(
            topics::lay_out(&mut bench, brokers, &sources.topic_prefix)
                .await
                .context("the topics")?,
        ),
        None => None,
    };
    let mailbox = match &sources.mail_url {
        Some(url) => Some(
            mailbox::lay_out(&mut bench, url)
                .await
                .context("the mailbox")?,
        ),
        None => None,
    };
    let journal = match &sources.journal {
        Some(path) => Some(
            journal::lay_out(&mut bench, path)
                .await
                .context("the journal")?,
        ),
        None => None,
    };
    bench
        .fill(
            "copy lost (since, until) from stdin",
            sources.lost.iter().map(lost),
        )
        .await?;
    bench.freeze().await?;
    let verdicts = vec![
        i01_acknowledged::examine(&mut bench, journal).await?,
        i02_refused::examine(&mut bench, journal).await?,
        i03_provider::examine(&mut bench, provider).await?,
        i04_ledger::examine(&mut bench).await?,
        i05_totals::examine(&mut bench, topics.as_ref()).await?,
        i06_outbox::examine(&mut bench, topics.as_ref()).await?,
        i07_once::examine(&mut bench, provider).await?,
        i08_history::examine(&mut bench).await?,
        i09_consumed::examine(&mut bench, sources).await?,
        i10_thanks::examine(&mut bench, mailbox).await?,
        i11_sessions::examine(&mut bench).await?,
        i12_logs::examine(sources.logs.as_deref())?,
    ];
    Ok(Report {
        verdicts,
        took: began.elapsed(),
    })
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
