//! A pledge that was tried to be paid more than once shows the try that stands.

use common::{
    events::{PaymentEvent, PaymentKind as Kind},
    ids::PaymentId,
    payment::State,
};
use futures::future::join_all;
use serde_json::json;

use crate::{
    helpers::{Made, Service},
    timeline::until_steps,
};

/// A snapshot of the n-th try of a pledge, `version` minutes from now.
fn of_try(
    service: &Service,
    made: &Made,
    attempt: i32,
    version: i64,
    kind: Kind,
    state: State,
) -> PaymentEvent {
    let money = |is_there: bool| if is_there { 2500 } else { 0 };
    PaymentEvent {
        attempt,
        payment_id: PaymentId::of(made.id, attempt),
        authorized: money(matches!(state, State::Captured | State::Refunded)),
        captured: money(matches!(state, State::Captured | State::Refunded)),
        refunded: money(state == State::Refunded),
        occurred_at: service.clock.now() + chrono::Duration::minutes(version),
        ..service.snapshot(made.id, kind, state, version)
    }
}

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let mut orders = Vec::new();
    for a in 0..4 {
        for b in (0..4).filter(|b| *b != a) {
            for c in (0..4).filter(|c| ![a, b].contains(c)) {
                orders.push([a, b, c, 6 - a - b - c]);
            }
        }
    }
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_that_is_revived_after_a_second_try_has_ended_is_given_in_any_order_of_the_news() {
    let service = Service::start().await;
    let each = orders().into_iter().map(async |order| {
        let made = service.made(&service.body()).await;
        let news = [
            of_try(&service, &made, 1, 2, Kind::Expired, State::Expired),
            of_try(&service, &made, 2, 1, Kind::Created, State::Pending),
            of_try(&service, &made, 2, 2, Kind::Expired, State::Expired),
            of_try(&service, &made, 1, 3, Kind::LateCaptured, State::Captured),
        ];
        for event in order.map(|n| &news[n]) {
            service.hear(event).await;
        }
        // The promise, and a step for each.
        let story = until_steps(&service, &made, 5).await;
        let page = service.page(&made, "").await;
        assert_eq!(page["status"], "COMPLETED", "{order:?}");
        assert_eq!(
            story["stages"]["captured"],
            json!(news[3].occurred_at),
            "{order:?}"
        );
        assert_eq!(
            service.page(&made, "/receipt").await["payment_id"],
            json!(news[3].payment_id)
        );
        // What goes back is shown, too, and old news of the other try changes nothing.
        let back = of_try(&service, &made, 1, 4, Kind::Refunded, State::Refunded);
        for event in [&back, &news[2], &news[1]] {
            service.hear(event).await;
        }
        let page = service.until_status(&made, "REFUNDED").await;
        assert_eq!(page["refunded"]["amount"], 2500);
    });
    join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_an_earlier_try_that_goes_back_leaves_the_gift_and_its_receipt_with_the_later() {
    let service = Service::start().await;
    let each = orders().into_iter().map(async |order| {
        let made = service.made(&service.body()).await;
        let news = [
            of_try(&service, &made, 1, 2, Kind::Expired, State::Expired),
            of_try(&service, &made, 1, 3, Kind::LateCaptured, State::Captured),
            of_try(&service, &made, 1, 4, Kind::Refunded, State::Refunded),
            of_try(&service, &made, 2, 2, Kind::Captured, State::Captured),
        ];
        for event in order.map(|n| &news[n]) {
            service.hear(event).await;
        }
        let story = until_steps(&service, &made, 5).await;
        let page = service.page(&made, "").await;
        assert_eq!(page["status"], "COMPLETED", "{order:?}");
        assert!(page.get("refunded").is_none(), "{order:?}: {page}");
        assert_eq!(
            story["stages"]["captured"],
            json!(news[3].occurred_at),
            "{order:?}"
        );
        let receipt = service.page(&made, "/receipt").await;
        assert_eq!(
            receipt["payment_id"],
            json!(news[3].payment_id),
            "{order:?}"
        );
    });
    join_all(each).await;
    let numbers: Vec<i64> = sqlx::query_scalar("select number from receipts order by number")
        .fetch_all(&service.database.pool())
        .await
        .expect("receipts");
    assert!(
        numbers.into_iter().eq(1..=48),
        "each payment that took money has its receipt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_that_is_not_shown_is_not_forgotten_when_the_shown_one_ends() {
    let service = Service::start().await;
    let made = service.made(&service.body()).await;
    let held = of_try(&service, &made, 1, 2, Kind::Authorized, State::Authorized);
    let back = of_try(&service, &made, 2, 3, Kind::Refunded, State::Refunded);
    let lapsed = of_try(&service, &made, 1, 3, Kind::Expired, State::Expired);
    service.hear(&held).await;
    service.until_status(&made, "AUTHORIZED").await;
    service.hear(&back).await;
    until_steps(&service, &made, 3).await;
    assert_eq!(service.page(&made, "").await["status"], "AUTHORIZED");
    service.hear(&lapsed).await;
    service.until_status(&made, "REFUNDED").await;
}
