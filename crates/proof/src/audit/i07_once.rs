//! I7: an event that comes twice acts once, and one that we acknowledged is kept.

use anyhow::Result;

use super::{Verdict, bench::Bench, provider::Size};

/// Looks at what consumers have noted, and at the provider's deliveries.
pub(super) async fn examine(bench: &mut Bench, provider: Size) -> Result<Verdict> {
    let noted = bench.count(NOTED).await?;
    let kept = bench
        .count("select count(*) from payment.webhook_events")
        .await?;
    let mut verdict = Verdict::new("I7", "an event acts once, and an acknowledged one is kept")
        .compared(format!(
            "{noted} events in the inboxes; {kept} deliveries with {} that the provider saw acknowledged",
            provider.acked
        ));
    for (what, sql) in [
        ("events that an inbox holds twice", NOTED_TWICE),
        ("deliveries that are kept twice", KEPT_TWICE),
        (
            "deliveries that were acknowledged and are not kept",
            NOT_KEPT,
        ),
        ("provider's events that acted more than once", ACTED_TWICE),
        (
            "provider's events that acted and are not kept",
            ACTED_UNKEPT,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    Ok(verdict)
}

const NOTED: &str = "
    select (select count(*) from users.inbox) + (select count(*) from campaign.inbox)
         + (select count(*) from pledge.inbox) + (select count(*) from payment.inbox)
         + (select count(*) from totals.inbox) + (select count(*) from notification.inbox)";

const NOTED_TWICE: &str = "
    select service || '/' || consumer || '/' || event_id
    from (select 'users' as service, consumer, event_id from users.inbox
          union all select 'campaign', consumer, event_id from campaign.inbox
          union all select 'pledge', consumer, event_id from pledge.inbox
          union all select 'payment', consumer, event_id from payment.inbox
          union all select 'totals', consumer, event_id from totals.inbox
          union all select 'notification', consumer, event_id from notification.inbox) noted
    group by service, consumer, event_id having count(*) > 1 order by 1";

const KEPT_TWICE: &str = "
    select event_id from payment.webhook_events group by provider, event_id having count(*) > 1 order by 1";

const NOT_KEPT: &str = "
    select a.event from psp_acked a
    where not exists (select from payment.webhook_events e where e.event_id = a.event) order by 1";

/// One event moves one payment by one version, however many steps that implies.
const ACTED_TWICE: &str = "
    select psp_event
    from (select psp_event, payment_id, version from payment.payment_transitions
          where psp_event is not null and not implied
          union all select psp_event, payment_id, version from payment.payment_attempts) acted
    group by psp_event having count(*) > 1 order by 1";

const ACTED_UNKEPT: &str = "
    select distinct t.psp_event from payment.payment_transitions t
    where t.psp_event is not null
      and not exists (select from payment.webhook_events e where e.event_id = t.psp_event) order by 1";
