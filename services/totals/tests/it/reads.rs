//! Reading totals, with and without a cache.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::cache::{self, Cache};
use chrono::{DateTime, Utc};
use common::ids::CampaignId;
use serde_json::{Value, json};
use testkit::{eventually, problem_code};
use tokio::net::{TcpListener, TcpStream};

use crate::helpers::{Gift, Service, campaign, quick};

/// Totals without where they were read.
fn numbers(mut totals: Value) -> Value {
    totals.as_object_mut().unwrap().remove("source");
    totals
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_campaign_is_not_found() {
    let service = Service::start().await;
    for path in [
        format!("/api/campaigns/{}/totals", CampaignId::new()),
        "/api/totals/one".into(),
        "/api/totals/".into(),
    ] {
        let reply = service.get(&path).await;
        assert_eq!(reply.status(), 404, "{path}");
        assert_eq!(problem_code(reply).await, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reply_has_every_number_on_both_paths() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2599);
    let come = async |version: i64| {
        eventually(&format!("version {version} came"), async || {
            service
                .totals(gift.campaign)
                .await
                .filter(|totals| totals["version"] == version)
        })
        .await
    };
    // One after the other: those of one batch would be one change.
    service.publish([campaign(gift.campaign, 1000, 1)]).await;
    let without_money = come(1).await;
    assert_eq!(without_money["lag_ms"], Value::Null);
    service.publish([gift.captured(1)]).await;
    come(2).await;
    let reply = service.get(&format!("/api/totals/{}", gift.campaign)).await;
    assert_eq!(reply.headers()["content-type"], "application/json");
    let totals: Value = reply.json().await.unwrap();
    let usd = |amount: i64| json!({"amount": amount, "currency": "USD"});
    let expected = json!({
        "campaign_id": gift.campaign, "raised": usd(2599), "pledged": usd(0), "authorized": usd(0), "captured": usd(2599),
        "refunded": usd(0), "disputed": usd(0), "donors": 1, "goal": usd(1000), "goal_pct": 259, "version": 2,
        "frozen": false,
    });
    let mut seen = numbers(totals);
    let as_of = seen.as_object_mut().unwrap().remove("as_of").unwrap();
    let as_of = as_of.as_str().unwrap();
    assert!(as_of.ends_with('Z'), "{as_of}");
    let lag = seen.as_object_mut().unwrap().remove("lag_ms").unwrap();
    let counted: DateTime<Utc> = as_of.parse().unwrap();
    let took = (counted - gift.at).num_milliseconds();
    // The times are told in whole milliseconds.
    assert!((lag.as_i64().unwrap() - took).abs() <= 1, "{lag} of {took}");
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flushed_cache_changes_the_source_and_no_number() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 2500).await;
    let from = async |source: &str| {
        eventually(&format!("the source is {source}"), async || {
            service
                .totals(gift.campaign)
                .await
                .filter(|totals| totals["source"] == source)
        })
        .await
    };
    let cached = numbers(from("cache").await);
    Cache::connect(&service.cache)
        .unwrap()
        .remove(&format!("totals:{}", gift.campaign))
        .await;
    assert_eq!(numbers(from("database").await), cached);
    assert_eq!(
        numbers(from("cache").await),
        cached,
        "and the entry is back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_whose_counter_died_before_redis_had_it_is_in_redis_once_it_is_announced() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 2500).await;
    // As a process leaves it that dies right after its commit.
    let pool = service.database.pool();
    sqlx::query("update campaign_totals set captured = captured + 100, version = version + 1")
        .execute(&pool)
        .await
        .unwrap();
    eventually("it is announced", async || {
        let unannounced: bool = sqlx::query_scalar("select unannounced from campaign_totals")
            .fetch_one(&pool)
            .await
            .unwrap();
        (!unannounced).then_some(())
    })
    .await;
    // Nobody reads it meanwhile, who would put it there from the database once the older entry has expired.
    let cache = Cache::connect(&service.cache).unwrap();
    eventually("Redis has it", async || {
        let (_, cached) = cache
            .get_newer(&format!("totals:{}", gift.campaign))
            .await?;
        let cached: Value = serde_json::from_slice(&cached).unwrap();
        (cached["captured"] == 2600).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_numbers_come_from_the_database() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", nobody.local_addr().unwrap());
    let service = Service::start_with(
        cache::Config {
            url,
            ..testkit::cache()
        },
        quick(testkit::kafka()),
    )
    .await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    let totals = service.until(gift.campaign, "raised", 2500).await;
    assert_eq!(totals["source"], "database");
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(
            service.totals(gift.campaign).await.unwrap()["raised"]["amount"],
            2500
        );
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let health: Value = service.get("/health").await.json().await.unwrap();
    assert_eq!(
        (&health["status"], &health["checks"]["redis"]),
        (&json!("degraded"), &json!("down"))
    );
    assert_eq!(service.get("/readyz").await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_the_cache_still_answers() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 2500).await;
    // The row is gone from under the service: what is read now can only come from Redis.
    let pool = service.database.pool();
    sqlx::query("alter table campaign_totals rename to hidden")
        .execute(&pool)
        .await
        .unwrap();
    eventually("the cache answers", async || {
        let reply = service.get(&format!("/api/totals/{}", gift.campaign)).await;
        let totals: Value = reply.json().await.ok()?;
        (totals["source"] == "cache" && totals["raised"]["amount"] == 2500).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_away_serves_no_old_version() {
    let config = testkit::cache();
    let (redis, door) = (
        config.url.trim_start_matches("redis://").to_owned(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let url = format!("redis://{}", door.local_addr().unwrap());
    let open = Arc::new(AtomicBool::new(true));
    let service = Service::start_with(
        cache::Config {
            url,
            ..config.clone()
        },
        quick(testkit::kafka()),
    )
    .await;
    let gate = open.clone();
    // A way to Redis that can be closed.
    let way = service.running.life().track(async move {
        loop {
            let (mut client, _) = door.accept().await.unwrap();
            if gate.load(Ordering::SeqCst) {
                let mut server = TcpStream::connect(&redis).await.unwrap();
                let closed = async {
                    while gate.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    () = closed => {}
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                }
            }
        }
    });
    let gift = Gift::new(CampaignId::new(), 2500);
    let version = async || {
        let (version, _) = Cache::connect(&config)
            .unwrap()
            .get_newer(&format!("totals:{}", gift.campaign))
            .await?;
        Some(version)
    };
    service.publish([gift.captured(1)]).await;
    eventually("Redis has the first version", async || {
        version().await.filter(|version| *version == 1)
    })
    .await;
    open.store(false, Ordering::SeqCst);
    service.publish([gift.refunded(500, 2)]).await;
    service.until(gift.campaign, "raised", 2000).await;
    assert_eq!(version().await, Some(1), "it still holds the old one");
    open.store(true, Ordering::SeqCst);
    eventually("Redis has the second version", async || {
        version().await.filter(|version| *version == 2)
    })
    .await;
    way.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_at_once_are_all_answered() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service.publish([gift.captured(1)]).await;
    service.until(gift.campaign, "raised", 2500).await;
    let replies = futures::future::join_all((0..1000).map(|_| service.totals(gift.campaign))).await;
    assert!(
        replies
            .into_iter()
            .all(|totals| totals.unwrap()["raised"]["amount"] == 2500)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_are_described() {
    let service = Service::start().await;
    let document: Value = service.get("/openapi.json").await.json().await.unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(
        paths.keys().collect::<Vec<_>>(),
        [
            "/api/admin/totals/drift",
            "/api/admin/totals/rebuild",
            "/api/admin/totals/rebuilds/{run}",
            "/api/admin/totals/{id}/rebuild",
            "/api/campaigns/{id}/donations",
            "/api/campaigns/{id}/totals",
            "/api/totals",
            "/api/totals/{id}",
            "/api/totals/{id}/explain"
        ]
    );
    assert!(document["components"]["schemas"]["View"]["properties"]["raised"].is_object());
}
