//! Why money does not go back. Pure.

/// A refusal about a refund, a dispute or a batch of refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// More than is left of what was captured, or nothing is left.
    #[error("there is not that much left of what was captured")]
    Exceeds,
    /// The donor's bank has the money, or may take it.
    #[error("the donor's bank disputes the payment; until that is won nothing can be refunded")]
    DisputeOpen,
    /// An amount that is no integer, zero or less.
    #[error("amount must be a whole number of minor units, more than zero")]
    Amount,
    /// Another currency than the payment's.
    #[error("currency must be the payment's own")]
    Currency,
    /// The reason's length or characters.
    #[error("reason must be 3 to 500 characters on one line")]
    Reason,
    /// The bank takes no evidence any more.
    #[error("the bank's time for an answer is over")]
    DeadlinePassed,
    /// The bank has decided.
    #[error("the dispute is decided")]
    DisputeClosed,
    /// No evidence, or one that the bank does not take.
    #[error(
        "evidence must be 1 to 20 of the provider's text fields, each of 1 to 20,000 characters"
    )]
    Evidence,
    /// The batch does not stand where this can be done to it.
    #[error("the batch does not stand where this can be done")]
    BatchState,
    /// The admin who started it cannot approve it.
    #[error("another admin than the one who started it must approve")]
    SecondAdmin,
    /// The campaign has neither been called off nor suspended.
    #[error("only what a cancelled or suspended campaign took is given back")]
    CampaignRuns,
}

impl Halt {
    /// The stable code of the problem.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exceeds => "refund_exceeds_captured",
            Self::DisputeOpen => "dispute_open",
            Self::Amount => "invalid_amount",
            Self::Currency => "currency_mismatch",
            Self::Reason => "invalid_reason",
            Self::DeadlinePassed => "deadline_passed",
            Self::DisputeClosed => "dispute_closed",
            Self::Evidence => "invalid_evidence",
            Self::BatchState => "invalid_transition",
            Self::SecondAdmin => "second_admin_required",
            Self::CampaignRuns => "campaign_not_stopped",
        }
    }

    /// Whether the request itself is wrong, and not what it is about.
    pub const fn is_invalid(self) -> bool {
        matches!(
            self,
            Self::Amount | Self::Currency | Self::Reason | Self::Evidence
        )
    }
}
