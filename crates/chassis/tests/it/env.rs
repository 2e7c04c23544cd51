//! The environment is judged as a whole.

use chassis::env::Env;
use secrecy::ExposeSecret;

#[test]
fn every_problem_is_reported_at_once() {
    let mut env = Env::of([
        ("PORT", "many"),
        ("SECRET", "short"),
        ("TOKEN_FILE", "/nowhere/token"),
    ]);
    assert_eq!(env.parsed("PORT", 80_u16), 80);
    env.secret("SECRET");
    env.string("TOKEN");
    env.string("MISSING");
    let error = env
        .finish(())
        .expect_err("four variables are wrong")
        .to_string();
    for part in [
        "PORT=many",
        "SECRET is shorter than 32 bytes",
        "TOKEN_FILE=/nowhere/token",
        "MISSING (or MISSING_FILE) is missing",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(
        !error.contains("short "),
        "a secret's value is not repeated: {error}"
    );
}

#[test]
fn a_value_may_come_from_a_file() {
    let path = std::env::temp_dir().join(format!("env-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, "a secret that is longer than thirty-two bytes\n")
        .expect("a file can be written");
    let mut env = Env::of([("SECRET_FILE", path.to_str().expect("a path is text"))]);
    let secret = env.secret("SECRET");
    std::fs::remove_file(&path).expect("the file is there");
    assert_eq!(
        secret.expose_secret(),
        "a secret that is longer than thirty-two bytes"
    );
    env.finish(()).expect("nothing is wrong");
}

#[test]
fn what_is_not_set_takes_its_default() {
    let mut env = Env::of([("EMPTY", "")]);
    assert_eq!(env.parsed("EMPTY", 7), 7);
    assert_eq!(env.parsed("UNSET", 8), 8);
    assert_eq!(env.optional("UNSET"), None);
    env.finish(()).expect("nothing is wrong");
}
