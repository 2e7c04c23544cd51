//! I4: the ledger balances, and says of each payment what its row says.

use anyhow::Result;

use super::{Verdict, bench::Bench};

/// Adds up the ledger, as a whole and by payment.
pub(super) async fn examine(bench: &mut Bench) -> Result<Verdict> {
    let mut verdict = Verdict::new("I4", "the ledger balances and holds each capture");
    if !bench.has("payment.ledger_entries").await? {
        return Ok(verdict.skipped("there is no ledger"));
    }
    for (what, sql) in [
        (
            "payments that are booked otherwise than they stand",
            OTHERWISE,
        ),
        ("payments whose hold is booked otherwise", HOLDS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    verdict.extend(bench.sort_out(SETS).await?);
    let sets = "select count(*) from payment.ledger_sets";
    let sets = bench.count(sets).await?;
    let entries = "select count(*) from payment.ledger_entries";
    let entries = bench.count(entries).await?;
    let payments = bench.count("select count(*) from payment.payments").await?;
    Ok(verdict.compared(format!(
        "{entries} entries in {sets} sets with {payments} payments"
    )))
}

/// When each set sums to zero, so does the whole.
const SETS: &str = "
    select distinct case when s.set_id is null then 'entries without a set'
                         when e.set_id is null then 'sets without entries'
                         else 'sets that do not sum to zero' end,
           coalesce(s.set_id, e.set_id)::text
    from payment.ledger_sets s
    full join (select set_id, sum(amount_minor) as sum from payment.ledger_entries
               group by set_id, currency) e on e.set_id = s.set_id
    where s.set_id is null or e.set_id is null or e.sum <> 0
    order by 1, 2";

/// The gift's part of what is left of a payment is owed to its campaign, and what disputes took beyond that is the
/// platform's loss. Captures are looked at on their own, because later effects could hide one.
const OTHERWISE: &str = "
    with booked as (
        select s.payment_id, e.currency,
               coalesce(sum(e.amount_minor) filter (where e.account = 'campaign_payable'), 0) as owed,
               coalesce(sum(e.amount_minor) filter (where e.account = 'platform_loss'), 0) as loss,
               coalesce(sum(e.amount_minor) filter
                   (where s.effect = 'captured' and e.account = 'psp_receivable'), 0) as captured,
               count(*) filter
                   (where e.account = 'campaign_payable' and e.campaign_id is distinct from p.campaign_id) as elsewhere
        from payment.ledger_sets s
        join payment.ledger_entries e on e.set_id = s.set_id
        left join payment.payments p on p.payment_id = s.payment_id
        where s.effect not in ('correction', 'suspense', 'suspense_resolved')
          and (e.account in ('campaign_payable', 'platform_loss')
               or (e.account = 'psp_receivable' and e.amount_minor > 0))
        group by s.payment_id, e.currency
    )
    select coalesce(p.payment_id, b.payment_id)::text
    from (select payment_id, currency, captured_minor,
                 pg_temp.gift(captured_minor, amount_minor, tip_minor + covered_fee_minor)
                     - pg_temp.gift(refunded_minor + disputed_minor, amount_minor, tip_minor + covered_fee_minor) as owed,
                 coalesce(lost.minor, 0) - disputed_minor as loss
          from payment.payments
          left join (select payment_id, sum(amount_minor) as minor from payment.disputes
                     where status = 'lost' group by payment_id) lost using (payment_id)) p
    full join booked b on b.payment_id = p.payment_id and b.currency = p.currency
    where (coalesce(-b.owed, 0), coalesce(b.loss, 0), coalesce(b.captured, 0))
          is distinct from (p.owed, p.loss, p.captured_minor)
       or b.elsewhere > 0
    order by 1";

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
