//! I5: each total is the sum of its payments, whoever adds them up.

use std::fmt::Write as _;

use anyhow::Result;
use common::events::topics::PAYMENT;

use super::{Verdict, bench::Bench, topics::Topics};

/// Adds up the payments as their service has them, and as their topic tells.
pub(super) async fn examine(bench: &mut Bench, topics: Option<&Topics>) -> Result<Verdict> {
    let totals = "select count(*) from totals.campaign_totals";
    let totals = bench.count(totals).await?;
    let payments = bench.count("select count(*) from payment.payments").await?;
    let mut verdict = Verdict::new("I5", "each total is the sum of its payments");
    for (what, sql) in [
        (
            "campaigns whose total is not the sum of their payments",
            FROM_PAYMENTS,
        ),
        ("payments that the totals contain otherwise", WATERMARKS),
        ("pledges that the wall shows with another amount", WALL),
        ("campaigns whose donors are counted otherwise", DONORS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let mut compared = format!("{totals} totals with {payments} payments");
    if bench.has("payment.ledger_entries").await? {
        let what = "campaigns whose total is not what the ledger owes them";
        verdict.extend(bench.find(what, FROM_LEDGER).await?);
        compared += " and the ledger";
    }
    if topics.is_some_and(|topics| topics.remembers(&PAYMENT)) {
        let told = bench.count("select count(*) from told_payments").await?;
        let what = "campaigns whose total is not the sum of what the topic tells";
        verdict.extend(bench.find(what, FROM_TOPIC).await?);
        _ = write!(compared, " and {told} snapshots");
    } else {
        compared += "; the topic was not replayed";
    }
    Ok(verdict.compared(compared))
}

const FROM_PAYMENTS: &str = "
    with sums as (
        select campaign_id, currency,
               coalesce(sum(amount_minor) filter (where state = 'PENDING'), 0) as pledged,
               coalesce(sum(authorized_minor - captured_minor) filter (where state = 'AUTHORIZED'), 0) as authorized,
               sum(captured_minor) as captured, sum(refunded_minor) as refunded, sum(disputed_minor) as disputed
        from payment.payments group by campaign_id, currency
    )
    select coalesce(s.campaign_id, t.campaign_id)::text
    from sums s full join totals.campaign_totals t on t.campaign_id = s.campaign_id and t.currency = s.currency
    where (coalesce(s.pledged, 0), coalesce(s.authorized, 0), coalesce(s.captured, 0), coalesce(s.refunded, 0),
           coalesce(s.disputed, 0))
          is distinct from
          (coalesce(t.pledged, 0), coalesce(t.authorized, 0), coalesce(t.captured, 0), coalesce(t.refunded, 0),
           coalesce(t.disputed, 0))
    order by 1";

const FROM_TOPIC: &str = "
    with sums as (
        select campaign_id, currency,
               coalesce(sum(amount) filter (where state = 'PENDING'), 0) as pledged,
               coalesce(sum(authorized - captured) filter (where state = 'AUTHORIZED'), 0) as authorized,
               sum(captured) as captured, sum(refunded) as refunded, sum(disputed) as disputed
        from told_payments group by campaign_id, currency
    )
    select coalesce(s.campaign_id, t.campaign_id)::text
    from sums s full join totals.campaign_totals t on t.campaign_id = s.campaign_id and t.currency = s.currency
    where (coalesce(s.pledged, 0), coalesce(s.authorized, 0), coalesce(s.captured, 0), coalesce(s.refunded, 0),
           coalesce(s.disputed, 0))
          is distinct from
          (coalesce(t.pledged, 0), coalesce(t.authorized, 0), coalesce(t.captured, 0), coalesce(t.refunded, 0),
           coalesce(t.disputed, 0))
    order by 1";

/// Corrections are money that no payment explains.
const FROM_LEDGER: &str = "
    with owed as (
        select e.campaign_id, e.currency, -sum(e.amount_minor) as owed
        from payment.ledger_entries e join payment.ledger_sets s on s.set_id = e.set_id
        where e.account = 'campaign_payable' and s.effect <> 'correction'
        group by e.campaign_id, e.currency
    )
    select coalesce(o.campaign_id, t.campaign_id)::text
    from owed o full join totals.campaign_totals t on t.campaign_id = o.campaign_id and t.currency = o.currency
    where coalesce(o.owed, 0) <> coalesce(t.captured - t.refunded - t.disputed, 0)
    order by 1";

const WATERMARKS: &str = "
    select coalesce(p.payment_id, w.payment_id)::text
    from payment.payments p full join totals.payment_watermarks w on w.payment_id = p.payment_id
    where (p.version, p.captured_minor, p.refunded_minor, p.disputed_minor, p.campaign_id)
          is distinct from (w.version, w.captured, w.refunded, w.disputed, w.campaign_id)
    order by 1";

const WALL: &str = "
    with net as (
        select pledge_id, sum(captured_minor - refunded_minor - disputed_minor) as net
        from payment.payments group by pledge_id
    )
    select coalesce(n.pledge_id, d.pledge_id)::text
    from net n full join totals.donations d on d.pledge_id = n.pledge_id
    where coalesce(n.net, 0) <> coalesce(d.net, 0)
    order by 1";

const DONORS: &str = "
    with gave as (
        select campaign_id, count(distinct donor_ref) as donors
        from payment.payments where captured_minor > 0 group by campaign_id
    )
    select coalesce(g.campaign_id, t.campaign_id)::text
    from gave g full join totals.campaign_totals t on t.campaign_id = g.campaign_id
    where coalesce(g.donors, 0) <> coalesce(t.donors, 0)
    order by 1";
