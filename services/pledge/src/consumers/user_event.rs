//! Account snapshots tell whom to thank for the gifts of an account.

use std::collections::HashMap;

use chassis::{
    db::Db,
    kafka::{Fault, Handler, Message},
};
use common::events::UserEvent;
use uuid::Uuid;

use crate::db;

/// Keeps the projection of accounts.
pub struct Donors {
    /// The database.
    pub db: Db,
}

impl Handler for Donors {
    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let mut newest: HashMap<Uuid, UserEvent> = HashMap::new();
        for message in batch {
            let event: UserEvent = message.json()?;
            let known = newest
                .get(&event.user_id.get())
                .map_or(0, |known| known.version);
            if event.version > known {
                newest.insert(event.user_id.get(), event);
            }
        }
        let events: Vec<UserEvent> = newest.into_values().collect();
        Ok(db::donors::project(&self.db, &events).await?)
    }
}
