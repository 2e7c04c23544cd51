//! The OpenAPI document of a running fleet: every operation says who may call it and what it can answer.

mod facts;
mod operation;

use std::collections::{BTreeMap, BTreeSet};

use chassis::http::Problems;
use serde_json::Value;

pub use facts::{Facts, Request};
pub use operation::{Operation, documents, operations};

use crate::harness::{World, calm, success};

/// Who a bearer may have to be.
const RELATIONS: [&str; 3] = ["ADMIN", "ORGANISER", "OWNER"];

/// The operations that answer whoever asks with the same thing, and so refuse nobody.
const WITHOUT_PROBLEMS: [&str; 2] = ["/health", "/openapi.json"];

#[test]
fn every_operation_says_who_may_call_it() {
    everywhere(|operation| {
        let Some(requirements) = operation.item["security"].as_array() else {
            return vec!["says nothing; whom all may call says so with security(())".to_owned()];
        };
        let mut faults = Vec::new();
        if requirements.is_empty() {
            faults
                .push("has an empty list; whom all may call says so with security(())".to_owned());
        }
        let schemes = operation.document["components"]["securitySchemes"].clone();
        for requirement in requirements {
            for (scheme, relations) in requirement.as_object().expect("an object") {
                if !schemes[scheme].is_object() {
                    faults.push(format!(
                        "names {scheme}, which the document does not describe"
                    ));
                }
                for relation in relations.as_array().expect("a list") {
                    if !RELATIONS.iter().any(|known| relation == known) {
                        faults.push(format!("names {relation}, which nobody is"));
                    }
                }
            }
        }
        let below_admin = operation.path.starts_with("/api/admin/");
        if below_admin && (operation.is_public() || operation.is_for("bearer", "DONOR")) {
            faults.push(
                "lies below /api/admin and is for every account; say (\"bearer\" = [\"ADMIN\"])"
                    .to_owned(),
            );
        }
        faults
    });
}

#[test]
fn every_operation_describes_its_refusals() {
    everywhere(|operation| {
        if WITHOUT_PROBLEMS.contains(&operation.path.as_str()) {
            return Vec::new();
        }
        let responses = operation.item["responses"].as_object().expect("responses");
        let mut faults = Vec::new();
        for (status, response) in responses {
            let is_problem = response["content"]["application/problem+json"].is_object();
            if status.as_str() >= "400" && !is_problem {
                faults.push(format!(
                    "describes {status} as something else than a problem"
                ));
            }
            let codes = response.pointer(Problems::CODES).and_then(Value::as_array);
            if is_problem && codes.is_none_or(Vec::is_empty) {
                faults.push(format!("describes {status} without its codes"));
            }
        }
        if !responses.keys().any(|status| status.as_str() < "400") {
            faults.push("describes no success".to_owned());
        }
        for status in [
            "400", "401", "403", "404", "405", "413", "415", "422", "429", "500", "503", "504",
        ] {
            if !responses.contains_key(status) {
                faults.push(format!("does not describe {status}"));
            }
        }
        faults
    });
}

#[test]
fn every_unsafe_operation_can_be_sent_again_or_says_why_it_need_not() {
    everywhere(|operation| {
        let reason = operation.item["x-idempotent-because"].as_str();
        let safe = operation.method == "GET" || operation.is_repeatable() || reason.is_some();
        if safe {
            return Vec::new();
        }
        vec![
            "takes no Idempotency-Key, If-Match or signature, and has no x-idempotent-because"
                .to_owned(),
        ]
    });
}

#[test]
fn no_two_operations_have_one_name() {
    calm(async |world| {
        let merged = merged(world).await;
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for operation in operations("gateway", &merged) {
            let id = operation.item["operationId"].as_str();
            let id = id.unwrap_or_default().to_owned();
            names.entry(id).or_default().push(operation.to_string());
        }
        names.retain(|id, operations| id.is_empty() || operations.len() > 1);
        assert_eq!(names, BTreeMap::new());
    });
}

#[test]
fn the_gateway_describes_what_it_routes_and_nothing_else() {
    calm(async |world| {
        let merged = merged(world).await;
        assert!(merged["x-missing-services"].is_null());
        let described: BTreeSet<String> = operations("gateway", &merged)
            .map(|operation| operation.to_string())
            .collect();
        for (service, document) in documents(world).await {
            for operation in operations(&service, &document) {
                // What the services ask each other, below /internal/, is in no description.
                assert!(described.contains(&operation.to_string()), "{operation}");
            }
        }
    });
}

/// The document that the gateway gives.
async fn merged(world: &World) -> Value {
    let reply = world.get("/openapi.json").send().await;
    success(reply.expect("the gateway answers")).await
}

/// Looks at each operation of each service and of the gateway, and tells all faults at once.
fn everywhere(look: impl Fn(&Operation) -> Vec<String>) {
    calm(async |world| {
        let mut all = documents(world).await;
        all.insert("gateway".to_owned(), merged(world).await);
        let mut faults = BTreeSet::new();
        for (service, document) in &all {
            for operation in operations(service, document) {
                let found = look(&operation).into_iter();
                faults.extend(found.map(|fault| format!("{operation} {fault}")));
            }
        }
        let told: Vec<_> = faults.into_iter().collect();
        assert!(told.is_empty(), "\n{}", told.join("\n"));
    });
}
