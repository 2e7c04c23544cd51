use argon2::{
    Argon2,
    password_hash::{PasswordVerifier, phc::PasswordHash},
};
use chassis::http::Problem;
use common::contact::Email;
use user::{Error, Hasher, Password, Refused};

use crate::helpers::PASSWORD;

/// The parameters in front of salt and hash.
fn parameters(phc: &str) -> Vec<&str> {
    phc.split('$').take(4).collect()
}

#[tokio::test]
async fn a_hash_is_argon2id_with_the_parameters_of_owasp_and_so_is_the_one_of_nobody() {
    let hasher = Hasher::new(1);
    let password = Password::parse(PASSWORD, &Email::parse("a@b.c").unwrap()).unwrap();
    let hash = hasher.hash(password).await.unwrap();
    assert_eq!(
        parameters(&hash),
        ["", "argon2id", "v=19", "m=19456,t=2,p=1"]
    );
    let read = PasswordHash::new(&hash).unwrap();
    Argon2::default()
        .verify_password(PASSWORD.as_bytes(), &read)
        .expect("the library agrees");
    assert_eq!(parameters(&hash), parameters(Hasher::NOBODY));
    assert_eq!(
        hash.len(),
        Hasher::NOBODY.len(),
        "salt and hash are as long"
    );
    assert_eq!(
        hasher.verify(PASSWORD.into(), Some(hash.clone())).await,
        Ok(true)
    );
    assert_eq!(hasher.verify("another".into(), Some(hash)).await, Ok(false));
    assert_eq!(hasher.verify(PASSWORD.into(), None).await, Ok(false));
}

#[tokio::test]
async fn one_is_hashed_for_each_core_and_32_wait_and_the_next_is_refused_at_once() {
    let hasher = Hasher::new(1);
    let asked = (0..40).map(|_| hasher.verify("x".into(), None));
    let answers = futures::future::join_all(asked).await;
    let (done, refused) = answers.split_at(33);
    assert!(done.iter().all(|answer| *answer == Ok(false)));
    assert!(refused.iter().all(|answer| *answer == Err(Refused::Busy)));
    assert_eq!(
        hasher.verify("x".into(), None).await,
        Ok(false),
        "places are free again"
    );
}

#[test]
fn a_full_queue_is_a_503_that_says_when_to_come_again() {
    let problem = Problem::from(Error::from(Refused::Busy));
    assert_eq!((problem.status().as_u16(), problem.code()), (503, "busy"));
    let reply = axum::response::IntoResponse::into_response(problem);
    assert_eq!(reply.headers()["retry-after"], "1");
}
