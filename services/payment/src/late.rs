//! Money that was taken on a payment that had ended. It is always booked; then the pledge is revived, or the money goes
//! back by itself, once.

use chrono::{DateTime, Utc};
use common::{
    events::PaymentKind,
    money::Money,
    payment::{Event, State},
};
use sqlx::PgConnection;

use crate::{
    db::{campaigns, disputes, exceptions, late_captures, refunds},
    domain::{Cause, Change, Ending, Exception, File, Kind, Payment, Told, Wish},
};

/// What moves a payment whose money was taken late.
pub const CAUSE: &str = "late_capture";

/// Books what was taken on an ended payment and decides about it; none where the payment had not ended, or no money of
/// it is there. `others` are the pledge's other attempts; all of them are locked.
///
/// # Errors
/// When the database refuses.
pub async fn judge(
    connection: &mut PgConnection,
    payment: &mut Payment,
    others: &[Payment],
    received: i64,
    now: DateTime<Utc>,
) -> Result<Option<Box<Change>>, sqlx::Error> {
    let ended = payment.state;
    if !matches!(ended, State::Failed | State::Expired | State::Cancelled) || received <= 0 {
        return Ok(None);
    }
    let told = Told {
        minor: received,
        ..Told::default()
    };
    let Ok(mut change) = payment.hear(Event::LateCaptured, told, now) else {
        return Ok(None);
    };
    change.event.kind = PaymentKind::LateCaptured;
    let refusal = refusal(connection, payment, ended, others, now).await?;
    late_captures::insert(connection, payment, refusal, now).await?;
    if let Some(reason) = refusal {
        give_back(connection, payment, reason, now).await?;
    }
    tracing::warn!(payment.id = %payment.payment_id, state = ended.as_str(), refusal, "money was taken on an ended payment");
    Ok(Some(Box::new(change)))
}

/// Why the pledge is not revived, if so.
async fn refusal(
    connection: &mut PgConnection,
    payment: &Payment,
    ended: State,
    others: &[Payment],
    now: DateTime<Utc>,
) -> Result<Option<&'static str>, sqlx::Error> {
    if ended == State::Cancelled || payment.ending == Some(Ending::Donor) {
        return Ok(Some("the donor had cancelled"));
    }
    let paid = |other: &Payment| {
        other.state.is_live() || matches!(other.state, State::Captured | State::Completed)
    };
    if others.iter().any(paid) {
        return Ok(Some(
            "another payment of the pledge is under way or was made",
        ));
    }
    let campaign = campaigns::find(connection, payment.campaign_id).await?;
    Ok(
        if campaign.is_some_and(|campaign| campaign.takes_gifts(now)) {
            None
        } else {
            Some("the campaign takes no gifts any more")
        },
    )
}

/// The money goes back to the donor: the refund is stored with the decision, and sent by whoever sends refunds.
async fn give_back(
    connection: &mut PgConnection,
    payment: &Payment,
    reason: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let id = payment.payment_id;
    let file = File {
        refunds: refunds::of_payment(&mut *connection, id).await?,
        disputes: disputes::of_payment(&mut *connection, id).await?,
    };
    let wish = Wish::of_rule(id, Cause::LateCapture, reason);
    match file.refund(payment, wish, now) {
        Ok(refund) => refunds::save(connection, &[refund], now).await,
        Err(halt) => {
            let matter = Exception {
                kind: Kind::RefundFailed,
                subject: id.to_string(),
                payment_id: Some(id),
                amount: Some(Money::new(payment.captured, payment.amount.currency)),
                detail: format!("taken late, and cannot go back by itself: {halt}"),
                due_at: None,
            };
            exceptions::open(connection, &[matter], now).await
        }
    }
}
