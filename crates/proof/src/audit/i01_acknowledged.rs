//! I1: what was acknowledged is there, once, as it was asked for.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Verdict, bench::Bench, journal::Size};

/// Compares what donors were told with pledges, payments and intents.
pub(super) async fn examine(bench: &mut Bench, journal: Option<Size>) -> Result<Verdict> {
    let mut verdict = Verdict::new("I1", "what was acknowledged is there, once, as asked for");
    let Some(Size { pledges, others }) = journal else {
        return Ok(verdict.skipped("no journal of what donors were told was given"));
    };
    for (what, sql) in [
        (
            "acknowledged pledges that are not there, or otherwise",
            OTHERWISE,
        ),
        (
            "keys of acknowledged pledges that made several, or one of somebody else",
            NOT_ONCE,
        ),
        (
            "acknowledged payments that are not there, or otherwise",
            PAYMENTS,
        ),
        ("confirmations that moved no money", CONFIRMATIONS),
        ("acknowledged cancellations that nobody heeds", CANCELS),
        (
            "acknowledged refunds that are not there, or otherwise",
            REFUNDS,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let ok = "select count(*) from journal where outcome = 'ok'";
    let ok = bench.count(ok).await?;
    let known = bench.count("select count(*) from pledge.pledges").await?;
    let mut compared = format!(
        "{ok} acknowledgements of {} keys with {known} pledges",
        pledges + others
    );
    let forgotten = bench.count(FORGOTTEN).await?;
    if forgotten > 0 {
        _ = write!(
            compared,
            "; {forgotten} refunds were forgotten with the database and are to be ordered again"
        );
    }
    Ok(verdict.compared(compared))
}

const OTHERWISE: &str = "
    select j.pledge_id::text
    from journal j left join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'pledge' and j.outcome = 'ok'
      and (p.amount_minor, p.currency, p.campaign_id) is distinct from (j.amount, j.currency, j.campaign_id)
    union
    select j.pledge_id::text from journal j join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'pledge' and j.outcome = 'ok' and j.payment_id is not null and p.payment_id <> j.payment_id
    order by 1";

/// A gift is known by its donor's address, which no other gift of the journal has.
const NOT_ONCE: &str = "
    with made as (
        select c.email, count(*) as pledges
        from notification.contacts c join pledge.pledges p on p.contact_id = c.contact_id
        group by c.email
    )
    select j.key::text from journal j left join made m on m.email = j.email
    where j.kind = 'pledge' and j.outcome = 'ok' and coalesce(m.pledges, 0) <> 1
    order by 1";

const PAYMENTS: &str = "
    select j.payment_id::text
    from journal j left join payment.payments p on p.payment_id = j.payment_id
    where j.kind = 'payment' and j.outcome = 'ok' and j.payment_id is not null
      and (p.pledge_id, p.amount_minor - p.tip_minor - p.covered_fee_minor, p.currency)
          is distinct from (coalesce(j.pledge_id, p.pledge_id), j.amount, j.currency)
    order by 1";

const CONFIRMATIONS: &str = "
    select j.intent from journal j left join psp_intents i on i.intent = j.intent
    where j.kind = 'confirm' and j.outcome = 'ok' and j.intent is not null
      and coalesce(i.taken + i.held, 0) = 0 and i.status is distinct from 'canceled'
    order by 1";

/// Once nothing is under way, a pledge that its donor called off is paid or will never be.
const CANCELS: &str = "
    select j.pledge_id::text from journal j left join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'cancel' and j.outcome = 'ok'
      and coalesce(p.status, 'PENDING') in ('PENDING', 'AUTHORIZED')
    order by 1";

/// A refund that was ordered in a time that the database has forgotten, and that had not reached the provider, was known
/// to nobody else.
const REFUNDS: &str = "
    select j.intent from journal j left join payment.refunds r on r.refund_id::text = j.intent
    where j.kind = 'refund' and j.outcome = 'ok'
      and (r.payment_id, r.amount_minor, r.currency) is distinct from (j.payment_id, j.amount, j.currency)
      and not (r.refund_id is null and exists (select from lost where j.sent_at between since and until)
               and not exists (select from psp_refunds b where b.refund_id::text = j.intent))
    order by 1";

const FORGOTTEN: &str = "
    select count(*) from journal j join lost on j.sent_at between since and until
    where j.kind = 'refund' and j.outcome = 'ok'
      and not exists (select from payment.refunds r where r.refund_id::text = j.intent)
      and not exists (select from psp_refunds b where b.refund_id::text = j.intent)";
