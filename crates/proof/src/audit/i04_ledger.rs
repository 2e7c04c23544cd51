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
        ("sets that do not sum to zero", UNBALANCED),
        ("sets without entries, or entries without a set", INCOMPLETE),
        (
            "payments that are booked otherwise than they stand",
            OTHERWISE,
        ),
        ("payments whose hold is booked otherwise", HOLDS),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
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
const UNBALANCED: &str = "
    select distinct set_id::text
    from (select set_id from payment.ledger_entries group by set_id, currency having sum(amount_minor) <> 0) sets
    order by 1";

const INCOMPLETE: &str = "
    select coalesce(s.set_id, e.set_id)::text
    from payment.ledger_sets s
    full join (select distinct set_id from payment.ledger_entries) e on e.set_id = s.set_id
    where s.set_id is null or e.set_id is null
    order by 1";

/// What a campaign may keep of a payment is owed to it, a loss beyond that is the platform's, and both together are at
/// the provider or in the bank, less fees. Captures are looked at on their own, because later effects could hide one.
const OTHERWISE: &str = "
    with booked as (
        select s.payment_id, e.currency,
               coalesce(sum(e.amount_minor) filter (where e.account = 'campaign_payable'), 0) as owed,
               coalesce(sum(e.amount_minor) filter (where e.account = 'platform_loss'), 0) as loss,
               coalesce(sum(e.amount_minor) filter
                   (where e.account in ('psp_receivable', 'psp_settled', 'fees')), 0) as here,
               coalesce(sum(e.amount_minor) filter
                   (where s.effect = 'captured' and e.amount_minor > 0), 0) as captured,
               count(distinct e.campaign_id) filter (where e.account = 'campaign_payable') as campaigns,
               min(e.campaign_id::text) filter (where e.account = 'campaign_payable') as campaign_id
        from payment.ledger_sets s join payment.ledger_entries e on e.set_id = s.set_id
        where s.effect <> 'correction'
        group by s.payment_id, e.currency
    )
    select coalesce(p.payment_id, b.payment_id)::text
    from (select *, captured_minor - refunded_minor - disputed_minor as kept from payment.payments) p
    full join booked b on b.payment_id = p.payment_id and b.currency = p.currency
    where (coalesce(-b.owed, 0), coalesce(b.loss, 0), coalesce(b.here, 0), coalesce(b.captured, 0))
          is distinct from
          (greatest(p.kept, 0), greatest(-p.kept, 0), p.kept, p.captured_minor)
       or b.campaigns > 1 or b.campaign_id <> p.campaign_id::text
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
