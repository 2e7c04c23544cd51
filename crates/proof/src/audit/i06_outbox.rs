//! I6: whatever was committed was told, in order.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::Result;
use common::events::topics;
use uuid::Uuid;

use super::{Finding, Verdict, bench::Bench, told::Topics};

/// Looks into the outboxes, and at the versions that each topic holds.
pub(super) async fn examine(bench: &mut Bench, topics: Option<&Topics>) -> Result<Verdict> {
    let mut verdict = Verdict::new("I6", "each committed version is told, in order");
    verdict.extend(
        bench
            .find("facts that are still in an outbox", LEFT)
            .await?,
    );
    verdict.extend(
        bench
            .find(
                "campaigns whose newest total was not announced",
                UNANNOUNCED,
            )
            .await?,
    );
    let Some(said) = topics else {
        return Ok(verdict.compared("the outboxes; the topics were not read".to_owned()));
    };
    for (what, ids) in [
        (
            "aggregates that went back to an older version",
            &said.disorder,
        ),
        ("versions that two events tell of", &said.contradictions),
        ("aggregates of which a version was not told", &said.gaps),
        ("records that say nothing", &said.unreadable),
    ] {
        verdict.extend(Finding::of(what, ids.clone()));
    }
    for (topic, what, sql) in [
        (
            topics::PAYMENT,
            "payments that are told otherwise than they are",
            PAYMENTS,
        ),
        (
            topics::PLEDGE,
            "pledges that are told otherwise than they are",
            PLEDGES,
        ),
        (
            topics::USER,
            "accounts that are told otherwise than they are",
            ACCOUNTS,
        ),
        (
            topics::CAMPAIGN,
            "campaigns that are told otherwise than they are",
            CAMPAIGNS,
        ),
        (
            topics::TOTALS,
            "totals that are told otherwise than they are",
            TOTALS,
        ),
    ] {
        if said.remembers(topic.name) {
            let are = bench.versions(sql).await?;
            verdict.extend(Finding::of(what, otherwise(are, said.newest(&topic))));
        }
    }
    if said.remembers(topics::CONTACT.name) {
        let named = bench.ids(CONTACTS).await?;
        let untold = untold(named, said.newest(&topics::CONTACT));
        verdict.extend(Finding::of("contacts that nobody was told of", untold));
    }
    let mut compared = format!(
        "{} records ({} of them copies) of {} aggregates with the tables; 6 outboxes",
        said.records,
        said.copies,
        said.aggregates()
    );
    if !said.forgetful.is_empty() {
        _ = write!(
            compared,
            "; forgotten in part: {}",
            said.forgetful.join(", ")
        );
    }
    Ok(verdict.compared(compared))
}

/// What is not told as it is, or told and is not. Both are compared here rather than by the database, which would have to
/// take in first what is told.
fn otherwise(mut are: Vec<(Uuid, i64)>, told: &[(Uuid, i64)]) -> Vec<String> {
    are.sort_unstable();
    if are == told {
        return Vec::new();
    }
    let (are, told): (BTreeSet<_>, BTreeSet<_>) = (are.iter().collect(), told.iter().collect());
    let mut ids: Vec<String> = are
        .symmetric_difference(&told)
        .map(|(id, _)| id.to_string())
        .collect();
    ids.dedup();
    ids
}

/// What is not told.
fn untold(mut named: Vec<Uuid>, told: &[(Uuid, i64)]) -> Vec<String> {
    named.sort_unstable();
    named.dedup();
    let is_told = |id: &Uuid| told.binary_search_by_key(id, |(id, _)| *id).is_ok();
    let untold = named.iter().filter(|id| !is_told(id));
    untold.map(Uuid::to_string).collect()
}

const LEFT: &str = "
    select 'users/' || event_id from users.outbox
    union all select 'campaign/' || event_id from campaign.outbox
    union all select 'pledge/' || event_id from pledge.outbox
    union all select 'payment/' || event_id from payment.outbox
    union all select 'totals/' || event_id from totals.outbox
    union all select 'notification/' || event_id from notification.outbox";

const UNANNOUNCED: &str = "
    select campaign_id::text from totals.campaign_totals where version > announced_version order by 1";

const PAYMENTS: &str = "select payment_id, version from payment.payments";

const PLEDGES: &str = "select pledge_id, version from pledge.pledges";

const ACCOUNTS: &str = "select user_id, version from users.accounts";

/// Of a campaign only the newest version is sure to be kept.
const CAMPAIGNS: &str = "select campaign_id, version from campaign.campaigns";

/// Not every change of a total is announced, but the newest is.
const TOTALS: &str =
    "select campaign_id, announced_version from totals.campaign_totals where announced_version > 0";

const CONTACTS: &str =
    "select contact_id from pledge.pledges union all select contact_id from users.accounts";
