//! The operators' switches, and who turned them.

use chrono::{DateTime, Utc};
use common::ids::UserId;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// How a switch stands.
#[derive(Clone, Debug)]
pub struct Control {
    /// Whether what it controls is stopped.
    pub paused: bool,
    /// Why.
    pub reason: String,
    /// The admin who turned it last.
    pub changed_by: UserId,
    /// When.
    pub changed_at: DateTime<Utc>,
}

/// The switch of new charges; none while nobody has ever turned it.
pub async fn charging(executor: impl PgExecutor<'_>) -> Result<Option<Control>, sqlx::Error> {
    let row: Option<(bool, String, Uuid, DateTime<Utc>)> = sqlx::query_as(
        "select paused, reason, changed_by, changed_at from controls where name = 'charging'",
    )
    .fetch_optional(executor)
    .await?;
    Ok(row.map(|(paused, reason, changed_by, changed_at)| Control {
        paused,
        reason,
        changed_by: UserId::from(changed_by),
        changed_at,
    }))
}

/// Turns the switch of new charges, and writes down who did.
pub async fn turn_charging(
    connection: &mut PgConnection,
    control: &Control,
    trace_id: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with turned as (
             insert into controls (name, paused, reason, changed_by, changed_at)
             values ('charging', $1, $2, $3, $4)
             on conflict (name) do update
             set paused = excluded.paused, reason = excluded.reason, changed_by = excluded.changed_by,
                 changed_at = excluded.changed_at)
         insert into control_changes (name, paused, reason, changed_by, changed_at, trace_id)
         values ('charging', $1, $2, $3, $4, $5)",
    )
    .bind(control.paused)
    .bind(&control.reason)
    .bind(control.changed_by.get())
    .bind(control.changed_at)
    .bind(trace_id)
    .execute(connection)
    .await?;
    Ok(())
}
