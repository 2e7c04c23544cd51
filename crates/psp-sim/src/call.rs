//! One call of the API: who calls, with which parameters, under which idempotency key.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    App,
    desk::{Desk, Origin},
    error::ApiError,
    form::Params,
    idempotency::Begun,
    ids,
    reply::Reply,
    store::Slot,
    view::{API_VERSION, Audience},
};

/// The id that a request got on its way in.
#[derive(Clone)]
struct RequestId(String);

/// A decoded and authenticated call.
pub(crate) struct Call {
    pub(crate) params: Params,
    pub(crate) audience: Audience,
    path: String,
    key: Option<String>,
    request: String,
}

impl FromRequest<App> for Call {
    type Rejection = Reply;

    async fn from_request(request: Request, app: &App) -> Result<Self, Reply> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let headers = request.headers().clone();
        let id = request
            .extensions()
            .get::<RequestId>()
            .map_or_else(ids::request, |id| id.0.clone());
        let params = if method == Method::GET {
            Params::parse(query.as_bytes())?
        } else {
            let json = header_text(&headers, header::CONTENT_TYPE.as_str())
                .is_some_and(|kind| kind.starts_with("application/json"));
            if json {
                return Err(ApiError::invalid(
                    "Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you \
                     have questions, we can help at https://support.stripe.com/.",
                )
                .into());
            }
            let body = Bytes::from_request(request, app)
                .await
                .map_err(|_| ApiError::invalid("Invalid request: the body cannot be read."))?;
            Params::parse(&body)?
        };
        let audience = audience(&headers, &params, &app.secret_key)?;
        let key = header_text(&headers, "idempotency-key").filter(|key| !key.is_empty());
        Ok(Self {
            params,
            audience,
            path,
            key: key.map(str::to_owned),
            request: id,
        })
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The secret key opens everything; a browser's client secret opens its own intent.
fn audience(headers: &HeaderMap, params: &Params, secret_key: &str) -> Result<Audience, ApiError> {
    let key = header_text(headers, header::AUTHORIZATION.as_str())
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(str::trim);
    match key {
        Some(key) if key == secret_key => Ok(Audience::Merchant),
        None if params.get("client_secret").is_some() => Ok(Audience::Payer),
        None => Err(ApiError::unauthorized(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
        )),
        Some(key) if key.starts_with("pk_") && params.get("client_secret").is_some() => {
            Ok(Audience::Payer)
        }
        Some(key) if key.starts_with("pk_") => Err(ApiError::unauthorized(
            "This API call cannot be made with a publishable API key. Please use a secret API key.",
        )),
        Some(_) => Err(ApiError::unauthorized("Invalid API Key provided.")),
    }
}

impl Call {
    /// Refuses whoever does not hold the secret key.
    pub(crate) fn merchant(&self) -> Result<(), ApiError> {
        if self.audience == Audience::Merchant {
            return Ok(());
        }
        Err(ApiError::unauthorized(
            "This API call needs a secret API key.",
        ))
    }

    /// The intent `id`, if this caller may touch it.
    pub(crate) fn intent(&self, desk: &Desk, id: &str) -> Result<Arc<Slot>, ApiError> {
        let missing = || ApiError::missing("payment_intent", id, "intent");
        let slot = desk.store.slot(id).ok_or_else(missing)?;
        if self.audience == Audience::Payer {
            check_secret(&slot, self.params.get("client_secret"))?;
        }
        Ok(slot)
    }

    /// Whether the client asked for `what` in full in place of its id.
    pub(crate) fn expands(&self, what: &str) -> bool {
        self.params.list("expand").contains(&what)
    }

    /// Refuses to expand anything else, and parameters that are not `known`.
    pub(crate) fn only(&self, known: &[&str], expandable: &[&str]) -> Result<(), ApiError> {
        self.params
            .only(&[known, &["expand", "client_secret", "key"]].concat())?;
        match self
            .params
            .list("expand")
            .iter()
            .find(|name| !expandable.contains(name))
        {
            Some(name) => Err(ApiError::invalid(format!(
                "This property cannot be expanded ({name})."
            ))
            .param("expand")),
            None => Ok(()),
        }
    }

    /// Runs `effect` to its end even if the client leaves, and at most once for each idempotency key.
    pub(crate) async fn write<E, F>(self, app: &App, effect: E) -> Reply
    where
        E: FnOnce(Arc<Desk>, Self, Origin) -> F,
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let desk = app.desk.clone();
        let claim = match &self.key {
            None => None,
            Some(key) => match desk.keys.begin(key, &self.path, &self.params) {
                Ok(Begun::First(claim)) => Some(claim),
                Ok(Begun::Replay(answer)) => return Reply::replay(&answer),
                Err(refusal) => return refusal.into(),
            },
        };
        let origin = Origin {
            request: Some(self.request.clone()),
            path: (self.audience == Audience::Merchant).then(|| self.path.clone()),
            claim,
            audience: self.audience,
            expand_charge: self.expands("latest_charge"),
        };
        let work = effect(desk, self, origin);
        let task = app
            .desk
            .life
            .track(async move { work.await.unwrap_or_else(Reply::from) });
        let reply = task.await.unwrap_or_else(|_| ApiError::internal().into());
        if reply.unheard {
            app.desk.life.stopping().await;
            return ApiError::internal().into();
        }
        reply
    }
}

/// Compares the client secret of a browser with the intent's.
pub(crate) fn check_secret(slot: &Slot, given: Option<&str>) -> Result<(), ApiError> {
    if given == Some(slot.latest().intent.terms.client_secret.as_str()) {
        return Ok(());
    }
    let message = "The client_secret provided does not match the client_secret associated with the PaymentIntent.";
    Err(ApiError::invalid(message)
        .code("payment_intent_invalid_parameter")
        .param("client_secret"))
}

/// Gives every call an id, and every answer the headers that Stripe's carry.
pub(crate) async fn stamp(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = ids::request();
    let merchant = header_text(request.headers(), header::AUTHORIZATION.as_str())
        .is_some_and(|value| value.starts_with("Bearer sk_"));
    let version = request.headers().get("stripe-version").cloned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = if !merchant || app.desk.rate.admits(app.desk.now_ms()) {
        next.run(request).await
    } else {
        let mut response = ApiError::too_many().into_response();
        let headers = response.headers_mut();
        // A client that tried again at once would only make it worse.
        headers.insert("stripe-should-retry", HeaderValue::from_static("false"));
        let reason = HeaderValue::from_static("global-rate");
        headers.insert("stripe-rate-limited-reason", reason);
        response
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert("request-id", id);
    }
    headers.insert(
        "stripe-version",
        version.unwrap_or(HeaderValue::from_static(API_VERSION)),
    );
    // Browsers confirm from the merchant's own page.
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
