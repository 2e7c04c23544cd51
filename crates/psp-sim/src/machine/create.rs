use std::sync::Arc;

use super::Change;
use crate::model::{Intent, Kind, Status, Terms};

/// Begins an intent.
pub(crate) fn create(terms: Terms) -> Change {
    let intent = Intent {
        terms: Arc::new(terms),
        status: Status::RequiresPaymentMethod,
        capturable: 0,
        received: 0,
        payment_method: None,
        latest_charge: None,
        last_error: None,
        canceled_at: None,
        cancellation_reason: None,
        return_url: None,
        action_url: None,
    };
    Change::of_intent(Kind::Created, intent, None, &["payment_intent.created"])
}
