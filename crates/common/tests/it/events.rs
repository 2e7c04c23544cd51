//! The wire form of every event, fixed by one golden file each.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use common::events::{
    CampaignKind, CampaignState, CampaignStatus, Capture, ContactState, Event, Failure,
    PaymentEvent, PaymentKind, PledgeEvent, PledgeKind, PledgeStatus, Role, TotalsKind,
    TotalsUpdated, UserEvent, UserKind, UserStatus, Visibility, topics,
};
use common::money::{Currency, Extras, Money};
use common::payment::State;
use serde::{Serialize, de::DeserializeOwned};

const PLEDGE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const PAYMENT: &str = "5a1b7c9e-0f7e-5d2b-9a52-3a4a3a1b2c3d";
const CAMPAIGN: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const USER: &str = "01890a5d-ac96-774b-bcce-b302099a8059";
const CONTACT: &str = "01890a5d-ac96-774b-bcce-b302099a805a";

fn id<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

/// The event writes exactly the golden text, reads it back, and reads it with a field it never heard of.
#[track_caller]
fn golden<E: Event + DeserializeOwned + PartialEq + Debug>(
    event: &E,
    text: &str,
    key: &str,
    kind: &str,
) {
    assert_eq!(pretty(event), text);
    assert_eq!(&serde_json::from_str::<E>(text).unwrap(), event);
    let newer = text.replacen('{', r#"{"added_later":{"deep":[1]},"#, 1);
    assert_eq!(&serde_json::from_str::<E>(&newer).unwrap(), event);
    assert_eq!((event.key().as_str(), event.kind()), (key, kind));
    assert!(topics::ALL.iter().any(|topic| topic.name == E::TOPIC));
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

#[test]
fn campaign_state() {
    let event = CampaignState {
        kind: CampaignKind::Approved,
        campaign_id: id(CAMPAIGN),
        organiser_id: id(USER),
        title: "Clean water".to_owned(),
        status: CampaignStatus::Active,
        goal: usd(500_000),
        minimum: 100,
        ends_at: Some(at("2026-12-31T23:59:59Z")),
        capture: Capture::Automatic,
        moved_by: None,
        version: 3,
        occurred_at: at("2026-01-02T03:04:05.000006Z"),
    };
    let text = include_str!("../golden/campaign_state.json");
    golden(&event, text, CAMPAIGN, "campaign.approved");
    assert_eq!(event.version(), 3);
}

#[test]
fn pledge_event() {
    let event = PledgeEvent {
        kind: PledgeKind::Created,
        pledge_id: id(PLEDGE),
        campaign_id: id(CAMPAIGN),
        payment_id: id(PAYMENT),
        donor_id: None,
        donor_ref: "9f86d081884c7d65".to_owned(),
        contact_id: id(CONTACT),
        amount: usd(2500),
        extras: Extras::default(),
        cancel_requested_at: None,
        capture: Capture::Automatic,
        visibility: Visibility::Public,
        public_name: Some("Ada".to_owned()),
        message: Some("Go!".to_owned()),
        status: PledgeStatus::Pending,
        claim: None,
        expires_at: at("2026-01-02T03:34:05Z"),
        created_at: at("2026-01-02T03:04:05Z"),
        version: 1,
        occurred_at: at("2026-01-02T03:04:05Z"),
    };
    let text = include_str!("../golden/pledge_event.json");
    golden(&event, text, PLEDGE, "pledge.created");
    assert_eq!(event.version(), 1);
}

#[test]
fn payment_event() {
    let event = PaymentEvent {
        kind: PaymentKind::Captured,
        payment_id: id(PAYMENT),
        pledge_id: id(PLEDGE),
        campaign_id: id(CAMPAIGN),
        donor_id: Some(id(USER)),
        donor_ref: "9f86d081884c7d65".to_owned(),
        contact_id: id(CONTACT),
        attempt: 1,
        state: State::Captured,
        previous: Some(State::Pending),
        implied: vec![State::Authorized],
        amount: usd(2500),
        extras: Extras::default(),
        authorized: 2500,
        captured: 2500,
        refunded: 0,
        disputed: 0,
        provider: "stripe".to_owned(),
        provider_ref: Some("pi_1".to_owned()),
        failure: Some(Failure {
            code: "card_declined".to_owned(),
            message: None,
        }),
        version: 2,
        occurred_at: at("2026-01-02T03:05:00Z"),
    };
    let text = include_str!("../golden/payment_event.json");
    golden(&event, text, PLEDGE, "payment.captured");
    assert_eq!(event.version(), 2);
}

#[test]
fn contact_state() {
    let event = ContactState {
        contact_id: id(CONTACT),
        name: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        version: 1,
        occurred_at: at("2026-01-02T03:04:05Z"),
    };
    let text = include_str!("../golden/contact_state.json");
    golden(&event, text, CONTACT, "contact.changed");
    assert_eq!(event.version(), 1);
    let debug = format!("{event:?}");
    assert!(!debug.contains("Ada") && !debug.contains("ada@"), "{debug}");
}

#[test]
fn user_event() {
    let event = UserEvent {
        kind: UserKind::Registered,
        user_id: id(USER),
        contact_id: id(CONTACT),
        donor_ref: "9f86d081884c7d65".to_owned(),
        role: Role::Donor,
        status: UserStatus::Active,
        version: 1,
        occurred_at: at("2026-01-02T03:04:05Z"),
    };
    let text = include_str!("../golden/user_event.json");
    golden(&event, text, USER, "user.registered");
    assert_eq!(event.version(), 1);
}

#[test]
fn totals_updated() {
    let event = TotalsUpdated {
        kind: TotalsKind::Updated,
        campaign_id: id(CAMPAIGN),
        raised: usd(-100),
        pledged: usd(0),
        authorized: usd(0),
        captured: usd(2500),
        refunded: usd(2600),
        disputed: Some(usd(0)),
        donors: 1,
        goal: None,
        as_of: at("2026-01-02T03:05:00Z"),
        version: 4,
    };
    let text = include_str!("../golden/totals_updated.json");
    golden(&event, text, CAMPAIGN, "totals.updated");
    assert_eq!(event.version(), 4);
}

/// The sets behind status columns and JSON fields, as everybody outside spells them.
#[test]
fn names_are_spelt_alike_everywhere() {
    fn spelling<T>(all: &[T], spelt: &[&str])
    where
        T: Copy
            + Debug
            + PartialEq
            + ToString
            + Serialize
            + DeserializeOwned
            + std::str::FromStr<Err: Debug>,
    {
        assert_eq!(all.len(), spelt.len());
        for (&value, &text) in all.iter().zip(spelt) {
            assert_eq!(value.to_string(), text);
            assert_eq!(text.parse::<T>().unwrap(), value);
            assert_eq!(serde_json::to_value(value).unwrap(), text);
            assert_eq!(serde_json::from_value::<T>(text.into()).unwrap(), value);
            assert!(
                text.to_ascii_lowercase().parse::<T>().is_err()
                    || text.to_ascii_lowercase() == text
            );
        }
    }
    spelling(
        State::ALL,
        &[
            "PENDING",
            "AUTHORIZED",
            "CAPTURED",
            "COMPLETED",
            "FAILED",
            "EXPIRED",
            "CANCELLED",
            "REFUNDED",
        ],
    );
    spelling(
        CampaignStatus::ALL,
        &[
            "DRAFT",
            "SUBMITTED",
            "ACTIVE",
            "PAUSED",
            "COMPLETED",
            "CANCELLED",
            "REJECTED",
            "SUSPENDED",
        ],
    );
    spelling(
        CampaignKind::ALL,
        &[
            "campaign.created",
            "campaign.submitted",
            "campaign.approved",
            "campaign.rejected",
            "campaign.closed",
            "campaign.cancelled",
            "campaign.suspended",
            "campaign.resumed",
        ],
    );
    spelling(Capture::ALL, &["automatic", "manual"]);
    spelling(
        PledgeStatus::ALL,
        &[
            "PENDING",
            "AUTHORIZED",
            "COMPLETED",
            "FAILED",
            "EXPIRED",
            "CANCELLED",
            "REFUNDED",
        ],
    );
    spelling(
        PledgeKind::ALL,
        &[
            "pledge.created",
            "pledge.updated",
            "pledge.cancel_requested",
        ],
    );
    spelling(Visibility::ALL, &["PUBLIC", "ANONYMOUS", "HIDDEN_AMOUNT"]);
    spelling(
        PaymentKind::ALL,
        &[
            "payment.created",
            "payment.authorized",
            "payment.captured",
            "payment.completed",
            "payment.paid_out",
            "payment.failed",
            "payment.expired",
            "payment.cancelled",
            "payment.refunded",
            "payment.partly_refunded",
            "payment.refund_failed",
            "payment.dispute_lost",
            "payment.dispute_reversed",
            "payment.late_captured",
            "payment.attempt_failed",
            "payment.restated",
        ],
    );
    spelling(Role::ALL, &["DONOR", "ADMIN"]);
    spelling(UserStatus::ALL, &["ACTIVE", "SUSPENDED"]);
    spelling(UserKind::ALL, &["user.registered"]);
    spelling(TotalsKind::ALL, &["totals.updated"]);
    assert_eq!(
        "ACTIV".parse::<CampaignStatus>().unwrap_err().to_string(),
        "\"ACTIV\" is no CampaignStatus"
    );
}
