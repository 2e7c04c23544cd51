//! The provider is away, slow, or dies in the middle.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chassis::{clock::Clock, lifecycle::Lifecycle};
use reqwest::StatusCode;
use testkit::{eventually, problem_code};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::world::{Gift, Open, Plan, World};

/// A line to the provider that can swallow its replies.
pub struct Line {
    listener: TcpListener,
    mute: Arc<AtomicBool>,
}

impl Line {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            listener,
            mute: Arc::default(),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Connects whoever comes with the provider, and gives the switch that mutes it.
    pub fn lead_to(self, provider: SocketAddr, life: &Lifecycle) -> Arc<AtomicBool> {
        let mute = self.mute.clone();
        let tracked = life.clone();
        life.track(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = self.listener.accept() => accepted,
                    () = tracked.stopping() => return,
                };
                let (stream, _) = accepted.unwrap();
                tracked.track(lead(stream, provider, self.mute.clone()));
            }
        });
        mute
    }
}

async fn lead(stream: TcpStream, provider: SocketAddr, mute: Arc<AtomicBool>) {
    let upstream = TcpStream::connect(provider).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let (mut back, mut forth) = upstream.into_split();
    let asking = async {
        let _ = tokio::io::copy(&mut from, &mut forth).await;
        let _ = forth.shutdown().await;
    };
    let answering = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = back.read(&mut buffer).await {
            if !mute.load(Ordering::SeqCst) && to.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
    };
    futures::join!(asking, answering);
}

async fn outcome(world: &World, gift: &Gift) -> (String, Option<String>) {
    sqlx::query_as("select outcome, provider_ref from payments where payment_id = $1")
        .bind(gift.payment_id.get())
        .fetch_one(&world.pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_provider_that_is_away_costs_a_503_and_nothing_else() {
    let plan = Plan {
        up: false,
        resolve_after: Duration::from_mins(10),
        ..Plan::default()
    };
    let mut world = World::of(plan).await;
    let gift = world.gift();
    let refused = world.post(&gift.body()).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(problem_code(refused).await, "psp_unavailable");
    assert_eq!(world.state(&gift).await, "PENDING", "the payment is kept");
    world.psp_comes_up();
    world.open(&gift).await;
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn after_three_failures_nobody_waits_for_the_provider() {
    let clock = Clock::fixed(Clock::system().now());
    let plan = Plan {
        up: false,
        clock: clock.clone(),
        resolve_after: Duration::from_mins(10),
        ..Plan::default()
    };
    let mut world = World::of(plan).await;
    let gift = world.gift();
    for _ in 0..3 {
        assert_eq!(
            problem_code(world.post(&gift.body()).await).await,
            "psp_unavailable"
        );
    }
    world.psp_comes_up();
    assert_eq!(
        problem_code(world.post(&gift.body()).await).await,
        "psp_unavailable"
    );
    assert_eq!(
        world.psp.intents().await,
        0,
        "the breaker is open: nobody was asked"
    );
    clock.advance(chrono::Duration::seconds(30));
    world.open(&gift).await;
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_reply_that_never_came_is_unknown_until_the_resolver_asks_again() {
    let clock = Clock::fixed(Clock::system().now());
    let line = Line::new().await;
    let plan = Plan {
        clock: clock.clone(),
        timeout: Duration::from_millis(500),
        through: Some(line.address()),
        ..Plan::default()
    };
    let world = World::of(plan).await;
    let mute = line.lead_to(world.psp.address(), &world.life);
    mute.store(true, Ordering::SeqCst);
    let gift = world.gift();
    let reply = world.post(&gift.body()).await;
    assert_eq!(problem_code(reply).await, "psp_unavailable");
    assert_eq!(
        world.psp.intents().await,
        1,
        "it was opened, and nobody heard of it"
    );
    assert_eq!(outcome(&world, &gift).await, ("unknown".to_owned(), None));
    mute.store(false, Ordering::SeqCst);
    clock.advance(chrono::Duration::seconds(10));
    let intent = eventually("the resolver has asked", async || {
        outcome(&world, &gift).await.1
    })
    .await;
    assert_eq!(outcome(&world, &gift).await.0, "known");
    assert_eq!(world.open(&gift).await.intent, intent);
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_reply_that_never_came_is_asked_for_again_by_the_donors_next_click() {
    let line = Line::new().await;
    let plan = Plan {
        timeout: Duration::from_millis(500),
        resolve_after: Duration::from_mins(10),
        through: Some(line.address()),
        ..Plan::default()
    };
    let world = World::of(plan).await;
    let mute = line.lead_to(world.psp.address(), &world.life);
    mute.store(true, Ordering::SeqCst);
    let gift = world.gift();
    assert_eq!(
        problem_code(world.post(&gift.body()).await).await,
        "psp_unavailable"
    );
    mute.store(false, Ordering::SeqCst);
    world.open(&gift).await;
    assert_eq!(world.psp.intents().await, 1);
}

#[tokio::test]
async fn a_crash_between_the_providers_answer_and_our_record_is_healed_by_the_webhook() {
    let plan = Plan {
        resolve_after: Duration::from_mins(10),
        ..Plan::default()
    };
    let world = World::of(plan).await;
    let gift = world.gift();
    let open: Open = world.open(&gift).await;
    forget(&world, &gift).await;
    let created = gift.news(
        "payment_intent.created",
        &open.intent,
        &serde_json::json!({}),
    );
    assert_eq!(world.verdict(&created).await, "APPLIED");
    assert_eq!(
        outcome(&world, &gift).await,
        ("known".to_owned(), Some(open.intent.clone()))
    );
    forget(&world, &gift).await;
    assert_eq!(world.verdict(&gift.captured(&open.intent)).await, "IMPLIED");
    assert_eq!(
        outcome(&world, &gift).await,
        ("known".to_owned(), Some(open.intent))
    );
    assert_eq!(world.state(&gift).await, "CAPTURED");
}

#[tokio::test]
async fn the_intent_of_a_call_that_is_a_day_old_is_found_in_the_providers_list() {
    let clock = Clock::fixed(Clock::system().now());
    let world = World::of(Plan {
        clock: clock.clone(),
        ..Plan::default()
    })
    .await;
    let (gift, another) = (world.gift(), world.gift());
    let open = world.open(&gift).await;
    world.open(&another).await;
    forget(&world, &gift).await;
    clock.advance(chrono::Duration::hours(24));
    let found = eventually("it was found", async || outcome(&world, &gift).await.1).await;
    assert_eq!(found, open.intent);
    assert_eq!(outcome(&world, &gift).await.0, "known");
    assert_eq!(world.psp.intents().await, 2, "nothing was opened again");
}

/// The row as a crash between the provider's answer and our record leaves it.
async fn forget(world: &World, gift: &Gift) {
    sqlx::query(
        "update payments set provider_ref = null, outcome = 'requested', retry_at = requested_at + interval '10 minutes'
         where payment_id = $1",
    )
    .bind(gift.payment_id.get())
    .execute(&world.pool)
    .await
    .unwrap();
}
