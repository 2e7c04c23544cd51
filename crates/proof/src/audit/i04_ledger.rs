//! I4: the ledger balances, and says of each payment what its row says.

use anyhow::Result;

use super::{Verdict, bench::Bench};

/// Adds up the ledger, as a whole and by payment.
pub(super) async fn examine(bench: &mut Bench) -> Result<Verdict> {
    let mut verdict = Verdict::new("I4", "the ledger balances and holds each capture");
    if !bench.has("payment.ledger_entries").await? {
        return Ok(verdict.skipped("there is no ledger"));
    }
    verdict.extend(bench.sort_out(BOOKS).await?);
    let what = "payments whose hold is booked otherwise";
    verdict.extend(bench.find(what, HOLDS).await?);
    let sets = "select count(*) from payment.ledger_sets";
    let sets = bench.count(sets).await?;
    let entries = "select count(*) from payment.ledger_entries";
    let entries = bench.count(entries).await?;
    let payments = bench.count("select count(*) from payment.payments").await?;
    Ok(verdict.compared(format!(
        "{entries} entries in {sets} sets with {payments} payments"
    )))
}

/// One pass over all entries, which are set against what the payments' rows say should be booked: what is left of both is
/// nothing. That each set sums to zero, and that all entries of a payment are of its campaign, is seen by hashes, which add
/// up without being kept: a set's entries are multiplied by 31 bits of its own, so that no set makes up for another.
///
/// The gift's part of what is left of a payment is owed to its campaign, and the tip's to the platform; what disputes took
/// beyond that is the platform's loss, and what banks hold is what disputes that are not lost have withdrawn. Captures are
/// looked at on their own, because later effects could hide one. A correction is by hand, and suspense is nobody's yet.
const BOOKS: &str = "
    with booked as (
        select coalesce(s.payment_id, s.set_id, e.set_id) as id, e.currency, s.set_id is null as is_headless,
               e.set_id is null as is_empty, s.is_usual, e.amount_minor * e.weight as weighed,
               case when s.is_usual then e.kind end as kind, e.amount_minor as amount,
               case when s.is_captured and e.kind = 2 then e.amount_minor end as captured,
               case when s.is_usual then e.campaign end as campaign
        from (select set_id, currency, amount_minor, uuid_hash(set_id)::bigint & 2147483647 as weight,
                     uuid_hash_extended(campaign_id, 0) as campaign,
                     case account when 'campaign_payable' then 1
                                  when 'psp_receivable' then case when amount_minor > 0 then 2 end
                                  when 'psp_settled' then null
                                  when 'platform_tip' then 3
                                  when 'platform_loss' then 4
                                  when 'dispute_hold' then 5 end as kind
              from payment.ledger_entries offset 0) e
        full join (select set_id, payment_id, effect = 'captured' as is_captured,
                          effect not in ('correction', 'suspense', 'suspense_resolved') as is_usual
                   from payment.ledger_sets offset 0) s on s.set_id = e.set_id
    ), stands as (
        select payment_id, campaign, currency, captured, given - returned as owed,
               pg_temp.share(captured - given, tip, extras) - pg_temp.share(gone - returned, tip, extras) as tip, disputed
        from (select *, pg_temp.gift(captured, amount, extras) as given, pg_temp.gift(gone, amount, extras) as returned
              from (select payment_id, uuid_hash_extended(campaign_id, 0) as campaign, currency, amount_minor as amount,
                           tip_minor as tip, tip_minor + covered_fee_minor as extras, captured_minor as captured,
                           refunded_minor + disputed_minor as gone, disputed_minor as disputed
                    from payment.payments) parts offset 0) p
    ), sides as (
        select id, currency, is_headless, is_empty, is_usual, false as is_known, weighed,
               case when kind = 1 then -amount end as owed, case when kind = 3 then -amount end as tip,
               case when kind = 4 then amount end as loss, case when kind = 5 then amount end as hold, captured, campaign
        from booked
        union all
        select payment_id, currency, false, false, false, true, null, -owed, -tip, disputed, null, -captured, campaign
        from stands
        union all
        select d.payment_id, p.currency, false, false, false, false, null, null, null,
               case when d.status = 'lost' then -d.amount_minor end,
               case when d.status <> 'lost' then -d.withdrawn_minor end, null, null
        from payment.disputes d join payment.payments p using (payment_id)
    ), found as (
        select id, bool_or(is_headless) as is_headless, bool_or(is_empty) as is_empty,
               pg_temp.total(weighed) <> 0 as is_unbalanced,
               bool_or(is_usual) and not bool_or(is_known) or pg_temp.total(owed) <> 0 or pg_temp.total(tip) <> 0
                   or pg_temp.total(loss) <> 0 or pg_temp.total(hold) <> 0 or pg_temp.total(captured) <> 0
                   or bit_and(campaign) <> bit_or(campaign) as is_otherwise
        from sides group by id, currency
    )
    select distinct what, id::text
    from (select * from found where is_headless or is_empty or is_unbalanced or is_otherwise) f
    cross join lateral (values
        (is_headless, 'entries without a set'),
        (is_empty, 'sets without entries'),
        (is_unbalanced, 'sets that do not sum to zero, by their payments'),
        (is_otherwise, 'payments that are booked otherwise than they stand')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

/// What is held and not resolved is the money of the payments that are AUTHORIZED.
const HOLDS: &str = "
    with open as (
        select payment_id, currency, held_minor from payment.ledger_holds h
        where not resolved
          and not exists (select from payment.ledger_holds r where r.payment_id = h.payment_id and r.resolved)
    )
    select coalesce(p.payment_id, h.payment_id)::text
    from (select * from payment.payments where state = 'AUTHORIZED' and authorized_minor > 0) p
    full join open h on h.payment_id = p.payment_id
    where (p.currency, p.authorized_minor) is distinct from (h.currency, h.held_minor)
    order by 1";
