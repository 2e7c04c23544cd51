//! The public wall.

use common::{
    events::{PledgeEvent, Visibility},
    ids::CampaignId,
};
use serde_json::{Value, json};
use testkit::{eventually, problem_code};

use crate::helpers::{Gift, Service, campaign};

/// Waits until the wall has a number of gifts.
async fn wall(service: &Service, campaign: CampaignId, count: usize) -> Vec<Value> {
    eventually("the wall has its gifts", async || {
        let wall = service.wall(campaign).await;
        (wall.len() == count).then_some(wall)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_appears_once_pledge_and_money_have_both_come() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let (pledge_first, money_first) = (Gift::new(id, 2500), Gift::new(id, 100));
    service
        .publish([pledge_first.promised(Visibility::Public, Some("Ada"))])
        .await;
    service
        .publish([pledge_first.created(), money_first.captured(1)])
        .await;
    service.settled().await;
    assert_eq!(service.wall(id).await.len(), 0);
    service.publish([pledge_first.captured(2)]).await;
    let shown = wall(&service, id, 1).await.remove(0);
    assert_eq!(
        (&shown["name"], &shown["message"]),
        (&json!("Ada"), &json!("Go!"))
    );
    assert_eq!(shown["amount"], json!({"amount": 2500, "currency": "USD"}));
    service
        .publish([money_first.promised(Visibility::Public, Some("Bob"))])
        .await;
    wall(&service, id, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anonymous_donors_name_is_neither_shown_nor_stored() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    // A pledge service that sends the name by mistake.
    service
        .publish([gift.promised(Visibility::Anonymous, Some("Ada Lovelace"))])
        .await;
    service.publish([gift.captured(1)]).await;
    let shown = wall(&service, gift.campaign, 1).await.remove(0);
    assert_eq!(shown["name"], "Anonymous");
    assert_eq!(shown["amount"]["amount"], 2500);
    let rows: Vec<(String,)> = sqlx::query_as("select donations::text from donations")
        .fetch_all(&service.database.pool())
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].0.contains("Lovelace"), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_donor_who_becomes_anonymous_disappears_by_name() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service
        .publish([gift.promised(Visibility::Public, Some("Ada"))])
        .await;
    service.publish([gift.captured(1)]).await;
    assert_eq!(wall(&service, gift.campaign, 1).await[0]["name"], "Ada");
    service
        .publish([PledgeEvent {
            version: 2,
            ..gift.promised(Visibility::Anonymous, None)
        }])
        .await;
    eventually("the name is gone", async || {
        (service.wall(gift.campaign).await[0]["name"] == "Anonymous").then_some(())
    })
    .await;
    service
        .publish([gift.promised(Visibility::Public, Some("Ada"))])
        .await;
    // The same partition: once the other gift is shown, the older snapshot was seen.
    let other = Gift::new(gift.campaign, 1);
    service
        .publish([other.promised(Visibility::Public, None)])
        .await;
    service.publish([other.captured(1)]).await;
    let names: Vec<_> = wall(&service, gift.campaign, 2)
        .await
        .into_iter()
        .map(|gift| gift["name"].clone())
        .collect();
    assert_eq!(names, ["Anonymous", "Anonymous"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_amount_counts_and_is_not_shown() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service
        .publish([gift.promised(Visibility::HiddenAmount, Some("Ada"))])
        .await;
    service.publish([gift.captured(1)]).await;
    let shown = wall(&service, gift.campaign, 1).await.remove(0);
    assert_eq!(
        (&shown["name"], &shown["amount"]),
        (&json!("Ada"), &json!(null))
    );
    service.until(gift.campaign, "raised", 2500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_back_leaves_the_wall() {
    let service = Service::start().await;
    let gift = Gift::new(CampaignId::new(), 2500);
    service
        .publish([gift.promised(Visibility::Public, Some("Ada"))])
        .await;
    service
        .publish([gift.captured(1), gift.refunded(500, 2)])
        .await;
    assert_eq!(
        wall(&service, gift.campaign, 1).await[0]["amount"]["amount"],
        2000
    );
    service.publish([gift.refunded(2500, 3)]).await;
    wall(&service, gift.campaign, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_give_each_gift_once_the_newest_first() {
    let service = Service::start().await;
    let id = CampaignId::new();
    let mut gifts: Vec<_> = (1..=5).map(|amount| Gift::new(id, amount)).collect();
    // Two of the same moment: the pledge's id decides.
    let moment = gifts[0].at;
    for (gift, seconds) in gifts.iter_mut().zip([0, 1, 1, 2, 3]) {
        gift.at = moment + chrono::Duration::seconds(seconds);
    }
    service
        .publish(
            gifts
                .iter()
                .map(|gift| gift.promised(Visibility::Public, Some("Ada"))),
        )
        .await;
    service
        .publish(gifts.iter().map(|gift| gift.captured(1)))
        .await;
    wall(&service, id, 5).await;
    let (mut amounts, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value = service
            .get(&format!("/api/campaigns/{id}/donations?limit=2{cursor}"))
            .await
            .json()
            .await
            .unwrap();
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 2);
        amounts.extend(
            data.iter()
                .map(|gift| gift["amount"]["amount"].as_i64().unwrap()),
        );
        let Some(next) = page["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((amounts[0], amounts[1], amounts[4]), (5, 4, 1));
    assert_eq!(
        {
            amounts.sort_unstable();
            amounts
        },
        [1, 2, 3, 4, 5]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_queries_have_their_codes() {
    let service = Service::start().await;
    let id = CampaignId::new();
    assert_eq!(
        problem_code(service.get(&format!("/api/campaigns/{id}/donations")).await).await,
        "not_found"
    );
    assert_eq!(
        problem_code(service.get("/api/campaigns/one/donations").await).await,
        "not_found"
    );
    service.publish([campaign(id, 1000, 1)]).await;
    service.until(id, "goal", 1000).await;
    assert_eq!(service.wall(id).await.len(), 0);
    for (query, code) in [
        ("limit=0", "invalid_limit"),
        ("limit=101", "invalid_limit"),
        ("limit=many", "invalid_query"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=1.x", "invalid_cursor"),
        (
            "cursor=9223372036854775807.0197a1d0-0000-7000-8000-000000000000",
            "invalid_cursor",
        ),
        (
            "cursor=-300000000000000000.00000000-0000-0000-0000-000000000000",
            "invalid_cursor",
        ),
        (
            "cursor=1.%00000000-0000-0000-0000-000000000000",
            "invalid_cursor",
        ),
    ] {
        assert_eq!(
            problem_code(
                service
                    .get(&format!("/api/campaigns/{id}/donations?{query}"))
                    .await
            )
            .await,
            code,
            "{query}"
        );
    }
}
