//! The pay page: plain HTML that works without JavaScript.

use std::fmt::Write;

use crate::model::{Intent, Status};

/// The style sheet, its own resource so that the content security policy needs no exception.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}\
body{max-width:26rem;margin:4rem auto;padding:0 1rem}\
.amount{font-size:2.2rem;font-weight:700;margin:.5rem 0}\
form{display:flex;gap:1rem;margin-top:2rem}\
button{flex:1;font:inherit;padding:.8rem;border:2px solid currentColor;border-radius:.5rem;cursor:pointer}\
button.pay{background:#0b5d3b;border-color:#0b5d3b;color:#fff}\
button:focus-visible,a:focus-visible{outline:3px solid #1a73e8;outline-offset:3px}\
[role=alert],[role=status]{border-left:.3rem solid currentColor;padding:.2rem 1rem}\
small{opacity:.75}";

/// What the page says above the amount.
pub(crate) enum Notice {
    /// Nothing has happened yet.
    None,
    /// This very click paid.
    Paid,
    /// This very click was refused, for this reason.
    Declined(String),
}

/// The page of an intent as it stands, with buttons as long as it can be paid.
pub(crate) fn checkout(intent: &Intent, notice: &Notice, return_url: Option<&str>) -> String {
    let terms = &*intent.terms;
    let amount = money(terms.amount, &terms.currency);
    let mut body = format!("<p class=\"amount\">{}</p>", escape(&amount));
    if let Some(description) = &terms.description {
        let _ = write!(body, "<p>{}</p>", escape(description));
    }
    let (title, message) = match (intent.status, notice) {
        (_, Notice::Paid) => ("Thank you", status("Your payment was received.")),
        (Status::Succeeded | Status::RequiresCapture, _) => (
            "Already paid",
            status("This payment was already paid. You were charged once."),
        ),
        (Status::Canceled, _) => (
            "Canceled",
            status("This payment was canceled and can no longer be paid."),
        ),
        (Status::Processing, _) => ("Processing", status("This payment is being processed.")),
        (Status::RequiresPaymentMethod | Status::RequiresAction, Notice::Declined(why)) => {
            let message = format!("{} You were not charged and can try again.", escape(why));
            (
                "Payment declined",
                format!("<p role=\"alert\">{message}</p>"),
            )
        }
        (Status::RequiresPaymentMethod | Status::RequiresAction, Notice::None) => {
            ("Confirm your payment", String::new())
        }
    };
    body.push_str(&message);
    let payable = matches!(
        intent.status,
        Status::RequiresPaymentMethod | Status::RequiresAction
    );
    if payable {
        body.push_str(&form(intent, return_url));
    } else if let Some(url) = return_url.filter(|url| is_web(url)) {
        let _ = write!(
            body,
            "<p><a href=\"{}\" rel=\"noreferrer\">Go back</a></p>",
            escape(url)
        );
    }
    document(title, &body)
}

/// The page for whoever has no valid link.
pub(crate) fn unknown() -> String {
    document(
        "Not found",
        "<p>This payment link is not valid. Please go back and start again.</p>",
    )
}

fn form(intent: &Intent, return_url: Option<&str>) -> String {
    let terms = &*intent.terms;
    let mut hidden = format!(
        "<input type=\"hidden\" name=\"client_secret\" value=\"{}\">",
        escape(&terms.client_secret)
    );
    if let Some(url) = return_url {
        let _ = write!(
            hidden,
            "<input type=\"hidden\" name=\"return_url\" value=\"{}\">",
            escape(url)
        );
    }
    format!(
        "<form method=\"post\" action=\"/pay/{}\">{hidden}\
         <button class=\"pay\" name=\"action\" value=\"pay\">Pay</button>\
         <button name=\"action\" value=\"decline\">Decline</button></form>",
        escape(&terms.id)
    )
}

/// The page on which the payer's bank asks who they are.
pub(crate) fn challenge(intent: &Intent) -> String {
    let terms = &*intent.terms;
    let way_back = intent.return_url.as_deref().filter(|url| is_web(url));
    let amount = money(terms.amount, &terms.currency);
    let mut body = format!("<p class=\"amount\">{}</p>", escape(&amount));
    if intent.status == Status::RequiresAction {
        let (id, secret) = (escape(&terms.id), escape(&terms.client_secret));
        let _ = write!(
            body,
            "<p>Your bank wants to know that it is you.</p>\
             <form method=\"post\" action=\"/authenticate/{id}\">\
             <input type=\"hidden\" name=\"client_secret\" value=\"{secret}\">\
             <button class=\"pay\" name=\"action\" value=\"authenticate\">Authenticate</button>\
             <button name=\"action\" value=\"fail\">Fail</button></form>"
        );
        return document("Confirm that it is you", &body);
    }
    let (title, text) = match intent.status {
        Status::Succeeded | Status::RequiresCapture => ("Thank you", "Your payment was received."),
        Status::RequiresPaymentMethod => ("Not paid", "You were not charged and can try again."),
        _ => ("Nothing to do", "This payment needs nothing from you here."),
    };
    body.push_str(&status(text));
    if let Some(url) = way_back {
        let url = escape(url);
        let _ = write!(
            body,
            "<p><a href=\"{url}\" rel=\"noreferrer\">Go back</a></p>"
        );
    }
    document(title, &body)
}

fn status(text: &str) -> String {
    format!("<p role=\"status\">{text}</p>")
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>\
         <link rel=\"stylesheet\" href=\"/assets/pay.css\"></head>\
         <body><main><h1>{title}</h1>{body}<p><small>Test provider: no real money moves.</small></p></main></body></html>"
    )
}

/// An amount of minor units as people write it, by the currency's exponent of ISO 4217.
fn money(amount: i64, currency: &str) -> String {
    const NONE: [&str; 16] = [
        "bif", "clp", "djf", "gnf", "isk", "jpy", "kmf", "krw", "pyg", "rwf", "ugx", "uyi", "vnd",
        "vuv", "xaf", "xof",
    ];
    const THREE: [&str; 7] = ["bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"];
    let name = currency.to_ascii_uppercase();
    if NONE.contains(&currency) {
        return format!("{amount} {name}");
    }
    let (unit, digits) = if THREE.contains(&currency) {
        (1000, 3)
    } else {
        (100, 2)
    };
    format!("{}.{:0digits$} {name}", amount / unit, amount % unit)
}

fn is_web(url: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
