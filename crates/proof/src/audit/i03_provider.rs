//! I3: what the provider charged is what we recorded.

use anyhow::Result;

use super::{Verdict, bench::Bench, provider::Size};

/// Looks at every intent of the provider's, and at every payment.
pub(super) async fn examine(bench: &mut Bench, provider: Size) -> Result<Verdict> {
    let payments = bench.count("select count(*) from payment.payments").await?;
    let suspended = bench.count(SUSPENDED).await?;
    let mut verdict = Verdict::new("I3", "each charge is recorded once, with its amount").compared(
        format!(
            "{} intents in {} lines of the provider's with {payments} payments; {suspended} charges wait for a person",
            provider.intents, provider.lines
        ),
    );
    for (what, sql) in [
        ("payments with more than one intent", TWICE_OPENED),
        ("pledges that were charged more than once", TWICE_CHARGED),
        ("charges that are not recorded, or otherwise", NOT_RECORDED),
        (
            "payments that record a charge which the provider never made",
            NEVER_MADE,
        ),
        ("holds that are recorded otherwise", HELD_OTHERWISE),
        (
            "payments that are open here and ended at the provider",
            ENDED_THERE,
        ),
        (
            "payments whose intent the provider does not know",
            UNKNOWN_INTENT,
        ),
        (
            "payments whose refunds or lost disputes are recorded otherwise",
            BACK_OTHERWISE,
        ),
        ("payments with more given back than taken", TOO_MUCH_BACK),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    Ok(verdict)
}

/// Charges that were noticed and not booked: the verdict on the event that told of them says so.
const SUSPENDED: &str = "
    select count(*) from psp_intents i
    join payment.webhook_events e on e.event_id = i.told_by
    where i.taken > 0 and e.verdict in ('CONFLICT', 'PARKED', 'QUARANTINED')";

const TWICE_OPENED: &str = "
    select payment_id::text from psp_intents where payment_id is not null
    group by payment_id having count(*) > 1 order by 1";

const TWICE_CHARGED: &str = "
    select pledge_id::text from psp_intents where pledge_id is not null and taken > refunded
    group by pledge_id having count(*) > 1 order by 1";

const NOT_RECORDED: &str = "
    select i.intent from psp_intents i
    left join payment.payments p on p.payment_id = i.payment_id
    left join payment.webhook_events e on e.event_id = i.told_by
    where i.taken > 0
      and (p.payment_id is null or p.captured_minor <> i.taken or p.currency <> i.currency
           or p.provider_ref is distinct from i.intent or p.pledge_id is distinct from i.pledge_id
           or p.state not in ('CAPTURED', 'COMPLETED', 'REFUNDED'))
      and coalesce(e.verdict, 'APPLIED') not in ('CONFLICT', 'PARKED', 'QUARANTINED')
    order by 1";

const NEVER_MADE: &str = "
    select p.payment_id::text from payment.payments p
    left join psp_intents i on i.intent = p.provider_ref and i.taken > 0
    where (p.captured_minor > 0 or p.state in ('CAPTURED', 'COMPLETED', 'REFUNDED')) and i.intent is null
    order by 1";

const HELD_OTHERWISE: &str = "
    select p.payment_id::text from payment.payments p
    full join (select * from psp_intents where status = 'requires_capture') i on i.payment_id = p.payment_id
    where (i.intent is not null and (p.state is distinct from 'AUTHORIZED' or p.authorized_minor <> i.held))
       or (p.state = 'AUTHORIZED' and i.intent is null)
    order by 1";

const ENDED_THERE: &str = "
    select p.payment_id::text from payment.payments p
    join psp_intents i on i.intent = p.provider_ref
    where i.status = 'canceled' and p.state in ('PENDING', 'AUTHORIZED')
    order by 1";

const UNKNOWN_INTENT: &str = "
    select p.payment_id::text from payment.payments p
    left join psp_intents i on i.intent = p.provider_ref
    where p.provider_ref is not null and (i.intent is null or i.payment_id is distinct from p.payment_id)
    order by 1";

/// A dispute takes no more than what a refund has left.
const BACK_OTHERWISE: &str = "
    select p.payment_id::text from payment.payments p
    join psp_intents i on i.intent = p.provider_ref
    where p.captured_minor > 0
      and (p.refunded_minor, p.disputed_minor) <> (i.refunded, least(i.disputed, i.taken - i.refunded))
    order by 1";

const TOO_MUCH_BACK: &str = "
    select payment_id::text from payment.payments where refunded_minor > captured_minor order by 1";
