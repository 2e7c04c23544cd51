//! The store that handlers join in their own transaction.

use axum::{Router, middleware, routing::post};
use chassis::{
    cache::Cache,
    db::Db,
    http::{AppInfo, Health, Problem},
    lifecycle::Lifecycle,
};
use common::{
    auth::Caller,
    idempotency::{self, Claim, Error, Idempotency, Joined, Reply, join},
};
use futures::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Running, problem_code};

use crate::backends::{count, open};

fn claim(key: &str, body: &Value) -> Claim {
    Claim::new(
        &Caller::Guest,
        &Method::POST,
        "/gifts",
        key,
        body.to_string().as_bytes(),
    )
    .expect("JSON")
}

fn reply(n: i64) -> Reply {
    Reply::json(StatusCode::CREATED, &json!({"n": n}))
}

async fn give(db: &Db, claim: &Claim, n: i64) -> Result<Joined, Error> {
    let mut tx = db.begin().await?;
    let joined = join(&mut tx, claim, &reply(n)).await?;
    if matches!(joined, Joined::Stored) {
        sqlx::query("insert into gifts values ($1)")
            .bind(n)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(joined)
}

#[tokio::test]
async fn effect_and_reply_commit_together_and_the_second_gets_the_first_bytes() {
    let (database, db, _life) = open().await;
    let mine = claim("first-key", &json!({"a": 1}));
    assert!(matches!(give(&db, &mine, 1).await, Ok(Joined::Stored)));
    let Ok(Joined::Replay(again)) = give(&db, &mine, 2).await else {
        panic!("a twin is a replay")
    };
    assert_eq!(again.body, reply(1).body);
    assert!(again.is_replay());
    assert!(matches!(
        give(&db, &claim("first-key", &json!({"a": 2})), 3).await,
        Err(Error::KeyReused)
    ));
    assert_eq!(count(&database, "select count(*) from gifts").await, 1);
}

#[tokio::test]
async fn a_rolled_back_effect_leaves_its_key_free() {
    let (database, db, _life) = open().await;
    let mine = claim("first-key", &json!({}));
    let mut tx = db.begin().await.expect("a transaction");
    assert!(matches!(
        join(&mut tx, &mine, &reply(1)).await,
        Ok(Joined::Stored)
    ));
    drop(tx);
    assert!(matches!(give(&db, &mine, 2).await, Ok(Joined::Stored)));
    assert_eq!(count(&database, "select n from gifts").await, 2);
}

#[tokio::test]
async fn a_twin_that_has_not_committed_in_time_is_in_progress() {
    let (_database, db, _life) = open().await;
    let mine = claim("first-key", &json!({}));
    let mut tx = db.begin().await.expect("a transaction");
    assert!(matches!(
        join(&mut tx, &mine, &reply(1)).await,
        Ok(Joined::Stored)
    ));
    let Err(error) = give(&db, &mine, 2).await else {
        panic!("the twin holds the key")
    };
    let problem = Problem::from(error);
    assert_eq!(
        (problem.status(), problem.code()),
        (StatusCode::CONFLICT, "idempotency_in_progress")
    );
    tx.commit().await.expect("it commits");
    assert!(matches!(give(&db, &mine, 2).await, Ok(Joined::Replay(_))));
}

#[tokio::test]
async fn redis_remembers_a_finished_reply_and_postgresql_does_without_it() {
    let (database, db, _life) = open().await;
    let cache = Cache::connect(&testkit::cache()).expect("Redis is configured");
    let store = Idempotency::new(&db, &cache, &testkit::verifier());
    let (mine, other) = (
        claim("first-key", &json!({"a": 1})),
        claim("first-key", &json!({"a": 2})),
    );
    assert!(store.lookup(&mine).await.expect("it looks").is_none());
    give(&db, &mine, 1).await.expect("it is stored");
    assert_eq!(
        store
            .lookup(&mine)
            .await
            .expect("it looks")
            .expect("it is there")
            .body,
        reply(1).body
    );
    // Only Redis knows it now.
    sqlx::query("delete from idempotency")
        .execute(&database.pool())
        .await
        .expect("rows can be deleted");
    let found = store.lookup(&mine).await.expect("it looks");
    let found = found.expect("Redis knows the reply");
    assert_eq!(found.body, reply(1).body);
    assert_eq!(found.headers, reply(1).headers);
    assert!(matches!(store.lookup(&other).await, Err(Error::KeyReused)));
    let refused: Result<Reply, Error> = store.refuse(&mine, Error::InProgress).await;
    assert!(
        refused
            .expect("a stored reply wins over a refusal")
            .is_replay()
    );
}

/// A service that gives `n`, or refuses where `n` is negative.
async fn start(db: Db) -> Running {
    let handler = move |claim: Claim, chassis::http::Json(body): chassis::http::Json<Value>| async move {
        let n = body["n"].as_i64().unwrap_or_default();
        if n < 0 {
            return Err(Problem::new(StatusCode::CONFLICT, "refused", "negative"));
        }
        match give(&db, &claim, n).await? {
            Joined::Stored => Ok(reply(n)),
            Joined::Replay(earlier) => Ok(earlier),
        }
    };
    testkit::serve(|listener, life: Lifecycle| async move {
        let own = testkit::Database::create("common", &crate::backends::MIGRATOR).await;
        let db = Db::connect(&own.config(), &crate::backends::MIGRATOR, &life).await?;
        let cache = Cache::connect(&testkit::cache())?;
        let store = Idempotency::new(&db, &cache, &testkit::verifier());
        let routes = Router::new()
            .route("/gifts", post(handler))
            .layer(middleware::from_fn_with_state(store, idempotency::required));
        let info = AppInfo {
            name: "test",
            health: Health::new(),
            openapi: utoipa::openapi::OpenApi::default(),
        };
        chassis::http::serve(listener, chassis::http::service(routes, info, &life), &life).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_posts_with_one_key_have_one_effect_and_refusals_are_not_stored() {
    let (database, db, _life) = open().await;
    let running = start(db).await;
    let send = |key: &str, n: i64| {
        running
            .client
            .post(running.at("/gifts"))
            .header("idempotency-key", key)
            .json(&json!({"n": n}))
            .send()
    };
    let key = uuid::Uuid::new_v4().to_string();
    let replies = join_all((0..20).map(|_| send(&key, 7))).await;
    for reply in replies {
        let status = reply.expect("an answer").status();
        assert!(
            status == StatusCode::CREATED || status == StatusCode::CONFLICT,
            "{status}"
        );
    }
    assert_eq!(count(&database, "select count(*) from gifts").await, 1);
    let key = uuid::Uuid::new_v4().to_string();
    assert_eq!(
        problem_code(send(&key, -1).await.expect("an answer")).await,
        "refused"
    );
    assert_eq!(
        count(&database, "select count(*) from idempotency").await,
        1
    );
    // A key that was only refused is free, even for another body.
    assert_eq!(
        send(&key, 8).await.expect("an answer").status(),
        StatusCode::CREATED
    );
    let missing = running
        .client
        .post(running.at("/gifts"))
        .json(&json!({"n": 1}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(problem_code(missing).await, "idempotency_key_missing");
}

#[test]
fn scope_and_fingerprint_tell_apart_what_must_be_told_apart() {
    let base = claim("first-key", &json!({"a": 1, "b": [1, 2]}));
    assert_eq!(
        base,
        Claim::new(
            &Caller::Guest,
            &Method::POST,
            "/gifts",
            "first-key",
            br#"{ "b": [1,2], "a": 1 }"#
        )
        .expect("JSON")
    );
    for body in [
        json!({"a": 1, "b": [2, 1]}),
        json!({"a": "1", "b": [1, 2]}),
        json!({"a": 1, "b": [[1], 2]}),
        json!({"a": 1}),
        json!({"a": 1, "b": {"1": 2}}),
    ] {
        let other = claim("first-key", &body);
        assert_eq!(other.scope(), base.scope());
        assert_ne!(other.fingerprint(), base.fingerprint(), "{body}");
    }
    let body = json!({"a": 1, "b": [1, 2]}).to_string();
    let make = |method: Method, route: &str, key: &str| {
        Claim::new(&Caller::Guest, &method, route, key, body.as_bytes())
            .expect("JSON")
            .scope()
    };
    for scope in [
        make(Method::PUT, "/gifts", "first-key"),
        make(Method::POST, "/gift", "sfirst-key"),
        make(Method::POST, "/gifts", "other-key"),
    ] {
        assert_ne!(scope, base.scope());
    }
}
