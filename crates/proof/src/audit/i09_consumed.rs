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
    for sql in [GIFTS, STORIES, CAMPAIGNS] {
        verdict.extend(bench.sort_out(sql).await?);
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

/// A pledge has a payment for just what was promised. It shows the newest snapshot of its newest attempt that stands, else
/// of one whose money went back, else of its newest; it is born PENDING, so it hears nothing new of a first attempt before
/// that goes further.
const GIFTS: &str = "
    with tried_again as (
        select distinct on (pledge_id) pledge_id, attempt as shown, min(attempt) over (partition by pledge_id) as first
        from payment.payments
        where pledge_id in (select pledge_id from payment.payments where attempt > 1)
        order by pledge_id, state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED') desc, state = 'REFUNDED' desc,
                 attempt desc
    ), found as (
        select l.pledge_id,
               p.payment_id is null or coalesce(t.first, p.attempt) > 1
                   or p.attempt = 1 and p.payment_id <> l.payment_id as is_unpaid,
               (p.campaign_id, p.currency, p.amount_minor, p.tip_minor, p.covered_fee_minor, p.capture, p.donor_ref,
                p.contact_id)
                   is distinct from
                   (l.campaign_id, l.currency, l.amount_minor + l.tip_minor + l.covered_fee_minor, l.tip_minor,
                    l.covered_fee_minor, l.capture, l.donor_ref, l.contact_id) as is_other,
               p.attempt = coalesce(t.shown, p.attempt)
                   and ((l.payment_attempt, l.payment_version) <> (p.attempt, p.version)
                            and (p.attempt > 1 or p.state <> 'PENDING')
                        or l.status <> case p.state when 'CAPTURED' then 'COMPLETED' else p.state end
                        or l.refunded_minor <> p.refunded_minor) as is_stale
        from pledge.pledges l
        left join payment.payments p on p.pledge_id = l.pledge_id
        left join tried_again t on t.pledge_id = l.pledge_id
    )
    select distinct what, pledge_id::text
    from (select * from found where is_unpaid or is_other or is_stale) f
    cross join lateral (values
        (is_unpaid, 'pledges without a payment'),
        (is_other and not is_unpaid, 'pledges with a payment of something else'),
        (is_stale, 'pledges that do not show where their payment stands')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

/// Each version is a step of the story, but the opening of a pledge's first payment. What was told before the database was
/// put back to an older copy may be missing from it.
const STORIES: &str = "
    select case when has_gap then 'payments whose story has a gap' else 'payments whose story ends otherwise' end,
           payment_id::text
    from (select p.payment_id,
                 count(l.version) <> p.version - case p.attempt when 1 then 1 else 0 end as has_gap,
                 (p.version > 1 or p.attempt > 1)
                     and not coalesce(bool_or(l.version = p.version
                                              and (l.captured_minor, l.refunded_minor, l.disputed_minor)
                                                  = (p.captured_minor, p.refunded_minor, p.disputed_minor)), false) as ends_otherwise
          from payment.payments p
          left join pledge.pledge_timeline l on (l.pledge_id, l.payment_id) = (p.pledge_id, p.payment_id)
          group by p.payment_id) story
    where (has_gap or ends_otherwise)
      and not exists (select from payment.payment_restatements r where r.payment_id = story.payment_id)
    order by 1, 2";

/// Whoever decides by a campaign's state knows its newest.
const CAMPAIGNS: &str = "
    select 'campaigns that ' || reader || ' knows otherwise', campaign_id::text
    from campaign.campaigns c
    cross join lateral (values
        ('pledge', (select (p.version, p.status) from pledge.campaigns p where p.campaign_id = c.campaign_id)),
        ('payment', (select (p.version, p.status) from payment.campaigns p where p.campaign_id = c.campaign_id)),
        ('totals', (select (t.campaign_version, c.status) from totals.campaign_totals t where t.campaign_id = c.campaign_id)),
        ('notification', (select (n.version, c.status) from notification.campaigns n where n.campaign_id = c.campaign_id))
    ) as known (reader, standing)
    where standing is distinct from (c.version, c.status)
    order by 1, 2";
