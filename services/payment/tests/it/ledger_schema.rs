//! What the database itself refuses, and what it makes of older payments.

use payment::MIGRATOR;
use sqlx::{Connection, Executor, PgConnection};
use testkit::Database;

const SET: &str = "insert into ledger_sets (set_id, effect, reason, entered_by, at)
    values ('01990000-0000-7000-8000-000000000001', 'correction', 'a test', gen_random_uuid(), now())";
const DEBIT: &str = "insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
    values ('01990000-0000-7000-8000-000000000001', 1, 'fees', 'USD', 5, now())";
const LINES: &str = "insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
    values ('01990000-0000-7000-8000-000000000001', 1, 'fees', 'USD', 5, now()),
           ('01990000-0000-7000-8000-000000000001', 2, 'psp_settled', 'USD', -5, now())";
const LINES_IN_TWO_CURRENCIES: &str =
    "insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
    values ('01990000-0000-7000-8000-000000000001', 1, 'fees', 'USD', 5, now()),
           ('01990000-0000-7000-8000-000000000001', 2, 'psp_settled', 'EUR', -5, now())";
const ONE_MORE: &str =
    "insert into ledger_entries (set_id, line, account, currency, amount_minor, at)
    values ('01990000-0000-7000-8000-000000000001', 3, 'fees', 'USD', 1, now())";
const HELD: &str = "insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor, at)
    values ('01990000-0000-7000-8000-000000000002', 'held', '01990000-0000-7000-8000-000000000003', 'USD', 5, now())";
const POSTED: &str = "insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor, posted_minor,
                                                released_minor, at)
    values ('01990000-0000-7000-8000-000000000002', 'posted', '01990000-0000-7000-8000-000000000003', 'USD', 5, 3, 2, now())";
const POSTED_TOO_MUCH: &str = "insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor,
                                                         posted_minor, released_minor, at)
    values ('01990000-0000-7000-8000-000000000002', 'posted', '01990000-0000-7000-8000-000000000003', 'USD', 6, 6, 0, now())";
const VOIDED: &str = "insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor, released_minor, at)
    values ('01990000-0000-7000-8000-000000000002', 'voided', '01990000-0000-7000-8000-000000000003', 'USD', 5, 5, now())";

/// Runs statements in one transaction, and gives the constraint that refused it.
async fn commit(connection: &mut PgConnection, statements: &[&'static str]) -> Option<String> {
    connection.execute("begin").await.unwrap();
    for statement in statements {
        if let Err(refused) = connection.execute(*statement).await {
            connection.execute("rollback").await.unwrap();
            return Some(constraint(&refused));
        }
    }
    let committed = connection.execute("commit").await;
    committed.err().map(|refused| constraint(&refused))
}

fn constraint(refused: &sqlx::Error) -> String {
    let name = chassis::db::violated(refused);
    name.map_or_else(|| refused.to_string(), str::to_owned)
}

#[tokio::test]
async fn a_set_that_does_not_sum_to_zero_cannot_commit() {
    let database = Database::create("payment", &MIGRATOR).await;
    let mut connection = database.pool().acquire().await.unwrap().detach();
    let at_once = "set constraints all immediate";
    let refused: [(&[&str], &str); 6] = [
        (&[SET, DEBIT], "ledger_sets_balanced"),
        (&[SET, LINES_IN_TWO_CURRENCIES], "ledger_sets_balanced"),
        (&[SET], "ledger_sets_balanced"),
        (&[LINES], "ledger_entries_set_known"),
        (&[SET, LINES, ONE_MORE], "ledger_sets_balanced"),
        (&[SET, LINES, at_once, ONE_MORE], "ledger_sets_balanced"),
    ];
    for (statements, constraint) in refused {
        let told = commit(&mut connection, statements).await;
        assert_eq!(told.as_deref(), Some(constraint), "{statements:?}");
    }
    assert_eq!(commit(&mut connection, &[SET, LINES]).await, None);
    let told = commit(&mut connection, &[ONE_MORE]).await;
    assert_eq!(
        told.as_deref(),
        Some("ledger_sets_balanced"),
        "an older set is held to it too"
    );
}

#[tokio::test]
async fn what_is_held_is_resolved_once_and_whole() {
    let database = Database::create("payment", &MIGRATOR).await;
    let mut connection = database.pool().acquire().await.unwrap().detach();
    let refused: [(&[&str], &str); 4] = [
        (&[POSTED], "ledger_holds_taken"),
        (&[HELD, POSTED_TOO_MUCH], "ledger_holds_taken"),
        (&[HELD, HELD], "ledger_holds_pkey"),
        (&[HELD, POSTED, VOIDED], "ledger_holds_pkey"),
    ];
    for (statements, constraint) in refused {
        let told = commit(&mut connection, statements).await;
        assert_eq!(told.as_deref(), Some(constraint), "{statements:?}");
    }
    assert_eq!(commit(&mut connection, &[HELD]).await, None);
    assert_eq!(commit(&mut connection, &[POSTED]).await, None);
    let told = commit(&mut connection, &[VOIDED]).await;
    assert_eq!(told.as_deref(), Some("ledger_holds_pkey"));
}

#[tokio::test]
async fn the_books_are_added_to_and_never_rewritten() {
    let database = Database::create("payment", &MIGRATOR).await;
    let mut connection = database.pool().acquire().await.unwrap().detach();
    assert_eq!(commit(&mut connection, &[SET, LINES, HELD]).await, None);
    // These tests are a superuser's, whom no grant binds; and a replica's session sleeps through ordinary triggers.
    for role in [
        "set session_replication_role = origin",
        "set session_replication_role = replica",
    ] {
        connection.execute(role).await.unwrap();
        for statement in [
            "update ledger_sets set reason = 'another'",
            "update ledger_entries set amount_minor = 6 where false",
            "update ledger_holds set held_minor = 6",
            "delete from ledger_sets",
            "delete from ledger_entries",
            "delete from ledger_holds",
            "truncate ledger_sets",
            "truncate ledger_entries",
            "truncate ledger_holds",
        ] {
            let refused = connection.execute(statement).await.unwrap_err();
            assert!(
                refused.to_string().contains("append-only"),
                "{statement}: {refused}"
            );
        }
    }
    connection
        .execute("set session_replication_role = replica")
        .await
        .unwrap();
    let told = commit(&mut connection, &[ONE_MORE]).await;
    assert_eq!(told.as_deref(), Some("ledger_sets_balanced"));
}

/// Migrates as an ordinary role that owns the schema, as services do.
#[tokio::test]
async fn the_role_of_the_service_books_and_may_not_rewrite_and_older_payments_are_in_the_books() {
    let database = Database::create("payment", &MIGRATOR).await;
    let mut connection = database.pool().acquire().await.unwrap().detach();
    for statement in [
        "drop role if exists payment_of_this_test",
        "create role payment_of_this_test",
        "create schema older authorization payment_of_this_test",
        "set role payment_of_this_test",
        "set search_path = older",
        "set enable_seqscan = off",
        include_str!("../../../../migrations/payment/0001_payments.sql"),
        include_str!("../../../../migrations/payment/0005_payments_keys.sql"),
        "insert into payments (payment_id, pledge_id, campaign_id, donor_ref, contact_id, attempt, state, amount_minor,
                               currency, capture, authorized_minor, captured_minor, provider_ref, psp_key, psp_request,
                               expires_at, version, created_at, updated_at)
         select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'ref', gen_random_uuid(), 1, state, 2500, 'USD',
                'manual', authorized, captured, 'pi_' || state, state, '', now(), 1, now(), '2026-05-06 07:08:09Z'
         from (values ('PENDING', 0, 0), ('AUTHORIZED', 2500, 0), ('CAPTURED', 2500, 2000), ('COMPLETED', 2500, 2500),
                      ('CANCELLED', 0, 0)) as p (state, authorized, captured)",
        "begin",
        include_str!("../../../../migrations/payment/0006_ledger.sql"),
        "commit",
    ] {
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
    let booked: Vec<(String, String, i64)> = sqlx::query_as(
        "select s.psp_object, e.account, e.amount_minor from ledger_sets s join ledger_entries e using (set_id)
         where s.effect = 'captured' order by s.psp_object, e.line",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let line = |intent: &str, account: &str, minor| (intent.to_owned(), account.to_owned(), minor);
    let expected = [
        line("pi_CAPTURED", "psp_receivable", 2000),
        line("pi_CAPTURED", "campaign_payable", -2000),
        line("pi_COMPLETED", "psp_receivable", 2500),
        line("pi_COMPLETED", "campaign_payable", -2500),
    ];
    assert_eq!(booked, expected);
    let held: Vec<(String, i64)> = sqlx::query_as(
        "select p.state, h.held_minor from ledger_holds h join payments p using (payment_id)",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(held, [("AUTHORIZED".to_owned(), 2500)]);
    let (version, at): (String, String) = sqlx::query_as(
        "select substr(set_id::text, 15, 1), min(to_timestamp(('x' || lpad(replace(left(set_id::text, 13), '-', ''), 16, '0'))::bit(64)::bigint / 1000.0) at time zone 'UTC')::text
         from ledger_sets group by 1",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(
        (version.as_str(), at.as_str()),
        ("7", "2026-05-06 07:08:09")
    );

    assert_eq!(commit(&mut connection, &[SET, LINES]).await, None);
    assert_eq!(commit(&mut connection, &[HELD, POSTED]).await, None);
    let told = commit(&mut connection, &[ONE_MORE]).await;
    assert_eq!(told.as_deref(), Some("ledger_sets_balanced"));
    for statement in [
        "update ledger_sets set reason = 'another'",
        "update ledger_entries set amount_minor = 6",
        "update ledger_holds set held_minor = 6",
        "delete from ledger_sets",
        "delete from ledger_entries",
        "delete from ledger_holds",
        "truncate ledger_entries",
    ] {
        let refused = connection.execute(statement).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{statement}: {refused}"
        );
    }
    for statement in [
        "reset role",
        "drop schema older cascade",
        "drop role payment_of_this_test",
    ] {
        connection.execute(statement).await.unwrap();
    }
    connection.close().await.unwrap();
}
