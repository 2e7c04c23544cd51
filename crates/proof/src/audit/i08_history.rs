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
    verdict.extend(bench.sort_out(HISTORIES).await?);
    let what = "payments with a version that no history explains";
    verdict.extend(bench.find(what, RESTATED).await?);
    Ok(verdict)
}

/// One pass over all steps. However many payments there are, their stories are few, and each is read once. The machine's
/// table says which steps there are: late captures leave an end, and failed refunds leave REFUNDED. Money on an ended
/// payment revives it or goes back, and which of the two is written down with the step, unless that step was told before
/// the database was put back to an older copy.
///
/// Steps come in their order out of the subquery, which one index has, and stay in it while they are put together.
///
/// After the first, each version is that of one step with those that it implies, of a declined try or of a payout, or of
/// money that went back in part, which leaves the payment where it stands.
const HISTORIES: &str = "
    with told as materialized (
        select payment_id,
               string_agg(case when implied then from_state || ' ' || to_state || ' ' || version || ' implied'
                               else from_state || ' ' || to_state || ' ' || version end, ',') as story
        from (select payment_id, from_state, to_state, version, implied from payment.payment_transitions
              order by payment_id, id offset 0) steps
        group by payment_id
    ), stories as (
        select story, bool_or(leaps) as leaps, not bool_and(is_legal) as is_illegal, bool_or(returns) as returns,
               max(to_state) filter (where is_last) as ends_as,
               count(*) filter (where not implied) as versions, max(version) filter (where not implied) as newest
        from (select story, to_state, version, implied,
                     from_state <> lag(to_state, 1, 'PENDING') over w or version < lag(version, 1, 1::bigint) over w as leaps,
                     lead(n) over w is null as is_last,
                     from_state in ('FAILED', 'EXPIRED', 'CANCELLED') and to_state = 'CAPTURED' as returns,
                     (from_state, to_state) in (
                         ('PENDING', 'AUTHORIZED'), ('AUTHORIZED', 'CAPTURED'), ('CAPTURED', 'COMPLETED'),
                         ('PENDING', 'FAILED'), ('PENDING', 'EXPIRED'), ('PENDING', 'CANCELLED'),
                         ('AUTHORIZED', 'FAILED'), ('AUTHORIZED', 'EXPIRED'), ('AUTHORIZED', 'CANCELLED'),
                         ('FAILED', 'CAPTURED'), ('EXPIRED', 'CAPTURED'), ('CANCELLED', 'CAPTURED'),
                         ('CAPTURED', 'REFUNDED'), ('COMPLETED', 'REFUNDED'),
                         ('REFUNDED', 'CAPTURED'), ('REFUNDED', 'COMPLETED')) as is_legal
              from (select distinct story from told) each_one
              cross join lateral string_to_table(story, ',') with ordinality as step (words, n)
              cross join lateral (select split_part(words, ' ', 1) as from_state, split_part(words, ' ', 2) as to_state,
                                         split_part(words, ' ', 3)::bigint as version,
                                         split_part(words, ' ', 4) = 'implied' as implied) as said
              window w as (partition by story order by n)) steps
        group by story
    ), histories as (
        select payment_id, s.* from told join stories s using (story)
    ), others as (
        select payment_id, count(*) as versions, max(version) as newest
        from (select payment_id, version from payment.payment_attempts
              union all select payment_id, version from payment.paid_out_payments) each_one
        group by payment_id
    ), found as (
        select coalesce(p.payment_id, h.payment_id) as payment_id,
               coalesce(h.is_illegal, false) as is_illegal,
               coalesce(h.leaps, false) as leaps,
               coalesce(h.returns, false) as returns,
               p.state is distinct from coalesce(h.ends_as, 'PENDING') as ends_elsewhere,
               (p.version, p.version - 1) is distinct from
                   (greatest(h.newest, o.newest, 1), coalesce(h.versions, 0) + coalesce(o.versions, 0)) as is_unexplained
        from payment.payments p
        full join histories h on h.payment_id = p.payment_id
        left join others o on o.payment_id = p.payment_id
    )
    select what, payment_id::text
    from (select * from found where is_illegal or leaps or returns or ends_elsewhere or is_unexplained) f
    cross join lateral (values
        (is_illegal, 'payments that took a step which does not exist'),
        (leaps, 'payments whose history has a gap'),
        (ends_elsewhere, 'payments whose history ends elsewhere than they stand'),
        (returns and not exists (select from payment.late_captures l where l.payment_id = f.payment_id)
                 and not exists (select from payment.payment_restatements r where r.payment_id = f.payment_id),
         'payments that left their end and nobody decided on that'),
        (is_unexplained and not exists (select from payment.refunds r where r.payment_id = f.payment_id)
                        and not exists (select from payment.disputes d where d.payment_id = f.payment_id)
                        and not exists (select from payment.payment_restatements r where r.payment_id = f.payment_id),
         'payments with a version that no history explains')
    ) as of_it (is_so, what)
    where is_so
    order by 1, 2";

/// The same of payments that were told before the database was put back to an older copy: those versions explain
/// themselves, and the last of them may be a step, too.
const RESTATED: &str = "
    select p.payment_id::text
    from payment.payments p
    join (select payment_id, count(*) as versions, max(version) as newest
          from (select payment_id, version from payment.payment_transitions where not implied
                union all select payment_id, version from payment.payment_attempts
                union all select payment_id, version from payment.paid_out_payments
                union select payment_id, generate_series(from_version + 1, version)
                      from payment.payment_restatements) each_one
          where payment_id in (select payment_id from payment.payment_restatements)
          group by payment_id) t on t.payment_id = p.payment_id
    where (p.version, p.version - 1) is distinct from (t.newest, t.versions)
      and not exists (select from payment.refunds r where r.payment_id = p.payment_id)
      and not exists (select from payment.disputes d where d.payment_id = p.payment_id)
    order by 1";
