//! I2: what was refused is not there, and what nobody knows of is there at most once.

use anyhow::Result;

use super::{Verdict, bench::Bench, journal::Size};

/// Looks for pledges that should not be.
pub(super) async fn examine(bench: &mut Bench, journal: Option<Size>) -> Result<Verdict> {
    let mut verdict = Verdict::new(
        "I2",
        "what was refused is not there, what is unknown at most once",
    );
    let Some(Size { pledges, .. }) = journal else {
        return Ok(verdict.skipped("no journal of what clients were told was given"));
    };
    for (what, sql) in [
        ("keys of refused pledges that made one", REFUSED),
        (
            "keys of pledges with unknown outcome that made several",
            UNKNOWN,
        ),
        (
            "gifts that were taken without asking whether an equal one before was meant as well",
            UNASKED,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    let refused = "select count(*) from journal where kind = 'pledge' and outcome = 'fail'";
    let refused = bench.count(refused).await?;
    let unknown = "select count(*) from journal where kind = 'pledge' and outcome = 'unknown'";
    let unknown = bench.count(unknown).await?;
    Ok(verdict.compared(format!(
        "{refused} refused and {unknown} unknown of {pledges} pledges with the table"
    )))
}

const REFUSED: &str = "
    select distinct j.key::text
    from journal j
    join notification.contacts c on c.email = j.email
    join pledge.pledges p on p.contact_id = c.contact_id
    where j.kind = 'pledge' and j.outcome = 'fail'
    order by 1";

const UNKNOWN: &str = "
    select j.key::text
    from journal j
    join notification.contacts c on c.email = j.email
    join pledge.pledges p on p.contact_id = c.contact_id
    where j.kind = 'pledge' and j.outcome = 'unknown'
    group by j.key having count(*) > 1
    order by 1";

/// A donor who can be known again is asked about an equal gift of the last ten minutes, unless that had come to nothing
/// by then. Of two that were both not confirmed, one came second, whatever their clocks say.
const UNASKED: &str = "
    with unconfirmed as (
        select p.pledge_id, p.campaign_id, p.amount_minor, p.created_at,
               coalesce(k.given_after, k.pledge_id) as first
        from acknowledged j join pledge.pledges p on p.pledge_id = j.pledge_id
        join pledge.pledges k on k.pledge_id = j.after
        where j.kind = 'pledge'
    )
    select u.pledge_id::text
    from unconfirmed u
    join pledge.pledges e
      on (e.pledge_id = u.first or e.given_after = u.first) and e.pledge_id <> u.pledge_id
     and (e.campaign_id, e.amount_minor) = (u.campaign_id, u.amount_minor)
    where abs(extract(epoch from u.created_at - e.created_at)) < 600
      and (e.created_at < u.created_at or e.pledge_id in (select pledge_id from unconfirmed))
      and e.status not in ('FAILED', 'EXPIRED', 'CANCELLED')
      and not exists (select from payment.payments y join payment.payment_transitions t using (payment_id)
                      where y.pledge_id = e.pledge_id and t.to_state in ('FAILED', 'EXPIRED', 'CANCELLED'))
      and not exists (select from lost where e.created_at between since and until)
    order by 1";
