use std::collections::BTreeMap;

use super::{About, Bank, Change, dispute};
use crate::{
    cards,
    error::ApiError,
    ids,
    model::{Charge, Fact, Kind, Refund, RefundStatus, TransactionKind, Turn},
};

/// What the merchant asks for.
pub(crate) struct Wish {
    /// In minor units; all that is left by default.
    pub(crate) amount: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Gives captured money back, never more than was captured.
pub(crate) fn refund(fact: &Fact, wish: Wish, bank: &Bank<'_>) -> Result<Change, ApiError> {
    let mut charge = refundable(fact)?;
    let left = charge.amount_captured - charge.refunded();
    let amount = wish.amount.unwrap_or(left);
    if left < 1 {
        let message = format!("Charge {} has already been refunded.", charge.id);
        return Err(ApiError::refused(message).code("charge_already_refunded"));
    }
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::invalid(message)
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if amount > left {
        let message = format!(
            "Refund amount ({amount}) is greater than unrefunded amount on charge ({left}), in the smallest unit."
        );
        return Err(ApiError::refused(message).param("amount"));
    }
    let id = ids::object("re", bank.now());
    let transaction = bank.at_once(TransactionKind::Refund, &id, -amount);
    let (status, turn) = match cards::refund_fate(&charge.payment_method) {
        None => (RefundStatus::Succeeded, None),
        Some(later @ RefundStatus::Failed) => (RefundStatus::Succeeded, Some(bank.soon(later))),
        Some(later) => (RefundStatus::Pending, Some(bank.soon(later))),
    };
    charge.refunds.push(Refund {
        id: id.clone(),
        amount,
        created: bank.now(),
        reason: wish.reason,
        metadata: wish.metadata,
        status,
        failure_reason: None,
        transaction,
        reversal: None,
        turn,
    });
    let closed = (amount == left).then(|| dispute::drop_inquiry(&mut charge));
    let about = About::Refund(id.clone());
    let mut change = Change::of_charge(Kind::Refunded, fact, charge, about);
    change.tell("refund.created", &id);
    change.events.push(("charge.refunded", None));
    if let Some(inquiry) = closed.flatten() {
        change.tell("charge.dispute.closed", &inquiry);
    }
    Ok(change)
}

/// The charge, if money can be given back from it.
fn refundable(fact: &Fact) -> Result<Charge, ApiError> {
    let captured = fact.charge.clone().filter(|charge| charge.captured);
    let Some(charge) = captured else {
        let message = format!(
            "This PaymentIntent ({}) does not have a successful charge to refund.",
            fact.intent_id()
        );
        return Err(ApiError::refused(message));
    };
    let allows = |charge: &Charge| {
        charge
            .disputes
            .iter()
            .all(|dispute| dispute.status.allows_refunds())
    };
    if !allows(&charge) {
        let message = format!(
            "Charge {} has been charged back; cannot issue a refund.",
            charge.id
        );
        return Err(ApiError::refused(message).code("charge_disputed"));
    }
    Ok(charge)
}

/// Moves a refund on: now, or at `turn` by itself.
pub(crate) fn settle(
    fact: &Fact,
    id: &str,
    to: RefundStatus,
    why: Option<String>,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    let (mut charge, place) = found(fact, id)?;
    let refund = &mut charge.refunds[place];
    if !refund.status.may_become(to) {
        let message = format!(
            "A refund with a status of {} cannot become {to}.",
            refund.status
        );
        return Err(ApiError::refused(message));
    }
    refund.status = to;
    refund.turn = None;
    if !to.counts() {
        refund.reversal = Some(bank.at_once(TransactionKind::RefundFailure, id, refund.amount));
    }
    if to == RefundStatus::Failed {
        refund.failure_reason = why.or_else(|| Some("unknown".to_owned()));
    }
    let about = About::Refund(id.to_owned());
    let mut change = Change::of_charge(Kind::RefundTurned, fact, charge, about);
    change.tell("refund.updated", id);
    if to == RefundStatus::Failed {
        change.tell("refund.failed", id);
    }
    Ok(change)
}

/// Notes what the merchant wants to remember with a refund, or what it will turn into by itself.
pub(crate) fn annotate(
    fact: &Fact,
    id: &str,
    metadata: BTreeMap<String, String>,
    turn: Option<Turn<RefundStatus>>,
) -> Result<Change, ApiError> {
    let (mut charge, place) = found(fact, id)?;
    let refund = &mut charge.refunds[place];
    let silent = turn.is_some();
    refund.turn = turn.or(refund.turn);
    super::dispute::note(&mut refund.metadata, metadata);
    let about = About::Refund(id.to_owned());
    let mut change = Change::of_charge(Kind::RefundTurned, fact, charge, about);
    if !silent {
        change.tell("refund.updated", id);
    }
    Ok(change)
}

fn found(fact: &Fact, id: &str) -> Result<(Charge, usize), ApiError> {
    let charge = fact.charge.clone();
    let place = |charge: &Charge| charge.refunds.iter().position(|refund| refund.id == id);
    charge
        .and_then(|charge| place(&charge).map(|place| (charge, place)))
        .ok_or_else(|| ApiError::missing("refund", id, "id"))
}
