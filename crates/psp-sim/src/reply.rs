//! Replies of the API: a status, JSON bytes, and whether they were given before.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    desk::Origin,
    error::ApiError,
    machine::{About, Change},
    model::Answer,
    view::{self, Audience, ChargeView, DisputeView, IntentView, RefundView},
};

/// What a call is answered with.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
    replayed: bool,
    /// The client never gets it.
    pub(crate) unheard: bool,
}

impl Reply {
    /// The object, with 200.
    pub(crate) fn ok(object: &impl serde::Serialize) -> Self {
        Self {
            status: StatusCode::OK,
            body: view::json(object),
            replayed: false,
            unheard: false,
        }
    }

    fn found(object: Option<&impl serde::Serialize>) -> Self {
        object.map_or_else(|| ApiError::internal().into(), Self::ok)
    }

    /// The refusal, for one who may see as much as `audience`.
    pub(crate) fn error(error: &ApiError, audience: Audience) -> Self {
        Self {
            status: error.status,
            body: error.body(audience),
            replayed: false,
            unheard: false,
        }
    }

    /// The same, but the client never gets it.
    pub(crate) fn unheard(self) -> Self {
        Self {
            unheard: true,
            ..self
        }
    }

    /// What a change was about as it is at `now` (Unix milliseconds), or the refusal that came with it.
    pub(crate) fn of(change: &Change, origin: &Origin, now: i64) -> Self {
        let audience = origin.audience;
        if let Some(refusal) = &change.refusal {
            return Self::error(refusal, audience);
        }
        let intent = &change.intent;
        if let Some(charge) = &change.charge {
            match &change.about {
                About::Refund(id) => {
                    return Self::found(RefundView::of(charge, intent, id).as_ref());
                }
                About::Dispute(id) => {
                    return Self::found(DisputeView::of(charge, intent, id, now).as_ref());
                }
                About::Intent => {}
            }
        }
        let charge = change.charge.as_ref().filter(|_| origin.expand_charge);
        let charge = charge.map(|charge| ChargeView {
            charge,
            intent,
            transaction_at: None,
        });
        Self::ok(&IntentView {
            intent,
            audience,
            charge,
        })
    }

    /// The first answer once more.
    pub(crate) fn replay(answer: &Answer) -> Self {
        let status =
            StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            body: answer.body.clone(),
            replayed: true,
            unheard: false,
        }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Self::error(&error, Audience::Payer)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-cache, no-store"),
        );
        if self.replayed {
            headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"Stripe\""),
            );
        }
        response
    }
}
