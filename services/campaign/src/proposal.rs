//! What an organiser proposes, and the rules that make a draft of it. Pure.

use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use common::{
    events::{CampaignStatus, Capture},
    ids::{CampaignId, UserId},
    money::{GivenMoney, InvalidMoney},
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{Code, domain::Campaign};

/// The body of a request for a new campaign.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// 3 to 120 characters on one line.
    #[schema(example = "Clean water for Barisal", min_length = 3, max_length = 120)]
    pub title: String,
    /// Up to 20,000 characters.
    #[schema(
        example = "Two hundred families drink from the river.",
        max_length = 20_000
    )]
    pub story: String,
    /// 2 to 40 characters on one line.
    #[schema(example = "water", min_length = 2, max_length = 40)]
    pub category: String,
    /// More than zero. Its currency is that of every gift.
    pub goal: GivenMoney,
    /// When it stops taking gifts; open-ended without.
    pub ends_at: Option<DateTime<Utc>>,
    /// IANA name of the zone that its days are counted in.
    #[serde(default = "utc")]
    #[schema(default = "UTC", example = "Asia/Dhaka")]
    pub timezone: String,
    /// The smallest gift, in minor units of the goal's currency.
    #[serde(default = "smallest_gift")]
    #[schema(default = 100, minimum = 1)]
    pub min_amount: i64,
    /// Whether gifts are taken at once or held first.
    #[serde(default = "at_once")]
    #[schema(default = "automatic")]
    pub capture: Capture,
}

/// A field that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field's path.
    pub field: &'static str,
    /// The rule's stable name.
    pub code: Code,
    /// The rule for people.
    pub rule: &'static str,
}

impl Proposal {
    /// Makes version 1 of a draft.
    ///
    /// # Errors
    /// Names every field that breaks a rule, in the order of the fields.
    pub fn draft(self, organiser_id: UserId, now: DateTime<Utc>) -> Result<Campaign, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut require = |holds: bool, field, code, rule| {
            if !holds {
                faults.push(Fault { field, code, rule });
            }
        };
        let (title, category) = (self.title.trim(), self.category.trim());
        require(
            is_line(title, 3, 120),
            "title",
            Code::InvalidTitle,
            "must be 3 to 120 characters on one line",
        );
        require(
            is_text(&self.story, 0, 20_000),
            "story",
            Code::InvalidStory,
            "must be at most 20000 characters, without control characters",
        );
        require(
            is_line(category, 2, 40),
            "category",
            Code::InvalidCategory,
            "must be 2 to 40 characters on one line",
        );
        let goal = self.goal.parse();
        match &goal {
            Ok(goal) => {
                require(
                    goal.minor > 0,
                    "goal.amount",
                    Code::GoalNotPositive,
                    "must be more than zero",
                );
                require(
                    goal.currency.is_chargeable(),
                    "goal.currency",
                    Code::UnknownCurrency,
                    "must be a currency that the payment provider counts in the unit of ISO 4217",
                );
            }
            Err(InvalidMoney::Amount) => require(
                false,
                "goal.amount",
                Code::InvalidAmount,
                "must be a whole number of minor units within 64 bits",
            ),
            Err(InvalidMoney::Currency(_)) => require(
                false,
                "goal.currency",
                Code::UnknownCurrency,
                "must be an active ISO 4217 code",
            ),
        }
        let ends_at = self.ends_at.map(|end| end.trunc_subsecs(6));
        require(
            ends_at.is_none_or(|end| end > now),
            "ends_at",
            Code::EndsAtPast,
            "must be in the future",
        );
        require(
            self.timezone.parse::<Tz>().is_ok(),
            "timezone",
            Code::UnknownTimezone,
            "must be a name of the IANA time zone database",
        );
        require(
            self.min_amount > 0,
            "min_amount",
            Code::InvalidMinAmount,
            "must be more than zero",
        );
        match goal {
            Ok(goal) if faults.is_empty() => Ok(Campaign {
                id: CampaignId::new(),
                organiser_id,
                title: title.to_owned(),
                category: category.to_owned(),
                story: self.story,
                goal,
                minimum: self.min_amount,
                capture: self.capture,
                ends_at,
                timezone: self.timezone,
                status: CampaignStatus::Draft,
                rejection_reason: None,
                stop_reason: None,
                version: 1,
                created_at: now,
                updated_at: now,
            }),
            _ => Err(faults),
        }
    }
}

/// Why a campaign is turned down or stopped, checked.
///
/// # Errors
/// When it says nothing, or too much.
pub fn reason(text: &str) -> Result<String, Vec<Fault>> {
    let text = text.trim();
    if is_text(text, 3, 1000) {
        return Ok(text.to_owned());
    }
    let rule = "must be 3 to 1000 characters, without control characters";
    Err(vec![Fault {
        field: "reason",
        code: Code::InvalidReason,
        rule,
    }])
}

/// Control characters are refused: they forge mail headers and log lines, and PostgreSQL stores no NUL.
fn is_line(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// As [`is_line`], but of many lines.
fn is_text(text: &str, least: usize, most: usize) -> bool {
    let forbidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (least..=most).contains(&text.chars().count()) && !text.chars().any(forbidden)
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn smallest_gift() -> i64 {
    100
}

const fn at_once() -> Capture {
    Capture::Automatic
}
