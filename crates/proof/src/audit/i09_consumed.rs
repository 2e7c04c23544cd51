//! I9: whatever was told was heard.

use std::time::Duration;

use anyhow::Result;

use super::{Finding, Sources, Verdict, bench::Bench, groups};

/// How long a group may take to commit what it has done; it commits every second.
const COMMIT: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(250);

/// Asks how far each group is, and looks whether what it has heard shows.
pub(super) async fn examine(bench: &mut Bench, sources: &Sources) -> Result<Verdict> {
    let mut verdict = Verdict::new("I9", "whatever was told is heard, and nothing was refused");
    for (what, sql) in [
        (
            "pledges that do not show where their payment stands",
            PLEDGES,
        ),
        ("pledges without a payment", UNPAID),
        ("payments whose story has a gap", STORY_GAP),
        ("payments whose story ends otherwise", STORY_END),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let pledges = bench.count("select count(*) from pledge.pledges").await?;
    let Some(brokers) = &sources.brokers else {
        return Ok(verdict.compared(format!("{pledges} pledges; no broker was asked")));
    };
    let began = std::time::Instant::now();
    let left = loop {
        let left = groups::ask(brokers, &sources.topic_prefix).await?;
        if left.behind.is_empty() || began.elapsed() > COMMIT {
            break left;
        }
        tokio::time::sleep(LOOK).await;
    };
    verdict.extend(Finding::of("groups that are behind", left.behind));
    verdict.extend(Finding::of(
        "messages that were refused for good",
        left.refused,
    ));
    Ok(verdict.compared(format!(
        "{} committed offsets with the ends of the topics; the .dlq topics; {pledges} pledges and their stories with their payments",
        left.asked
    )))
}

/// A pledge shows the newest snapshot of its newest attempt. It is born PENDING, so it hears nothing new of a first
/// attempt before that goes further.
const PLEDGES: &str = "
    select l.pledge_id::text
    from pledge.pledges l
    join (select distinct on (pledge_id) pledge_id, attempt, version, state from payment.payments
          order by pledge_id, attempt desc) p on p.pledge_id = l.pledge_id
    where (l.payment_attempt, l.payment_version) <> (p.attempt, p.version) and (p.attempt > 1 or p.state <> 'PENDING')
       or l.status <> case p.state when 'CAPTURED' then 'COMPLETED' else p.state end
    order by 1";

const UNPAID: &str = "
    select l.pledge_id::text from pledge.pledges l
    where not exists (select from payment.payments p where p.payment_id = l.payment_id and p.pledge_id = l.pledge_id)
    order by 1";

/// Each version is a step of the story, but the opening of a pledge's first payment. What was told before the database was
/// put back to an older copy may be missing from it.
const STORY_GAP: &str = "
    select p.payment_id::text
    from payment.payments p
    left join (select pledge_id, payment_id, count(*) as steps from pledge.pledge_timeline
               group by pledge_id, payment_id) l on (l.pledge_id, l.payment_id) = (p.pledge_id, p.payment_id)
    where coalesce(l.steps, 0) <> p.version - case p.attempt when 1 then 1 else 0 end
      and not exists (select from payment.payment_restatements r where r.payment_id = p.payment_id)
    order by 1";

const STORY_END: &str = "
    select p.payment_id::text
    from payment.payments p
    left join pledge.pledge_timeline l
      on (l.pledge_id, l.payment_id, l.version) = (p.pledge_id, p.payment_id, p.version)
    where (p.version > 1 or p.attempt > 1)
      and (l.captured_minor, l.refunded_minor, l.disputed_minor)
          is distinct from (p.captured_minor, p.refunded_minor, p.disputed_minor)
      and not exists (select from payment.payment_restatements r where r.payment_id = p.payment_id)
    order by 1";
