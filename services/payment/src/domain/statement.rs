//! What a campaign's account tells of one month. Pure.
//!
//! Every figure is made of entries of `campaign_payable`, told apart by their effects, so that they add up to the net
//! whatever happened. The provider's fee is the platform's, and appears as soon as it is charged to campaigns.

use std::{collections::BTreeMap, str::FromStr};

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use common::{
    ids::CampaignId,
    money::{Currency, Money, MoneyError},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::ledger::Effect;

/// A calendar month of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    first: NaiveDate,
    next: NaiveDate,
}

/// A text that is not `yyyy-mm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a month is written as yyyy-mm")]
pub struct NoMonth;

/// The sum of one effect's entries of the campaign, debits positive.
#[derive(Clone, Copy, Debug)]
pub struct Total {
    /// Why money moved.
    pub effect: Effect,
    /// How much.
    pub amount: Money,
}

/// A correction of the campaign's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = CorrectedStatement)]
pub struct Corrected {
    /// What the campaign got by it; negative what it lost.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// When it was entered.
    pub at: DateTime<Utc>,
}

/// One month in one currency: gross - fees - refunds - disputes + corrections = net.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StatementFigures)]
pub struct Figures {
    /// Taken from donors for it: the gifts, without what they added for the platform.
    pub gross: Money,
    /// Charged to the campaign; the provider's own fee is borne by the platform.
    pub fees: Money,
    /// Given back, less what came back.
    pub refunds: Money,
    /// Lost in disputes, less what was returned.
    pub disputes: Money,
    /// What corrections gave to the campaign; negative what they took.
    pub corrections: Money,
    /// By how much more is owed to the campaign.
    pub net: Money,
}

/// A campaign's month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Statement {
    /// Whose.
    pub campaign_id: CampaignId,
    /// Of which month of UTC.
    #[schema(example = "2026-05")]
    pub month: String,
    /// One for each currency, by its code; none where nothing moved.
    pub figures: Vec<Figures>,
    /// Every correction, oldest first.
    pub corrections: Vec<Corrected>,
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (year, month) = text.split_once('-').ok_or(NoMonth)?;
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(NoMonth);
        }
        let (year, month) = (year.parse(), month.parse());
        let (year, month) = (year.map_err(|_| NoMonth)?, month.map_err(|_| NoMonth)?);
        let first = NaiveDate::from_ymd_opt(year, month, 1).ok_or(NoMonth)?;
        let next = first.checked_add_months(Months::new(1)).ok_or(NoMonth)?;
        Ok(Self { first, next })
    }
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first.format("%Y-%m"))
    }
}

impl Month {
    /// Its first moment.
    pub fn start(self) -> DateTime<Utc> {
        self.first.and_time(NaiveTime::MIN).and_utc()
    }

    /// The first moment after it.
    pub fn end(self) -> DateTime<Utc> {
        self.next.and_time(NaiveTime::MIN).and_utc()
    }
}

impl Figures {
    /// The figures of each currency.
    ///
    /// # Errors
    /// When a sum leaves 64 bits.
    pub fn of(totals: &[Total]) -> Result<Vec<Self>, MoneyError> {
        let mut all: BTreeMap<Currency, Self> = BTreeMap::new();
        for Total { effect, amount } in totals {
            let zero = Money::zero(amount.currency);
            let figures = all.entry(amount.currency).or_insert(Self {
                gross: zero,
                fees: zero,
                refunds: zero,
                disputes: zero,
                corrections: zero,
                net: zero,
            });
            // The account is owed, so a credit is more for the campaign.
            let given = |figure: Money| figure.checked_sub(*amount);
            let taken = |figure: Money| figure.checked_add(*amount);
            match effect {
                Effect::Captured => figures.gross = given(figures.gross)?,
                Effect::Settled | Effect::SettlementReversed => figures.fees = taken(figures.fees)?,
                Effect::Refunded | Effect::RefundFailed => {
                    figures.refunds = taken(figures.refunds)?;
                }
                Effect::DisputeHeld
                | Effect::DisputeReleased
                | Effect::DisputeFee
                | Effect::DisputeLost
                | Effect::DisputeReversed => {
                    figures.disputes = taken(figures.disputes)?;
                }
                // Nobody's yet: it never touches a campaign's account.
                Effect::Suspense | Effect::SuspenseResolved => {}
                Effect::Correction => figures.corrections = given(figures.corrections)?,
            }
            figures.net = given(figures.net)?;
        }
        Ok(all.into_values().collect())
    }
}

impl Statement {
    /// As a table: a line for each figure and each correction. Amounts are in major units.
    pub fn csv(&self) -> String {
        let mut lines = vec![line(["item", "currency", "amount", "at", "reason"])];
        for figures in &self.figures {
            let mut figure = |name: &str, money: Money| {
                let amount = decimal(money);
                lines.push(line([name, money.currency.as_str(), &amount, "", ""]));
            };
            figure("gross", figures.gross);
            figure("fees", figures.fees);
            figure("refunds", figures.refunds);
            figure("disputes", figures.disputes);
            figure("corrections", figures.corrections);
            figure("net", figures.net);
        }
        for Corrected { amount, reason, at } in &self.corrections {
            let (decimal, at) = (decimal(*amount), at.to_rfc3339());
            let currency = amount.currency.as_str();
            lines.push(line(["correction", currency, &decimal, &at, reason]));
        }
        lines.concat()
    }
}

fn line(cells: [&str; 5]) -> String {
    cells.map(cell).join(",") + "\r\n"
}

/// A quoted cell. What a spreadsheet would take for a formula gets an apostrophe, which makes it text; a number stays
/// one, also below zero.
fn cell(text: &str) -> String {
    let starts_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let is_number = text
        .trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let guard = if starts_formula && !is_number {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// Major units without the currency.
fn decimal(money: Money) -> String {
    let text = money.to_string();
    text.split(' ').next().unwrap_or_default().to_owned()
}
