//! I1: what was acknowledged is there, once, as it was asked for.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Verdict, bench::Bench, journal::Size};

/// Compares what donors and operators were told with what is there.
pub(super) async fn examine(bench: &mut Bench, journal: Option<Size>) -> Result<Verdict> {
    let mut verdict = Verdict::new("I1", "what was acknowledged is there, once, as asked for");
    let Some(Size { pledges, others }) = journal else {
        return Ok(verdict.skipped("no journal of what clients were told was given"));
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
        (
            "acknowledged captures of held money that are not there, or otherwise",
            CAPTURES,
        ),
        ("holds that were let go and are still held, or taken", VOIDS),
        ("campaigns that were called off and go on", CALLED_OFF),
        ("rebuilds that never came to their end", REBUILDS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let ok = "select count(*) from acknowledged";
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
            "; {forgotten} orders were forgotten with the database and are to be given again"
        );
    }
    Ok(verdict.compared(compared))
}

const OTHERWISE: &str = "
    select j.pledge_id::text
    from acknowledged j left join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'pledge'
      and (p.amount_minor, p.currency, p.campaign_id) is distinct from (j.amount, j.currency, j.campaign_id)
    union
    select j.pledge_id::text from acknowledged j join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'pledge' and j.payment_id is not null and p.payment_id <> j.payment_id
    order by 1";

/// A gift is known by its donor's address, which no other gift of the journal has.
const NOT_ONCE: &str = "
    with made as (
        select c.email, count(*) as pledges, min(p.pledge_id::text) as pledge
        from notification.contacts c join pledge.pledges p on p.contact_id = c.contact_id
        where c.email in (select email from acknowledged)
        group by c.email
    )
    select j.key::text from acknowledged j left join made m on m.email = j.email
    where j.kind = 'pledge' and (coalesce(m.pledges, 0) <> 1 or m.pledge <> j.pledge_id::text)
    order by 1";

const PAYMENTS: &str = "
    select j.payment_id::text
    from acknowledged j left join payment.payments p on p.payment_id = j.payment_id
    where j.kind = 'payment' and j.payment_id is not null
      and (p.pledge_id, p.amount_minor - p.tip_minor - p.covered_fee_minor, p.currency)
          is distinct from (coalesce(j.pledge_id, p.pledge_id), j.amount, j.currency)
    order by 1";

const CONFIRMATIONS: &str = "
    select j.intent from acknowledged j left join psp_intents i on i.intent = j.intent
    where j.kind = 'confirm' and j.intent is not null
      and coalesce(i.taken + i.held, 0) = 0 and i.status is distinct from 'canceled'
    order by 1";

/// Once nothing is under way, a pledge that its donor called off is paid or will never be.
const CANCELS: &str = "
    select j.pledge_id::text from acknowledged j left join pledge.pledges p on p.pledge_id = j.pledge_id
    where j.kind = 'cancel'
      and coalesce(p.status, 'PENDING') in ('PENDING', 'AUTHORIZED')
    order by 1";

/// A refund that was ordered in a time that the database has forgotten, and that had not reached the provider, was known
/// to nobody else.
const REFUNDS: &str = "
    select j.intent from acknowledged j left join payment.refunds r on r.refund_id::text = j.intent
    where j.kind = 'refund'
      and (r.payment_id, r.amount_minor, r.currency) is distinct from (j.payment_id, j.amount, j.currency)
      and not (r.refund_id is null and j.forgotten
               and not exists (select from psp_refunds b where b.refund_id::text = j.intent))
    order by 1";

/// What was ordered is taken and no more, unless the hold had run out at the bank. Of an order that the database has
/// forgotten the provider knows, or nobody does.
const CAPTURES: &str = "
    with ordered as (
        select j.payment_id, j.forgotten,
               case j.amount when 0 then coalesce(h.held_minor, p.authorized_minor) else j.amount end as wanted,
               p.captured_minor, p.state
        from acknowledged j left join payment.payments p on p.payment_id = j.payment_id
        left join payment.ledger_holds h on h.payment_id = j.payment_id and not h.resolved
        where j.kind = 'capture'
    )
    select o.payment_id::text
    from ordered o left join payment.captures c on c.payment_id = o.payment_id
    where o.state is null or o.captured_minor not in (0, o.wanted) or c.amount_minor <> o.wanted
       or (not o.forgotten and (c.payment_id is null or o.state = 'AUTHORIZED'))
    order by 1";

const VOIDS: &str = "
    select j.payment_id::text
    from acknowledged j left join payment.payments p on p.payment_id = j.payment_id
    where j.kind = 'void'
      and p.state is distinct from 'CANCELLED'
      and not (p.state = 'AUTHORIZED' and j.forgotten)
    order by 1";

const CALLED_OFF: &str = "
    select j.campaign_id::text
    from acknowledged j left join campaign.campaigns c on c.campaign_id = j.campaign_id
    where j.kind = 'call_off'
      and c.status is distinct from 'CANCELLED'
      and not j.forgotten
    order by 1";

const REBUILDS: &str = "
    select j.intent
    from acknowledged j left join totals.rebuilds r on r.run_id::text = j.intent
    where j.kind = 'rebuild'
      and r.state is distinct from 'LIVE'
      and not (r.run_id is null and j.forgotten)
    order by 1";

const FORGOTTEN: &str = "
    select count(*) from acknowledged j
    where j.forgotten
      and (j.kind = 'refund'
           and not exists (select from payment.refunds r where r.refund_id::text = j.intent)
           and not exists (select from psp_refunds b where b.refund_id::text = j.intent)
           or j.kind in ('capture', 'void')
           and exists (select from payment.payments p where p.payment_id = j.payment_id and p.state = 'AUTHORIZED')
           or j.kind = 'call_off'
           and not exists (select from campaign.campaigns c where c.campaign_id = j.campaign_id and c.status = 'CANCELLED')
           or j.kind = 'rebuild'
           and not exists (select from totals.rebuilds r where r.run_id::text = j.intent))";
