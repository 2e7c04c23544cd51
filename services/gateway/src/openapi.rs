//! `/openapi.json`: what can be reached through the gateway, merged from what the services say of themselves.

use std::time::Duration;

use chassis::http::Problems;
use futures::future::join_all;
use http::StatusCode;
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::{
    App,
    routes::{self, Kind, Service},
};

/// How long a document is given again.
pub const KEPT: Duration = Duration::from_secs(30);
/// The same for one in which a service is missing.
pub const KEPT_INCOMPLETE: Duration = Duration::from_secs(1);
/// What only the gateway answers, with its codes.
const EDGE: [(&str, &str, &[&str]); 4] = [
    ("408", "the body came too slowly", &["body_too_slow"]),
    (
        "502",
        "the service closed the connection before it answered",
        &["upstream_closed"],
    ),
    (
        "503",
        "not available just now, try again",
        &["upstream_unavailable", "upstream_overloaded"],
    ),
    ("504", "the service took too long", &["upstream_timeout"]),
];
/// The same for a route that becomes a WebSocket; its owner describes the 503 of this code.
const FEED: (&str, &str, &[&str]) = ("429", "too many requests", &["too_many_sockets"]);
/// Names the services that could not be asked.
const MISSING: &str = "x-missing-services";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "CareForAll",
        description = "Donations that are charged once, counted once and never lost."
    ),
    paths(crate::operations::health, crate::operations::document)
)]
struct Own;

/// Describes the gateway's own routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Own::openapi();
    Problems::register(&mut document);
    document
}

/// A merged document, and whether every service is in it.
pub struct Merged {
    /// The OpenAPI document.
    pub document: Value,
    /// Whether no service is missing.
    pub complete: bool,
}

/// Asks every service for its document and merges them.
pub async fn compose(app: &App) -> Merged {
    let asked = Service::ALL.map(|service| async move { (service, fetch(app, service).await) });
    let own = serde_json::to_value(openapi()).unwrap_or_default();
    merge(own, join_all(asked).await)
}

async fn fetch(app: &App, service: Service) -> Option<Value> {
    for upstream in app.upstreams[service].all() {
        if let Some((StatusCode::OK, bytes)) = upstream.ask(&app.client, "/openapi.json").await {
            return serde_json::from_slice(&bytes).ok();
        }
    }
    None
}

/// Merges documents into `own`. A path is taken from the service that the gateway routes it to, and from no other,
/// so that the result holds what can be reached and nothing else.
fn merge(mut own: Value, documents: Vec<(Service, Option<Value>)>) -> Merged {
    let mut missing = Vec::new();
    for (service, document) in documents {
        let Some(mut document) = document else {
            missing.push(service.name());
            continue;
        };
        rename_clashes(
            service,
            object(&mut own, "/components/schemas"),
            &mut document,
        );
        for (path, item) in std::mem::take(object(&mut document, "/paths")) {
            let owned = routes::route(&path).filter(|route| route.service == service);
            if let Some(route) = owned {
                object(&mut own, "/paths").insert(path, with_edge(item, route.kind));
            }
        }
        for part in [
            "/components/schemas",
            "/components/securitySchemes",
            "/components/responses",
        ] {
            let theirs = std::mem::take(object(&mut document, part));
            object(&mut own, part).extend(theirs);
        }
    }
    let complete = missing.is_empty();
    if !complete {
        own[MISSING] = json!(missing);
    }
    Merged {
        document: own,
        complete,
    }
}

/// Adds what the gateway itself may answer before or instead of the service.
fn with_edge(mut item: Value, kind: Kind) -> Value {
    let feed = (kind == Kind::Feed).then_some(FEED);
    for operation in item.as_object_mut().into_iter().flatten() {
        let Some(responses) = operation
            .1
            .get_mut("responses")
            .and_then(Value::as_object_mut)
        else {
            continue;
        };
        for (status, description, codes) in EDGE.into_iter().chain(feed) {
            let told = responses.entry(status);
            let told = told.or_insert_with(|| json!(Problems::reply(description, &[])));
            let known = told.pointer_mut(Problems::CODES);
            if let Some(known) = known.and_then(Value::as_array_mut) {
                known.extend(codes.iter().map(|code| json!(code)));
            }
        }
    }
    item
}

/// Two services may call different things by one name; the later one's gets the service's name in front. What refers
/// to a renamed thing is another thing as well, so this goes on until nothing clashes any more.
fn rename_clashes(service: Service, known: &Map<String, Value>, document: &mut Value) {
    loop {
        let schemas = object(document, "/components/schemas");
        let clashes = |(name, schema): &(&String, &Value)| {
            known.get(*name).is_some_and(|other| other != *schema)
        };
        let clashing: Vec<String> = schemas
            .iter()
            .filter(clashes)
            .map(|(name, _)| name.clone())
            .collect();
        if clashing.is_empty() {
            return;
        }
        for name in &clashing {
            if let Some(schema) = schemas.remove(name) {
                schemas.insert(format!("{}.{name}", service.name()), schema);
            }
        }
        rename_references(service, &clashing, document);
    }
}

fn rename_references(service: Service, clashes: &[String], value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match value {
            Value::String(target) if key == "$ref" => {
                if let Some(name) = target.strip_prefix("#/components/schemas/")
                    && clashes.iter().any(|clash| clash == name)
                {
                    *target = format!("#/components/schemas/{}.{name}", service.name());
                }
            }
            other => rename_references(service, clashes, other),
        }),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| rename_references(service, clashes, item)),
        _ => {}
    }
}

/// The object at a path such as `/components/schemas`, made where there is none.
fn object<'a>(document: &'a mut Value, path: &str) -> &'a mut Map<String, Value> {
    let mut place = document;
    for name in path.split('/').skip(1) {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[name];
    }
    if !place.is_object() {
        *place = json!({});
    }
    place
        .as_object_mut()
        .unwrap_or_else(|| unreachable!("it was made an object above"))
}
