//! What admins read in the books.

use chassis::clock::Clock;
use chrono::{DateTime, Utc};
use common::{
    auth::Role,
    events::Capture,
    ids::{CampaignId, UserId},
};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use testkit::{issuer, problem_code, user_token};
use uuid::Uuid;

use crate::world::{Gift, Plan, World};

const BOOKS: &str = "/api/admin/ledger";

async fn get(world: &World, path: &str, accept: &str) -> Response {
    let request = world
        .service
        .client
        .get(world.service.at(&format!("{BOOKS}{path}")));
    let request = request.bearer_auth(admin(world));
    request.header("accept", accept).send().await.unwrap()
}

async fn json_at(world: &World, path: &str) -> Value {
    let reply = get(world, path, "*/*").await;
    assert_eq!(reply.status(), StatusCode::OK, "{path}");
    assert_eq!(reply.headers()["cache-control"], "no-store", "{path}");
    reply.json().await.unwrap()
}

async fn correct(world: &World, reason: &str, entries: Value) {
    let request = world
        .service
        .client
        .post(world.service.at("/api/admin/ledger/corrections"));
    let request = request
        .bearer_auth(admin(world))
        .header("idempotency-key", Uuid::new_v4().to_string());
    let body = json!({"reason": reason, "entries": entries});
    let reply = request.json(&body).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
}

fn usd(minor: i64) -> Value {
    json!({"amount": minor, "currency": "USD"})
}

/// An admin's token, by the world's time of day.
fn admin(world: &World) -> String {
    let issued = issuer().access(UserId::new(), Role::Admin, world.clock.now());
    issued.unwrap()
}

/// Books what a payment's refunds and disputes would, as it is told at this moment.
async fn book(world: &World, gift: &Gift, effect: &str, minor: i64, at: DateTime<Utc>) {
    let mut tx = world.pool.acquire().await.unwrap();
    let set = Uuid::now_v7();
    sqlx::query(
        "with booked as (
            insert into ledger_sets (set_id, payment_id, effect, psp_object, at) values ($1, $2, $3, 'x_1', $6)
         )
         insert into ledger_entries (set_id, line, account, campaign_id, currency, amount_minor, at)
         values ($1, 1, 'psp_receivable', null, 'USD', -$5, $6), ($1, 2, 'campaign_payable', $4, 'USD', $5, $6)",
    )
    .bind(set)
    .bind(gift.payment_id.get())
    .bind(effect)
    .bind(gift.ticket.campaign_id.get())
    .bind(minor)
    .bind(at)
    .execute(&mut *tx)
    .await
    .unwrap();
}

/// A gift of so much to a campaign, captured.
async fn given(world: &World, campaign: CampaignId, minor: i64) -> Gift {
    let mut ticket = world.gift_of(minor, Capture::Automatic, None).ticket;
    ticket.campaign_id = campaign;
    let gift = world.sign(ticket);
    let intent = world.open(&gift).await.intent;
    world.verdict(&gift.captured(&intent)).await;
    gift
}

#[tokio::test]
async fn the_trial_balance_is_zero_after_a_mixed_run() {
    let world = World::start().await;
    let empty = json_at(&world, "/trial-balance").await;
    assert_eq!(empty["currencies"], json!([]));
    let campaign = CampaignId::new();
    let gift = given(&world, campaign, 2500).await;
    given(&world, CampaignId::new(), 700).await;
    book(&world, &gift, "refunded", 500, world.clock.now()).await;
    book(&world, &gift, "dispute_lost", 2000, world.clock.now()).await;
    let yen = |account: &str, minor: i64| json!({"account": account, "amount": {"amount": minor, "currency": "JPY"}});
    correct(
        &world,
        "a test",
        json!([yen("fees", 9), yen("psp_settled", -4), yen("suspense", -5)]),
    )
    .await;
    let balance = json_at(&world, "/trial-balance").await;
    let yens = |minor: i64| json!({"amount": minor, "currency": "JPY"});
    let expected = json!([
        {
            "currency": "JPY", "debit": yens(9), "credit": yens(9), "balance": yens(0),
            "accounts": [
                {"account": "fees", "debit": yens(9), "credit": yens(0), "balance": yens(9)},
                {"account": "psp_settled", "debit": yens(0), "credit": yens(4), "balance": yens(-4)},
                {"account": "suspense", "debit": yens(0), "credit": yens(5), "balance": yens(-5)},
            ],
        },
        {
            "currency": "USD", "debit": usd(5700), "credit": usd(5700), "balance": usd(0),
            "accounts": [
                {"account": "campaign_payable", "debit": usd(2500), "credit": usd(3200), "balance": usd(-700)},
                {"account": "psp_receivable", "debit": usd(3200), "credit": usd(2500), "balance": usd(700)},
            ],
        },
    ]);
    assert_eq!(balance["currencies"], expected);
}

#[tokio::test]
async fn an_account_is_read_page_by_page_newest_first() {
    let world = World::start().await;
    let campaign = CampaignId::new();
    let mut gifts = Vec::new();
    for minor in [100, 200, 300, 400, 500] {
        gifts.push(given(&world, campaign, minor).await);
    }
    let line = |minor: i64| json!({"account": "campaign_payable", "campaign_id": campaign, "amount": usd(minor)});
    correct(
        &world,
        "two lines of one account",
        json!([line(7), line(-7)]),
    )
    .await;
    let path = "/accounts/campaign_payable/entries?limit=2";
    let mut amounts = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = json_at(&world, &format!("{path}{cursor}")).await;
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        amounts.extend(
            data.iter()
                .map(|entry| entry["amount"]["amount"].as_i64().unwrap()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(amounts, [-7, 7, -500, -400, -300, -200, -100]);
    let page = json_at(&world, "/accounts/psp_receivable/entries?limit=1").await;
    let newest = &page["data"][0];
    assert_eq!(newest["amount"], usd(500));
    assert_eq!(newest["effect"], "captured");
    assert_eq!(newest["payment_id"], json!(gifts[4].payment_id));
    assert!(newest["psp_object"].as_str().unwrap().starts_with("pi_"));
    assert_eq!(
        (&newest["campaign_id"], &newest["reason"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        json_at(&world, "/accounts/fees/entries").await,
        json!({"data": [], "next_cursor": null})
    );
}

#[tokio::test]
async fn a_statement_tells_what_a_campaign_raised_in_a_month_and_what_it_is_owed() {
    let end_of_may: DateTime<Utc> = "2026-05-31T23:59:59.999999Z".parse().unwrap();
    let clock = Clock::fixed(end_of_may);
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let campaign = CampaignId::new();
    let gift = given(&world, campaign, 2500).await;
    given(&world, campaign, 1000).await;
    given(&world, CampaignId::new(), 900).await;
    let at = clock.now();
    book(&world, &gift, "refunded", 700, at).await;
    book(&world, &gift, "refund_failed", -200, at).await;
    book(&world, &gift, "dispute_lost", 300, at).await;
    let owed = |minor: i64| json!({"account": "campaign_payable", "campaign_id": campaign, "amount": usd(minor)});
    let other = |minor: i64| json!({"account": "suspense", "amount": usd(minor)});
    correct(
        &world,
        "=HYPERLINK(\"http://x\")",
        json!([owed(-50), other(50)]),
    )
    .await;
    correct(&world, "a \"fine\", by hand", json!([owed(20), other(-20)])).await;
    clock.advance(chrono::Duration::microseconds(1));
    given(&world, campaign, 1100).await;

    let may = format!("/campaigns/{campaign}/statements/2026-05");
    let statement = json_at(&world, &may).await;
    let figures = json!([{
        "gross": usd(3500), "fees": usd(0), "refunds": usd(500), "disputes": usd(300), "corrections": usd(30),
        "net": usd(2730),
    }]);
    assert_eq!(statement["figures"], figures);
    assert_eq!(statement["month"], "2026-05");
    assert_eq!(statement["corrections"][0]["amount"], usd(50));
    assert_eq!(statement["corrections"][1]["reason"], "a \"fine\", by hand");
    let june = json_at(&world, &format!("/campaigns/{campaign}/statements/2026-06")).await;
    assert_eq!(june["figures"][0]["net"], usd(1100));
    let april = json_at(&world, &format!("/campaigns/{campaign}/statements/2026-04")).await;
    assert_eq!(
        (&april["figures"], &april["corrections"]),
        (&json!([]), &json!([]))
    );

    let expected = "\"item\",\"currency\",\"amount\",\"at\",\"reason\"\r\n\
        \"gross\",\"USD\",\"35.00\",\"\",\"\"\r\n\
        \"fees\",\"USD\",\"0.00\",\"\",\"\"\r\n\
        \"refunds\",\"USD\",\"5.00\",\"\",\"\"\r\n\
        \"disputes\",\"USD\",\"3.00\",\"\",\"\"\r\n\
        \"corrections\",\"USD\",\"0.30\",\"\",\"\"\r\n\
        \"net\",\"USD\",\"27.30\",\"\",\"\"\r\n\
        \"correction\",\"USD\",\"0.50\",\"2026-05-31T23:59:59.999999+00:00\",\"'=HYPERLINK(\"\"http://x\"\")\"\r\n\
        \"correction\",\"USD\",\"-0.20\",\"2026-05-31T23:59:59.999999+00:00\",\"a \"\"fine\"\", by hand\"\r\n";
    let by_name = get(&world, &format!("{may}.csv"), "application/json").await;
    let by_header = get(&world, &may, "text/csv;q=0.9, application/json;q=0.8").await;
    for reply in [by_name, by_header] {
        assert_eq!(reply.status(), StatusCode::OK);
        assert!(
            reply.headers()["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/csv")
        );
        assert_eq!(reply.headers()["vary"], "accept");
        let file = format!("attachment; filename=\"statement-{campaign}-2026-05.csv\"");
        assert_eq!(reply.headers()["content-disposition"], file.as_str());
        assert_eq!(reply.text().await.unwrap(), expected);
    }
    let json_first = get(&world, &may, "application/json, text/csv").await;
    assert_eq!(json_first.headers()["content-type"], "application/json");
}

#[tokio::test]
async fn the_books_are_for_admins_alone() {
    let world = World::start().await;
    let campaign = CampaignId::new();
    let routes = [
        (Method::GET, "/trial-balance".to_owned(), StatusCode::OK),
        (
            Method::GET,
            "/accounts/fees/entries".to_owned(),
            StatusCode::OK,
        ),
        (
            Method::GET,
            format!("/campaigns/{campaign}/statements/2026-05"),
            StatusCode::OK,
        ),
        (Method::POST, "/corrections".to_owned(), StatusCode::CREATED),
    ];
    let line = |minor: i64| json!({"account": "fees", "amount": usd(minor)});
    let body = json!({"reason": "a test", "entries": [line(1), line(-1)]});
    let gift = world.gift();
    let bearer = |token: String| Some(("authorization", format!("Bearer {token}")));
    for (method, path, allowed) in routes {
        let callers = [
            (None, StatusCode::UNAUTHORIZED),
            (
                Some(("x-guest-token", gift.guest_token.clone())),
                StatusCode::UNAUTHORIZED,
            ),
            (bearer("nonsense".to_owned()), StatusCode::UNAUTHORIZED),
            (
                bearer(user_token(UserId::new(), Role::Donor)),
                StatusCode::FORBIDDEN,
            ),
            (bearer(user_token(UserId::new(), Role::Admin)), allowed),
        ];
        for (header, status) in callers {
            let url = world.service.at(&format!("{BOOKS}{path}"));
            let mut request = world.service.client.request(method.clone(), url);
            request = request.header("idempotency-key", Uuid::new_v4().to_string());
            if method == Method::POST {
                request = request.json(&body);
            }
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), status, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_code() {
    let world = World::start().await;
    let campaign = CampaignId::new();
    let month = |text: &str| format!("/campaigns/{campaign}/statements/{text}");
    let table = [
        ("/accounts/pocket/entries".to_owned(), 404, "not_found"),
        ("/accounts/FEES/entries".to_owned(), 404, "not_found"),
        (
            "/accounts/fees/entries?limit=0".to_owned(),
            400,
            "invalid_limit",
        ),
        (
            "/accounts/fees/entries?limit=101".to_owned(),
            400,
            "invalid_limit",
        ),
        (
            "/accounts/fees/entries?limit=x".to_owned(),
            400,
            "invalid_query",
        ),
        (
            "/accounts/fees/entries?cursor=x".to_owned(),
            400,
            "invalid_cursor",
        ),
        (
            format!("/accounts/fees/entries?cursor={campaign}"),
            400,
            "invalid_cursor",
        ),
        (
            format!("/accounts/fees/entries?cursor={campaign}.99999"),
            400,
            "invalid_cursor",
        ),
        (
            "/campaigns/x/statements/2026-05".to_owned(),
            404,
            "not_found",
        ),
        (month("2026-13"), 404, "not_found"),
        (month("2026-00"), 404, "not_found"),
        (month("2026-5"), 404, "not_found"),
        (month("26-05"), 404, "not_found"),
        (month("2026-05-01"), 404, "not_found"),
        (month("+026-05"), 404, "not_found"),
        (month("2026-05.pdf"), 404, "not_found"),
        (month(".csv"), 404, "not_found"),
        ("/trial-balance/x".to_owned(), 404, "not_found"),
        ("/corrections".to_owned(), 405, "method_not_allowed"),
    ];
    for (path, status, code) in table {
        let reply = get(&world, &path, "*/*").await;
        assert_eq!(reply.status().as_u16(), status, "{path}");
        assert_eq!(problem_code(reply).await, code, "{path}");
    }
    for (first, last) in [("0000-01", "9999-12")] {
        for text in [first, last] {
            assert_eq!(
                get(&world, &month(text), "*/*").await.status(),
                StatusCode::OK,
                "{text}"
            );
        }
    }
}
