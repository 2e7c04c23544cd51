//! The environment of the service.

use std::time::Duration;

use chassis::env::Env;
use totals::Config;

const GOOD: [(&str, &str); 6] = [
    ("DATABASE_URL", "postgres://totals@localhost/careforall"),
    ("REDIS_URL", "redis://localhost"),
    ("KAFKA_BROKERS", "localhost:9092"),
    ("JWT_PUBLIC_KEYS", "{}"),
    ("PAYMENT_URL", "http://one:3004/, http://two:3004"),
    (
        "SERVICE_SECRET",
        "a secret that is longer than thirty-two bytes",
    ),
];

fn read(changed: &[(&str, &str)]) -> Result<Config, String> {
    let kept = GOOD
        .iter()
        .filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let mut env = Env::of(kept.chain(changed).copied());
    let config = Config::read(&mut env);
    env.finish(config).map_err(|error| error.to_string())
}

#[test]
fn a_whole_environment_is_accepted() {
    let config = read(&[("TOTALS_AUDIT_PAUSE_MS", "5")]).unwrap();
    assert_eq!(config.payment_urls, ["http://one:3004", "http://two:3004"]);
    assert_eq!(config.audit_pause, Duration::from_millis(5));
    assert_eq!(config.audit_patience, Duration::from_mins(1));
    assert_eq!(config.rebuild_page, 1000);
}

#[test]
fn what_is_missing_or_too_short_is_named() {
    for (name, value) in [
        ("PAYMENT_URL", ""),
        ("PAYMENT_URL", " , "),
        ("SERVICE_SECRET", ""),
        ("SERVICE_SECRET", "short"),
        ("JWT_PUBLIC_KEYS", ""),
        ("TOTALS_AUDIT_PAUSE_MS", "soon"),
    ] {
        let refused = read(&[(name, value)]).err();
        assert!(
            refused.is_some_and(|problem| problem.contains(name)),
            "{name}={value}"
        );
    }
}
