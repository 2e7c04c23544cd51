use futures::future::join_all;
use serde_json::Value;

use crate::helpers::{Answer, Sim, text};

async fn visit(sim: &Sim, intent: &Value, more: &str) -> Answer {
    let (id, secret) = (text(&intent["id"]), text(&intent["client_secret"]));
    sim.send(
        sim.client
            .get(format!("{}/pay/{id}?client_secret={secret}{more}", sim.url)),
    )
    .await
}

async fn click(sim: &Sim, intent: &Value, action: &str, more: &[(&str, &str)]) -> Answer {
    let form = [
        &[
            ("client_secret", text(&intent["client_secret"])),
            ("action", action),
        ],
        more,
    ]
    .concat();
    sim.send(sim.request(&format!("/pay/{}", text(&intent["id"])), &form))
        .await
}

#[tokio::test]
async fn the_page_shows_the_amount_and_keeps_its_address_to_itself() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let page = visit(&sim, &intent, "").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("25.00 USD"), "{}", page.text);
    assert!(page.text.contains("value=\"pay\"") && page.text.contains("value=\"decline\""));
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    let policy = page.headers["content-security-policy"]
        .to_str()
        .expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!page.text.contains("<script"));
    let style = sim
        .send(sim.client.get(format!("{}/assets/pay.css", sim.url)))
        .await;
    assert_eq!(
        (style.status, &style.headers["content-type"]),
        (200, &"text/css; charset=utf-8".parse().expect("a value"))
    );
}

#[tokio::test]
async fn amounts_follow_their_currency() {
    let sim = Sim::start().await;
    for (amount, currency, shown) in [
        ("2550", "jpy", "2550 JPY"),
        ("2550", "kwd", "2.550 KWD"),
        ("2505", "eur", "25.05 EUR"),
    ] {
        let form = [("amount", amount), ("currency", currency)];
        let intent = sim.post("/v1/payment_intents", &form).await.ok();
        let page = visit(&sim, &intent, "").await;
        assert!(
            page.text
                .contains(&format!("<p class=\"amount\">{shown}</p>")),
            "{}",
            page.text
        );
    }
}

#[tokio::test]
async fn a_decline_on_the_page_can_be_followed_by_a_payment() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let declined = click(&sim, &intent, "decline", &[]).await;
    assert!(
        declined.text.contains("Payment declined")
            && declined.text.contains("Your card was declined.")
    );
    assert!(
        declined.text.contains("value=\"pay\""),
        "it can be tried again"
    );
    let paid = click(&sim, &intent, "pay", &[]).await;
    assert!(paid.text.contains("Thank you"), "{}", paid.text);
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn a_double_click_on_pay_charges_once() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let pages = join_all((0..10).map(|_| click(&sim, &intent, "pay", &[]))).await;
    assert!(pages.iter().all(|page| page.status == 200));
    let thanked = pages
        .iter()
        .filter(|page| page.text.contains("Thank you"))
        .count();
    let already = pages
        .iter()
        .filter(|page| page.text.contains("Already paid"))
        .count();
    assert_eq!((thanked, already), (1, 9));
    assert_eq!(sim.charges().await.len(), 1);
    assert!(visit(&sim, &intent, "").await.text.contains("Already paid"));
}

#[tokio::test]
async fn the_page_and_the_api_together_charge_once() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    let (page, api) = tokio::join!(
        click(&sim, &intent, "pay", &[]),
        sim.confirm(&intent, "pm_card_visa")
    );
    assert_eq!(page.status, 200);
    assert!(matches!(api.status, 200 | 400));
    assert_eq!(sim.charges().await.len(), 1);
}

#[tokio::test]
async fn what_the_merchant_or_the_link_says_is_escaped() {
    let sim = Sim::start().await;
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("description", "<script>alert('x')</script> & \"more\""),
    ];
    let intent = sim.post("/v1/payment_intents", &form).await.ok();
    let page = visit(
        &sim,
        &intent,
        "&return_url=https%3A%2F%2Fa.example%2F%22%3E%3Cscript%3E",
    )
    .await;
    assert!(!page.text.contains("<script"), "{}", page.text);
    assert!(
        page.text
            .contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;more&quot;")
    );
    assert!(
        page.text
            .contains("https://a.example/&quot;&gt;&lt;script&gt;")
    );
}

#[tokio::test]
async fn the_way_back_is_a_web_address_or_none() {
    let sim = Sim::start().await;
    let safe = sim.intent("automatic").await;
    let paid = click(
        &sim,
        &safe,
        "pay",
        &[("return_url", "https://care.example/done?a=1&b=2")],
    )
    .await;
    assert!(
        paid.text
            .contains("href=\"https://care.example/done?a=1&amp;b=2\""),
        "{}",
        paid.text
    );
    let unsafe_one = sim.intent("automatic").await;
    let paid = click(
        &sim,
        &unsafe_one,
        "pay",
        &[("return_url", "javascript:alert(1)")],
    )
    .await;
    assert!(
        paid.text.contains("Thank you") && !paid.text.contains("href=\"javascript"),
        "{}",
        paid.text
    );
}

#[tokio::test]
async fn a_wrong_secret_opens_no_page_and_pays_nothing() {
    let sim = Sim::start().await;
    let mut intent = sim.intent("automatic").await;
    intent["client_secret"] = "wrong".into();
    assert_eq!(visit(&sim, &intent, "").await.status, 404);
    assert_eq!(click(&sim, &intent, "pay", &[]).await.status, 404);
    intent["id"] = "pi_unknown".into();
    assert_eq!(visit(&sim, &intent, "").await.status, 404);
    assert!(sim.charges().await.is_empty());
}

#[tokio::test]
async fn a_canceled_payment_offers_no_buttons() {
    let sim = Sim::start().await;
    let intent = sim.intent("automatic").await;
    sim.act(&intent, "cancel", &[]).await.ok();
    for page in [
        visit(&sim, &intent, "").await,
        click(&sim, &intent, "pay", &[]).await,
    ] {
        assert!(
            page.text.contains("Canceled") && !page.text.contains("<form"),
            "{}",
            page.text
        );
    }
}
