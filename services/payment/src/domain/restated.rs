//! Payments that others know better than we do, because our own table was put back to an older copy. Pure.

use chrono::{DateTime, Utc};
use common::{
    events::{PaymentEvent, PaymentKind},
    payment::{Event, State},
};

use super::payment::{Change, Payment, Told};

impl Payment {
    /// Goes on above the versions that were told; none where nothing was told that is not known here. An end that was
    /// told is learned, since the provider had agreed to it. Whatever else was told is the provider's to tell again: the
    /// payment says how it stands here, and whoever had heard more takes that back until then.
    pub fn restate(&mut self, told: &PaymentEvent, now: DateTime<Utc>) -> Option<Change> {
        if told.version <= self.version {
            return None;
        }
        self.version = told.version;
        let end = match told.state {
            State::Failed => Some(Event::Failed),
            State::Expired => Some(Event::Expired),
            State::Cancelled => Some(Event::Cancelled),
            _ => None,
        };
        if let Some(end) = end
            && let Ok(change) = self.hear(end, Told::default(), now)
        {
            return Some(change);
        }
        let standing = self.standing();
        self.touch(now);
        Some(Change {
            transitions: Vec::new(),
            decline: None,
            moved: self.moved(standing, Told::default()),
            event: self.snapshot(PaymentKind::Restated, None, Vec::new()),
        })
    }
}
