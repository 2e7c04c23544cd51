//! I6: whatever was committed was told, in order.

use std::fmt::Write as _;

use anyhow::Result;
use common::events::topics;

use super::{Finding, Verdict, bench::Bench, topics::Topics};

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
    verdict.extend(Finding::of(
        "aggregates that went back to an older version",
        said.disorder.clone(),
    ));
    verdict.extend(Finding::of(
        "versions that two events tell of",
        said.contradictions.clone(),
    ));
    verdict.extend(Finding::of(
        "aggregates of which a version was not told",
        said.gaps.clone(),
    ));
    verdict.extend(Finding::of(
        "records that say nothing",
        said.unreadable.clone(),
    ));
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
            topics::CONTACT,
            "contacts that nobody was told of",
            CONTACTS,
        ),
        (
            topics::TOTALS,
            "totals that are told otherwise than they are",
            TOTALS,
        ),
    ] {
        if said.remembers(&topic) {
            verdict.extend(bench.find(what, sql).await?);
        }
    }
    let mut compared = format!(
        "{} records ({} of them copies) of {} aggregates with the tables; 6 outboxes",
        said.records, said.copies, said.aggregates
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

const LEFT: &str = "
    select 'users/' || event_id from users.outbox
    union all select 'campaign/' || event_id from campaign.outbox
    union all select 'pledge/' || event_id from pledge.outbox
    union all select 'payment/' || event_id from payment.outbox
    union all select 'totals/' || event_id from totals.outbox
    union all select 'notification/' || event_id from notification.outbox";

const UNANNOUNCED: &str = "
    select campaign_id::text from totals.campaign_totals where version > announced_version order by 1";

const PAYMENTS: &str = "
    select coalesce(p.payment_id, t.id)::text
    from payment.payments p full join told_payment t on t.id = p.payment_id
    where p.version is distinct from t.version
    order by 1";

const PLEDGES: &str = "
    select coalesce(p.pledge_id, t.id)::text
    from pledge.pledges p full join told_pledge t on t.id = p.pledge_id
    where p.version is distinct from t.version
    order by 1";

const ACCOUNTS: &str = "
    select coalesce(a.user_id, t.id)::text
    from users.accounts a full join told_user t on t.id = a.user_id
    where a.version is distinct from t.version
    order by 1";

/// Of a campaign only the newest version is sure to be kept.
const CAMPAIGNS: &str = "
    select coalesce(c.campaign_id, t.id)::text
    from campaign.campaigns c full join told_campaign t on t.id = c.campaign_id
    where c.version is distinct from t.version
    order by 1";

const CONTACTS: &str = "
    select distinct c.contact_id::text
    from (select contact_id from pledge.pledges union all select contact_id from users.accounts) c
    left join told_contact t on t.id = c.contact_id
    where t.id is null
    order by 1";

/// Not every change of a total is announced, but the newest is.
const TOTALS: &str = "
    select coalesce(c.campaign_id, t.id)::text
    from (select campaign_id, announced_version from totals.campaign_totals where announced_version > 0) c
    full join told_totals t on t.id = c.campaign_id
    where c.announced_version is distinct from t.version
    order by 1";
