//! The logs of a running fleet on the terminal, each line with the name of its process.

use std::time::Duration;

use serde_json::Value;

use crate::fleet::Fleet;
use crate::fleet::logs::{self, Follower};
use crate::interrupt;
use crate::ui::{self, Colour, paint};

const NAMES: [Colour; 4] = [Colour::Cyan, Colour::Magenta, Colour::Blue, Colour::Green];

/// Shows what the processes write, and which of them end by themselves, until the user wants us to end.
pub(super) fn until_interrupted(fleet: &mut Fleet) {
    let mut followers: Vec<Follower> = fleet
        .servers()
        .map(|server| Follower::new(&server.name, &server.spec.log))
        .collect();
    while !interrupt::asked() {
        for (n, follower) in followers.iter_mut().enumerate() {
            for line in follower.lines() {
                let name = paint(NAMES[n % NAMES.len()], &format!("{:<12}", follower.name));
                ui::say(&format!("{name} {}", readable(&line)));
            }
        }
        if let Some((name, status)) = fleet.next_death() {
            ui::warn(&format!(
                "{name} has ended ({status}), the others go on{}",
                logs::tail(&fleet.log(&name), 0)
            ));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A JSON log line as a person wants it: level, message, then the other fields. Anything else stays as it is.
pub(super) fn readable(line: &str) -> String {
    let Ok(Value::Object(mut entry)) = serde_json::from_str::<Value>(line) else {
        return line.to_owned();
    };
    if let Some(Value::Object(fields)) = entry.remove("fields") {
        entry.extend(fields);
    }
    let level = entry
        .remove("level")
        .as_ref()
        .map(plain)
        .unwrap_or_default();
    let message = entry
        .remove("message")
        .as_ref()
        .map(plain)
        .unwrap_or_default();
    let colour = match level.as_str() {
        "ERROR" => Colour::Red,
        "WARN" => Colour::Yellow,
        _ => Colour::Grey,
    };
    let rest: Vec<String> = entry
        .iter()
        .filter(|(name, value)| {
            !matches!(name.as_str(), "timestamp" | "target" | "spans" | "threadId")
                && !value.is_null()
        })
        .map(|(name, value)| paint(Colour::Grey, &format!("{name}={}", plain(value))))
        .collect();
    format!(
        "{} {message} {}",
        paint(colour, &format!("{level:<5}")),
        rest.join(" ")
    )
    .trim_end()
    .to_owned()
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
