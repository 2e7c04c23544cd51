//! What our mails say.
//!
//! Pure: no I/O.

use common::{ids::PaymentId, money::Money};

/// A mail's text, in English.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub body: String,
}

/// Thanks `name` for a gift. `title` is the campaign's, where we know it.
pub fn thank_you(name: &str, amount: Money, title: Option<&str>, payment: PaymentId) -> Letter {
    let name = one_line(name);
    let goal = title.map_or_else(
        || "the campaign of your choice".to_owned(),
        |title| format!("\"{}\"", one_line(title)),
    );
    Letter {
        subject: format!("Thank you for your gift to {}", goal.trim_matches('"')),
        body: format!(
            "Dear {name},\n\
             \n\
             thank you for your gift of {amount} to {goal}.\n\
             It has arrived, and it counts.\n\
             \n\
             Should you have a question about it, tell us this reference:\n\
             {payment}\n\
             \n\
             CareForAll\n"
        ),
    }
}

/// Line breaks and other control characters could begin a new header or a new paragraph: they become spaces.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                ' '
            } else {
                c
            }
        })
        .collect()
}
