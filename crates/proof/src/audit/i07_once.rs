//! I7: an event that comes twice acts once, and one that we acknowledged is kept.

use anyhow::Result;

use super::{Verdict, bench::Bench, provider::Ledger};

/// Looks at what the provider delivered, and at what that did.
pub(super) async fn examine(bench: &mut Bench, provider: &Ledger) -> Result<Verdict> {
    let kept = bench
        .count("select count(*) from payment.webhook_events")
        .await?;
    let mut verdict = Verdict::new("I7", "an event acts once, and an acknowledged one is kept")
        .compared(format!(
            "{kept} deliveries with {} that the provider saw acknowledged",
            provider.acked
        ));
    for (what, sql) in [
        ("deliveries that are kept twice", KEPT_TWICE),
        (
            "deliveries that were acknowledged and are not kept",
            NOT_KEPT,
        ),
        (
            "events of the provider's that acted more than once",
            ACTED_TWICE,
        ),
        (
            "events of the provider's that acted and are not kept",
            ACTED_UNKEPT,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    Ok(verdict)
}

const KEPT_TWICE: &str = "
    select event_id from payment.webhook_events group by provider, event_id having count(*) > 1 order by 1";

const NOT_KEPT: &str = "
    select distinct a.event from psp_acked a
    where not exists (select from payment.webhook_events e where e.event_id = a.event) order by 1";

/// One event moves one payment by one version, however many steps that implies.
const ACTED_TWICE: &str = "
    select psp_event
    from (select psp_event from payment.payment_transitions where psp_event is not null and not implied
          union all select psp_event from payment.payment_attempts where psp_event is not null) acted
    group by psp_event having count(*) > 1 order by 1";

const ACTED_UNKEPT: &str = "
    select distinct t.psp_event from payment.payment_transitions t
    where t.psp_event is not null
      and not exists (select from payment.webhook_events e where e.event_id = t.psp_event) order by 1";
