//! The switch that stops new charges. Each process remembers it for less than a second; what was charged before goes
//! on being recorded.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::PgPool;
use tokio::time::Instant;

use crate::db::controls;

/// How long the switch is remembered.
const REMEMBERED: Duration = Duration::from_millis(500);

/// What this process remembers of the switch.
#[derive(Default)]
pub struct Switch(Mutex<Option<(Instant, bool)>>);

impl Switch {
    /// Whether new charges are stopped.
    ///
    /// # Errors
    /// What the database says.
    pub async fn is_paused(&self, pool: &PgPool) -> Result<bool, sqlx::Error> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, paused)) = known
            && at.elapsed() < REMEMBERED
        {
            return Ok(paused);
        }
        let asked = Instant::now();
        let control = controls::charging(pool).await?;
        let paused = control.is_some_and(|control| control.paused);
        self.turned(asked, paused);
        Ok(paused)
    }

    /// This process has just turned it.
    pub fn turn(&self, paused: bool) {
        self.turned(Instant::now(), paused);
    }

    /// What was asked for last counts: an answer from before a turn does not undo it.
    fn turned(&self, asked: Instant, paused: bool) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|(at, _)| at <= asked) {
            *known = Some((asked, paused));
        }
    }
}
