//! Who may call the provider when calls are short.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use payment::provider::{Bucket, patiently};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_donors_call_goes_before_one_that_can_wait_and_has_waited_longer() {
    const RATE: u32 = 500;
    let bucket = Arc::new(Bucket::new(RATE));
    for _ in 0..RATE {
        bucket.take().await;
    }
    let mut calls = JoinSet::new();
    let waits = bucket.clone();
    calls.spawn(async move {
        patiently(waits.take()).await;
        "what can wait"
    });
    tokio::task::yield_now().await;
    calls.spawn(async move {
        bucket.take().await;
        "a donor"
    });
    assert_eq!(calls.join_next().await.unwrap().unwrap(), "a donor");
    assert_eq!(calls.join_next().await.unwrap().unwrap(), "what can wait");
}

#[tokio::test]
async fn when_the_provider_says_too_much_nobody_calls_for_a_while() {
    let bucket = Bucket::new(100);
    assert!(bucket.take().now_or_never().is_some());
    bucket.close(Duration::from_hours(1));
    assert!(bucket.take().now_or_never().is_none());
    assert!(patiently(bucket.take()).now_or_never().is_none());
    // A shorter pause does not end a longer one.
    bucket.close(Duration::ZERO);
    assert!(bucket.take().now_or_never().is_none());
}
