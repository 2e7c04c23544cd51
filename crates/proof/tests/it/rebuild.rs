//! Totals built anew by the fleet's own services: totals asks payment, as far as each of them is alive.

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::eventually;

use crate::harness::{World, rough};

const REBUILD: &str = "/api/admin/totals/rebuild";

#[test]
fn a_projection_that_was_wiped_comes_back_to_the_same_bytes_from_payments_own_read() {
    rough(async |world| {
        let campaign = world.campaign().await;
        for amount in [100, 250, 650] {
            world.pay(&world.pledge(&campaign, amount).await).await;
        }
        // Promised and not paid.
        world.open(&world.pledge(&campaign, 999).await).await;
        world.until_total(&campaign, "raised", 1000).await;
        let before = numbers(world.until_total(&campaign, "pledged", 999).await);
        world.until_quiet().await;
        let wall = wall(world, &campaign).await;
        sqlx::raw_sql(
            "truncate totals.campaign_totals, totals.payment_watermarks, totals.campaign_donors,
                 totals.totals_moves",
        )
        .execute(&world.db)
        .await
        .expect("the projection can be wiped");
        world.forget_cache().await;
        let run = world.administer(REBUILD, &json!({})).await;
        until_live(world, &run).await;
        world.until_total(&campaign, "raised", 1000).await;
        let after = world.until_total(&campaign, "pledged", 999).await;
        assert_eq!(numbers(after), before);
        assert_eq!(self::wall(world, &campaign).await, wall);
        // And it goes on from there.
        world.pay(&world.pledge(&campaign, 150).await).await;
        world.until_total(&campaign, "raised", 1150).await;
    });
}

#[test]
fn a_crash_at_any_line_of_a_rebuild_leaves_the_old_totals_or_the_new_and_it_is_finished() {
    rough(async |world| {
        let campaign = world.campaign().await;
        world.pay(&world.pledge(&campaign, 700).await).await;
        let mut raised = 700;
        world.until_total(&campaign, "raised", raised).await;
        for crash in [
            "totals.rebuild_before_page_commit",
            "totals.rebuild_after_page_commit",
            "totals.rebuild_before_swap_commit",
            "totals.rebuild_after_swap_commit",
        ] {
            world.arm("totals", crash).await;
            world.until_total(&campaign, "raised", raised).await;
            let run = world.administer(REBUILD, &json!({})).await;
            world.until_dead("totals");
            let stands: i64 = sqlx::query_scalar(
                "select captured from totals.campaign_totals where campaign_id = $1",
            )
            .bind(campaign.parse::<uuid::Uuid>().expect("an id"))
            .fetch_one(&world.db)
            .await
            .expect("the row");
            assert_eq!(stands, raised, "{crash}");
            // Paid while nobody counts.
            world.pay(&world.pledge(&campaign, 111).await).await;
            raised += 111;
            world.start_again("totals");
            until_live(world, &run).await;
            world.until_total(&campaign, "raised", raised).await;
            world.until_quiet().await;
            moves_sum_up(world, &campaign, raised).await;
        }
    });
}

#[test]
fn payments_as_they_stand_cannot_be_read_through_the_gateway() {
    rough(async |world| {
        for path in ["/internal/payments", "/api/internal/payments"] {
            let secret = &world.secrets.service_secret;
            let reply = world.get(path).bearer_auth(secret).send().await;
            let reply = reply.expect("the gateway answers");
            assert_eq!(reply.status(), StatusCode::NOT_FOUND, "{path}");
        }
    });
}

/// The reply without when and how often it changed, and where it was read.
fn numbers(mut totals: Value) -> String {
    for other in ["as_of", "lag_ms", "version", "source"] {
        totals.as_object_mut().expect("an object").remove(other);
    }
    totals.to_string()
}

async fn wall(world: &World, campaign: &str) -> Value {
    let path = format!("/api/campaigns/{campaign}/donations");
    let reply = world.get(&path).send().await.expect("the gateway answers");
    reply.json().await.expect("JSON")
}

async fn read(world: &World, path: &str) -> Option<Value> {
    let request = world.get(path).bearer_auth(world.admin().await);
    let reply = request.send().await.ok()?;
    (reply.status() == StatusCode::OK).then_some(())?;
    reply.json().await.ok()
}

async fn until_live(world: &World, run: &Value) {
    let id = run["id"].as_str().expect("an id");
    let path = format!("/api/admin/totals/rebuilds/{id}");
    eventually("the rebuild is live", async || {
        let run = read(world, &path).await?;
        (run["state"] == "LIVE").then_some(())
    })
    .await;
}

async fn moves_sum_up(world: &World, campaign: &str, raised: i64) {
    let path = format!("/api/totals/{campaign}/explain?limit=100");
    let moves = read(world, &path).await.expect("the moves");
    let moves = moves["data"].as_array().expect("a list").iter();
    let by = |one: &Value, bucket: &str| one["by"][bucket].as_i64().expect("an amount");
    let sum: i64 = moves
        .map(|one| by(one, "captured") - by(one, "refunded") - by(one, "disputed"))
        .sum();
    assert_eq!(sum, raised);
}
