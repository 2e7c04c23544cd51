//! Holds replies against the service's own OpenAPI document. Debug builds do, so that every test of a refusal is a test of
//! its description as well.

use std::{collections::HashMap, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode, header};
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::{Problem, Problems};

/// What each operation may answer.
#[derive(Default)]
pub(super) struct Described(HashMap<(Method, String), Replies>);

/// The statuses of an operation, those of problems with their codes.
type Replies = HashMap<u16, Option<Vec<String>>>;

impl Described {
    /// Reads a document.
    pub(super) fn by(document: &OpenApi) -> Arc<Self> {
        let document = serde_json::to_value(document).unwrap_or_default();
        let mut all = Self::default();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let Ok(method) = method.to_uppercase().parse() else {
                    continue;
                };
                all.0.insert((method, path.clone()), replies(operation));
            }
        }
        Arc::new(all)
    }

    /// What is wrong with a reply, if anything is; what is not described at all is for others to say.
    fn flaw(
        &self,
        operation: &(Method, String),
        status: u16,
        code: Option<&str>,
    ) -> Option<String> {
        let replies = self.0.get(operation)?;
        let (method, path) = operation;
        match (replies.get(&status), code) {
            (None, _) => Some(format!("{method} {path} does not describe {status}")),
            (Some(Some(codes)), Some(code)) if !codes.iter().any(|known| known == code) => Some(
                format!("{method} {path} does not describe {code} for {status}"),
            ),
            _ => None,
        }
    }
}

fn replies(operation: &Value) -> Replies {
    let replies = operation["responses"].as_object().into_iter().flatten();
    let read = |(status, reply): (&String, &Value)| {
        let codes = reply.pointer(Problems::CODES).and_then(Value::as_array);
        let codes = codes.map(|codes| {
            let codes = codes.iter().filter_map(Value::as_str);
            codes.map(str::to_owned).collect()
        });
        Some((status.parse().ok()?, codes))
    };
    replies.filter_map(read).collect()
}

/// Lets a reply through that is described; any other becomes a mistake of ours that says so.
pub(super) async fn check(
    State(described): State<Arc<Described>>,
    request: Request,
    next: Next,
) -> Response {
    let method = match *request.method() {
        Method::HEAD => Method::GET,
        ref method => method.clone(),
    };
    let matched = request.extensions().get::<MatchedPath>();
    let operation = matched.map(|path| (method, path.as_str().to_owned()));
    let (parts, mut body) = next.run(request).await.into_parts();
    let Some(operation) = operation else {
        return Response::from_parts(parts, body);
    };
    let is_problem = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/problem+json");
    let mut code = None;
    if is_problem {
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        code = problem["code"].as_str().map(str::to_owned);
        body = Body::from(bytes);
    }
    match described.flaw(&operation, parts.status.as_u16(), code.as_deref()) {
        None => Response::from_parts(parts, body),
        Some(flaw) => {
            tracing::error!(error = flaw, "request failed");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "undescribed", flaw).into_response()
        }
    }
}
