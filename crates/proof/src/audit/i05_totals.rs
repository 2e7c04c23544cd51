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
        (
            "payments that the wall does not show as their pledges'",
            WALL,
        ),
        ("campaigns whose moves do not sum to their total", MOVES),
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
    with parts as (
        select campaign_id, currency, state, amount_minor as amount, tip_minor + covered_fee_minor as extras,
               authorized_minor as authorized, captured_minor as captured, refunded_minor as refunded,
               refunded_minor + disputed_minor as gone
        from payment.payments
    ), sums as (
        select campaign_id, currency,
               coalesce(sum(amount - extras) filter (where state = 'PENDING'), 0) as pledged,
               coalesce(sum(pg_temp.gift(authorized, amount, extras) - pg_temp.gift(captured, amount, extras))
                        filter (where state = 'AUTHORIZED'), 0) as authorized,
               sum(pg_temp.gift(captured, amount, extras)) as captured,
               sum(pg_temp.gift(refunded, amount, extras)) as refunded,
               sum(pg_temp.gift(gone, amount, extras) - pg_temp.gift(refunded, amount, extras)) as disputed
        from parts group by campaign_id, currency
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
               coalesce(sum(amount - extras) filter (where state = 'PENDING'), 0) as pledged,
               coalesce(sum(pg_temp.gift(authorized, amount, extras) - pg_temp.gift(captured, amount, extras))
                        filter (where state = 'AUTHORIZED'), 0) as authorized,
               sum(pg_temp.gift(captured, amount, extras)) as captured,
               sum(pg_temp.gift(refunded, amount, extras)) as refunded,
               sum(pg_temp.gift(refunded + disputed, amount, extras) - pg_temp.gift(refunded, amount, extras)) as disputed
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

/// Of the generation that each campaign stands on.
const WATERMARKS: &str = "
    with parts as (
        select payment_id, campaign_id, pledge_id, version, amount_minor as amount,
               tip_minor + covered_fee_minor as extras, captured_minor as captured, refunded_minor as refunded,
               refunded_minor + disputed_minor as gone
        from payment.payments
    ), marks as (
        select w.* from totals.payment_watermarks w
        left join totals.campaign_totals t on t.campaign_id = w.campaign_id
        where w.generation = coalesce(t.generation, 0)
    )
    select coalesce(p.payment_id, w.payment_id)::text
    from parts p full join marks w on w.payment_id = p.payment_id
    where (p.version, pg_temp.gift(p.captured, p.amount, p.extras), pg_temp.gift(p.refunded, p.amount, p.extras),
           pg_temp.gift(p.gone, p.amount, p.extras) - pg_temp.gift(p.refunded, p.amount, p.extras), p.campaign_id)
          is distinct from (w.version, w.captured, w.refunded, w.disputed, w.campaign_id)
    order by 1";

/// The wall shows the money of the payments above, by their pledges.
const WALL: &str = "
    select p.payment_id::text
    from payment.payments p join totals.payment_watermarks w on w.payment_id = p.payment_id
    left join totals.donations d on d.pledge_id = w.pledge_id
    where w.pledge_id is distinct from p.pledge_id or w.captured > 0 and (w.given_at is null or d.pledge_id is null)
    order by 1";

const MOVES: &str = "
    with sums as (
        select campaign_id, generation, sum(pledged) as pledged, sum(authorized) as authorized,
               sum(captured) as captured, sum(refunded) as refunded, sum(disputed) as disputed
        from totals.totals_moves group by campaign_id, generation
    )
    select t.campaign_id::text
    from totals.campaign_totals t
    left join sums s on s.campaign_id = t.campaign_id and s.generation = t.generation
    where (t.pledged, t.authorized, t.captured, t.refunded, t.disputed)
          is distinct from
          (coalesce(s.pledged, 0), coalesce(s.authorized, 0), coalesce(s.captured, 0), coalesce(s.refunded, 0),
           coalesce(s.disputed, 0))
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
