//! I5: each total is the sum of its payments, whoever adds them up.

use std::fmt::Write as _;

use anyhow::Result;
use common::events::topics::PAYMENT;

use super::{Verdict, bench::Bench, told::Topics};

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
        ("campaigns whose moves do not sum to their total", MOVES),
        ("campaigns whose donors are counted otherwise", DONORS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    verdict.extend(bench.sort_out(CONTAINED).await?);
    let mut compared = format!("{totals} totals with {payments} payments");
    if bench.has("payment.ledger_entries").await? {
        let what = "campaigns whose total is not what the ledger owes them";
        verdict.extend(bench.find(what, FROM_LEDGER).await?);
        compared += " and the ledger";
    }
    if let Some(topics) = topics.filter(|topics| topics.remembers(PAYMENT.name)) {
        let told = topics.newest(&PAYMENT).len();
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
               coalesce(pg_temp.total(amount - extras) filter (where state = 'PENDING'), 0) as pledged,
               coalesce(pg_temp.total(pg_temp.gift(authorized, amount, extras) - pg_temp.gift(captured, amount, extras))
                        filter (where state = 'AUTHORIZED'), 0) as authorized,
               pg_temp.total(pg_temp.gift(captured, amount, extras)) as captured,
               pg_temp.total(pg_temp.gift(refunded, amount, extras)) as refunded,
               pg_temp.total(pg_temp.gift(gone, amount, extras) - pg_temp.gift(refunded, amount, extras)) as disputed
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
    select coalesce(s.campaign_id, t.campaign_id)::text
    from told_sums s full join totals.campaign_totals t on t.campaign_id = s.campaign_id and t.currency = s.currency
    where (coalesce(s.pledged, 0), coalesce(s.authorized, 0), coalesce(s.captured, 0), coalesce(s.refunded, 0),
           coalesce(s.disputed, 0))
          is distinct from
          (coalesce(t.pledged, 0), coalesce(t.authorized, 0), coalesce(t.captured, 0), coalesce(t.refunded, 0),
           coalesce(t.disputed, 0))
    order by 1";

/// Corrections are money that no payment explains.
const FROM_LEDGER: &str = "
    with owed as (
        select campaign_id, currency, -pg_temp.total(amount_minor) as owed
        from (select campaign_id, currency, amount_minor from payment.ledger_entries where account = 'campaign_payable'
              union all
              select e.campaign_id, e.currency, -e.amount_minor
              from payment.ledger_sets s join payment.ledger_entries e on e.set_id = s.set_id
              where s.effect = 'correction' and e.account = 'campaign_payable') entries
        group by campaign_id, currency
    )
    select coalesce(o.campaign_id, t.campaign_id)::text
    from owed o full join totals.campaign_totals t on t.campaign_id = o.campaign_id and t.currency = o.currency
    where coalesce(o.owed, 0) <> coalesce(t.captured - t.refunded - t.disputed, 0)
    order by 1";

/// Each payment with what the totals contain of it, in the generation that its campaign stands on, and with its place on the
/// wall, which shows no more than its donor chose.
const CONTAINED: &str = "
    with marks as (
        select w.* from totals.payment_watermarks w
        left join totals.campaign_totals t on t.campaign_id = w.campaign_id
        where w.generation = coalesce(t.generation, 0)
    ), found as (
        select coalesce(p.payment_id, w.payment_id) as payment_id,
               (p.version, p.campaign_id, pg_temp.gift(p.captured_minor, p.amount_minor, p.extras),
                pg_temp.gift(p.refunded_minor, p.amount_minor, p.extras),
                pg_temp.gift(p.gone, p.amount_minor, p.extras) - pg_temp.gift(p.refunded_minor, p.amount_minor, p.extras))
                   is distinct from (w.version, w.campaign_id, w.captured, w.refunded, w.disputed) as is_otherwise,
               w.pledge_id is distinct from p.pledge_id
                   or w.captured > 0 and (w.given_at is null or d.pledge_id is null) as is_off_the_wall,
               d.pledge_version > 0
                   and (d.visibility, d.public_name, d.message)
                       is distinct from
                       (l.visibility, l.public_name, l.message)
                   as is_not_as_chosen
        from (select *, tip_minor + covered_fee_minor as extras, refunded_minor + disputed_minor as gone
              from payment.payments) p
        full join marks w on w.payment_id = p.payment_id
        left join totals.donations d on d.pledge_id = w.pledge_id
        left join pledge.pledges l on l.pledge_id = d.pledge_id
    )
    select distinct what, payment_id::text
    from (select * from found where is_otherwise or is_off_the_wall or is_not_as_chosen) f
    cross join lateral (values
        (is_otherwise, 'payments that the totals contain otherwise'),
        (is_off_the_wall, 'payments that the wall does not show as their pledges'''),
        (is_not_as_chosen, 'payments that the wall shows otherwise than their donors chose')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

const MOVES: &str = "
    with sums as (
        select campaign_id, generation, pg_temp.total(pledged) as pledged, pg_temp.total(authorized) as authorized,
               pg_temp.total(captured) as captured, pg_temp.total(refunded) as refunded, pg_temp.total(disputed) as disputed
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
        select campaign_id, count(*) as donors
        from (select distinct campaign_id, donor_ref from payment.payments where captured_minor > 0) each_one
        group by campaign_id
    )
    select coalesce(g.campaign_id, t.campaign_id)::text
    from gave g full join totals.campaign_totals t on t.campaign_id = g.campaign_id
    where coalesce(g.donors, 0) <> coalesce(t.donors, 0)
    order by 1";
