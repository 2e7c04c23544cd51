//! The migrated schema and the description of the routes.

use std::path::Path;

use payment::MIGRATOR;
use testkit::Database;

use crate::world::World;

#[tokio::test]
async fn every_statement_fits_the_schema_and_reads_no_whole_table() {
    let database = Database::create("payment", &MIGRATOR).await;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let prepared = testkit::sql::prepare_all(&source, &database).await;
    assert!(prepared >= 22, "only {prepared} statements were found");
}

#[tokio::test]
async fn history_is_added_to_and_never_rewritten() {
    let world = World::start().await;
    let gift = world.gift();
    let intent = world.open(&gift).await.intent;
    world.deliver(&gift.declined(&intent)).await;
    world.deliver(&gift.captured(&intent)).await;
    for statement in [
        "update webhook_events set verdict = 'IGNORED'",
        "delete from webhook_events",
        "delete from payment_transitions",
        "update payment_transitions set implied = false",
        "truncate payment_attempts",
        "delete from paid_out_payments",
    ] {
        let refused = sqlx::query(statement)
            .execute(&world.pool)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("append-only"),
            "{statement}: {refused}"
        );
    }
}

#[tokio::test]
async fn a_pledge_has_at_most_one_live_payment() {
    let world = World::start().await;
    let gift = world.gift();
    world.open(&gift).await;
    let second = sqlx::query(
        "insert into payments (payment_id, pledge_id, campaign_id, donor_ref, contact_id, attempt, state, amount_minor,
                               currency, capture, psp_key, psp_request, expires_at, version, created_at, updated_at)
         select gen_random_uuid(), pledge_id, campaign_id, donor_ref, contact_id, 2, 'PENDING', amount_minor,
                currency, capture, 'pay:2', psp_request, expires_at, 1, created_at, updated_at
         from payments",
    )
    .execute(&world.pool)
    .await
    .unwrap_err();
    assert_eq!(
        chassis::db::violated(&second),
        Some("payments_one_live_per_pledge")
    );
}

#[test]
fn every_route_is_described() {
    let described = payment::openapi();
    let paths: Vec<_> = described.paths.paths.keys().map(String::as_str).collect();
    let expected = [
        "/api/admin/disputes",
        "/api/admin/disputes/{id}/accept",
        "/api/admin/disputes/{id}/evidence",
        "/api/admin/exceptions",
        "/api/admin/exceptions/{kind}/{subject}/close",
        "/api/admin/ledger/accounts/{account}/entries",
        "/api/admin/ledger/campaigns/{id}/statements/{month}",
        "/api/admin/ledger/corrections",
        "/api/admin/ledger/trial-balance",
        "/api/admin/payments",
        "/api/admin/payments/charging",
        "/api/admin/payments/{id}/capture",
        "/api/admin/payments/{id}/void",
        "/api/admin/reconciliation/runs",
        "/api/admin/reconciliation/runs/{id}",
        "/api/admin/refund-batches/{campaign_id}",
        "/api/admin/refund-batches/{campaign_id}/approve",
        "/api/admin/refund-batches/{campaign_id}/pause",
        "/api/admin/refund-batches/{campaign_id}/resume",
        "/api/admin/webhooks",
        "/api/admin/webhooks/{id}",
        "/api/admin/webhooks/{id}/replay",
        "/api/payments",
        "/api/payments/state-machine",
        "/api/payments/webhook",
        "/api/payments/{id}",
        "/api/payments/{id}/checkout",
        "/api/payments/{id}/refunds",
        "/api/payments/{id}/transitions",
        "/api/webhooks/payment",
        "/api/webhooks/psp/stripe",
    ];
    assert_eq!(paths, expected);
}
