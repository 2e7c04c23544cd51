//! The provider's account is matched with the books: payouts, settlements, and what is missing on either side.

use std::time::Duration;

use common::{auth::Role, events::PaymentKind, ids::UserId, payment::State};
use payment::{Cadences, domain::Payout};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};
use uuid::Uuid;

use crate::{
    bank::Paid,
    reconcile::{matters_amount, open_matter},
    telling::Ear,
    world::{Gift, Plan, SECRET_KEY, World, brisk},
};

const PATH: &str = "/api/admin/reconciliation/runs";

async fn world() -> World {
    World::of(Plan {
        cadences: Cadences {
            // The simulator's clock is ours: what it made this second is in the past a second later.
            reconcile_after: Duration::from_millis(200),
            ..brisk()
        },
        // The provider may come up after the first look at it.
        resolve_after: Duration::from_millis(200),
        ..Plan::brisk()
    })
    .await
}

async fn start(world: &World, key: &str) -> Response {
    let request = world.service.client.post(world.service.at(PATH));
    let token = user_token(UserId::from(Uuid::from_u128(7)), Role::Admin);
    request
        .bearer_auth(token)
        .header("idempotency-key", key)
        .send()
        .await
        .unwrap()
}

async fn get(world: &World, run: &str) -> Response {
    let request = world
        .service
        .client
        .get(world.service.at(&format!("{PATH}/{run}")));
    request
        .bearer_auth(user_token(UserId::new(), Role::Admin))
        .send()
        .await
        .unwrap()
}

/// A run from its start to its end.
async fn run(world: &World) -> Value {
    let reply = start(world, &Uuid::new_v4().to_string()).await;
    assert_eq!(reply.status(), StatusCode::ACCEPTED);
    let run: Value = reply.json().await.unwrap();
    assert_eq!(run["state"], "QUEUED");
    let id = run["id"].as_str().unwrap().to_owned();
    eventually("the run is done", async || {
        let run: Value = get(world, &id).await.json().await.unwrap();
        (run["state"] == "DONE").then_some(run)
    })
    .await
}

async fn completed(world: &World) -> Gift {
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    world.until(&gift, "COMPLETED").await;
    gift
}

async fn settlement(world: &World, gift: &Gift) -> String {
    sqlx::query_scalar(
        "select psp_object from ledger_sets where payment_id = $1 and effect = 'settled'",
    )
    .bind(gift.payment_id.get())
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

/// Lists grow by whole seconds: a moment later everything made so far is in the past.
async fn a_second_later(world: &World) {
    let now = world.clock.now();
    eventually("a second has passed", async || {
        (world.clock.now() - now > chrono::Duration::milliseconds(1200)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_payouts_charges_are_matched_with_their_settlements() {
    let world = world().await;
    let gifts = [completed(&world).await, completed(&world).await];
    let run = paid_out(&world).await;
    assert_eq!(run["matched"], 2, "{run}");
    assert_eq!(run["differences"], json!([]));
    let [payout] = run["payouts"].as_array().unwrap().as_slice() else {
        panic!("{run}");
    };
    // The payout's own entry is one of them, and concerns no payment.
    assert_eq!(
        (&payout["entries"], &payout["matched"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(payout["currency"], "USD");
    assert!(payout["amount_minor"].as_i64().unwrap() > 0, "{payout}");
    let mut items: Vec<(String, String, Option<Uuid>)> = sqlx::query_as(
        "select txn, verdict, payment_id from payout_items where kind = 'charge' order by txn",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let mut expected = Vec::new();
    for gift in &gifts {
        let txn = settlement(&world, gift).await;
        expected.push((txn, "MATCHED".to_owned(), Some(gift.payment_id.get())));
    }
    items.sort();
    expected.sort();
    assert_eq!(items, expected);
    let payouts: i64 = sqlx::query_scalar("select count(*) from payouts")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(payouts, 1);
}

#[tokio::test]
async fn a_payouts_charge_is_settled_by_the_run_where_nobody_has_looked_for_it_yet() {
    let world = World::of(Plan {
        cadences: Cadences {
            settle_after: Duration::from_hours(1),
            ..brisk()
        },
        resolve_after: Duration::from_millis(200),
        ..Plan::brisk()
    })
    .await;
    let paid = world.paid(2500, "pm_card_visa").await;
    let run = paid_out(&world).await;
    assert_eq!(
        (&run["matched"], &run["differences"]),
        (&json!(1), &json!([])),
        "{run}"
    );
    world.until(&paid.gift, "COMPLETED").await;
}

#[tokio::test]
async fn it_is_told_once_that_money_is_paid_out() {
    let world = world().await;
    let ear = Ear::on(&world);
    let gift = completed(&world).await;
    let payout = made(&world, true).await;
    a_second_later(&world).await;
    run(&world).await;
    // It is on its way, and may still fail.
    assert!(told_of(&world).await.is_empty());
    arrive(&world, &payout, "paid").await;
    run(&world).await;
    let told = ear.told(&gift, 4).await;
    let (_, last) = told.last().unwrap();
    assert_eq!(
        (last.kind, last.state, last.version, last.captured),
        (PaymentKind::PaidOut, State::Completed, 4, 2500)
    );
    run(&world).await;
    let known: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "select payment_id, o.version, p.version from paid_out_payments o join payments p using (payment_id)",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(known, [(gift.payment_id.get(), 4, 4)]);
}

#[tokio::test]
async fn a_payout_that_fails_is_a_matter_for_a_person_and_nobody_is_told() {
    let world = world().await;
    completed(&world).await;
    let payout = made(&world, true).await;
    a_second_later(&world).await;
    run(&world).await;
    assert_eq!(open_matter(&world, "RECONCILIATION", &payout).await, None);
    arrive(&world, &payout, "failed").await;
    let run_after = run(&world).await;
    let [kept] = run_after["payouts"].as_array().unwrap().as_slice() else {
        panic!("{run_after}");
    };
    assert_eq!(kept["status"], "failed");
    assert_eq!(
        world.matters("RECONCILIATION").await,
        std::slice::from_ref(&payout)
    );
    let amount = kept["amount_minor"].as_i64().unwrap();
    assert_eq!(
        matters_amount(&world, &payout).await,
        (amount, "USD".to_owned())
    );
    assert!(told_of(&world).await.is_empty());
    // Whoever closes it has closed it.
    sqlx::query("update exceptions set closed_at = now(), closed_by = 'an admin'")
        .execute(&world.pool)
        .await
        .unwrap();
    run(&world).await;
    assert_eq!(open_matter(&world, "RECONCILIATION", &payout).await, None);
}

#[tokio::test]
async fn a_payout_by_hand_does_not_hold_up_the_run() {
    let world = world().await;
    completed(&world).await;
    let payout = made(&world, false).await;
    arrive(&world, &payout, "paid").await;
    a_second_later(&world).await;
    let run = run(&world).await;
    assert_eq!(
        (&run["matched"], &run["differences"]),
        (&json!(1), &json!([])),
        "{run}"
    );
    let [kept] = run["payouts"].as_array().unwrap().as_slice() else {
        panic!("{run}");
    };
    assert_eq!(
        (&kept["status"], &kept["entries"]),
        (&json!("paid"), &json!(0))
    );
}

#[tokio::test]
async fn a_part_that_only_matches_later_is_told() {
    let world = world().await;
    let gift = completed(&world).await;
    let booked = settlement(&world, &gift).await;
    rename_settlement(&world, &booked, "txn_1elsewhere").await;
    let first = paid_out(&world).await;
    assert_eq!(first["missing_local"], 1, "{first}");
    assert!(told_of(&world).await.is_empty());
    rename_settlement(&world, "txn_1elsewhere", &booked).await;
    run(&world).await;
    assert_eq!(told_of(&world).await, [gift.payment_id.get()]);
}

#[tokio::test]
async fn what_a_run_found_before_it_was_taken_up_again_is_counted() {
    let world = world().await;
    let id = Uuid::now_v7();
    for earlier in [
        "insert into settlement_matches (txn, run_id, at) values ('txn_1earlier', $1, now())",
        "insert into reconciliation_runs (run_id, state, cause, from_time, until_time, held_until, created_at)
         values ($1, 'RUNNING', 'admin', now(), now(), now(), now())",
    ] {
        let earlier = sqlx::query(earlier).bind(id);
        earlier.execute(&world.pool).await.unwrap();
    }
    let done = eventually("the run is done", async || {
        let run: Value = get(&world, &id.to_string()).await.json().await.unwrap();
        (run["state"] == "DONE").then_some(run)
    })
    .await;
    assert_eq!(done["matched"], 1);
}

#[test]
fn only_what_is_paid_has_arrived_and_only_whole_lists_of_the_schedule_are_read() {
    let payout = |status: &str, automatic: bool, reconciled: &str| {
        let payout = json!({
            "id": "po_1", "amount": 1, "currency": "usd", "status": status, "created": 1, "arrival_date": 2,
            "automatic": automatic, "reconciliation_status": reconciled,
        });
        serde_json::from_value::<Payout>(payout).unwrap()
    };
    for (status, arrived, failed) in [
        ("pending", false, false),
        ("in_transit", false, false),
        ("paid", true, false),
        ("canceled", false, true),
        ("failed", false, true),
    ] {
        let payout = payout(status, true, "completed");
        assert_eq!(
            (payout.has_arrived(), payout.has_failed()),
            (arrived, failed),
            "{status}"
        );
    }
    assert!(payout("pending", true, "completed").is_itemised());
    assert!(!payout("paid", true, "in_progress").is_itemised());
    assert!(!payout("paid", false, "not_applicable").is_itemised());
}

/// Whose donors were told that their money has arrived.
async fn told_of(world: &World) -> Vec<Uuid> {
    sqlx::query_scalar("select payment_id from paid_out_payments")
        .fetch_all(&world.pool)
        .await
        .unwrap()
}

/// Lets the books have a settlement under another entry of the provider's.
async fn rename_settlement(world: &World, from: &str, to: &str) {
    let mut connection = world.pool.acquire().await.unwrap();
    for statement in [
        "alter table ledger_sets disable trigger ledger_sets_append_only",
        "alter table ledger_sets disable trigger ledger_sets_balanced",
    ] {
        sqlx::query(statement)
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    sqlx::query("update ledger_sets set psp_object = $2 where psp_object = $1")
        .bind(from)
        .bind(to)
        .execute(&mut *connection)
        .await
        .unwrap();
}

/// Pays out everything, once all of it is available, as the schedule does or by hand; it stays on its way.
async fn made(world: &World, automatic: bool) -> String {
    let http = reqwest::Client::new();
    eventually("all is available", async || {
        let list = format!("{}/v1/balance_transactions?limit=100", world.psp.url);
        let list = http.get(list).bearer_auth(SECRET_KEY).send().await.unwrap();
        let list: Value = list.json().await.unwrap();
        let mut entries = list["data"].as_array().unwrap().iter();
        entries.all(|it| it["status"] == "available").then_some(())
    })
    .await;
    let order = json!({"automatic": automatic, "arrives_after_ms": 3_600_000});
    let made = world.control("/payouts", &order).await;
    made["data"][0]["id"].as_str().unwrap().to_owned()
}

/// The platform's bank books a payout, or sends it back.
async fn arrive(world: &World, payout: &str, status: &str) {
    let control = format!("/payouts/{payout}");
    world.control(&control, &json!({"status": status})).await;
}

/// Pays out everything as the schedule does, lets it arrive, and matches it.
pub async fn paid_out(world: &World) -> Value {
    let payout = made(world, true).await;
    arrive(world, &payout, "paid").await;
    a_second_later(world).await;
    run(world).await
}

/// How each entry of all payouts fits the books, by its kind and whose it is.
async fn items(world: &World) -> Vec<(String, String, Option<Uuid>)> {
    sqlx::query_as(
        "select kind, verdict, payment_id from payout_items order by kind, amount_minor, payment_id",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn what_went_back_is_matched_with_its_refunds_and_disputes_also_if_nobody_told_of_it() {
    let world = world().await;
    let (whole, given, disputed) = (
        world.paid(1000, "pm_card_visa").await,
        world.paid(2500, "pm_card_visa").await,
        world.paid(2600, "pm_card_visa").await,
    );
    // All of it goes back, mostly before it is available.
    world.refunded(&whole, None).await;
    world.until_refunds(&whole, &["SUCCEEDED"]).await;
    world.refunded(&given, Some(700)).await;
    world.until_refunds(&given, &["SUCCEEDED"]).await;
    let imported = [
        ("payment_intent", given.open.intent.as_str()),
        ("amount", "300"),
    ];
    world.dashboard("/v1/refunds", &imported, None).await;
    let dispute = world.complain(&disputed, &json!({})).await;
    world.rule(&dispute, "won").await;
    let run = paid_out(&world).await;
    assert_eq!(run["differences"], json!([]), "{run}");
    let of = |kind: &str, paid: &Paid| {
        let id = paid.gift.payment_id.get();
        (kind.to_owned(), "MATCHED".to_owned(), Some(id))
    };
    let expected = [
        of("adjustment", &disputed),
        of("adjustment", &disputed),
        of("charge", &whole),
        of("charge", &given),
        of("charge", &disputed),
        ("payout".to_owned(), "OTHER".to_owned(), None),
        of("refund", &whole),
        of("refund", &given),
        of("refund", &given),
    ];
    assert_eq!(items(&world).await, expected);
    // Of what went back wholly nothing is paid out.
    let mut told = told_of(&world).await;
    let mut left = [given.gift.payment_id.get(), disputed.gift.payment_id.get()];
    told.sort();
    left.sort();
    assert_eq!(told, left);
}

#[tokio::test]
async fn a_refund_that_the_books_hold_otherwise_is_told() {
    let world = world().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    world.refunded(&paid, Some(700)).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    sqlx::query("update refunds set amount_minor = 600")
        .execute(&world.pool)
        .await
        .unwrap();
    let run = paid_out(&world).await;
    let [difference] = run["differences"].as_array().unwrap().as_slice() else {
        panic!("{run}");
    };
    assert_eq!(difference["kind"], "AMOUNT_DIFF");
    let id = paid.gift.payment_id.get();
    let refund = ("refund".to_owned(), "AMOUNT_DIFF".to_owned(), Some(id));
    assert!(items(&world).await.contains(&refund));
}

#[tokio::test]
async fn a_refund_that_the_ledger_does_not_have_is_told() {
    let world = world().await;
    let paid = world.paid(2500, "pm_card_visa").await;
    world.refunded(&paid, Some(700)).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    let mut connection = world.pool.acquire().await.unwrap();
    for statement in [
        "alter table ledger_sets disable trigger user",
        "alter table ledger_entries disable trigger user",
        "delete from ledger_entries where set_id in (select set_id from ledger_sets where effect = 'refunded')",
        "delete from ledger_sets where effect = 'refunded'",
    ] {
        let statement = sqlx::query(statement).execute(&mut *connection);
        statement.await.unwrap();
    }
    drop(connection);
    let run = paid_out(&world).await;
    assert_eq!(run["missing_local"], 1, "{run}");
    let id = paid.gift.payment_id.get();
    let refund = ("refund".to_owned(), "MISSING_LOCAL".to_owned(), Some(id));
    assert!(items(&world).await.contains(&refund));
}

/// Books a settlement of a payment under an entry that the provider does not have.
pub async fn settled_by_nobody(world: &World, gift: &Gift) {
    let set = Uuid::now_v7();
    sqlx::query(
        "with opened as (insert into ledger_sets (set_id, payment_id, effect, psp_object, at)
                         values ($1, $2, 'settled', 'txn_1nobody', now()))
         insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
         values ($1, 1, 'psp_settled', 'USD', 1, now()), ($1, 2, 'psp_receivable', 'USD', -1, now())",
    )
    .bind(set)
    .bind(gift.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
}

#[tokio::test]
async fn what_the_provider_does_not_have_is_a_matter_for_a_person() {
    let world = world().await;
    let gift = completed(&world).await;
    settled_by_nobody(&world, &gift).await;
    a_second_later(&world).await;
    let run = run(&world).await;
    assert_eq!(
        (&run["missing_psp"], &run["missing_local"]),
        (&json!(1), &json!(0)),
        "{run}"
    );
    assert_eq!(run["differences"][0]["subject"], "txn_1nobody");
    assert!(
        open_matter(&world, "RECONCILIATION", "txn_1nobody")
            .await
            .is_some()
    );
    assert_eq!(
        matters_amount(&world, "txn_1nobody").await,
        (2500, "USD".to_owned())
    );
}

#[tokio::test]
async fn what_the_books_do_not_have_or_have_otherwise_is_told() {
    let world = world().await;
    let (lost, changed) = (completed(&world).await, completed(&world).await);
    let (missing, differs) = (
        settlement(&world, &lost).await,
        settlement(&world, &changed).await,
    );
    rename_settlement(&world, &missing, "txn_elsewhere").await;
    sqlx::query("update payments set captured_minor = 2400 where payment_id = $1")
        .bind(changed.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    a_second_later(&world).await;
    let found = run(&world).await;
    let kinds: Vec<_> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["subject"].as_str().unwrap().to_owned(),
                it["kind"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    for expected in [(&missing, "MISSING_LOCAL"), (&differs, "AMOUNT_DIFF")] {
        assert!(
            kinds.contains(&(expected.0.clone(), expected.1.to_owned())),
            "{expected:?} in {found}"
        );
    }
    let metrics = world
        .service
        .client
        .get(world.service.at("/metrics"))
        .send()
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("reconciliation_differences{kind=\"AMOUNT_DIFF\"}"));
    let (amount, currency) = matters_amount(&world, &missing).await;
    let told = found["differences"].as_array().unwrap().iter();
    let told = told.clone().find(|it| it["subject"] == *missing).unwrap();
    assert_eq!(
        (&told["psp_minor"], &told["currency"]),
        (&json!(amount), &json!(currency))
    );
    // Set right, a later run closes the matter.
    sqlx::query("update payments set captured_minor = 2500 where payment_id = $1")
        .bind(changed.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    assert!(
        open_matter(&world, "RECONCILIATION", &differs)
            .await
            .is_some()
    );
    run(&world).await;
    assert_eq!(open_matter(&world, "RECONCILIATION", &differs).await, None);
}

#[tokio::test]
async fn a_run_that_the_provider_did_not_answer_is_taken_up_again_soon() {
    let mut world = World::of(Plan {
        breaker_rest: Duration::from_millis(200),
        resolve_after: Duration::from_millis(200),
        up: false,
        ..Plan::brisk()
    })
    .await;
    let pool = world.pool.clone();
    let run = async || -> Option<(String, bool)> {
        sqlx::query_as("select state, held_until > now() from reconciliation_runs")
            .fetch_optional(&pool)
            .await
            .unwrap()
    };
    eventually("it was tried and let go", async || {
        (run().await? == ("RUNNING".to_owned(), false)).then_some(())
    })
    .await;
    world.psp_comes_up();
    eventually("the run is done", async || {
        (run().await?.0 == "DONE").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_is_started_once_by_an_admin_and_one_a_day_by_itself() {
    let world = world().await;
    let daily: String = eventually("a daily run is done", async || {
        sqlx::query_scalar(
            "select state from reconciliation_runs where cause = 'daily' and state = 'DONE'",
        )
        .fetch_optional(&world.pool)
        .await
        .unwrap()
    })
    .await;
    assert_eq!(daily, "DONE");
    let first = start(&world, "one-key-0001").await.text().await.unwrap();
    let twin = start(&world, "one-key-0001").await;
    assert_eq!(twin.headers()["idempotent-replayed"], "true");
    assert_eq!(twin.text().await.unwrap(), first);
    let runs: i64 = sqlx::query_scalar("select count(*) from reconciliation_runs")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(runs, 2);
    let unknown = get(&world, &Uuid::new_v4().to_string()).await;
    assert_eq!(problem_code(unknown).await, "not_found");
    let donor = world.service.client.post(world.service.at(PATH));
    let donor = donor.bearer_auth(user_token(UserId::new(), Role::Donor));
    let refused = donor
        .header("idempotency-key", "one-key-0002")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}
