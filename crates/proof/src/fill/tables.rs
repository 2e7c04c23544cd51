//! What donations that went well leave in the tables of each service.

use anyhow::Result;
use sqlx::PgConnection;

use super::Plan;
use super::copy::{Row, fill};
use super::gift::{Gift, Of};
use super::projection::{donation, moved, moves, watermark};

/// The length of what is stored sealed, in bytes: an event, the reply to a new payment, and the call behind it.
const SEALED_EVENT: usize = 1463;
const SEALED_REPLY: usize = 823;
const REQUEST: usize = 267;
/// What is said of every reply that is stored.
const HEADERS: &str = r#"[["content-type","application/json"]]"#;

/// A table, or what several rows of a gift go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    WebhookEvents,
    Payments,
    PaymentReplies,
    PledgeReplies,
    Pledges,
    LedgerEntries,
    LedgerSets,
    Transitions,
    Deliveries,
    Contacts,
    Watermarks,
    Donations,
    Moves,
    Timeline,
    Receipts,
}

impl Table {
    /// Every one, the longest work first.
    pub(super) const ALL: [Self; 15] = [
        Self::LedgerEntries,
        Self::WebhookEvents,
        Self::PaymentReplies,
        Self::PledgeReplies,
        Self::Payments,
        Self::LedgerSets,
        Self::Transitions,
        Self::Moves,
        Self::Pledges,
        Self::Deliveries,
        Self::Watermarks,
        Self::Timeline,
        Self::Donations,
        Self::Contacts,
        Self::Receipts,
    ];

    /// Its name, with the schema.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WebhookEvents => "payment.webhook_events",
            Self::Payments => "payment.payments",
            Self::PaymentReplies => "payment.idempotency",
            Self::PledgeReplies => "pledge.idempotency",
            Self::Pledges => "pledge.pledges",
            Self::LedgerEntries => "payment.ledger_entries",
            Self::LedgerSets => "payment.ledger_sets",
            Self::Transitions => "payment.payment_transitions",
            Self::Deliveries => "notification.deliveries",
            Self::Contacts => "notification.contacts",
            Self::Watermarks => "totals.payment_watermarks",
            Self::Donations => "totals.donations",
            Self::Moves => "totals.totals_moves",
            Self::Timeline => "pledge.pledge_timeline",
            Self::Receipts => "pledge.receipts",
        }
    }

    /// Writes its rows of every gift; no rows where the fleet has no such table.
    pub(super) async fn fill(self, connection: &mut PgConnection, plan: &Plan) -> Result<u64> {
        let gifts = plan.gifts();
        let name = self.name();
        let one = |row: fn(&mut Row, &Gift)| row;
        let row = match self {
            Self::LedgerEntries => {
                let entries = gifts.flat_map(entries);
                return Box::pin(fill(connection, name, entries, entry)).await;
            }
            Self::LedgerSets => return fill(connection, name, gifts.flat_map(sets), set).await,
            Self::Transitions => {
                return fill(connection, name, gifts.flat_map(steps), step).await;
            }
            Self::Moves => return fill(connection, name, gifts.flat_map(moves), moved).await,
            Self::Timeline => return fill(connection, name, gifts.flat_map(sets), told).await,
            Self::Receipts => {
                return fill(connection, name, gifts, |row, gift| {
                    receipt(row, gift, plan);
                })
                .await;
            }
            Self::WebhookEvents => one(webhook_event),
            Self::Payments => one(payment),
            Self::PaymentReplies => one(payment_reply),
            Self::PledgeReplies => one(pledge_reply),
            Self::Pledges => one(pledge),
            Self::Deliveries => one(delivery),
            Self::Contacts => one(contact),
            Self::Watermarks => one(watermark),
            Self::Donations => one(donation),
        };
        fill(connection, name, gifts, row).await
    }
}

fn pledge(row: &mut Row, gift: &Gift) {
    row.set("pledge_id", gift.pledge);
    row.set("campaign_id", gift.campaign);
    row.set("payment_id", gift.payment);
    row.set("donor_ref", gift.donor_ref());
    row.set("contact_id", gift.contact);
    row.set("amount_minor", gift.amount);
    row.set("currency", "USD");
    row.set("capture", "automatic");
    row.set("visibility", gift.visibility.as_str());
    row.set_opt("public_name", gift.public_name());
    row.set_opt("message", gift.message());
    row.set("status", "COMPLETED");
    row.set_at("expires_at", gift.expires());
    row.set("version", 2);
    row.set("payment_attempt", 1);
    row.set("payment_version", gift.payment_version());
    row.set_at("created_at", gift.created);
    row.set_at("updated_at", gift.captured);
}

fn pledge_reply(row: &mut Row, gift: &Gift) {
    reply(row, gift, Of::Pledge);
    let body = format!(
        r#"{{"pledge":{{"id":"{}","campaign_id":"{}","amount":{{"amount":{},"currency":"USD"}},"status":"PENDING"}},"payment_id":"{}","payment_url":"/api/payments/{}/checkout?ticket={}","ticket":"{}","guest_token":"{}"}}"#,
        gift.pledge,
        gift.campaign,
        gift.amount,
        gift.payment,
        gift.payment,
        gift.noise(Of::Message, 130),
        gift.noise(Of::Message, 130),
        gift.noise(Of::Donor, 60),
    );
    row.set_hex("body", hex(&body));
    row.set_at("created_at", gift.created);
}

fn payment_reply(row: &mut Row, gift: &Gift) {
    reply(row, gift, Of::Intent);
    row.set_hex("body", sealed(gift, Of::Key, SEALED_REPLY));
    row.set_at("created_at", gift.created);
}

fn reply(row: &mut Row, gift: &Gift, of: Of) {
    let half = gift.uuid(of, gift.created).simple();
    let other = gift.uuid(Of::Key, gift.created).simple();
    row.set_hex("scope", format_args!("{half}{other}"));
    row.set_hex("fingerprint", format_args!("{other}{half}"));
    row.set("status", 201);
    row.set("headers", HEADERS);
}

fn payment(row: &mut Row, gift: &Gift) {
    row.set("payment_id", gift.payment);
    row.set("pledge_id", gift.pledge);
    row.set("campaign_id", gift.campaign);
    row.set("donor_ref", gift.donor_ref());
    row.set("contact_id", gift.contact);
    row.set("attempt", 1);
    row.set("state", gift.state().as_str());
    row.set("amount_minor", gift.amount);
    row.set("currency", "USD");
    row.set("capture", "automatic");
    row.set("authorized_minor", gift.amount);
    row.set("captured_minor", gift.amount);
    row.set("provider", "stripe");
    row.set("provider_ref", gift.object("pi", Of::Intent));
    row.set("psp_key", format_args!("pay:{}", gift.payment));
    row.set_hex("psp_request", gift.noise(Of::Intent, REQUEST));
    row.set("outcome", "known");
    row.set_at("requested_at", gift.created);
    row.set("tries", 1);
    row.set_at("expires_at", gift.expires());
    row.set("version", gift.payment_version());
    row.set_at("created_at", gift.created);
    row.set_at("updated_at", gift.updated());
}

/// Steps of a payment: the one that was skipped over, the capture, and the settlement.
fn steps(gift: Gift) -> impl Iterator<Item = (Gift, u8)> + Clone {
    let last = if gift.settled.is_some() { 3 } else { 2 };
    (1..=last).map(move |n| (gift, n))
}

fn step(row: &mut Row, (gift, n): &(Gift, u8)) {
    let (from, to, cause, version) = match n {
        1 => ("PENDING", "AUTHORIZED", "payment_intent.succeeded", 2),
        2 => ("AUTHORIZED", "CAPTURED", "payment_intent.succeeded", 2),
        _ => ("CAPTURED", "COMPLETED", "balance_transaction", 3),
    };
    let event = (*n < 3).then(|| gift.object("evt", Of::Event));
    row.set("payment_id", gift.payment);
    row.set("version", version);
    row.set("from_state", from);
    row.set("to_state", to);
    row.set("cause", cause);
    row.set("implied", *n == 1);
    row.set_opt("psp_event", event);
    row.set_at(
        "at",
        if *n < 3 {
            gift.captured
        } else {
            gift.updated()
        },
    );
}

fn webhook_event(row: &mut Row, gift: &Gift) {
    row.set("provider", "stripe");
    row.set("event_id", gift.object("evt", Of::Event));
    row.set("kind", "payment_intent.succeeded");
    row.set("verdict", "IMPLIED");
    row.set("payment_id", gift.payment);
    row.set_hex("body", sealed(gift, Of::Event, SEALED_EVENT));
    let at = gift.captured.timestamp();
    row.set(
        "signature",
        format_args!("t={at},v1={}", gift.noise(Of::Event, 32)),
    );
    row.set_at("received_at", gift.captured);
}

/// Sets of the books: the capture, and the settlement.
fn sets(gift: Gift) -> impl Iterator<Item = (Gift, bool)> + Clone {
    let settled = gift.settled.is_some().then_some((gift, true));
    std::iter::once((gift, false)).chain(settled)
}

fn set(row: &mut Row, (gift, settles): &(Gift, bool)) {
    let (effect, object) = if *settles {
        ("settled", gift.object("txn", Of::Transaction))
    } else {
        ("captured", gift.object("pi", Of::Intent))
    };
    row.set("set_id", set_id(gift, *settles));
    row.set("payment_id", gift.payment);
    row.set("effect", effect);
    row.set("psp_object", object);
    row.set_at("at", booked_at(gift, *settles));
}

fn set_id(gift: &Gift, settles: bool) -> uuid::Uuid {
    let of = if settles {
        Of::SettledSet
    } else {
        Of::CapturedSet
    };
    gift.uuid(of, booked_at(gift, settles))
}

fn booked_at(gift: &Gift, settles: bool) -> chrono::DateTime<chrono::Utc> {
    if settles {
        gift.updated()
    } else {
        gift.captured
    }
}

/// A line of a set: whether it belongs to the settlement, its place, its account, and how much is debited.
type Line = (Gift, bool, i16, &'static str, i64);

fn entries(gift: Gift) -> impl Iterator<Item = Line> + Clone {
    let Gift { amount, fee, .. } = gift;
    let captured = [
        (gift, false, 1, "psp_receivable", amount),
        (gift, false, 2, "campaign_payable", -amount),
    ];
    let settled = [
        (gift, true, 1, "psp_receivable", -amount),
        (gift, true, 2, "psp_settled", amount - fee),
        (gift, true, 3, "fees", fee),
    ];
    let settled = gift.settled.map(|_| settled).into_iter().flatten();
    captured.into_iter().chain(settled)
}

fn entry(row: &mut Row, (gift, settles, line, account, amount): &Line) {
    let of_campaign = *account == "campaign_payable";
    row.set("set_id", set_id(gift, *settles));
    row.set("line", line);
    row.set("account", account);
    row.set_opt("campaign_id", of_campaign.then_some(gift.campaign));
    row.set("currency", "USD");
    row.set("amount_minor", amount);
    row.set_at("at", booked_at(gift, *settles));
}

fn told(row: &mut Row, (gift, settled): &(Gift, bool)) {
    let (version, kind, at) = if *settled {
        (3, "payment.completed", gift.updated())
    } else {
        (2, "payment.captured", gift.captured)
    };
    row.set("pledge_id", gift.pledge);
    row.set("payment_id", gift.payment);
    row.set("version", version);
    row.set("attempt", 1);
    row.set("kind", kind);
    row.set("held_minor", gift.amount);
    row.set("captured_minor", gift.amount);
    row.set("refunded_minor", 0);
    row.set("disputed_minor", 0);
    row.set_at("occurred_at", at);
}

fn receipt(row: &mut Row, gift: &Gift, plan: &Plan) {
    let (year, number) = plan.receipt(gift.n, gift.captured);
    row.set("pledge_id", gift.pledge);
    row.set("year", year);
    row.set("number", number);
    row.set("payment_id", gift.payment);
    row.set("campaign_id", gift.campaign);
    row.set("gift_minor", gift.amount);
    row.set("tip_minor", 0);
    row.set("covered_fee_minor", 0);
    row.set("currency", "USD");
    row.set_at("captured_at", gift.captured);
    row.set_at("issued_at", gift.captured);
}

fn contact(row: &mut Row, gift: &Gift) {
    row.set("contact_id", gift.contact);
    row.set("name", gift.name());
    row.set("email", gift.email());
    row.set("version", 1);
    row.set_at("updated_at", gift.created);
}

fn delivery(row: &mut Row, gift: &Gift) {
    row.set("delivery_id", gift.uuid(Of::Delivery, gift.captured));
    row.set("kind", "THANK_YOU");
    row.set("payment_id", gift.payment);
    row.set("campaign_id", gift.campaign);
    row.set("contact_id", gift.contact);
    row.set("amount", gift.amount);
    row.set("currency", "USD");
    row.set("status", "SENT");
    row.set("attempts", 1);
    row.set("last_result", "accepted");
    row.set_at("next_attempt_at", gift.captured);
    row.set_at("created_at", gift.captured);
    row.set_at("sent_at", gift.captured);
}

/// Bytes as long as what is stored sealed. They open for nobody: the fill does not know the services' secrets.
fn sealed(gift: &Gift, of: Of, bytes: usize) -> String {
    format!("01{}", gift.noise(of, bytes - 1))
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        let _infallible = write!(digits, "{byte:02x}");
    }
    digits
}
