//! `POST /api/admin/ledger/corrections`

use common::{
    auth::Role,
    ids::{CampaignId, UserId},
};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{problem_code, user_token};
use uuid::Uuid;

use crate::world::{Table, World};

const PATH: &str = "/api/admin/ledger/corrections";

async fn post(world: &World, admin: &str, key: &str, body: &Value) -> Response {
    let request = world.service.client.post(world.service.at(PATH));
    let request = request.bearer_auth(admin).header("idempotency-key", key);
    request.json(body).send().await.unwrap()
}

fn line(account: &str, minor: i64) -> Value {
    json!({"account": account, "amount": {"amount": minor, "currency": "USD"}})
}

fn good() -> Value {
    json!({"reason": "a fee that was waived", "entries": [line("psp_settled", 30), line("fees", -30)]})
}

fn admin() -> String {
    user_token(UserId::new(), Role::Admin)
}

async fn count(world: &World) -> (i64, i64) {
    sqlx::query_as(
        "select (select count(*) from ledger_sets), (select count(*) from ledger_entries)",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_correction_adds_a_set_with_its_reason_and_author_and_touches_no_other() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.captured(&intent)).await;
    let (author, campaign) = (UserId::new(), gift.ticket.campaign_id);
    let mut owed = line("campaign_payable", 500);
    owed["campaign_id"] = json!(campaign);
    let body = json!({
        "reason": "  given twice by mistake ",
        "payment_id": gift.payment_id,
        "entries": [owed, line("suspense", -500)],
    });
    let reply = post(&world, &user_token(author, Role::Admin), "key-0001", &body).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
    let made: Value = reply.json().await.unwrap();
    assert_eq!(made["effect"], "correction");
    assert_eq!(made["reason"], "given twice by mistake");
    assert_eq!(made["entered_by"], json!(author));
    assert_eq!(made["payment_id"], json!(gift.payment_id));
    assert_eq!(made["entries"][0]["campaign_id"], json!(campaign));
    assert_eq!(
        made["entries"][1],
        json!({
            "line": 2, "account": "suspense", "campaign_id": null, "amount": {"amount": -500, "currency": "USD"},
        })
    );
    assert_eq!(count(&world).await, (2, 4));
    let stored: (Uuid, String, Uuid, Option<String>) = sqlx::query_as(
        "select set_id, reason, entered_by, trace_id from ledger_sets where effect = 'correction'",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(json!(stored.0), made["set_id"]);
    assert_eq!(
        (stored.1.as_str(), stored.2),
        ("given twice by mistake", author.get())
    );
    assert!(stored.3.is_some());
    // The payment is what the provider says, whatever the books are told.
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 2500);
}

#[tokio::test]
async fn one_key_corrects_once() {
    let world = World::start().await;
    let admin = admin();
    let body = good();
    let (first, twin) = tokio::join!(
        post(&world, &admin, "one-key-0001", &body),
        post(&world, &admin, "one-key-0001", &body)
    );
    let third = post(&world, &admin, "one-key-0001", &good()).await;
    assert_eq!(third.headers()["idempotent-replayed"], "true");
    let mut bodies = Vec::new();
    for reply in [first, twin, third] {
        assert_eq!(reply.status(), StatusCode::CREATED);
        bodies.push(reply.text().await.unwrap());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(count(&world).await, (1, 2));
    let mut other = good();
    other["reason"] = json!("something else");
    let reused = post(&world, &admin, "one-key-0001", &other).await;
    assert_eq!(problem_code(reused).await, "idempotency_key_reused");
    // A key that was used keeps its answer, also when its correction would be refused by now.
    let again = post(&world, &admin, "one-key-0002", &good()).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(count(&world).await, (2, 4));
}

#[tokio::test]
async fn bad_corrections_are_refused_each_with_its_code_and_nothing_is_stored() {
    let world = World::start().await;
    let admin = admin();
    let but = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body
    };
    let first = |name: &str, value: Value| {
        let mut body = good();
        body["entries"][0][name] = value;
        body
    };
    let usd = |amount: Value| json!({"amount": amount, "currency": "USD"});
    let euros = json!({"account": "fees", "amount": {"amount": -30, "currency": "EUR"}});
    let table = [
        ("no reason", but("reason", json!("  ")), "invalid_reason"),
        ("short reason", but("reason", json!("no")), "invalid_reason"),
        (
            "long reason",
            but("reason", json!("x".repeat(501))),
            "invalid_reason",
        ),
        (
            "two lines of reason",
            but("reason", json!("one\ntwo")),
            "invalid_reason",
        ),
        ("NUL", but("reason", json!("one\u{0}two")), "invalid_reason"),
        ("no lines", but("entries", json!([])), "invalid_entries"),
        (
            "one line",
            but("entries", json!([line("fees", 1)])),
            "invalid_entries",
        ),
        (
            "21 lines",
            but("entries", json!(vec![line("fees", 1); 21])),
            "invalid_entries",
        ),
        ("zero", first("amount", usd(json!(0))), "invalid_amount"),
        ("a half", first("amount", usd(json!(0.5))), "invalid_amount"),
        ("text", first("amount", usd(json!("30"))), "invalid_amount"),
        (
            "2^53",
            first("amount", usd(json!(1_i64 << 53))),
            "invalid_amount",
        ),
        (
            "-2^63",
            first("amount", usd(json!(i64::MIN))),
            "invalid_amount",
        ),
        (
            "2^64",
            first("amount", usd(json!(u64::MAX))),
            "invalid_amount",
        ),
        (
            "currency",
            first("amount", json!({"amount": 30, "currency": "usd"})),
            "unknown_currency",
        ),
        (
            "no campaign",
            first("account", json!("campaign_payable")),
            "campaign_required",
        ),
        ("sum", first("amount", usd(json!(31))), "unbalanced_entries"),
        (
            "two currencies",
            but("entries", json!([line("fees", 30), euros])),
            "unbalanced_entries",
        ),
        (
            "payment",
            but("payment_id", json!(Uuid::new_v4())),
            "unknown_payment",
        ),
        ("account", first("account", json!("pocket")), "invalid_body"),
        ("campaign", first("campaign_id", json!("x")), "invalid_body"),
        (
            "unknown field",
            but("at", json!("2026-01-01T00:00:00Z")),
            "invalid_body",
        ),
        ("nothing", json!({}), "invalid_body"),
    ];
    for (name, body, code) in table {
        let refused = post(&world, &admin, "a-key-of-tests", &body).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{name}");
        assert_eq!(problem_code(refused).await, code, "{name}");
    }
    let request = world.service.client.post(world.service.at(PATH));
    let keyless = request
        .bearer_auth(&admin)
        .json(&good())
        .send()
        .await
        .unwrap();
    assert_eq!(keyless.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem_code(keyless).await, "idempotency_key_missing");
    assert_eq!(count(&world).await, (0, 0));
    assert_eq!(world.count(Table::Idempotency).await, 0);
    // None of them has used the key up.
    let accepted = post(&world, &admin, "a-key-of-tests", &good()).await;
    assert_eq!(accepted.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_campaigns_id_is_optional_where_the_account_is_not_its_own() {
    let world = World::start().await;
    let mut body = good();
    body["entries"][0]["campaign_id"] = json!(CampaignId::new());
    let reply = post(&world, &admin(), "a-key-of-tests", &body).await;
    assert_eq!(reply.status(), StatusCode::CREATED);
}
