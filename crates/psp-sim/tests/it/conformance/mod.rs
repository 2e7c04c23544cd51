//! Replies and events against Stripe's published OpenAPI document, which `cargo xtask test` provides.

mod document;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use document::Document;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::helpers::{Answer, Receiver, Sim, text};

/// Reads the document, or says by name which test goes without it.
#[expect(
    clippy::print_stderr,
    reason = "a test that checks nothing must say so"
)]
fn stripe(test: &str) -> Option<Document> {
    let path = chassis::env::Env::process().optional("CFA_STRIPE_SPEC");
    if path.is_none() {
        eprintln!("{test}: skipped, CFA_STRIPE_SPEC is not set; `cargo xtask test` provides it");
    }
    Some(Document::read(path?.as_ref()))
}

/// Checks replies and remembers the schemas that it has compiled.
struct Judge {
    stripe: Document,
    replies: BTreeMap<(String, u16), Validator>,
    faults: BTreeSet<String>,
}

impl Judge {
    fn hear(&mut self, method: &str, template: &str, answer: &Answer) -> Value {
        let route = format!("{method} {template}");
        let key = (route.clone(), answer.status);
        let stripe = &self.stripe;
        let validator = self.replies.entry(key).or_insert_with(|| {
            let found = stripe.reply(method, template, answer.status);
            found.unwrap_or_else(|| panic!("Stripe has no {route}"))
        });
        let body = answer.json();
        complain(validator, &body, &route, &mut self.faults);
        body
    }

    async fn get(&mut self, sim: &Sim, template: &str, id: &str, query: &str) -> Value {
        let path = format!("{}{query}", fill(template, id));
        let answer = sim.get(&path).await;
        self.hear("get", template, &answer)
    }

    async fn post(&mut self, sim: &Sim, template: &str, id: &str, form: &[(&str, &str)]) -> Value {
        let answer = sim.post(&fill(template, id), form).await;
        self.hear("post", template, &answer)
    }
}

fn complain(validator: &Validator, body: &Value, what: &str, faults: &mut BTreeSet<String>) {
    for error in validator.iter_errors(body) {
        let at = error.instance_path().to_string();
        let shown: String = error.to_string().chars().take(300).collect();
        faults.insert(format!("{what} {at}: {shown}"));
    }
}

/// Puts an id into `/v1/refunds/{refund}`.
fn fill(template: &str, id: &str) -> String {
    let Some((before, rest)) = template.split_once('{') else {
        return template.to_owned();
    };
    let (_, after) = rest.split_once('}').expect("a whole template");
    format!("{before}{id}{after}")
}

const FORM: [(&str, &str); 5] = [
    ("amount", "2500"),
    ("currency", "usd"),
    ("description", "A gift"),
    ("payment_method_types[]", "card"),
    ("metadata[payment_id]", "7"),
];
const INTENTS: &str = "/v1/payment_intents";
const CONFIRM: &str = "/v1/payment_intents/{intent}/confirm";

/// Opens an intent and tries to pay it.
async fn paid(judge: &mut Judge, sim: &Sim, method: &str, token: &str) -> (String, Value) {
    let form = [&FORM[..], &[("capture_method", method)]].concat();
    let intent = judge.post(sim, INTENTS, "", &form).await;
    let id = text(&intent["id"]).to_owned();
    let form = [
        ("payment_method", token),
        ("return_url", "https://care.example"),
    ];
    let paid = judge.post(sim, CONFIRM, &id, &form).await;
    (id, paid)
}

/// Lets everything happen that can, and checks each reply.
async fn play(judge: &mut Judge, sim: &Sim) {
    paid(judge, sim, "automatic", "pm_card_chargeDeclined").await;
    paid(judge, sim, "automatic", "pm_usBankAccount_processing").await;
    let (waiting, challenged) =
        paid(judge, sim, "automatic", "pm_card_threeDSecure2Required").await;
    let secret = text(&challenged["client_secret"]);
    let fail = [("client_secret", secret), ("action", "fail")];
    let path = format!("/authenticate/{waiting}");
    sim.send(sim.request(&path, &fail)).await;
    let cancel = "/v1/payment_intents/{intent}/cancel";
    let reason = [("cancellation_reason", "abandoned")];
    judge.post(sim, cancel, &waiting, &reason).await;
    judge.post(sim, cancel, &waiting, &[]).await;
    let (held, _) = paid(judge, sim, "manual", "pm_card_visa").await;
    let part = [("amount_to_capture", "1000")];
    let capture = "/v1/payment_intents/{intent}/capture";
    judge.post(sim, capture, &held, &part).await;
    paid(judge, sim, "manual", "pm_card_visa").await;
    paid(judge, sim, "automatic", "pm_card_createDispute").await;
    paid(judge, sim, "automatic", "pm_card_createDisputeInquiry").await;
    paid(judge, sim, "automatic_async", "pm_card_visa").await;
    let refund = "/v1/refunds/{refund}";
    for token in [
        "pm_card_pendingRefund",
        "pm_card_refundFail",
        "pm_card_visa",
    ] {
        let (intent, _) = paid(judge, sim, "automatic", token).await;
        let form = [("payment_intent", intent.as_str()), ("amount", "500")];
        let made = judge.post(sim, "/v1/refunds", "", &form).await;
        let note = [("metadata[why]", "asked")];
        judge.post(sim, refund, text(&made["id"]), &note).await;
        judge.get(sim, refund, text(&made["id"]), "").await;
        let again = [("payment_intent", intent.as_str()), ("amount", "9999")];
        judge.post(sim, "/v1/refunds", "", &again).await;
    }
    sim.config.clock.advance(TimeDelta::seconds(60));
    for status in ["needs_response", "warning_needs_response"] {
        sim.awaited("/v1/disputes", "status", status).await;
    }
    sim.awaited("/v1/refunds", "status", "failed").await;
    let disputes = judge.get(sim, "/v1/disputes", "", "").await;
    let dispute = "/v1/disputes/{dispute}";
    for one in disputes["data"].as_array().expect("a list") {
        let form = [("evidence[uncategorized_text]", "winning_evidence")];
        judge.post(sim, dispute, text(&one["id"]), &form).await;
    }
    sim.config.clock.advance(TimeDelta::seconds(60));
    for status in ["won", "warning_closed"] {
        sim.awaited("/v1/disputes", "status", status).await;
    }
    let (_, charge) = sim.paid("pm_card_visa").await;
    let control = format!("charges/{charge}/dispute");
    let lost = sim.sim(&control, &json!({})).await.ok();
    let close = "/v1/disputes/{dispute}/close";
    for _ in 0..2 {
        judge.post(sim, close, text(&lost["id"]), &[]).await;
    }
    judge.get(sim, dispute, text(&lost["id"]), "").await;
    judge.get(sim, "/v1/balance", "", "").await;
    sim.sim("payouts", &json!({})).await.ok();
    sim.config.clock.advance(TimeDelta::days(7));
    let paid = sim.awaited("/v1/payouts", "status", "paid").await;
    let control = format!("payouts/{}", text(&paid["id"]));
    sim.sim(&control, &json!({ "status": "failed" })).await.ok();
    sim.sim("payouts", &json!({ "automatic": true })).await.ok();
    sim.awaited(
        &format!("{INTENTS}?limit=100"),
        "cancellation_reason",
        "expired",
    )
    .await;
}

#[tokio::test]
async fn every_reply_and_event_is_as_stripes_document_says() {
    let Some(stripe) = stripe("every_reply_and_event_is_as_stripes_document_says") else {
        return;
    };
    let mut judge = Judge {
        stripe,
        replies: BTreeMap::new(),
        faults: BTreeSet::new(),
    };
    let receiver = Receiver::start().await;
    let sim = Sim::telling(&receiver).await;
    play(&mut judge, &sim).await;

    let lists = [
        (INTENTS, "/v1/payment_intents/{intent}"),
        ("/v1/charges", "/v1/charges/{charge}"),
        ("/v1/refunds", "/v1/refunds/{refund}"),
        ("/v1/disputes", "/v1/disputes/{dispute}"),
        ("/v1/balance_transactions", "/v1/balance_transactions/{id}"),
        ("/v1/payouts", "/v1/payouts/{payout}"),
        ("/v1/events", "/v1/events/{id}"),
    ];
    for (list, one) in lists {
        let all = judge.get(&sim, list, "", "?limit=100").await;
        let ids: Vec<_> = all["data"].as_array().expect("a list").iter().collect();
        assert!(!ids.is_empty(), "{list} has something to judge");
        for it in ids {
            judge.get(&sim, one, text(&it["id"]), "").await;
        }
        judge.get(&sim, one, "unknown", "").await;
    }
    let deep = "?limit=100&expand[]=data.balance_transaction";
    judge.get(&sim, "/v1/charges", "", deep).await;
    sim.sim("rate", &json!({ "per_second": 1 })).await.ok();
    judge.get(&sim, INTENTS, "", "").await;
    let refused = judge.get(&sim, INTENTS, "", "").await;
    assert_eq!(refused["error"]["code"], "rate_limit");
    sim.sim("rate", &json!({ "per_second": 0 })).await.ok();
    events(&mut judge, &sim).await;
    let faults: Vec<_> = judge.faults.into_iter().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Checks each event, which is what a webhook holds, and the object in it.
async fn events(judge: &mut Judge, sim: &Sim) {
    let known: BTreeSet<_> = judge.stripe.event_types();
    let mut seen = BTreeSet::new();
    let list = sim.get("/v1/events?limit=100").await.ok();
    let mut objects = BTreeMap::new();
    for event in list["data"].as_array().expect("a list") {
        let kind = text(&event["type"]);
        assert!(known.contains(kind), "Stripe has no event {kind}");
        seen.insert(kind.to_owned());
        let object = &event["data"]["object"];
        let name = text(&object["object"]).to_owned();
        let validator = objects.entry(name.clone()).or_insert_with(|| {
            let found = judge.stripe.object(&name);
            found.unwrap_or_else(|| panic!("Stripe has no {name}"))
        });
        complain(validator, object, kind, &mut judge.faults);
    }
    let all = [
        "charge.captured",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.expired",
        "charge.failed",
        "charge.refunded",
        "charge.succeeded",
        "charge.updated",
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.created",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
        "payout.created",
        "payout.failed",
        "payout.paid",
        "refund.created",
        "refund.failed",
        "refund.updated",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all);
}
