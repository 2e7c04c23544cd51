//! The environment of the service.

use chassis::env::Env;
use payment::Config;
use secrecy::ExposeSecret;

const GOOD: [(&str, &str); 10] = [
    ("DATABASE_URL", "postgres://payment@localhost/careforall"),
    ("REDIS_URL", "redis://localhost"),
    ("KAFKA_BROKERS", "localhost:9092"),
    ("JWT_PUBLIC_KEYS", "{}"),
    (
        "TOKEN_SECRET",
        "a secret that is longer than thirty-two bytes",
    ),
    (
        "SERVICE_SECRET",
        "another secret that is longer than thirty-two bytes",
    ),
    ("PSP_URL", "http://localhost:3900"),
    ("PSP_SECRET_KEY", "sk_test_1"),
    ("PSP_WEBHOOK_SECRET", "whsec_new, whsec_old,"),
    ("PSP_CHECKOUT_URL", "http://localhost:3900/pay"),
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
    let config = read(&[("PSP_TIMEOUT_MS", "700")]).unwrap();
    let secrets: Vec<_> = config
        .psp
        .webhook_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(secrets, ["whsec_new", "whsec_old"]);
    assert_eq!(config.psp.timeout.as_millis(), 700);
    assert_eq!(config.resolve_every.as_millis(), 5000);
    assert!(!config.psp.is_live());
    assert!(
        read(&[("PSP_SECRET_KEY", "sk_live_1")])
            .unwrap()
            .psp
            .is_live()
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = [
        ("TOKEN_SECRET", "short"),
        ("PSP_WEBHOOK_SECRET", " , "),
        ("PSP_URL", ""),
        ("PSP_TIMEOUT_MS", "soon"),
    ];
    let told = read(&wrong).err().unwrap();
    for name in wrong.map(|(name, _)| name) {
        assert!(told.contains(name), "{name} is missing in: {told}");
    }
}
