use axum::extract::State;

use crate::{
    App,
    call::Call,
    error::ApiError,
    form::Params,
    ids, machine,
    model::{CaptureMethod, Terms},
    reply::Reply,
};

const KNOWN: [&str; 9] = [
    "amount",
    "automatic_payment_methods",
    "capture_method",
    "currency",
    "description",
    "metadata",
    "payment_method_types",
    "receipt_email",
    "statement_descriptor_suffix",
];

/// The largest amount, in minor units: eight digits.
const LARGEST: i64 = 99_999_999;

/// The least amounts that Stripe takes, in minor units, of the currencies that have one here.
const LEAST: [(&str, i64); 6] = [
    ("aud", 50),
    ("cad", 50),
    ("eur", 50),
    ("gbp", 30),
    ("jpy", 50),
    ("usd", 50),
];

/// `POST /v1/payment_intents`
pub(crate) async fn create(State(app): State<App>, call: Call) -> Reply {
    call.write(&app, |desk, call, origin| async move {
        call.merchant()?;
        call.only(&KNOWN, &["latest_charge"])?;
        let terms = terms(&call.params, desk.now())?;
        Ok(desk.create(origin, machine::create(terms)).await)
    })
    .await
}

fn terms(params: &Params, now: i64) -> Result<Terms, ApiError> {
    let currency = currency(params)?;
    let amount = amount(params, &currency)?;
    let types = params.list("payment_method_types");
    if let Some(other) = types.iter().find(|name| **name != "card") {
        let message = format!("The payment method type provided: {other} is invalid.");
        return Err(ApiError::invalid(message).param("payment_method_types"));
    }
    let capture_method = match params.get("capture_method") {
        None | Some("automatic_async") => CaptureMethod::AutomaticAsync,
        Some("automatic") => CaptureMethod::Automatic,
        Some("manual") => CaptureMethod::Manual,
        Some(other) => {
            let message = format!(
                "Invalid capture_method: must be one of automatic, automatic_async, or manual; got {other}"
            );
            return Err(ApiError::invalid(message).param("capture_method"));
        }
    };
    let metadata = params.metadata()?;
    let id = ids::object("pi", now);
    Ok(Terms {
        client_secret: ids::client_secret(&id),
        id,
        amount,
        currency,
        capture_method,
        created: now,
        automatic_payment_methods: types.is_empty(),
        metadata,
        description: params.text("description"),
        receipt_email: params.text("receipt_email"),
        statement_descriptor_suffix: params.text("statement_descriptor_suffix"),
    })
}

fn currency(params: &Params) -> Result<String, ApiError> {
    let missing = || {
        ApiError::invalid("Missing required param: currency.")
            .code("parameter_missing")
            .param("currency")
    };
    let currency = params
        .get("currency")
        .ok_or_else(missing)?
        .to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(currency);
    }
    Err(ApiError::invalid(format!("Invalid currency: {currency}.")).param("currency"))
}

fn amount(params: &Params, currency: &str) -> Result<i64, ApiError> {
    let missing = || {
        ApiError::invalid("Missing required param: amount.")
            .code("parameter_missing")
            .param("amount")
    };
    let amount = params.integer("amount")?.ok_or_else(missing)?;
    if amount < 1 {
        let message = "This value must be greater than or equal to 1.";
        return Err(ApiError::invalid(message)
            .code("parameter_invalid_integer")
            .param("amount"));
    }
    if amount > LARGEST {
        let message = format!(
            "Amount must be no more than {LARGEST} {currency} in the smallest currency unit."
        );
        return Err(ApiError::invalid(message)
            .code("amount_too_large")
            .param("amount"));
    }
    let least = LEAST
        .iter()
        .find(|(name, _)| *name == currency)
        .map_or(1, |(_, least)| *least);
    if amount < least {
        let message =
            format!("Amount must be at least {least} {currency} in the smallest currency unit.");
        return Err(ApiError::invalid(message)
            .code("amount_too_small")
            .param("amount"));
    }
    Ok(amount)
}
