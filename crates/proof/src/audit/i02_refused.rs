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
        return Ok(verdict.skipped("no journal of what donors were told was given"));
    };
    for (what, sql) in [
        ("keys of refused pledges that made one", REFUSED),
        (
            "keys of pledges with unknown outcome that made several",
            UNKNOWN,
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
