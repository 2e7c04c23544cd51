//! What the service hears: campaigns, accounts and payments.

mod campaign_state;
mod payment_event;
mod user_event;

pub use campaign_state::Campaigns;
pub use payment_event::Payments;
pub use user_event::Donors;
