//! The configuration of a run.

use anyhow::Result;
use toml::{Table, Value};

use super::{Caller, Effort, Subject};

/// What is not asked of the answers, each with its reason.
const NOT_CHECKED: [&str; 4] = [
    // Rules like "these sums are equal" or "this password is not a common one" have no words in a schema.
    "positive_data_acceptance",
    // Who may call what is asked of every operation and caller by a test of our own. Here a key that only an account may
    // use would be refused (400) before it is asked who calls.
    "ignored_auth",
    "missing_required_header",
    // Another service knows of what was made a moment later, by its event.
    "ensure_resource_availability",
];

/// The switch of new charges: once it is turned, the rest of the run would see nothing but that.
const SPARED: &str = "PUT /api/admin/payments/charging";

/// How often something is sent that exists, where something has to be named.
const KNOWN: f64 = 0.7;

/// The configuration as schemathesis reads it.
pub fn of(subject: &Subject, caller: &Caller, effort: Effort) -> Result<String> {
    let mut root = table([
        ("seed", i64::try_from(effort.seed)?.into()),
        // Python 3.11 sometimes loses count of its own recursion where two threads read code.
        ("workers", 1.into()),
        ("continue-on-failure", true.into()),
        ("request-timeout", 40.into()),
        ("color", false.into()),
        ("warnings", false.into()),
    ]);
    let generation = table([
        ("max-examples", i64::from(effort.examples).into()),
        ("database", "none".into()),
    ]);
    root.insert("generation".to_owned(), generation.into());
    let boundaries = table([("enabled", effort.boundaries.into())]);
    let phases = table([("coverage", boundaries.into())]);
    root.insert("phases".to_owned(), phases.into());

    let off = NOT_CHECKED.map(|check| (check, Value::from(table([("enabled", false.into())]))));
    let mut checks = table(off);
    checks.insert("enabled".to_owned(), true.into());
    root.insert("checks".to_owned(), checks.into());

    let bearer = table([("bearer", caller.token.as_str().into())]);
    let key = |key: &str| Value::from(table([("api_key", key.into())]));
    let schemes = table([
        ("bearer", bearer.into()),
        ("guest", key(&subject.guest_token)),
        ("ticket", key(&subject.ticket)),
    ]);
    root.insert(
        "auth".to_owned(),
        table([("openapi", schemes.into())]).into(),
    );

    let known = subject.known();
    let dictionaries = known.iter().map(|known| {
        let values: Vec<Value> = known
            .values
            .iter()
            .map(|value| value.as_str().into())
            .collect();
        (known.name, Value::from(table([("values", values.into())])))
    });
    root.insert("dictionaries".to_owned(), table(dictionaries).into());
    let mut operations: Vec<Value> = known
        .iter()
        .map(|known| {
            let bound = table([
                ("dictionary", known.name.into()),
                ("probability", KNOWN.into()),
            ]);
            let parameters = table([(known.parameter, bound.into())]);
            let operation = table([
                ("include-path-regex", known.paths.into()),
                ("parameters", parameters.into()),
            ]);
            operation.into()
        })
        .collect();
    let spared = table([("include-name", SPARED.into()), ("enabled", false.into())]);
    operations.push(spared.into());
    root.insert("operations".to_owned(), operations.into());
    Ok(toml::to_string(&root)?)
}

fn table<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Table {
    let entries = entries.into_iter();
    entries
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
