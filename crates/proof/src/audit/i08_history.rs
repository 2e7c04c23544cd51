//! I8: the history of each payment is one of the machine's, without gaps.

use anyhow::Result;

use super::{Verdict, bench::Bench};

/// Walks through the history of every payment.
pub(super) async fn examine(bench: &mut Bench) -> Result<Verdict> {
    let steps = "select count(*) from payment.payment_transitions";
    let steps = bench.count(steps).await?;
    let payments = bench.count("select count(*) from payment.payments").await?;
    let mut verdict = Verdict::new("I8", "each payment's history is legal and without gaps")
        .compared(format!("{steps} steps with {payments} payments"));
    for (what, sql) in [
        ("payments that took a step which does not exist", ILLEGAL),
        (
            "payments that left their end and nobody decided on that",
            UNDECIDED,
        ),
        (
            "payments with a version that no history explains",
            UNEXPLAINED,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    verdict.extend(bench.sort_out(STEPS).await?);
    Ok(verdict)
}

/// The machine's table. Late captures leave an end; failed refunds leave REFUNDED.
const ILLEGAL: &str = "
    select distinct payment_id::text from payment.payment_transitions
    where (from_state, to_state) not in (
        ('PENDING', 'AUTHORIZED'), ('AUTHORIZED', 'CAPTURED'), ('CAPTURED', 'COMPLETED'),
        ('PENDING', 'FAILED'), ('PENDING', 'EXPIRED'), ('PENDING', 'CANCELLED'),
        ('AUTHORIZED', 'FAILED'), ('AUTHORIZED', 'EXPIRED'), ('AUTHORIZED', 'CANCELLED'),
        ('FAILED', 'CAPTURED'), ('EXPIRED', 'CAPTURED'), ('CANCELLED', 'CAPTURED'),
        ('CAPTURED', 'REFUNDED'), ('COMPLETED', 'REFUNDED'),
        ('REFUNDED', 'CAPTURED'), ('REFUNDED', 'COMPLETED'))
    order by 1";

/// Money on an ended payment revives it or goes back, and which of the two is written down with the step; unless that
/// step was told before the database was put back to an older copy.
const UNDECIDED: &str = "
    select distinct payment_id::text from payment.payment_transitions t
    where from_state in ('FAILED', 'EXPIRED', 'CANCELLED') and to_state = 'CAPTURED'
      and not exists (select from payment.late_captures l where l.payment_id = t.payment_id)
      and not exists (select from payment.payment_restatements r where r.payment_id = t.payment_id)
    order by 1";

const STEPS: &str = "
    with steps as (
        select payment_id, to_state, from_state <> stood or version < before as leaps, is_last
        from (select payment_id, from_state, to_state, version,
                     lag(to_state, 1, 'PENDING') over w as stood, lag(version, 1, 1::bigint) over w as before,
                     lead(id) over w is null as is_last
              from payment.payment_transitions window w as (partition by payment_id order by id)) each_one
    )
    select distinct case when s.leaps then 'payments whose history has a gap'
                         else 'payments whose history ends elsewhere than they stand' end,
           coalesce(p.payment_id, s.payment_id)::text
    from payment.payments p
    full join (select * from steps where is_last or leaps) s on s.payment_id = p.payment_id
    where s.leaps or p.state is distinct from coalesce(s.to_state, 'PENDING')
    order by 1, 2";

/// After the first, each version is that of one step with those that it implies, of a declined try or of a payout, or of
/// money that went back in part, which leaves the payment where it stands; or it was told before the database was put
/// back to an older copy, and the last of those may be a step.
const UNEXPLAINED: &str = "
    select p.payment_id::text
    from payment.payments p
    left join (select payment_id, count(*) as versions, max(version) as newest
               from (select payment_id, version from payment.payment_transitions where not implied
                     union all select payment_id, version from payment.payment_attempts
                     union all select payment_id, version from payment.paid_out_payments
                     union select payment_id, generate_series(from_version + 1, version)
                           from payment.payment_restatements) each_one
               group by payment_id) t on t.payment_id = p.payment_id
    where (p.version, p.version - 1) is distinct from (coalesce(t.newest, 1), coalesce(t.versions, 0))
      and not exists (select from payment.refunds r where r.payment_id = p.payment_id)
      and not exists (select from payment.disputes d where d.payment_id = p.payment_id)
    order by 1";
