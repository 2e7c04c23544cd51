//! Money on an ended payment, and money that nobody asked for: none is lost, none is counted twice.

use std::{net::SocketAddr, sync::Arc};

use chassis::{clock::Clock, lifecycle::Lifecycle};
use chrono::{DateTime, Utc};
use common::events::CampaignStatus;
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::eventually;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use uuid::Uuid;

use crate::{
    attempts::next,
    reconcile::{open_matter, until_closed},
    world::{Gift, Open, Plan, Table, World},
};

async fn world() -> World {
    World::of(Plan::brisk()).await
}

/// A payment that ended here, and whose intent can still be paid at the provider.
async fn ended_here(world: &World, gift: &Gift, reason: &str) -> Open {
    let open = world.open(gift).await;
    let told = json!({"status": "canceled", "cancellation_reason": reason});
    let ended = gift.news("payment_intent.canceled", &open.intent, &told);
    assert_eq!(world.verdict(&ended).await, "APPLIED");
    open
}

async fn pay(world: &World, open: &Open) {
    let paid = world.psp.confirm(open, "pm_card_visa").await;
    assert!(paid.status().is_success());
}

/// A payment that ended here, and whose intent was paid at the provider all the same.
async fn paid_too_late(world: &World, gift: &Gift, reason: &str) -> Open {
    let open = ended_here(world, gift, reason).await;
    pay(world, &open).await;
    open
}

/// All of a payment goes back, by one refund: the only one that there is.
async fn goes_back_once(world: &World, gift: &Gift) {
    world.until(gift, "REFUNDED").await;
    let refunds: Vec<(String, i64, String)> =
        sqlx::query_as("select cause, amount_minor, status from refunds")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let once = ("LATE_CAPTURE".to_owned(), 2500, "SUCCEEDED".to_owned());
    assert_eq!(refunds, [once]);
}

async fn campaign_is(world: &World, gift: &Gift, status: CampaignStatus) {
    sqlx::query(
        "insert into campaigns (campaign_id, organiser_id, status, version) values ($1, gen_random_uuid(), $2, 1)",
    )
    .bind(gift.ticket.campaign_id.get())
    .bind(status.as_str())
    .execute(&world.pool)
    .await
    .unwrap();
}

async fn decision(world: &World, gift: &Gift) -> Option<(String, String)> {
    sqlx::query_as("select decision, reason from late_captures where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_optional(&world.pool)
        .await
        .unwrap()
}

async fn decided(world: &World, gift: &Gift) -> (String, String) {
    eventually("it is decided", async || decision(world, gift).await).await
}

async fn captured_sets(world: &World, gift: &Gift, effect: &str) -> i64 {
    sqlx::query_scalar("select count(*) from ledger_sets where payment_id = $1 and effect = $2")
        .bind(gift.payment_id.get())
        .bind(effect)
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn money_on_an_expired_payment_revives_the_pledge_while_its_campaign_takes_gifts() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let open = ended_here(&world, &gift, "automatic").await;
    assert_eq!(world.state(&gift).await, "EXPIRED");
    pay(&world, &open).await;
    world.deliver(&gift.captured(&open.intent)).await;
    assert_eq!(decided(&world, &gift).await.0, "REVIVED");
    world.until(&gift, "COMPLETED").await;
    assert_eq!(captured_sets(&world, &gift, "captured").await, 1);
    let history = world.history(&gift).await;
    assert_eq!(
        history[1],
        ("EXPIRED".to_owned(), "CAPTURED".to_owned(), false)
    );
    let told: Vec<String> =
        sqlx::query_scalar("select kind from exceptions where closed_at is null")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test]
async fn money_on_a_cancelled_payment_is_booked_and_goes_back_once() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let open = paid_too_late(&world, &gift, "requested_by_customer").await;
    for _ in 0..3 {
        world.deliver(&gift.captured(&open.intent)).await;
    }
    let (decision, reason) = decided(&world, &gift).await;
    assert_eq!(
        (decision.as_str(), reason.as_str()),
        ("REFUND", "the donor had cancelled")
    );
    assert_eq!(captured_sets(&world, &gift, "captured").await, 1);
    goes_back_once(&world, &gift).await;
}

#[tokio::test]
async fn money_for_a_campaign_that_takes_no_gifts_goes_back() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Completed).await;
    let open = paid_too_late(&world, &gift, "automatic").await;
    world.deliver(&gift.captured(&open.intent)).await;
    assert_eq!(decided(&world, &gift).await.0, "REFUND");
}

/// A payment that ended here while it could still be paid at the provider, and the next one of its pledge.
async fn with_a_second(world: &World, gift: &Gift) -> (Open, Open, Gift) {
    let first = ended_here(world, gift, "automatic").await;
    let second = world.open(gift).await;
    assert_ne!(first.intent, second.intent);
    let next = next(gift);
    assert_eq!(world.state(&next).await, "PENDING");
    (first, second, next)
}

/// The first intent is paid after all, and all of it goes back, once.
async fn the_first_is_paid_and_goes_back(world: &World, gift: &Gift, first: &Open) {
    pay(world, first).await;
    for _ in 0..3 {
        world.deliver(&gift.captured(&first.intent)).await;
    }
    assert_eq!(decided(world, gift).await.0, "REFUND");
    goes_back_once(world, gift).await;
    assert_eq!(world.psp.ledger().await["totals"]["usd"]["refunded"], 2500);
}

#[tokio::test]
async fn money_beside_another_live_payment_of_the_pledge_goes_back_and_that_one_can_be_paid() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let (first, second, next) = with_a_second(&world, &gift).await;
    the_first_is_paid_and_goes_back(&world, &gift, &first).await;
    assert_eq!(world.state(&next).await, "PENDING");
    assert_eq!(world.psp.status(&second).await, "requires_payment_method");
    pay(&world, &second).await;
    world.until(&next, "COMPLETED").await;
    assert_eq!(captured_sets(&world, &next, "captured").await, 1);
}

#[tokio::test]
async fn money_beside_another_captured_payment_of_the_pledge_goes_back_and_that_one_stays() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let (first, second, next) = with_a_second(&world, &gift).await;
    pay(&world, &second).await;
    world.until(&next, "COMPLETED").await;
    the_first_is_paid_and_goes_back(&world, &gift, &first).await;
    assert_eq!(world.state(&next).await, "COMPLETED");
    assert_eq!(world.payment(&next).await["refunded"]["amount"], 0);
}

#[tokio::test]
async fn after_an_earlier_payment_was_revived_the_pledge_gets_no_third() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let (first, second, next) = with_a_second(&world, &gift).await;
    world.psp.cancel(&second).await;
    world.until(&next, "CANCELLED").await;
    pay(&world, &first).await;
    world.deliver(&gift.captured(&first.intent)).await;
    assert_eq!(decided(&world, &gift).await.0, "REVIVED");
    let refused = world.post(&gift.body()).await;
    assert_eq!(testkit::problem_code(refused).await, "payment_closed");
    assert_eq!(world.count(Table::Payments).await, 2);
}

#[tokio::test]
async fn money_beside_a_payment_that_is_being_made_at_this_moment_goes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = World::of(Plan {
        through: Some(listener.local_addr().unwrap()),
        ..Plan::brisk()
    })
    .await;
    let (held, hold) = watch::channel(false);
    let asked = Arc::new(Notify::new());
    let provider = world.psp.address();
    let line = slow_line(listener, provider, hold, asked.clone(), world.life.clone());
    world.life.track(line);
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let open = paid_too_late(&world, &gift, "automatic").await;
    held.send_replace(true);
    world.deliver(&gift.captured(&open.intent)).await;
    asked.notified().await;
    // The provider has been asked about the first payment. While its answer is on its way, the donor's next is made.
    let mut making = world.pool.acquire().await.unwrap();
    sqlx::raw_sql("begin").execute(&mut *making).await.unwrap();
    let maker: i32 = sqlx::query_scalar(
        "select pg_backend_pid() from payments where payment_id = $1 for update",
    )
    .bind(gift.payment_id.get())
    .fetch_one(&mut *making)
    .await
    .unwrap();
    let as_second = json!({
        "payment_id": next(&gift).payment_id, "attempt": 2, "state": "PENDING", "version": 1, "psp_key": "second",
        "provider_ref": null, "outcome": "none", "retry_at": null, "ending": null, "ending_at": null,
    });
    sqlx::query(
        "insert into payments select (jsonb_populate_record(p, $2)).* from payments p where payment_id = $1",
    )
    .bind(gift.payment_id.get())
    .bind(as_second)
    .execute(&mut *making)
    .await
    .unwrap();
    held.send_replace(false);
    eventually("somebody waits for the first payment", async || {
        let waits: bool = sqlx::query_scalar(
            "select exists (select from pg_locks where not granted and $1 = any(pg_blocking_pids(pid)))",
        )
        .bind(maker)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        waits.then_some(())
    })
    .await;
    sqlx::raw_sql("commit").execute(&mut *making).await.unwrap();
    assert_eq!(decided(&world, &gift).await.0, "REFUND");
}

/// A line to the provider on which answers wait while they are held, and which says when one does.
async fn slow_line(
    listener: TcpListener,
    provider: SocketAddr,
    held: watch::Receiver<bool>,
    asked: Arc<Notify>,
    life: Lifecycle,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.stopping() => return,
        };
        let (stream, _) = accepted.unwrap();
        let (mut held, asked) = (held.clone(), asked.clone());
        life.track(async move {
            let upstream = TcpStream::connect(provider).await.unwrap();
            let (mut from, mut to) = stream.into_split();
            let (mut back, mut forth) = upstream.into_split();
            let answering = async {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(count @ 1..) = back.read(&mut buffer).await {
                    if *held.borrow() {
                        asked.notify_one();
                    }
                    let is_let_go = held.wait_for(|held| !held).await.is_ok();
                    if !is_let_go || to.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            };
            let (_, ()) = futures::join!(tokio::io::copy(&mut from, &mut forth), answering);
        });
    }
}

#[tokio::test]
async fn a_webhook_that_lies_about_money_on_an_ended_payment_moves_nothing() {
    let world = world().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    let ended = gift.news(
        "payment_intent.canceled",
        &open.intent,
        &json!({"status": "canceled"}),
    );
    world.deliver(&ended).await;
    assert_eq!(
        world.verdict(&gift.captured(&open.intent)).await,
        "CONFLICT"
    );
    let subject = gift.payment_id.to_string();
    until_closed(&world, "CONFLICT", &subject).await;
    assert_eq!(world.state(&gift).await, "CANCELLED");
    assert_eq!(decision(&world, &gift).await, None);
}

#[tokio::test]
async fn a_webhook_with_another_amount_moves_nothing_and_the_truth_is_fetched() {
    let world = world().await;
    let gift = world.gift();
    let open = world.open(&gift).await;
    world.psp.confirm(&open, "pm_card_visa").await;
    let told = json!({"status": "succeeded", "amount": 2600, "amount_received": 2600});
    let lie = gift.news("payment_intent.succeeded", &open.intent, &told);
    assert_eq!(world.verdict(&lie).await, "QUARANTINED");
    world.until(&gift, "COMPLETED").await;
    assert_eq!(world.payment(&gift).await["captured"]["amount"], 2500);
    assert_eq!(
        open_matter(&world, "QUARANTINED", &gift.payment_id.to_string()).await,
        None
    );
    assert_eq!(captured_sets(&world, &gift, "suspense").await, 0);
}

/// A gift of which the provider took another amount than this payment asks for, as if the pledge had been for less.
async fn taken_otherwise(world: &World) -> (Gift, Open) {
    taken_otherwise_by(world, "pm_card_visa").await
}

async fn taken_otherwise_by(world: &World, card: &str) -> (Gift, Open) {
    let gift = world.gift();
    let open = world.open(&gift).await;
    sqlx::query("update payments set amount_minor = 2000 where payment_id = $1")
        .bind(gift.payment_id.get())
        .execute(&world.pool)
        .await
        .unwrap();
    world.psp.confirm(&open, card).await;
    (gift, open)
}

/// Whether nobody asks the provider about the payment any more, nor to cancel it.
async fn rests(world: &World, gift: &Gift) -> bool {
    sqlx::query_scalar(
        "select retry_at is null and ending_at is null from payments where payment_id = $1",
    )
    .bind(gift.payment_id.get())
    .fetch_one(&world.pool)
    .await
    .unwrap()
}

async fn a_person_is_asked(world: &World, open: &Open) {
    eventually("a person is asked", async || {
        open_matter(world, "SUSPENSE", &open.intent).await
    })
    .await;
}

async fn give_back(world: &World, open: &Open) {
    let refund = [("payment_intent", open.intent.as_str())];
    world.dashboard("/v1/refunds", &refund, None).await;
}

#[tokio::test]
async fn what_was_really_taken_otherwise_than_asked_for_waits_in_suspense_once() {
    let world = world().await;
    let (gift, open) = taken_otherwise(&world).await;
    assert_eq!(
        world.verdict(&gift.captured(&open.intent)).await,
        "QUARANTINED"
    );
    eventually("a person is asked", async || {
        open_matter(&world, "SUSPENSE", &open.intent).await
    })
    .await;
    let entries: Vec<(String, i64)> =
        sqlx::query_as("select account, amount_minor from ledger_entries order by line")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(
        entries,
        [
            ("psp_receivable".to_owned(), 2500),
            ("suspense".to_owned(), -2500)
        ]
    );
    world.deliver(&gift.captured(&open.intent)).await;
    eventually("it was looked at again", async || {
        let tries: i32 = sqlx::query_scalar("select tries from payments")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        (tries >= 3).then_some(())
    })
    .await;
    assert_eq!(captured_sets(&world, &gift, "suspense").await, 1);
    assert_eq!(world.state(&gift).await, "PENDING");
}

#[tokio::test]
async fn money_in_suspense_that_is_given_back_at_the_provider_ends_the_payment() {
    let world = world().await;
    let (gift, open) = taken_otherwise(&world).await;
    eventually("a person is asked", async || {
        open_matter(&world, "SUSPENSE", &open.intent).await
    })
    .await;
    let refund = [("payment_intent", open.intent.as_str())];
    world.dashboard("/v1/refunds", &refund, None).await;
    world.until(&gift, "FAILED").await;
    assert_eq!(world.causes(&gift).await, ["suspense.given_back"]);
    for account in ["suspense", "psp_receivable"] {
        assert_eq!(world.balance(account).await, 0, "{account}");
    }
    assert!(world.matters("SUSPENSE").await.is_empty());
    eventually("nothing is left to ask", async || {
        let at: Option<DateTime<Utc>> = sqlx::query_scalar("select retry_at from payments")
            .fetch_one(&world.pool)
            .await
            .unwrap();
        at.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn money_in_suspense_whose_refund_fails_later_is_back_in_the_books_and_with_a_person() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::brisk()
    })
    .await;
    let (gift, open) = taken_otherwise_by(&world, "pm_card_refundFail").await;
    world.verdict(&gift.captured(&open.intent)).await;
    a_person_is_asked(&world, &open).await;
    for round in 0..2 {
        give_back(&world, &open).await;
        until_suspended(&world, &gift, &open, 0).await;
        assert_eq!(world.state(&gift).await, "FAILED");
        assert!(world.matters("SUSPENSE").await.is_empty());
        clock.advance(chrono::Duration::seconds(61));
        until_suspended(&world, &gift, &open, -2500).await;
        assert_eq!(world.matters("SUSPENSE").await, [open.intent.as_str()]);
        let sets = captured_sets(&world, &gift, "suspense").await;
        assert_eq!(sets, round + 2);
    }
}

/// Has the provider asked about the payment, as its events do, until so much is in suspense.
async fn until_suspended(world: &World, gift: &Gift, open: &Open, minor: i64) {
    eventually("the books say so", async || {
        let event = json!({
            "id": format!("evt_{}", Uuid::new_v4().simple()), "object": "event", "livemode": false,
            "type": "refund.updated", "data": {"object": {"payment_intent": open.intent}},
        });
        assert_eq!(
            world.verdict(&event).await,
            "APPLIED",
            "{}",
            gift.payment_id
        );
        (world.balance("suspense").await == minor).then_some(())
    })
    .await;
}

#[tokio::test]
async fn suspended_money_that_a_person_keeps_ends_the_payment_and_nobody_asks_again() {
    let world = world().await;
    let (gift, open) = taken_otherwise(&world).await;
    a_person_is_asked(&world, &open).await;
    world.lapse(&gift).await;
    eventually("it is called off", async || {
        let (ending, _) = world.ending(&gift).await;
        (ending.as_deref() == Some("EXPIRY")).then_some(())
    })
    .await;
    assert_eq!(world.state(&gift).await, "PENDING");
    let path = format!("/api/admin/exceptions/SUSPENSE/{}/close", open.intent);
    let note = json!({"note": "kept, as the donor wants it"});
    let closed = world.admin(Method::POST, &path, &note).await;
    assert_eq!(closed.status(), StatusCode::OK);
    assert_eq!(world.state(&gift).await, "EXPIRED");
    assert_eq!(world.causes(&gift).await, ["suspense.kept"]);
    eventually("nobody asks", async || {
        rests(&world, &gift).await.then_some(())
    })
    .await;
    // Whatever is still told of it is looked at once, and changes nothing.
    world.deliver(&gift.captured(&open.intent)).await;
    eventually("nobody asks", async || {
        rests(&world, &gift).await.then_some(())
    })
    .await;
    assert_eq!(world.state(&gift).await, "EXPIRED");
    assert!(world.matters("SUSPENSE").await.is_empty());
    assert_eq!(captured_sets(&world, &gift, "suspense").await, 1);
    assert_eq!(world.balance("suspense").await, -2500);
}

#[tokio::test]
async fn money_on_an_expired_payment_that_the_donor_called_off_since_goes_back() {
    let world = world().await;
    let gift = world.gift();
    campaign_is(&world, &gift, CampaignStatus::Active).await;
    let open = ended_here(&world, &gift, "automatic").await;
    assert_eq!(world.state(&gift).await, "EXPIRED");
    world.withdraw(&gift).await;
    eventually("the wish was heard", async || {
        let (ending, _) = world.ending(&gift).await;
        (ending.as_deref() == Some("DONOR")).then_some(())
    })
    .await;
    pay(&world, &open).await;
    world.deliver(&gift.captured(&open.intent)).await;
    let (decision, reason) = decided(&world, &gift).await;
    assert_eq!(
        (decision.as_str(), reason.as_str()),
        ("REFUND", "the donor had cancelled")
    );
    goes_back_once(&world, &gift).await;
}
