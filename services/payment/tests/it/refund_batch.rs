//! What a campaign took that was called off goes back: each payment once, whenever it was captured.

use std::time::Duration;

use chassis::kafka::{Kafka, Record};
use common::{
    auth::Role,
    events::{CampaignKind, CampaignState, CampaignStatus, Capture, Event, topics},
    ids::{CampaignId, UserId},
    money::{Currency, Money},
};
use payment::Cadences;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use testkit::{eventually, problem_code, user_token};
use uuid::Uuid;

use crate::{
    bank::{Paid, admin},
    world::{Gift, Plan, World},
};

const PATH: &str = "/api/admin/refund-batches";

/// Batches are looked at all the time.
fn soon() -> Plan {
    Plan {
        resolve_after: Duration::from_millis(200),
        cadences: Cadences {
            reconcile_after: Duration::from_millis(200),
            ..Cadences::default()
        },
        ..Plan::default()
    }
}

async fn world() -> World {
    World::of(soon()).await
}

/// The campaign as its service tells of it.
async fn tell(
    world: &World,
    campaign: CampaignId,
    status: CampaignStatus,
    by: UserId,
    version: i64,
) {
    let state = CampaignState {
        kind: CampaignKind::Cancelled,
        campaign_id: campaign,
        organiser_id: UserId::new(),
        title: "Clean water".to_owned(),
        status,
        goal: Money::new(500_000, Currency::USD),
        minimum: 100,
        ends_at: None,
        capture: Capture::Automatic,
        moved_by: Some(by),
        version,
        occurred_at: world.clock.now(),
    };
    let record = Record {
        topic: topics::CAMPAIGN.name.to_owned(),
        key: state.key(),
        payload: serde_json::to_vec(&state).unwrap(),
        headers: vec![("ce_id".to_owned(), Uuid::now_v7().to_string())],
    };
    let producer = Kafka::new(&world.kafka).producer().unwrap();
    producer
        .send_all(vec![record])
        .await
        .pop()
        .unwrap()
        .unwrap();
}

/// A gift of this much to this campaign.
fn gift(world: &World, campaign: CampaignId, minor: i64) -> Gift {
    let mut ticket = world.gift_of(minor, Capture::Automatic, None).ticket;
    ticket.campaign_id = campaign;
    world.sign(ticket)
}

async fn paid(world: &World, campaign: CampaignId, minor: i64) -> Paid {
    world
        .paid_gift(gift(world, campaign, minor), "pm_card_visa")
        .await
}

/// A gift that this campaign got after all: whatever was called off, the provider had taken it.
async fn came_late(world: &World, campaign: CampaignId, minor: i64) -> Paid {
    let paid = world.paid(minor, "pm_card_visa").await;
    sqlx::query("update payments set campaign_id = $2 where payment_id = $1")
        .bind(paid.gift.payment_id.get())
        .bind(campaign.get())
        .execute(&world.pool)
        .await
        .unwrap();
    paid
}

/// Waits until every batch was looked at, from beginning to end: they are taken one after another, those first that
/// wait longest, and another campaign's is behind them. A look that has begun before may be in the way of the first.
async fn until_looked_at(world: &World) {
    for _ in 0..2 {
        let other = CampaignId::new();
        let others = paid(world, other, 900).await;
        sqlx::query("update refund_batches set run_at = run_at - interval '1 day'")
            .execute(&world.pool)
            .await
            .unwrap();
        tell(world, other, CampaignStatus::Cancelled, UserId::new(), 4).await;
        world.until_amounts(&others, "REFUNDED", 900, 0).await;
    }
}

async fn batch(world: &World, campaign: CampaignId) -> Value {
    let request = world
        .service
        .client
        .get(world.service.at(&format!("{PATH}/{campaign}")));
    let reply = request.bearer_auth(admin()).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    reply.json().await.unwrap()
}

async fn until(world: &World, campaign: CampaignId, state: &str) -> Value {
    eventually(state, async || {
        let path = world.service.at(&format!("{PATH}/{campaign}"));
        let request = world.service.client.get(path).bearer_auth(admin());
        let batch: Value = request.send().await.unwrap().json().await.unwrap();
        (batch["state"] == state).then_some(batch)
    })
    .await
}

async fn post(world: &World, campaign: CampaignId, step: &str, by: UserId) -> Response {
    let path = world.service.at(&format!("{PATH}/{campaign}{step}"));
    let request = world
        .service
        .client
        .post(path)
        .bearer_auth(user_token(by, Role::Admin));
    let request = request.header("idempotency-key", Uuid::new_v4().to_string());
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_campaign_that_is_called_off_gives_everything_back_once() {
    let world = world().await;
    let campaign = CampaignId::new();
    let whole = paid(&world, campaign, 2500).await;
    let partly = paid(&world, campaign, 2000).await;
    world.refunded(&partly, Some(500)).await;
    world.until_amounts(&partly, "CAPTURED", 500, 0).await;
    let other = paid(&world, CampaignId::new(), 2500).await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    world.until_amounts(&whole, "REFUNDED", 2500, 0).await;
    world.until_amounts(&partly, "REFUNDED", 2000, 0).await;
    let done = until(&world, campaign, "DONE").await;
    assert_eq!(
        (
            &done["cause"],
            &done["planned_count"],
            &done["planned_minor"]
        ),
        (&json!("CANCELLED"), &json!(2), &json!(4000))
    );
    assert_eq!(
        done["refunds"],
        json!([{"of": "SUCCEEDED", "count": 2, "amount": {"amount": 4000, "currency": "USD"}}])
    );
    assert_eq!(
        (&done["due_count"], &done["payments"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(world.amounts(&other).await.2, 0);
    assert_eq!(world.at_provider("refunds", &whole).await.len(), 1);
    assert_eq!(world.at_provider("refunds", &partly).await.len(), 2);
    assert_eq!(world.refunds(&whole).await[0]["cause"], "STANDING");
}

#[tokio::test]
async fn a_capture_after_a_campaigns_refund_batch_is_refunded_once() {
    let world = world().await;
    let campaign = CampaignId::new();
    let late = gift(&world, campaign, 2500);
    let open = world.open(&late).await;
    let unpaid = gift(&world, campaign, 300);
    world.open(&unpaid).await;
    // The donor has paid, and nobody has told us yet.
    world.psp.confirm(&open, "pm_card_visa").await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    until(&world, campaign, "DONE").await;
    world.verdict(&late.captured(&open.intent)).await;
    let late = Paid { gift: late, open };
    world.until_amounts(&late, "REFUNDED", 2500, 0).await;
    // Told again, and looked at again, it stays one refund.
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        5,
    )
    .await;
    // What was never paid can not be paid any more.
    world.until(&unpaid, "CANCELLED").await;
    assert_eq!(world.at_provider("refunds", &late).await.len(), 1);
    assert_eq!(world.refunds(&late).await.len(), 1);
}

#[tokio::test]
async fn much_money_waits_for_a_second_admin() {
    let world = world().await;
    let campaign = CampaignId::new();
    let much = paid(&world, campaign, 1_000_001).await;
    let first = UserId::new();
    tell(&world, campaign, CampaignStatus::Cancelled, first, 4).await;
    let waiting = until(&world, campaign, "AWAITING_APPROVAL").await;
    assert_eq!(waiting["due_minor"], 1_000_001);
    assert_eq!(waiting["started_by"], json!(first));
    let own = post(&world, campaign, "/approve", first).await;
    assert_eq!(own.status(), StatusCode::CONFLICT);
    assert_eq!(problem_code(own).await, "second_admin_required");
    assert_eq!(world.refunds(&much).await.len(), 0);
    let second = UserId::new();
    let approved = post(&world, campaign, "/approve", second).await;
    assert_eq!(approved.status(), StatusCode::OK);
    let approved: Value = approved.json().await.unwrap();
    assert_eq!(
        (&approved["state"], &approved["approved_by"]),
        (&json!("RUNNING"), &json!(second))
    );
    world.until_amounts(&much, "REFUNDED", 1_000_001, 0).await;
    let again = post(&world, campaign, "/approve", second).await;
    assert_eq!(problem_code(again).await, "invalid_transition");
}

#[tokio::test]
async fn an_admin_stops_a_batch_and_lets_it_go_on() {
    let world = world().await;
    let campaign = CampaignId::new();
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    until(&world, campaign, "DONE").await;
    let by = UserId::new();
    let resumed = post(&world, campaign, "/resume", by).await;
    assert_eq!(problem_code(resumed).await, "invalid_transition");
    assert_eq!(
        post(&world, campaign, "/pause", by).await.status(),
        StatusCode::OK
    );
    let late = came_late(&world, campaign, 2500).await;
    let before = batch(&world, campaign).await;
    assert_eq!(
        (&before["state"], &before["due_minor"]),
        (&json!("PAUSED"), &json!(2500))
    );
    // Other campaigns' batches run meanwhile.
    until_looked_at(&world).await;
    assert_eq!(world.refunds(&late).await.len(), 0);
    assert_eq!(
        post(&world, campaign, "/resume", by).await.status(),
        StatusCode::OK
    );
    world.until_amounts(&late, "REFUNDED", 2500, 0).await;
}

#[tokio::test]
async fn a_suspended_campaign_gives_back_on_an_admins_order_alone() {
    let world = world().await;
    let (campaign, by) = (CampaignId::new(), UserId::new());
    let nowhere = post(&world, campaign, "", by).await;
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
    let held = paid(&world, campaign, 2500).await;
    world.campaign(campaign, UserId::new(), "ACTIVE").await;
    let running = post(&world, campaign, "", by).await;
    assert_eq!(problem_code(running).await, "campaign_not_stopped");
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    let dry = batch(&world, campaign).await;
    assert_eq!(
        (&dry["state"], &dry["due_count"], &dry["due_minor"]),
        (&json!(null), &json!(1), &json!(2500))
    );
    assert_eq!(world.refunds(&held).await.len(), 0);
    let ordered = post(&world, campaign, "", by).await;
    assert_eq!(ordered.status(), StatusCode::CREATED);
    let ordered: Value = ordered.json().await.unwrap();
    assert_eq!(
        (&ordered["cause"], &ordered["started_by"]),
        (&json!("ORDERED"), &json!(by))
    );
    world.until_amounts(&held, "REFUNDED", 2500, 0).await;
    let again = post(&world, campaign, "", by).await;
    assert_eq!(problem_code(again).await, "invalid_transition");
    // Once it is let go on, what it takes is its own again.
    world.campaign(campaign, UserId::new(), "ACTIVE").await;
    let later = paid(&world, campaign, 800).await;
    until_looked_at(&world).await;
    assert_eq!(world.refunds(&later).await.len(), 0);
}

#[tokio::test]
async fn an_order_ends_with_the_suspension_that_it_was_about() {
    let world = world().await;
    let (campaign, by) = (CampaignId::new(), UserId::new());
    let held = paid(&world, campaign, 2500).await;
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    let ordered = post(&world, campaign, "", by).await;
    assert_eq!(ordered.status(), StatusCode::CREATED);
    world.until_amounts(&held, "REFUNDED", 2500, 0).await;
    until(&world, campaign, "DONE").await;
    // It goes on, takes gifts, and is suspended again.
    world.campaign(campaign, UserId::new(), "ACTIVE").await;
    let later = paid(&world, campaign, 800).await;
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    until_looked_at(&world).await;
    assert_eq!(world.refunds(&later).await.len(), 0);
    // And once more; then it is called off.
    world.campaign(campaign, UserId::new(), "ACTIVE").await;
    let much = paid(&world, campaign, 1_000_001).await;
    let caller = UserId::new();
    tell(&world, campaign, CampaignStatus::Cancelled, caller, 9).await;
    let waiting = until(&world, campaign, "AWAITING_APPROVAL").await;
    assert_eq!(
        (&waiting["cause"], &waiting["started_by"]),
        (&json!("CANCELLED"), &json!(caller))
    );
    assert_eq!(
        (&waiting["planned_count"], &waiting["planned_minor"]),
        (&json!(2), &json!(1_000_801))
    );
    until_looked_at(&world).await;
    assert_eq!(world.refunds(&later).await.len(), 0);
    assert_eq!(world.refunds(&much).await.len(), 0);
    let own = post(&world, campaign, "/approve", caller).await;
    assert_eq!(problem_code(own).await, "second_admin_required");
    assert_eq!(
        post(&world, campaign, "/approve", by).await.status(),
        StatusCode::OK
    );
    world.until_amounts(&later, "REFUNDED", 800, 0).await;
    world.until_amounts(&much, "REFUNDED", 1_000_001, 0).await;
}

#[tokio::test]
async fn the_next_suspension_takes_an_order_of_its_own() {
    let world = world().await;
    let (campaign, first, second) = (CampaignId::new(), UserId::new(), UserId::new());
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    let ordered = post(&world, campaign, "", first).await;
    assert_eq!(ordered.status(), StatusCode::CREATED);
    until(&world, campaign, "DONE").await;
    world.campaign(campaign, UserId::new(), "ACTIVE").await;
    let much = paid(&world, campaign, 1_000_001).await;
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    let again = post(&world, campaign, "", second).await;
    assert_eq!(again.status(), StatusCode::CREATED);
    let waiting = until(&world, campaign, "AWAITING_APPROVAL").await;
    assert_eq!(waiting["started_by"], json!(second));
    let twice = post(&world, campaign, "", first).await;
    assert_eq!(problem_code(twice).await, "invalid_transition");
    assert_eq!(
        post(&world, campaign, "/approve", first).await.status(),
        StatusCode::OK
    );
    world.until_amounts(&much, "REFUNDED", 1_000_001, 0).await;
}

#[tokio::test]
async fn an_approval_is_about_what_was_there_when_it_was_given() {
    let world = world().await;
    let (campaign, by) = (CampaignId::new(), UserId::new());
    let much = paid(&world, campaign, 1_000_001).await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    until(&world, campaign, "AWAITING_APPROVAL").await;
    for step in ["/approve", "/pause"] {
        assert_eq!(
            post(&world, campaign, step, by).await.status(),
            StatusCode::OK
        );
        if step == "/approve" {
            world.until_amounts(&much, "REFUNDED", 1_000_001, 0).await;
        }
    }
    let more = came_late(&world, campaign, 2_000_000).await;
    assert_eq!(
        post(&world, campaign, "/resume", by).await.status(),
        StatusCode::OK
    );
    let waiting = until(&world, campaign, "AWAITING_APPROVAL").await;
    assert_eq!(
        (&waiting["approved_by"], &waiting["planned_minor"]),
        (&json!(null), &json!(2_000_000))
    );
    assert_eq!(world.refunds(&more).await.len(), 0);
}

#[tokio::test]
async fn what_is_opened_while_a_batch_waits_or_is_stopped_is_called_off() {
    let world = world().await;
    let (campaign, by) = (CampaignId::new(), UserId::new());
    let much = paid(&world, campaign, 1_000_001).await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    until(&world, campaign, "AWAITING_APPROVAL").await;
    let open = gift(&world, campaign, 2500);
    world.open(&open).await;
    world.until(&open, "CANCELLED").await;
    assert_eq!(
        post(&world, campaign, "/pause", by).await.status(),
        StatusCode::OK
    );
    let open = gift(&world, campaign, 2500);
    world.open(&open).await;
    world.until(&open, "CANCELLED").await;
    assert_eq!(batch(&world, campaign).await["state"], "PAUSED");
    assert_eq!(world.refunds(&much).await.len(), 0);
}

#[tokio::test]
async fn what_is_on_its_way_back_is_not_due_any_more() {
    let world = world().await;
    let campaign = CampaignId::new();
    let pending = world
        .paid_gift(gift(&world, campaign, 2500), "pm_card_pendingRefund")
        .await;
    let partly = world
        .paid_gift(gift(&world, campaign, 2000), "pm_card_pendingRefund")
        .await;
    world.refunded(&partly, Some(500)).await;
    world.campaign(campaign, UserId::new(), "SUSPENDED").await;
    let dry = batch(&world, campaign).await;
    assert_eq!(
        (&dry["due_count"], &dry["due_minor"]),
        (&json!(2), &json!(4000))
    );
    let ordered = post(&world, campaign, "", UserId::new()).await;
    assert_eq!(ordered.status(), StatusCode::CREATED);
    let done = until(&world, campaign, "DONE").await;
    assert_eq!(
        (&done["due_count"], &done["due_minor"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(world.amounts(&pending).await.2, 0, "it is still on its way");
}

#[tokio::test]
async fn a_gift_that_the_bank_took_for_good_is_no_part_of_what_goes_back() {
    let world = world().await;
    let campaign = CampaignId::new();
    let lost = paid(&world, campaign, 2500).await;
    let dispute = world.complain(&lost, &json!({})).await;
    world.rule(&dispute, "lost").await;
    world.nudge(&lost).await;
    world.until_amounts(&lost, "CAPTURED", 0, 2500).await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    let done = until(&world, campaign, "DONE").await;
    assert_eq!(
        (&done["planned_count"], &done["due_count"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(world.refunds(&lost).await.len(), 0);
}

#[tokio::test]
async fn a_disputed_gift_is_left_to_the_bank_and_goes_back_once_the_dispute_is_won() {
    let world = world().await;
    let campaign = CampaignId::new();
    let disputed = paid(&world, campaign, 2500).await;
    let dispute = world.complain(&disputed, &json!({})).await;
    world.nudge(&disputed).await;
    eventually("the dispute", async || {
        (world.balance("dispute_hold").await == 2500).then_some(())
    })
    .await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        4,
    )
    .await;
    until(&world, campaign, "DONE").await;
    assert_eq!(world.refunds(&disputed).await.len(), 0);
    world.rule(&dispute, "won").await;
    world.nudge(&disputed).await;
    world.until_amounts(&disputed, "REFUNDED", 2500, 0).await;
    assert_eq!(world.at_provider("refunds", &disputed).await.len(), 1);
}

#[tokio::test]
async fn only_admins_see_and_turn_batches() {
    let world = world().await;
    let donor = user_token(UserId::new(), Role::Donor);
    let path = format!("{PATH}/{}", CampaignId::new());
    let client = &world.service.client;
    for step in ["", "/approve", "/pause", "/resume"] {
        let request = client
            .post(world.service.at(&format!("{path}{step}")))
            .bearer_auth(&donor);
        let refused = request
            .header("idempotency-key", "key-0001")
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{step}");
    }
    for step in ["/approve", "/pause", "/resume"] {
        let refused = post(&world, CampaignId::new(), step, UserId::new()).await;
        assert_eq!(refused.status(), StatusCode::NOT_FOUND, "{step}");
    }
    let request = client.get(world.service.at(&path));
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    let request = client.get(world.service.at(&path)).bearer_auth(admin());
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_rule_that_has_forgotten_its_refund_finds_it_at_the_provider_and_makes_no_other() {
    let world = world().await;
    let campaign = CampaignId::new();
    let paid = paid(&world, campaign, 2500).await;
    // An admin gave some of it back before.
    world.refunded(&paid, Some(700)).await;
    world.until_refunds(&paid, &["SUCCEEDED"]).await;
    tell(
        &world,
        campaign,
        CampaignStatus::Cancelled,
        UserId::new(),
        1,
    )
    .await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let known = world
        .until_refunds(&paid, &["SUCCEEDED", "SUCCEEDED"])
        .await;
    world.forget_refunds(&paid).await;
    world.until_amounts(&paid, "REFUNDED", 2500, 0).await;
    let again = world
        .until_refunds(&paid, &["SUCCEEDED", "SUCCEEDED"])
        .await;
    let named = |refunds: &[Value]| -> std::collections::BTreeSet<String> {
        let name = |refund: &Value| format!("{} {}", refund["id"], refund["cause"]);
        refunds.iter().map(name).collect()
    };
    assert_eq!(named(&again), named(&known));
    assert_eq!(world.at_provider("refunds", &paid).await.len(), 2);
}
