//! I11: nobody sits on the database.

use anyhow::Result;

use super::{Verdict, bench::Bench};

/// Looks at the sessions and locks of the services' database.
pub(super) async fn examine(bench: &mut Bench) -> Result<Verdict> {
    let sessions = bench.count(SESSIONS).await?;
    let locks = bench.count(LOCKS).await?;
    let mut verdict = Verdict::new(
        "I11",
        "no transaction is left open, no lock without a holder at work",
    )
    .compared(format!("{sessions} sessions and {locks} advisory locks"));
    for (what, sql) in [
        ("sessions that are idle in a transaction", IDLE),
        ("statements that run for more than a minute", ENDLESS),
        ("transactions that were prepared and not ended", PREPARED),
        (
            "relays' locks whose holder has not asked for work for ten seconds",
            ORPHANS,
        ),
    ] {
        verdict.extend(bench.find(what, sql).await?);
    }
    Ok(verdict)
}

const SESSIONS: &str = "
    select count(*) from pg_stat_activity where datname = current_database() and application_name <> 'audit'";

const LOCKS: &str = "
    select count(*) from pg_locks where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())";

/// Nobody needs half a second between two statements.
const IDLE: &str = "
    select usename || ' (' || pid || ')' from pg_stat_activity
    where datname = current_database() and application_name <> 'audit'
      and state like 'idle in transaction%' and clock_timestamp() - state_change > interval '500 milliseconds'
    order by 1";

const ENDLESS: &str = "
    select usename || ' (' || pid || ')' from pg_stat_activity
    where datname = current_database() and application_name <> 'audit' and backend_type = 'client backend'
      and state = 'active' and clock_timestamp() - query_start > interval '1 minute'
    order by 1";

const PREPARED: &str = "
    select gid from pg_prepared_xacts where database = current_database() order by 1";

/// A relay that leads looks into its outbox many times a second.
const ORPHANS: &str = "
    select a.usename || ' (' || a.pid || ')'
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'advisory' and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and a.application_name <> 'audit' and clock_timestamp() - a.query_start > interval '10 seconds'
    order by 1";
