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

/// One pass over all entries. When each set sums to zero, so does the whole. That all entries of a payment are of its
/// campaign is seen by a hash of 64 bits, which adds up without being kept.
///
/// The gift's part of what is left of a payment is owed to its campaign, and the tip's to the platform; what disputes took
/// beyond that is the platform's loss, and what banks hold is what disputes that are not lost have withdrawn. Captures are
/// looked at on their own, because later effects could hide one. A correction is by hand, and suspense is nobody's yet.
const BOOKS: &str = "
    with sets as (
        select set_id, currency, pg_temp.total(amount_minor) as sum,
               pg_temp.total(amount_minor) filter (where kind = 1) as owed,
               pg_temp.total(amount_minor) filter (where kind = 2) as receivable,
               pg_temp.total(amount_minor) filter (where kind = 3) as tip,
               pg_temp.total(amount_minor) filter (where kind = 4) as loss,
               pg_temp.total(amount_minor) filter (where kind = 5) as hold,
               bit_and(campaign) as all_of, bit_or(campaign) as any_of
        from (select set_id, currency, amount_minor, uuid_hash_extended(campaign_id, 0) as campaign,
                     case account when 'campaign_payable' then 1
                                  when 'psp_receivable' then case when amount_minor > 0 then 2 end
                                  when 'psp_settled' then null
                                  when 'platform_tip' then 3
                                  when 'platform_loss' then 4
                                  when 'dispute_hold' then 5 end as kind
              from payment.ledger_entries offset 0) entries
        group by set_id, currency
    ), booked as (
        select coalesce(s.payment_id, s.set_id, e.set_id) as id, e.currency,
               bool_or(s.set_id is null) as is_headless, bool_or(e.set_id is null) as is_empty,
               bool_or(e.sum <> 0) as is_unbalanced, bool_or(is_usual) as is_usual,
               pg_temp.total(-e.owed) filter (where is_usual) as owed,
               pg_temp.total(-e.tip) filter (where is_usual) as tip,
               pg_temp.total(e.loss) filter (where is_usual) as loss,
               pg_temp.total(e.hold) filter (where is_usual) as hold,
               pg_temp.total(e.receivable) filter (where is_captured) as captured,
               bit_and(e.all_of) filter (where is_usual) as all_of, bit_or(e.any_of) filter (where is_usual) as any_of
        from sets e
        full join (select set_id, payment_id, effect = 'captured' as is_captured,
                          effect not in ('correction', 'suspense', 'suspense_resolved') as is_usual
                   from payment.ledger_sets offset 0) s on s.set_id = e.set_id
        group by 1, 2
    ), stands as (
        select payment_id, campaign, currency, captured, given - returned as owed,
               pg_temp.share(captured - given, tip, extras) - pg_temp.share(gone - returned, tip, extras) as tip,
               coalesce(lost, 0) - disputed as loss, coalesce(held, 0) as hold
        from (select *, pg_temp.gift(captured, amount, extras) as given, pg_temp.gift(gone, amount, extras) as returned
              from (select payment_id, uuid_hash_extended(campaign_id, 0) as campaign, currency, amount_minor as amount,
                           tip_minor as tip, tip_minor + covered_fee_minor as extras, captured_minor as captured,
                           refunded_minor + disputed_minor as gone, disputed_minor as disputed
                    from payment.payments) parts offset 0) p
        left join (select payment_id, pg_temp.total(amount_minor) filter (where status = 'lost') as lost,
                          pg_temp.total(withdrawn_minor) filter (where status <> 'lost') as held
                   from payment.disputes group by payment_id) d using (payment_id)
    ), found as (
        select coalesce(b.id, p.payment_id) as id, coalesce(b.is_headless, false) as is_headless,
               coalesce(b.is_empty, false) as is_empty, coalesce(b.is_unbalanced, false) as is_unbalanced,
               case when p.payment_id is null then coalesce(b.is_usual, false)
                    else (coalesce(b.owed, 0), coalesce(b.tip, 0), coalesce(b.loss, 0), coalesce(b.hold, 0),
                          coalesce(b.captured, 0)) <> (p.owed, p.tip, p.loss, p.hold, p.captured)
                         or b.all_of <> p.campaign or b.any_of <> p.campaign end as is_otherwise
        from booked b full join stands p on p.payment_id = b.id and p.currency = b.currency
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
