use std::collections::BTreeMap;

use super::{About, Bank, Change};
use crate::{
    error::ApiError,
    ids,
    model::{Charge, Dispute, DisputeStatus, Fact, Kind, TransactionKind},
};

/// How a dispute begins.
pub(crate) struct Opening {
    /// In minor units; all that was captured by default.
    pub(crate) amount: Option<i64>,
    pub(crate) reason: String,
    pub(crate) status: DisputeStatus,
}

/// A cardholder complains, and the bank takes the money unless it only asks.
pub(crate) fn open(fact: &Fact, opening: Opening, bank: &Bank<'_>) -> Result<Change, ApiError> {
    let captured = fact.charge.clone().filter(|charge| charge.captured);
    let Some(mut charge) = captured else {
        let message = "Only a captured charge can be disputed.";
        return Err(ApiError::refused(message));
    };
    charge.disputed_at = None;
    if charge
        .disputes
        .iter()
        .any(|dispute| !dispute.status.is_closed())
    {
        return Err(ApiError::refused("The charge has an open dispute already."));
    }
    let amount = opening.amount.unwrap_or(charge.amount_captured);
    if !(1..=charge.amount_captured).contains(&amount) {
        let message = "The amount lies between 1 and what was captured.";
        return Err(ApiError::refused(message).param("amount"));
    }
    let id = ids::object("du", bank.now());
    let mut dispute = Dispute {
        id: id.clone(),
        amount,
        created: bank.now(),
        reason: opening.reason,
        status: opening.status,
        due_by: bank.seconds_after(bank.rules.evidence_within),
        evidence: BTreeMap::new(),
        submissions: 0,
        late: false,
        metadata: BTreeMap::new(),
        transactions: Vec::new(),
        turn: None,
    };
    let moved = carry_out(&mut dispute, bank);
    charge.disputes.push(dispute);
    let about = About::Dispute(id.clone());
    let mut change = Change::of_charge(Kind::Disputed, fact, charge, about);
    change.tell("charge.dispute.created", &id);
    for name in moved {
        change.tell(name, &id);
    }
    Ok(change)
}

/// The bank decides, asks for more, or turns an inquiry into a chargeback.
pub(crate) fn rule(
    fact: &Fact,
    id: &str,
    status: DisputeStatus,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    let (charge, place) = still_open(fact, id)?;
    Ok(turned(fact, charge, place, status, bank))
}

/// The merchant gives in.
pub(crate) fn close(fact: &Fact, id: &str, bank: &Bank<'_>) -> Result<Change, ApiError> {
    let (charge, place) = still_open(fact, id)?;
    let status = if charge.disputes[place].status.is_inquiry() {
        DisputeStatus::WarningClosed
    } else {
        DisputeStatus::Lost
    };
    Ok(turned(fact, charge, place, status, bank))
}

/// The merchant answers. Stripe's magic words in `uncategorized_text` decide what the bank will say.
pub(crate) fn submit(
    fact: &Fact,
    id: &str,
    evidence: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    send: bool,
    bank: &Bank<'_>,
) -> Result<Change, ApiError> {
    use DisputeStatus::{Lost, NeedsResponse, UnderReview, WarningClosed, WarningUnderReview, Won};
    let (mut charge, place) = still_open(fact, id)?;
    let dispute = &mut charge.disputes[place];
    let inquiry = dispute.status.is_inquiry();
    note(&mut dispute.metadata, metadata);
    note(&mut dispute.evidence, evidence);
    if send && !dispute.evidence.is_empty() {
        dispute.status = if inquiry {
            WarningUnderReview
        } else {
            UnderReview
        };
        dispute.submissions += 1;
        dispute.late = bank.now() > dispute.due_by;
        let words = dispute.evidence.get("uncategorized_text");
        let verdict = match (words.map(String::as_str), inquiry) {
            (Some("winning_evidence"), false) => Some(Won),
            (Some("losing_evidence"), false) => Some(Lost),
            (Some("winning_evidence"), true) => Some(WarningClosed),
            (Some("losing_evidence" | "escalate_inquiry_evidence"), true) => Some(NeedsResponse),
            _ => None,
        };
        dispute.turn = verdict.map(|verdict| bank.soon(verdict));
    }
    let about = About::Dispute(id.to_owned());
    let mut change = Change::of_charge(Kind::DisputeTurned, fact, charge, about);
    change.tell("charge.dispute.updated", id);
    Ok(change)
}

/// Ends an inquiry whose charge was refunded in full, and says which.
pub(super) fn drop_inquiry(charge: &mut Charge) -> Option<String> {
    let open = |dispute: &&mut Dispute| !dispute.status.is_closed();
    let inquiry = charge.disputes.iter_mut().find(open)?;
    inquiry.status = DisputeStatus::WarningClosed;
    inquiry.turn = None;
    Some(inquiry.id.clone())
}

/// Takes over the entries that were given; an empty one removes what was there.
pub(super) fn note(kept: &mut BTreeMap<String, String>, given: BTreeMap<String, String>) {
    for (name, value) in given {
        if value.is_empty() {
            kept.remove(&name);
        } else {
            kept.insert(name, value);
        }
    }
}

fn turned(
    fact: &Fact,
    mut charge: Charge,
    place: usize,
    status: DisputeStatus,
    bank: &Bank<'_>,
) -> Change {
    let dispute = &mut charge.disputes[place];
    dispute.status = status;
    dispute.turn = None;
    if status == DisputeStatus::NeedsResponse {
        // What was an inquiry begins anew, and so does the time for an answer.
        dispute.due_by = bank.seconds_after(bank.rules.evidence_within);
    }
    let id = dispute.id.clone();
    let moved = carry_out(dispute, bank);
    let about = About::Dispute(id.clone());
    let mut change = Change::of_charge(Kind::DisputeTurned, fact, charge, about);
    if !status.is_closed() {
        change.tell("charge.dispute.updated", &id);
    }
    for name in moved {
        change.tell(name, &id);
    }
    change
}

/// Moves the money as far as the dispute's status says, and names the events of that.
fn carry_out(dispute: &mut Dispute, bank: &Bank<'_>) -> Vec<&'static str> {
    let mut events = Vec::new();
    if dispute.status.withdraws() && dispute.transactions.is_empty() {
        let taken = bank.withdrawal(&dispute.id, dispute.amount);
        dispute.transactions.push(taken);
        events.push("charge.dispute.funds_withdrawn");
    }
    if dispute.status == DisputeStatus::Won {
        let kind = TransactionKind::DisputeReversal;
        let given = bank.at_once(kind, &dispute.id, dispute.amount);
        dispute.transactions.push(given);
        events.push("charge.dispute.funds_reinstated");
    }
    if dispute.status.is_closed() {
        events.push("charge.dispute.closed");
    }
    events
}

fn still_open(fact: &Fact, id: &str) -> Result<(Charge, usize), ApiError> {
    let charge = fact.charge.clone();
    let place = |charge: &Charge| charge.disputes.iter().position(|dispute| dispute.id == id);
    let (charge, place) = charge
        .and_then(|charge| place(&charge).map(|place| (charge, place)))
        .ok_or_else(|| ApiError::missing("dispute", id, "dispute"))?;
    if charge.disputes[place].status.is_closed() {
        return Err(ApiError::refused("This dispute is already closed."));
    }
    Ok((charge, place))
}
