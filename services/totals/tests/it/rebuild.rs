//! Totals built anew from what the payment service has, while everything goes on.

use common::{
    auth::Role,
    events::{PaymentEvent, Visibility},
    ids::{CampaignId, UserId},
    money::Currency,
};
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{eventually, problem_code};
use uuid::Uuid;

use crate::{
    helpers::{Gift, Service, campaign, quick},
    payment::Payments,
};

const ALL: &str = "/api/admin/totals/rebuild";

async fn beside(payments: &Payments) -> Service {
    Service::start_beside(&payments.url, testkit::cache(), quick(testkit::kafka())).await
}

/// Begins a rebuild and gives where it can be looked at.
async fn begin(service: &Service, path: &str) -> String {
    let reply = service.command(path, &Uuid::new_v4().to_string()).await;
    assert_eq!(reply.status(), 202);
    let run: Value = reply.json().await.unwrap();
    assert_eq!(run["state"], "BUILDING");
    format!("/api/admin/totals/rebuilds/{}", run["id"].as_str().unwrap())
}

/// Waits until a rebuild is live, and gives it.
async fn live(service: &Service, run: &str) -> Value {
    eventually("the rebuild is live", async || {
        let run = service.read(run).await;
        (run["state"] == "LIVE").then_some(run)
    })
    .await
}

async fn rebuild(service: &Service, path: &str) -> Value {
    let run = begin(service, path).await;
    live(service, &run).await
}

/// The reply without when and how often it changed, and where it was read.
async fn bytes(service: &Service, campaign: CampaignId) -> String {
    let mut totals = service.totals(campaign).await.expect("totals");
    for other in ["as_of", "lag_ms", "version", "source"] {
        totals.as_object_mut().unwrap().remove(other);
    }
    totals.to_string()
}

async fn forget_the_money(pool: &PgPool) {
    for table in [
        sqlx::query("truncate campaign_totals"),
        sqlx::query("truncate payment_watermarks"),
        sqlx::query("truncate campaign_donors"),
        sqlx::query("truncate totals_moves"),
    ] {
        table.execute(pool).await.unwrap();
    }
}

async fn forget_the_cache(service: &Service, campaign: CampaignId) {
    let cache = chassis::cache::Cache::connect(&service.cache).unwrap();
    cache.remove(&format!("totals:{campaign}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_projection_comes_back_byte_for_byte_without_any_topic() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let (id, quiet) = (CampaignId::new(), CampaignId::new());
    let gifts: Vec<_> = (1..=10)
        .map(|n| Gift::new(id, 100 * n).by(&format!("donor {}", n % 4)))
        .collect();
    let stand: Vec<_> = gifts
        .iter()
        .enumerate()
        .map(|(n, gift)| match n {
            0 => gift.created(),
            1 => gift.authorized(2),
            2 => gift.refunded(100, 4),
            3 => PaymentEvent {
                disputed: 150,
                ..gift.refunded(50, 5)
            },
            _ => gift.completed(3),
        })
        .collect();
    payments.keep(stand.clone());
    service
        .publish([campaign(id, 9000, 1), campaign(quiet, 50, 1)])
        .await;
    service
        .publish(
            gifts
                .iter()
                .map(|gift| gift.promised(Visibility::Public, Some("Ada"))),
        )
        .await;
    service.publish(gifts.iter().map(Gift::created)).await;
    service.publish(stand).await;
    service.until(id, "disputed", 150).await;
    service.settled().await;
    let (before, before_quiet) = (bytes(&service, id).await, bytes(&service, quiet).await);
    let (wall, known) = (service.wall(id).await, service.totals(id).await.unwrap());
    assert_eq!(wall.len(), 8);

    forget_the_money(&service.database.pool()).await;
    for campaign in [id, quiet] {
        forget_the_cache(&service, campaign).await;
    }
    eventually("nothing is known", async || {
        service.totals(id).await.is_none().then_some(())
    })
    .await;
    let run = rebuild(&service, ALL).await;
    assert_eq!((&run["payments"], &run["skipped"]), (&json!(10), &json!(0)));

    service.until(id, "disputed", 150).await;
    assert_eq!(bytes(&service, id).await, before);
    assert_eq!(bytes(&service, quiet).await, before_quiet);
    assert_eq!(service.wall(id).await, wall, "and so does the wall");
    let version = service.totals(id).await.unwrap()["version"].as_i64();
    assert!(
        version > known["version"].as_i64(),
        "nobody takes it for old"
    );
    service.moves_sum_up(id).await;
    let moves = service.moves(id).await;
    assert_eq!(moves.len(), 10, "one for each payment");
    assert!(moves.iter().all(|one| one["cause"] == "rebuild"));
    // What comes again is known, and what is new counts on top.
    service.publish(gifts.iter().map(Gift::created)).await;
    service.publish([gifts[0].captured(2)]).await;
    let raised = known["raised"]["amount"].as_i64().unwrap() + 100;
    service.until(id, "raised", raised).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_that_come_while_it_is_built_count_once_wherever_the_pages_are() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    let gifts: Vec<_> = (0..12).map(|_| Gift::new(id, 100)).collect();
    payments.keep(gifts.iter().map(Gift::created));
    service.publish(gifts.iter().map(Gift::created)).await;
    service.until(id, "pledged", 1200).await;
    payments.hold();
    let run = begin(&service, ALL).await;
    // Between each two pages some are captured, some of which were read before and some are read after, some brought by
    // the event only after the page, some by the page only; and new ones come.
    let mut expected = 0;
    for (n, gift) in gifts.iter().enumerate() {
        let captured = gift.captured(2);
        let late = Gift::new(id, 7);
        payments.keep([captured.clone(), late.captured(1)]);
        if n % 3 != 2 {
            service.publish([captured]).await;
            service.publish([late.captured(1)]).await;
        }
        expected += 107;
        if n % 2 == 0 {
            payments.give(1);
        }
        service.settled().await;
    }
    // The events that were left out come while the rest is read.
    payments.give(1_000_000);
    let read = payments.all();
    service.publish(read).await;
    live(&service, &run).await;
    let totals = service.until(id, "raised", expected).await;
    assert_eq!(totals["pledged"]["amount"], 0);
    assert_eq!(totals["donors"], 24);
    service.settled().await;
    service.moves_sum_up(id).await;
    assert_eq!(bytes(&service, id).await, bytes_of(&service, id).await);
}

/// The same after another rebuild at rest.
async fn bytes_of(service: &Service, campaign: CampaignId) -> String {
    rebuild(service, ALL).await;
    bytes(service, campaign).await
}

#[tokio::test(flavor = "multi_thread")]
async fn until_it_is_live_the_old_totals_stand_and_then_versions_grow() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let (id, other) = (CampaignId::new(), CampaignId::new());
    let gifts: Vec<_> = (0..9).map(|_| Gift::new(id, 100)).collect();
    let apart = Gift::new(other, 5);
    payments.keep(gifts.iter().map(|gift| gift.captured(2)));
    payments.keep([apart.captured(1)]);
    service
        .publish(gifts.iter().map(|gift| gift.captured(2)))
        .await;
    service.publish([apart.captured(1)]).await;
    service.until(id, "raised", 900).await;
    let apart_before = service.until(other, "raised", 5).await;
    let pool = service.database.pool();
    sqlx::query(
        "update campaign_totals set captured = 1000, version = version + 1 where campaign_id = $1",
    )
    .bind(id.get())
    .execute(&pool)
    .await
    .unwrap();
    forget_the_cache(&service, id).await;
    let before = service.until(id, "raised", 1000).await;
    payments.hold();
    let run = begin(&service, ALL).await;
    payments.give(2);
    eventually("two pages were read", async || {
        (service.read(&run).await["payments"] == 6).then_some(())
    })
    .await;
    let meanwhile = Gift::new(id, 50);
    payments.keep([meanwhile.captured(1)]);
    service.publish([meanwhile.captured(1)]).await;
    service.until(id, "raised", 1050).await;
    payments.give(1_000_000);
    live(&service, &run).await;
    let after = service.until(id, "raised", 950).await;
    assert!(after["version"].as_i64() > before["version"].as_i64());
    assert_eq!(after["donors"], 10);
    assert_eq!(
        service.totals(other).await.unwrap()["version"],
        apart_before["version"],
        "what was right is not told again"
    );
    eventually("the old generation is gone", async || {
        let marks: i64 = sqlx::query_scalar("select count(*) from payment_watermarks")
            .fetch_one(&pool)
            .await
            .unwrap();
        let donors: i64 = sqlx::query_scalar("select count(*) from campaign_donors")
            .fetch_one(&pool)
            .await
            .unwrap();
        ((marks, donors) == (11, 11)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_campaign_can_be_built_anew_by_itself() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let (id, other) = (CampaignId::new(), CampaignId::new());
    let gifts: Vec<_> = (0..4).map(|_| Gift::new(id, 10)).collect();
    let others: Vec<_> = (0..4).map(|_| Gift::new(other, 10)).collect();
    for gifts in [&gifts, &others] {
        payments.keep(gifts.iter().map(|gift| gift.captured(1)));
        service
            .publish(gifts.iter().map(|gift| gift.captured(1)))
            .await;
    }
    service.until(id, "raised", 40).await;
    service.until(other, "raised", 40).await;
    let pool = service.database.pool();
    sqlx::query("update campaign_totals set captured = captured + 1, version = version + 1")
        .execute(&pool)
        .await
        .unwrap();
    let run = rebuild(&service, &format!("/api/admin/totals/{id}/rebuild")).await;
    assert_eq!(run["campaign_id"], json!(id));
    service.until(id, "raised", 40).await;
    forget_the_cache(&service, other).await;
    service.until(other, "raised", 41).await;
    // Both go on, each in its generation, and a rebuild of all brings them together.
    let more = [
        Gift::new(id, 1).captured(1),
        Gift::new(other, 1).captured(1),
    ];
    payments.keep(more.clone());
    service.publish(more).await;
    service.until(id, "raised", 41).await;
    service.until(other, "raised", 42).await;
    rebuild(&service, ALL).await;
    service.until(id, "raised", 41).await;
    service.until(other, "raised", 41).await;
    service.moves_sum_up(id).await;
    service.moves_sum_up(other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_replica_takes_part_and_nothing_counts_twice() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    let gifts: Vec<_> = (0..60).map(|_| Gift::new(id, 10)).collect();
    payments.keep(gifts.iter().map(|gift| gift.captured(2)));
    service
        .publish(gifts.iter().map(|gift| gift.captured(2)))
        .await;
    service.until(id, "raised", 600).await;
    let second = service.replica().await;
    for _ in 0..3 {
        let run = rebuild(&service, ALL).await;
        assert_eq!(run["payments"], 60, "each page once");
    }
    let totals = service.totals(id).await.unwrap();
    assert_eq!(
        (&totals["raised"]["amount"], &totals["donors"]),
        (&json!(600), &json!(60))
    );
    service.moves_sum_up(id).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_interrupted_is_finished_by_the_next_process() {
    let payments = Payments::serve().await;
    let mut service = beside(&payments).await;
    let id = CampaignId::new();
    let gifts: Vec<_> = (0..9).map(|_| Gift::new(id, 10)).collect();
    payments.keep(gifts.iter().map(|gift| gift.captured(2)));
    payments.hold();
    let run = begin(&service, ALL).await;
    payments.give(1);
    eventually("a page was read", async || {
        (service.read(&run).await["payments"] == 3).then_some(())
    })
    .await;
    let next = service.replica().await;
    std::mem::replace(&mut service.running, next).stop().await;
    payments.give(1_000_000);
    live(&service, &run).await;
    service.until(id, "raised", 90).await;
    service.moves_sum_up(id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_below_zero_freezes_the_row_until_it_is_built_anew() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let gift = Gift::new(CampaignId::new(), 300);
    let id = gift.campaign;
    let wrong = PaymentEvent {
        captured: 0,
        ..gift.refunded(300, 2)
    };
    service.publish([wrong]).await;
    let totals = service.until(id, "raised", -300).await;
    assert_eq!(totals["frozen"], true);
    let more = Gift::new(id, 1000);
    service.publish([more.captured(1)]).await;
    service.settled().await;
    assert_eq!(service.totals(id).await.unwrap()["raised"]["amount"], -300);
    payments.keep([gift.captured(2), more.captured(1)]);
    rebuild(&service, ALL).await;
    let totals = service.until(id, "raised", 1300).await;
    assert_eq!(totals["frozen"], false);
    service.publish([Gift::new(id, 1).captured(1)]).await;
    service.until(id, "raised", 1301).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_another_currency_is_left_out_and_said_so() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    let id = CampaignId::new();
    service.publish([campaign(id, 1000, 1)]).await;
    service.until(id, "goal", 1000).await;
    let mut gifts: Vec<_> = (0..9).map(|_| Gift::new(id, 10)).collect();
    gifts.sort_by_key(|gift| gift.captured(1).payment_id.get());
    // Pages come in the order of the ids: euros are the first money of all, and come in between.
    gifts[0].currency = Currency::EUR;
    gifts[5].currency = Currency::EUR;
    payments.keep(gifts.iter().map(|gift| gift.captured(1)));
    let one = format!("/api/admin/totals/{id}/rebuild");
    for path in [ALL, &one] {
        let run = rebuild(&service, path).await;
        assert_eq!((&run["payments"], &run["skipped"]), (&json!(9), &json!(2)));
        let totals = service.until(id, "raised", 70).await;
        assert_eq!(totals["raised"]["currency"], "USD");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_at_a_time_and_a_key_begins_one() {
    let payments = Payments::serve().await;
    let service = beside(&payments).await;
    payments.hold();
    let key = Uuid::new_v4().to_string();
    let first = service.command(ALL, &key).await;
    assert_eq!(first.status(), 202);
    let first = first.bytes().await.unwrap();
    let again = service.command(ALL, &key).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.bytes().await.unwrap(), first);
    let one = format!("/api/admin/totals/{}/rebuild", CampaignId::new());
    for path in [ALL, &one] {
        let reply = service.command(path, &Uuid::new_v4().to_string()).await;
        assert_eq!(reply.status(), 409, "{path}");
        assert_eq!(problem_code(reply).await, "rebuild_running");
    }
    payments.give(1_000_000);
    let run: Value = serde_json::from_slice(&first).unwrap();
    let run = format!("/api/admin/totals/rebuilds/{}", run["id"].as_str().unwrap());
    live(&service, &run).await;
    assert_eq!(
        service.command(ALL, &key).await.bytes().await.unwrap(),
        first
    );
    rebuild(&service, ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_may_and_only_under_a_key() {
    let service = Service::start().await;
    let one = format!("/api/admin/totals/{}/rebuild", CampaignId::new());
    for path in [ALL, &one] {
        let post = || {
            let request = service.running.client.post(service.running.at(path));
            request.header("idempotency-key", Uuid::new_v4().to_string())
        };
        let reply = post().send().await.unwrap();
        assert_eq!(reply.status(), 401, "{path}");
        assert_eq!(problem_code(reply).await, "unauthenticated");
        let donor = testkit::user_token(UserId::new(), Role::Donor);
        let reply = post().bearer_auth(donor).send().await.unwrap();
        assert_eq!(reply.status(), 403, "{path}");
        assert_eq!(problem_code(reply).await, "forbidden");
        let admin = testkit::user_token(UserId::new(), Role::Admin);
        let request = service.running.client.post(service.running.at(path));
        let reply = request.bearer_auth(admin).send().await.unwrap();
        assert_eq!(reply.status(), 400, "{path}");
        assert_eq!(problem_code(reply).await, "idempotency_key_missing");
    }
    for path in [
        format!("/api/admin/totals/rebuilds/{}", Uuid::new_v4()),
        "/api/admin/totals/drift".to_owned(),
    ] {
        let donor = service.get_as(UserId::new(), Role::Donor, &path).await;
        assert_eq!(donor.status(), 403, "{path}");
        assert_eq!(service.get(&path).await.status(), 401, "{path}");
    }
    let unknown = format!("/api/admin/totals/rebuilds/{}", Uuid::new_v4());
    let reply = service.get_as(UserId::new(), Role::Admin, &unknown).await;
    assert_eq!(problem_code(reply).await, "not_found");
    let nowhere = service
        .command("/api/admin/totals/one/rebuild", &Uuid::new_v4().to_string())
        .await;
    assert_eq!(problem_code(nowhere).await, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_asked_for_badly_is_refused_with_its_code_and_none_begins() {
    let service = Service::start().await;
    let one = format!("/api/admin/totals/{}/rebuild", CampaignId::new());
    for path in [ALL, &one] {
        let post = || {
            let admin = testkit::user_token(UserId::new(), Role::Admin);
            let request = service.running.client.post(service.running.at(path));
            request.bearer_auth(admin)
        };
        let key = || post().header("idempotency-key", Uuid::new_v4().to_string());
        let short = HeaderValue::from_static("1234567");
        let long = HeaderValue::from_str(&"k".repeat(256)).unwrap();
        let no_text = HeaderValue::from_bytes(b"key-\xc3\xa9-0001").unwrap();
        let with = |value: HeaderValue| post().header("idempotency-key", value);
        let table = [
            (post(), 400, "idempotency_key_missing"),
            (with(short), 400, "idempotency_key_invalid"),
            (with(long), 400, "idempotency_key_invalid"),
            (with(no_text), 400, "idempotency_key_invalid"),
            (key().body("{"), 400, "malformed_json"),
            (key().body("[".repeat(200)), 400, "malformed_json"),
        ];
        for (request, status, code) in table {
            let reply = request.send().await.unwrap();
            assert_eq!(reply.status(), status, "{path} {code}");
            assert_eq!(problem_code(reply).await, code, "{path}");
        }
    }
    for id in ["one", "%00", "1"] {
        let path = format!("/api/admin/totals/{id}/rebuild");
        let reply = service.command(&path, &Uuid::new_v4().to_string()).await;
        assert_eq!(problem_code(reply).await, "not_found", "{path}");
        let path = format!("/api/admin/totals/rebuilds/{id}");
        let reply = service.get_as(UserId::new(), Role::Admin, &path).await;
        assert_eq!(problem_code(reply).await, "not_found", "{path}");
    }
    let begun: i64 = sqlx::query_scalar(
        "select (select count(*) from rebuilds) + (select count(*) from idempotency)",
    )
    .fetch_one(&service.database.pool())
    .await
    .unwrap();
    assert_eq!(begun, 0);
}
