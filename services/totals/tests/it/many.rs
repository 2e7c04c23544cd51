//! The totals of several campaigns at once.

use common::ids::CampaignId;
use serde_json::{Value, json};
use testkit::problem_code;

use crate::helpers::{Gift, Service};

#[tokio::test(flavor = "multi_thread")]
async fn known_campaigns_are_given_and_the_others_are_named() {
    let service = Service::start().await;
    let (one, two, unknown) = (CampaignId::new(), CampaignId::new(), CampaignId::new());
    service
        .publish([
            Gift::new(one, 100).captured(1),
            Gift::new(two, 20).captured(1),
        ])
        .await;
    service.settled().await;
    let path = format!("/api/totals?ids={two},{unknown},{one},{two}");
    let reply: Value = service.get(&path).await.json().await.unwrap();
    let raised: Vec<_> = reply["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|totals| {
            (
                totals["campaign_id"].clone(),
                totals["raised"]["amount"].clone(),
            )
        })
        .collect();
    assert_eq!(
        raised,
        [(json!(one), json!(100)), (json!(two), json!(20))],
        "each once, by their ids"
    );
    assert_eq!(reply["missing"], json!([unknown]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_is_refused() {
    let service = Service::start().await;
    let hundred = vec![CampaignId::new().to_string(); 100].join(",");
    let reply = service.get(&format!("/api/totals?ids={hundred}")).await;
    assert_eq!(reply.status(), 200);
    for (query, code) in [
        (String::new(), "invalid_query"),
        ("?ids=".into(), "invalid_ids"),
        ("?ids=one".into(), "invalid_ids"),
        (format!("?ids={},", CampaignId::new()), "invalid_ids"),
        (
            format!("?ids={hundred},{}", CampaignId::new()),
            "too_many_ids",
        ),
    ] {
        let reply = service.get(&format!("/api/totals{query}")).await;
        assert_eq!(reply.status(), 400, "{query}");
        assert_eq!(problem_code(reply).await, code, "{query}");
    }
}
