//! How fast the gifts of a campaign that was called off go back.

use std::time::Duration;

use futures::FutureExt;
use payment::Pacer;

#[tokio::test]
async fn refunds_of_the_rule_go_one_after_another_and_no_faster_than_configured() {
    let mut pacer = Pacer::new(Duration::from_hours(1));
    assert!(pacer.turn().now_or_never().is_some());
    assert!(pacer.turn().now_or_never().is_none());
    // Whoever asks more often waits as long.
    assert!(pacer.turn().now_or_never().is_none());
    let mut pacer = Pacer::new(Duration::from_millis(20));
    let began = tokio::time::Instant::now();
    for _ in 0..5 {
        pacer.turn().await;
    }
    assert!(began.elapsed() >= Duration::from_millis(80));
}
