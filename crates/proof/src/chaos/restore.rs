//! The restore drill, as the README has it for operators: PostgreSQL is put back to an older copy, and the services
//! recover from that.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use chassis::clock::Clock;
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{Connection, PgConnection};
use tokio::runtime::Handle;
use xtask::interrupt;

use super::world::World;
use crate::audit::Lost;

/// How long it may take until every fact is told.
const PATIENCE: Duration = Duration::from_mins(2);
/// How far a consumer may have been behind when the copy was made: what it had not heard by then is heard again, too.
const LAG: chrono::Duration = chrono::Duration::seconds(15);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Facts that only the database knows of.
const UNTOLD: &str = "
    select (select count(*) from users.outbox) + (select count(*) from campaign.outbox)
         + (select count(*) from pledge.outbox) + (select count(*) from payment.outbox)
         + (select count(*) from totals.outbox)";

/// Copies PostgreSQL, and says since when the copy may not know what happens. Blocks.
///
/// # Errors
/// When it cannot be copied.
pub(super) fn copy(world: &World) -> Result<DateTime<Utc>> {
    let since = Clock::system().now();
    world.fleet().backends().copy_postgres()?;
    Ok(since)
}

/// Puts PostgreSQL back to its copy, has every service recover unless they are to do without, and starts them again. Says
/// what was lost. Blocks.
///
/// # Errors
/// When anything of that fails.
pub(super) fn put_back(world: &World, since: DateTime<Utc>, recovers: bool) -> Result<Lost> {
    let mut fleet = world.fleet();
    // Nobody asks for anything any more, and what was promised is told.
    fleet.terminate("gateway");
    Handle::current().block_on(all_told(&world.sources.database_url))?;
    fleet.stop_services();
    let backends = fleet.backends();
    backends.postgres().kill();
    let until = Clock::system().now();
    backends.put_postgres_back()?;
    backends.postgres().start()?;
    // The cache remembers what is forgotten.
    backends.redis().kill();
    backends.redis().start()?;
    if recovers {
        let since = since - LAG;
        fleet.recover(&since.to_rfc3339_opts(SecondsFormat::Millis, true))?;
    }
    fleet.start_everything()?;
    Ok(Lost { since, until })
}

async fn all_told(url: &str) -> Result<()> {
    let began = Instant::now();
    let mut connection = PgConnection::connect(url).await?;
    loop {
        interrupt::check()?;
        let untold: i64 = sqlx::query_scalar(UNTOLD)
            .fetch_one(&mut connection)
            .await?;
        if untold == 0 {
            return Ok(connection.close().await?);
        }
        ensure!(began.elapsed() < PATIENCE, "{untold} facts are not told");
        tokio::time::sleep(LOOK).await;
    }
}
