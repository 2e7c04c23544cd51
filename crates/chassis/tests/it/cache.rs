//! The cache against a real Redis, and against none.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use chassis::cache::{Cache, Config};
use testkit::eventually;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

const MINUTE: Duration = Duration::from_mins(1);

fn at(address: SocketAddr) -> Cache {
    Cache::connect(&Config {
        url: format!("redis://{address}"),
        ..testkit::cache()
    })
    .unwrap()
}

#[tokio::test]
async fn what_was_put_is_there_until_it_expires_or_is_removed() {
    let cache = Cache::connect(&testkit::cache()).unwrap();
    assert_eq!(cache.get("key").await, None);
    cache.put("key", b"\x00bytes\xff", MINUTE).await;
    assert_eq!(
        cache.get("key").await.as_deref(),
        Some(&b"\x00bytes\xff"[..])
    );
    cache.remove("key").await;
    assert_eq!(cache.get("key").await, None);
    cache.put("key", b"brief", Duration::from_millis(1)).await;
    eventually("the entry has expired", async || {
        cache.get("key").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn prefixes_stay_apart() {
    let one = Cache::connect(&testkit::cache()).unwrap();
    let other = Cache::connect(&testkit::cache()).unwrap();
    one.put("key", b"one", MINUTE).await;
    assert_eq!(other.get("key").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_version_wins_whatever_the_order() {
    let cache = Cache::connect(&testkit::cache()).unwrap();
    assert_eq!(cache.get_newer("key").await, None);
    // A permutation of 1..=100: 37 and 101 have no common divisor.
    let versions = (1..=100_i64).map(|n| n * 37 % 101);
    futures::future::join_all(versions.map(|version| {
        let cache = cache.clone();
        async move {
            cache
                .put_newer("key", version, version.to_string().as_bytes(), MINUTE)
                .await
        }
    }))
    .await;
    assert_eq!(cache.get_newer("key").await, Some((100, b"100".to_vec())));
    cache.put_newer("key", 99, b"late", MINUTE).await;
    assert_eq!(cache.get_newer("key").await, Some((100, b"100".to_vec())));
}

#[tokio::test]
async fn a_versioned_entry_expires_as_a_whole() {
    let cache = Cache::connect(&testkit::cache()).unwrap();
    cache
        .put_newer("key", 7, b"value", Duration::from_millis(1))
        .await;
    eventually("the entry has expired", async || {
        cache.get_newer("key").await.is_none().then_some(())
    })
    .await;
    cache.put_newer("key", 3, b"older", MINUTE).await;
    assert_eq!(
        cache.get_newer("key").await,
        Some((3, b"older".to_vec())),
        "an expired version holds nothing up"
    );
}

#[tokio::test]
async fn a_refused_connection_is_a_miss_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache = at(listener.local_addr().unwrap());
    drop(listener);
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(cache.get("key").await, None);
        cache.put("key", b"value", MINUTE).await;
    }
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert!(!cache.healthy().await);
}

#[tokio::test]
async fn a_silent_server_costs_fifty_milliseconds_three_times_and_no_more() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cache = at(silent.local_addr().unwrap());
    for attempt in 0..3 {
        let began = Instant::now();
        assert_eq!(cache.get("key").await, None);
        assert!(
            began.elapsed() < Duration::from_millis(100),
            "attempt {attempt}: {:?}",
            began.elapsed()
        );
    }
    let began = Instant::now();
    for _ in 0..1000 {
        assert_eq!(cache.get("key").await, None);
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_is_used_again() {
    let (door, up) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        Arc::new(AtomicBool::new(true)),
    );
    let config = testkit::cache();
    let redis = config.url.trim_start_matches("redis://").to_owned();
    let cache = Cache::connect(&Config {
        url: format!("redis://{}", door.local_addr().unwrap()),
        ..config
    })
    .unwrap();
    let open = up.clone();
    let life = chassis::lifecycle::Lifecycle::new();
    let proxy = life.track(async move {
        loop {
            let (mut client, _) = door.accept().await.unwrap();
            if open.load(Ordering::SeqCst) {
                let mut server = TcpStream::connect(&redis).await.unwrap();
                // One connection at a time is all that the cache makes.
                while open.load(Ordering::SeqCst) {
                    let piece = copy_bidirectional(&mut client, &mut server);
                    if tokio::time::timeout(Duration::from_millis(10), piece)
                        .await
                        .is_ok()
                    {
                        break;
                    }
                }
            }
        }
    });
    cache.put("key", b"value", MINUTE).await;
    assert_eq!(cache.get("key").await.as_deref(), Some(&b"value"[..]));
    up.store(false, Ordering::SeqCst);
    eventually("the server is away", async || {
        cache.get("key").await.is_none().then_some(())
    })
    .await;
    up.store(true, Ordering::SeqCst);
    eventually("the server is used again", async || cache.get("key").await).await;
    proxy.abort();
}
