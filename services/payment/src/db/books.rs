//! The books, read: balances, an account's entries, a campaign's month, and sets that do not balance.

use chrono::{DateTime, Utc};
use common::{
    ids::{CampaignId, PaymentId, UserId},
    money::{Currency, Money},
};
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::domain::{Account, Corrected, Effect, Month, Total};

/// What one account holds in one currency, in minor units.
pub struct Balance {
    /// Which account.
    pub account: Account,
    /// In which currency.
    pub currency: Currency,
    /// Sum of its debits.
    pub debit: i64,
    /// Sum of its credits, positive.
    pub credit: i64,
}

/// An entry with its set.
pub struct Posted {
    /// The set.
    pub set_id: Uuid,
    /// The entry's place in it.
    pub line: i16,
    /// Whose money it is.
    pub campaign_id: Option<CampaignId>,
    /// Debit positive, credit negative.
    pub amount: Money,
    /// Why money moved.
    pub effect: Effect,
    /// The payment that the set concerns.
    pub payment_id: Option<PaymentId>,
    /// The provider's object behind it.
    pub psp_object: Option<String>,
    /// Why an admin corrected.
    pub reason: Option<String>,
    /// The admin.
    pub entered_by: Option<UserId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What weighing a stretch of sets came to.
#[derive(sqlx::FromRow)]
pub struct Weighed {
    /// The last set of the stretch; none when there was no set.
    pub last: Option<Uuid>,
    /// How many sets it has.
    pub sets: i64,
    /// How many sets its entries belong to.
    pub entered: i64,
    /// The sets that do not sum to zero in each currency.
    pub unbalanced: Vec<Uuid>,
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Decode(error.into())
}

fn money(minor: i64, currency: &str) -> Result<Money, sqlx::Error> {
    Ok(Money::new(
        minor,
        Currency::parse(currency).map_err(decode)?,
    ))
}

fn effect(text: &str) -> Result<Effect, sqlx::Error> {
    Effect::parse(text).ok_or_else(|| decode("an unknown effect"))
}

/// What every account holds, by currency and account. Each account is summed from its index.
pub async fn balances(executor: impl PgExecutor<'_>) -> Result<Vec<Balance>, sqlx::Error> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "select account, currency, coalesce(sum(amount_minor) filter (where amount_minor > 0), 0)::bigint,
                coalesce(-sum(amount_minor) filter (where amount_minor < 0), 0)::bigint
         from ledger_entries where account = any($1::text[])
         group by account, currency order by currency, account",
    )
    .bind(Account::ALL.map(Account::as_str).as_slice())
    .fetch_all(executor)
    .await?;
    let balance = |(account, currency, debit, credit): (String, String, i64, i64)| {
        Ok(Balance {
            account: Account::parse(&account).ok_or_else(|| decode("an unknown account"))?,
            currency: Currency::parse(&currency).map_err(decode)?,
            debit,
            credit,
        })
    };
    rows.into_iter().map(balance).collect()
}

#[derive(sqlx::FromRow)]
struct PostedRow {
    set_id: Uuid,
    line: i16,
    campaign_id: Option<Uuid>,
    currency: String,
    amount_minor: i64,
    effect: String,
    payment_id: Option<Uuid>,
    psp_object: Option<String>,
    reason: Option<String>,
    entered_by: Option<Uuid>,
    at: DateTime<Utc>,
}

/// An account's entries before this place, newest first.
pub async fn entries(
    executor: impl PgExecutor<'_>,
    account: Account,
    before: (Uuid, i16),
    limit: i64,
) -> Result<Vec<Posted>, sqlx::Error> {
    let rows: Vec<PostedRow> = sqlx::query_as(
        "select e.set_id, e.line, e.campaign_id, e.currency, e.amount_minor, s.effect, s.payment_id, s.psp_object,
                s.reason, s.entered_by, e.at
         from ledger_entries e join ledger_sets s using (set_id)
         where e.account = $1 and (e.set_id, e.line) < ($2, $3)
         order by e.set_id desc, e.line desc limit $4",
    )
    .bind(account.as_str())
    .bind(before.0)
    .bind(before.1)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    let posted = |row: PostedRow| {
        Ok(Posted {
            set_id: row.set_id,
            line: row.line,
            campaign_id: row.campaign_id.map(CampaignId::from),
            amount: money(row.amount_minor, &row.currency)?,
            effect: effect(&row.effect)?,
            payment_id: row.payment_id.map(PaymentId::from),
            psp_object: row.psp_object,
            reason: row.reason,
            entered_by: row.entered_by.map(UserId::from),
            at: row.at,
        })
    };
    rows.into_iter().map(posted).collect()
}

/// What each effect moved on a campaign's account in a month, by currency.
pub async fn month(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
    month: Month,
) -> Result<Vec<Total>, sqlx::Error> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "select s.effect, e.currency, sum(e.amount_minor)::bigint
         from ledger_entries e join ledger_sets s using (set_id)
         where e.account = 'campaign_payable' and e.campaign_id = $1 and e.at >= $2 and e.at < $3
         group by s.effect, e.currency",
    )
    .bind(campaign.get())
    .bind(month.start())
    .bind(month.end())
    .fetch_all(executor)
    .await?;
    let total = |(name, currency, minor): (String, String, i64)| {
        Ok(Total {
            effect: effect(&name)?,
            amount: money(minor, &currency)?,
        })
    };
    rows.into_iter().map(total).collect()
}

/// The corrections of a campaign's account in a month, oldest first, as the campaign sees them.
pub async fn corrections(
    executor: impl PgExecutor<'_>,
    campaign: CampaignId,
    month: Month,
) -> Result<Vec<Corrected>, sqlx::Error> {
    let rows: Vec<(i64, String, String, DateTime<Utc>)> = sqlx::query_as(
        "select -sum(e.amount_minor)::bigint, e.currency, s.reason, s.at
         from ledger_entries e join ledger_sets s using (set_id)
         where e.account = 'campaign_payable' and e.campaign_id = $1 and e.at >= $2 and e.at < $3
           and s.effect = 'correction'
         group by s.set_id, e.currency order by s.set_id",
    )
    .bind(campaign.get())
    .bind(month.start())
    .bind(month.end())
    .fetch_all(executor)
    .await?;
    let corrected = |(minor, currency, reason, at): (i64, String, String, DateTime<Utc>)| {
        Ok(Corrected {
            amount: money(minor, &currency)?,
            reason,
            at,
        })
    };
    rows.into_iter().map(corrected).collect()
}

/// Weighs the next sets after this one. A set becomes visible together with its entries, so that one that is being
/// written never looks unbalanced.
pub async fn weigh(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    limit: i64,
) -> Result<Weighed, sqlx::Error> {
    sqlx::query_as(
        "with stretch as (select set_id from ledger_sets where set_id > $1 order by set_id limit $2),
              entered as (select set_id, sum(amount_minor) from ledger_entries
                          where set_id > $1 and set_id <= (select set_id from stretch order by set_id desc limit 1)
                          group by set_id, currency)
         select (select set_id from stretch order by set_id desc limit 1) as last,
                (select count(*) from stretch) as sets,
                (select count(distinct set_id) from entered) as entered,
                array(select distinct set_id from entered where sum <> 0) as unbalanced",
    )
    .bind(after)
    .bind(limit)
    .fetch_one(executor)
    .await
}

/// The sets of a stretch that have no entries, and those of entries that have no set.
pub async fn torn(
    executor: impl PgExecutor<'_>,
    after: Uuid,
    last: Uuid,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "select set_id from ledger_sets s where set_id > $1 and set_id <= $2
           and not exists (select from ledger_entries e where e.set_id = s.set_id)
         union
         select set_id from ledger_entries e where set_id > $1 and set_id <= $2
           and not exists (select from ledger_sets s where s.set_id = e.set_id)",
    )
    .bind(after)
    .bind(last)
    .fetch_all(executor)
    .await
}

/// Whether this effect of this object is in the books.
pub async fn has(
    executor: impl PgExecutor<'_>,
    payment: PaymentId,
    effect: Effect,
    object: &str,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists(select from ledger_sets where payment_id = $1 and effect = $2 and psp_object = $3)",
    )
    .bind(payment.get())
    .bind(effect.as_str())
    .bind(object)
    .fetch_one(executor)
    .await
}

/// How often a payment has this effect in the books.
pub async fn times(
    executor: impl PgExecutor<'_>,
    payment: PaymentId,
    effect: Effect,
) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from ledger_sets where payment_id = $1 and effect = $2")
        .bind(payment.get())
        .bind(effect.as_str())
        .fetch_one(executor)
        .await
}
