use super::{Bank, Change, Opening, cancel, dispute, refund};
use crate::{
    cards,
    model::{Charge, DisputeStatus, Fact, RefundStatus, Status},
};

/// What happens without anybody's call.
enum Event {
    HoldEnds,
    Dispute,
    Refund(String, RefundStatus),
    Ruling(String, DisputeStatus),
}

/// When the next thing happens to this intent by itself, in Unix milliseconds.
pub(crate) fn due(fact: &Fact) -> Option<i64> {
    next(fact).map(|(at, _)| at)
}

/// What the time has done to the intent; `None` when nothing is due. One thing at a time: ask again after it.
pub(crate) fn pass(fact: &Fact, bank: &Bank<'_>) -> Option<Change> {
    let (_, event) = next(fact).filter(|(at, _)| *at <= bank.now_ms)?;
    match event {
        Event::HoldEnds => Some(cancel::expire(fact, bank)),
        Event::Dispute => dispute::open(fact, opening(fact.charge.as_ref()?), bank).ok(),
        Event::Refund(id, to) => refund::settle(fact, &id, to, None, bank).ok(),
        Event::Ruling(id, to) => dispute::rule(fact, &id, to, bank).ok(),
    }
}

fn next(fact: &Fact) -> Option<(i64, Event)> {
    let charge = fact.charge.as_ref()?;
    let held = fact.intent.status == Status::RequiresCapture;
    let hold = charge.capture_before.filter(|_| held);
    let hold = hold.map(|at| (at.saturating_mul(1000), Event::HoldEnds));
    let dispute = charge.disputed_at.filter(|_| charge.disputes.is_empty());
    let dispute = dispute.map(|at| (at, Event::Dispute));
    let refunds = charge.refunds.iter().filter_map(|refund| {
        let turn = refund
            .turn
            .filter(|turn| refund.status.may_become(turn.to))?;
        Some((turn.at, Event::Refund(refund.id.clone(), turn.to)))
    });
    let rulings = charge.disputes.iter().filter_map(|dispute| {
        let silence = |to| (dispute.due_by.saturating_mul(1000), to);
        let (at, to) = match (dispute.turn, dispute.status) {
            (Some(turn), _) => (turn.at, turn.to),
            (None, DisputeStatus::NeedsResponse) => silence(DisputeStatus::Lost),
            (None, DisputeStatus::WarningNeedsResponse) => silence(DisputeStatus::WarningClosed),
            _ => return None,
        };
        Some((at, Event::Ruling(dispute.id.clone(), to)))
    });
    let events = hold.into_iter().chain(dispute).chain(refunds);
    events.chain(rulings).min_by_key(|(at, _)| *at)
}

fn opening(charge: &Charge) -> Opening {
    let (reason, status) = cards::complaint(&charge.payment_method)
        .unwrap_or(("general", DisputeStatus::NeedsResponse));
    Opening {
        amount: None,
        reason: reason.to_owned(),
        status,
    }
}
