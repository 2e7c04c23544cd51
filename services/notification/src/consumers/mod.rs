//! What this service makes of the others' facts.

mod campaigns;
mod contacts;
mod payments;
mod totals;

use std::time::Duration;

use chassis::kafka::{Fault, Handler, Message};
use common::events::topics;

use crate::App;

pub use totals::Totals;

/// The facts that are kept: contacts, campaigns and the thanks that payments call for.
///
/// One consumer reads the three topics, since each further one would cost a client with threads and buffers. Their
/// order among each other does not matter: a mail waits for what it is written from.
pub struct Facts(App);

impl Facts {
    /// Keeps facts for `app`.
    pub fn new(app: &App) -> Self {
        Self(app.clone())
    }
}

impl Handler for Facts {
    /// A mail takes seconds anyway.
    const GATHER: Duration = Duration::from_millis(100);

    async fn handle(&self, batch: &[Message]) -> Result<(), Fault> {
        let of = |topic: &'static str| batch.iter().filter(move |message| message.topic == topic);
        contacts::apply(&self.0, of(topics::CONTACT.name)).await?;
        campaigns::apply(&self.0, of(topics::CAMPAIGN.name)).await?;
        payments::apply(&self.0, of(topics::PAYMENT.name)).await?;
        chassis::failpoint!("consumer.after_effect");
        self.0.due.notify_one();
        Ok(())
    }
}
