//! I3: what the provider charged is what we recorded.

use anyhow::Result;

use super::{Finding, Verdict, bench::Bench, provider::Ledger};

/// Looks at every intent of the provider's, and at every payment.
pub(super) async fn examine(bench: &mut Bench, provider: &Ledger) -> Result<Verdict> {
    let payments = bench.count("select count(*) from payment.payments").await?;
    let suspended = bench.count(SUSPENDED).await?;
    let mut verdict = Verdict::new("I3", "each charge is recorded once, with its amount").compared(
        format!(
            "{} intents, {} refunds and {} disputes in {} lines of the provider's with {payments} payments; {suspended} charges wait for a person",
            provider.intents, provider.refunds, provider.disputes, provider.lines
        ),
    );
    for (what, ids) in [
        ("payments with more than one intent", &provider.opened_twice),
        (
            "pledges that were charged more than once",
            &provider.charged_twice,
        ),
    ] {
        verdict.extend(Finding::of(what, ids.clone()));
    }
    for (what, sql) in [
        (
            "refunds that only one side knows, or were only promised",
            REFUND_OTHERWISE,
        ),
        (
            "refunds that were promised once and made twice",
            REFUND_TWICE,
        ),
        ("disputes that only one side knows", DISPUTE_OTHERWISE),
        ("gifts to campaigns called off that stay", STAYS),
        ("money taken too late that stays", LATE_STAYS),
        (
            "money in suspense that was taken otherwise",
            SUSPENDED_OTHERWISE,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    verdict.extend(bench.sort_out(RECORDED).await?);
    Ok(verdict)
}

/// Charges that are booked to nobody until a person decides.
const SUSPENDED: &str =
    "select count(*) from payment.exceptions where kind = 'SUSPENSE' and closed_at is null";

/// What waits in suspense is what the provider took, and it is booked nowhere else; back it went at the provider, too,
/// unless it is in suspense once more since.
const SUSPENDED_OTHERWISE: &str = "
    select s.psp_object
    from payment.ledger_sets s
    join payment.ledger_entries e on e.set_id = s.set_id and e.account = 'psp_receivable'
    left join psp_intents i on i.intent = split_part(s.psp_object, ':', 1)
    left join payment.payments p on p.payment_id = s.payment_id
    where (s.effect = 'suspense'
           and ((i.taken, i.currency) is distinct from (e.amount_minor, e.currency)
                or p.captured_minor is distinct from 0))
       or (s.effect = 'suspense_resolved' and i.refunded is distinct from -e.amount_minor
           and not exists (select from payment.ledger_sets l
                           where l.payment_id = s.payment_id and l.effect = 'suspense' and l.set_id > s.set_id))
    order by 1";

/// Late money that does not revive its payment goes back once, whatever becomes of that refund at the bank, unless the bank
/// of its donor takes it.
const LATE_STAYS: &str = "
    select p.payment_id::text
    from payment.late_captures l join payment.payments p using (payment_id)
    where l.decision = 'REFUND' and p.captured_minor > p.refunded_minor + p.disputed_minor
      and not exists (select from payment.refunds r where r.payment_id = p.payment_id and r.cause = 'LATE_CAPTURE')
      and not exists (select from payment.disputes d
                      where d.payment_id = p.payment_id and d.status not in ('won', 'warning_closed'))
    order by 1";

/// Each intent with the payment that it names, and that names it. A charge that names no payment of ours is parked, and
/// waits for a person; one that is in suspense does, too. A hold of which no payment knows is named by its intent. What has
/// ended here can never be paid there. A dispute takes no more than what a refund has left.
const RECORDED: &str = "
    with found as (
        select coalesce(p.payment_id::text, i.intent) as id, i.intent, i.told_by, p.payment_id,
               i.taken > 0
                   and (p.payment_id is null or p.captured_minor <> i.taken or p.currency <> i.currency
                        or p.provider_ref is distinct from i.intent or p.pledge_id is distinct from i.pledge_id
                        or p.state not in ('CAPTURED', 'COMPLETED', 'REFUNDED')) as is_not_recorded,
               (i.status is not distinct from 'requires_capture') <> (p.state is not distinct from 'AUTHORIZED')
                   or (p.state = 'AUTHORIZED' and p.authorized_minor <> i.held) as is_held_otherwise,
               i.status = 'canceled' and p.state in ('PENDING', 'AUTHORIZED') as has_ended_there,
               i.status not in ('canceled', 'succeeded') and i.payment_id is not null
                   and (p.state is null or p.state not in ('PENDING', 'AUTHORIZED')) as can_be_paid_there,
               p.refunded_minor > p.captured_minor as is_too_much_back,
               p.provider_ref is not null and i.intent is distinct from p.provider_ref as is_unknown_there,
               (p.captured_minor > 0 or p.state in ('CAPTURED', 'COMPLETED', 'REFUNDED')) and coalesce(i.taken, 0) = 0
                   as was_never_made,
               p.captured_minor > 0 and coalesce(i.taken, 0) > 0
                   and (p.refunded_minor, p.disputed_minor) <> (i.refunded, least(i.disputed, i.taken - i.refunded))
                   as goes_back_otherwise
        from payment.payments p full join psp_intents i on i.payment_id = p.payment_id
    )
    select distinct what, id
    from (select * from found
          where is_not_recorded or is_held_otherwise or has_ended_there or can_be_paid_there or is_too_much_back
             or is_unknown_there or was_never_made or goes_back_otherwise) f
    cross join lateral (values
        (is_not_recorded
             and not (f.payment_id is null
                      and exists (select from payment.webhook_events e
                                  where e.event_id = f.told_by and e.verdict = 'PARKED'))
             and not exists (select from payment.ledger_sets s
                             where s.payment_id = f.payment_id and s.effect = 'suspense' and s.psp_object = f.intent),
         'charges that are not recorded, or otherwise'),
        (is_held_otherwise, 'holds that are recorded otherwise'),
        (has_ended_there, 'payments that are open here and ended at the provider'),
        (can_be_paid_there, 'payments that have ended here and can be paid at the provider'),
        (is_too_much_back, 'payments with more given back than taken'),
        (is_unknown_there, 'payments whose intent the provider does not know'),
        (was_never_made, 'payments that record a charge which the provider never made'),
        (goes_back_otherwise, 'payments whose refunds or lost disputes are recorded otherwise')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

/// What the provider made and did not take back is in our rows with its amount, and the other way round; but what a
/// person gave back out of suspense is only in the books.
const REFUND_OTHERWISE: &str = "
    select coalesce(b.refund, r.psp_refund, r.refund_id::text)
    from psp_refunds b
    full join payment.refunds r on r.psp_refund = b.refund
    where (b.refund is null and (r.psp_refund is not null or r.status in ('PENDING', 'REQUIRES_ACTION', 'SUCCEEDED')))
       or (b.status = 'succeeded' and (r.refund_id is null or r.status <> 'SUCCEEDED')
           and not exists (select from payment.ledger_sets s where s.effect = 'suspense' and s.psp_object = b.intent))
       or (b.refund is not null and r.refund_id is not null
           and (b.amount <> r.amount_minor or (b.status in ('failed', 'canceled')) <> (r.status in ('FAILED', 'CANCELED'))))
    order by 1";

const REFUND_TWICE: &str = "
    select refund_id::text from psp_refunds where refund_id is not null
    group by refund_id having count(*) > 1 order by 1";

const DISPUTE_OTHERWISE: &str = "
    select coalesce(b.dispute, d.dispute_id)
    from psp_disputes b full join payment.disputes d on d.dispute_id = b.dispute
    where b.dispute is null or d.dispute_id is null or b.amount <> d.amount_minor or b.status <> d.status
    order by 1";

/// The rule gives back once, whatever becomes of that refund at the bank. Money in a dispute is the bank's to decide, and of
/// a charge that a bank took back the provider refunds nothing more, even where that was only a part of it.
const STAYS: &str = "
    select p.payment_id::text
    from payment.payments p
    where p.campaign_id in (select campaign_id from payment.campaigns where status = 'CANCELLED'
                            union select campaign_id from campaign.campaigns where status = 'CANCELLED')
      and p.captured_minor > p.refunded_minor + p.disputed_minor
      and not exists (select from payment.refunds r where r.payment_id = p.payment_id and r.cause = 'STANDING')
      and not exists (select from payment.refund_batches b
                      where b.campaign_id = p.campaign_id and b.state in ('AWAITING_APPROVAL', 'PAUSED'))
      and not exists (select from payment.disputes d
                      where d.payment_id = p.payment_id and d.status not in ('won', 'warning_closed'))
    order by 1";
