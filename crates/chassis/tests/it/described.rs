//! Replies held against their description.

use axum::{Router, routing::get};
use chassis::http::{AppInfo, Health, Path, Problem, serve, service};
use http::StatusCode;
use testkit::{Running, problem_code};
use utoipa::OpenApi;

chassis::problems!(Refusals: 409 taken, 410 gone);

#[derive(OpenApi)]
#[openapi(paths(seat))]
struct Document;

#[utoipa::path(get, path = "/seats/{how}", responses((status = 204, description = "free"), Refusals))]
async fn seat(Path(how): Path<String>) -> Result<StatusCode, Problem> {
    let refuse = |status, code| Err(Problem::new(status, code, "no seat"));
    match how.as_str() {
        "free" => Ok(StatusCode::NO_CONTENT),
        "odd" => Ok(StatusCode::ACCEPTED),
        "taken" => refuse(StatusCode::CONFLICT, "taken"),
        "gone" => refuse(StatusCode::GONE, "gone"),
        "broken" => refuse(StatusCode::CONFLICT, "broken"),
        "teapot" => refuse(StatusCode::IM_A_TEAPOT, "taken"),
        _ => Err(Problem::not_found()),
    }
}

async fn start() -> Running {
    testkit::serve(|listener, life| async move {
        let info = AppInfo {
            name: "test",
            health: Health::new(),
            openapi: Document::openapi(),
        };
        let routes = Router::new().route("/seats/{how}", get(seat));
        serve(listener, service(routes, info, &life), &life).await
    })
    .await
}

#[tokio::test]
async fn a_reply_that_is_described_passes_and_any_other_is_a_mistake_of_ours() {
    let running = start().await;
    let get = async |how: &str| {
        let url = running.at(&format!("/seats/{how}"));
        running.client.get(url).send().await.unwrap()
    };
    assert_eq!(get("free").await.status(), StatusCode::NO_CONTENT);
    for (how, status, code) in [
        ("taken", 409, "taken"),
        ("gone", 410, "gone"),
        // Every operation may say so.
        ("nowhere", 404, "not_found"),
        ("broken", 500, "undescribed"),
        ("teapot", 500, "undescribed"),
        ("odd", 500, "undescribed"),
    ] {
        let reply = get(how).await;
        assert_eq!(reply.status(), status, "{how}");
        assert_eq!(problem_code(reply).await, code, "{how}");
    }
    let head = running
        .client
        .head(running.at("/seats/odd"))
        .send()
        .await
        .unwrap();
    assert_eq!(head.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
