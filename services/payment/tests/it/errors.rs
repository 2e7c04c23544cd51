//! Every refusal has its own status and code.

use chassis::http::Problem;
use common::{group_commit, idempotency};
use payment::{
    domain::{Flaw, Halt},
    error::Error,
};

#[test]
fn each_refusal_has_its_status_and_code() {
    let table = [
        (Error::TicketRequired, 403, "ticket_required"),
        (Error::TicketInvalid, 403, "ticket_invalid"),
        (Error::TicketExpired, 403, "ticket_expired"),
        (Error::NotThereYet, 404, "payment_not_found"),
        (Error::NotFound, 404, "not_found"),
        (Error::PledgeExpired, 410, "pledge_expired"),
        (Error::Closed, 409, "payment_closed"),
        (
            Error::Declined("do_not_honor".to_owned()),
            402,
            "payment_declined",
        ),
        (
            Error::Refused("amount_too_small".to_owned()),
            422,
            "payment_refused",
        ),
        (Error::PspUnavailable, 503, "psp_unavailable"),
        (Error::BadSignature, 401, "bad_signature"),
        (Error::MalformedEvent, 400, "malformed_event"),
        (Error::BodyTooLarge, 413, "body_too_large"),
        (Error::InvalidTransition, 409, "invalid_transition"),
        (Error::CaptureAmount, 422, "invalid_amount"),
        (Error::Velocity(60), 429, "payment_velocity"),
        (Error::ChargingPaused, 503, "charging_paused"),
        (Error::Reason, 422, "invalid_reason"),
        (Halt::Exceeds.into(), 409, "refund_exceeds_captured"),
        (Halt::DisputeOpen.into(), 409, "dispute_open"),
        (Halt::Amount.into(), 422, "invalid_amount"),
        (Halt::Currency.into(), 422, "currency_mismatch"),
        (Halt::Reason.into(), 422, "invalid_reason"),
        (Halt::DeadlinePassed.into(), 409, "deadline_passed"),
        (Halt::DisputeClosed.into(), 409, "dispute_closed"),
        (Halt::Evidence.into(), 422, "invalid_evidence"),
        (Halt::BatchState.into(), 409, "invalid_transition"),
        (Halt::SecondAdmin.into(), 409, "second_admin_required"),
        (Halt::CampaignRuns.into(), 409, "campaign_not_stopped"),
        (Flaw::Reason.into(), 422, "invalid_reason"),
        (Flaw::Lines.into(), 422, "invalid_entries"),
        (Flaw::Amount.into(), 422, "invalid_amount"),
        (Flaw::Currency.into(), 422, "unknown_currency"),
        (Flaw::Campaign.into(), 422, "campaign_required"),
        (Flaw::Unbalanced.into(), 422, "unbalanced_entries"),
        (Flaw::Payment.into(), 422, "unknown_payment"),
        (
            idempotency::Error::KeyReused.into(),
            422,
            "idempotency_key_reused",
        ),
        (
            idempotency::Error::InProgress.into(),
            409,
            "idempotency_in_progress",
        ),
        (Error::IntentMismatch, 503, "psp_unavailable"),
        (group_commit::Error::Unavailable.into(), 503, "unavailable"),
        (group_commit::Error::Busy.into(), 503, "overloaded"),
        (sqlx::Error::PoolTimedOut.into(), 503, "unavailable"),
        (sqlx::Error::RowNotFound.into(), 500, "internal"),
        (Error::Internal("secret".to_owned()), 500, "internal"),
    ];
    for (error, status, code) in table {
        let name = format!("{error:?}");
        let problem = Problem::from(error);
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (status, code),
            "{name}"
        );
        assert!(!problem.to_string().contains("secret"), "{name}");
    }
}
