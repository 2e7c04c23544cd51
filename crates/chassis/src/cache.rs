//! Redis as a cache that may be away: every call answers within 50 ms, and a failure is a miss.
//!
//! After three failures in a row the cache is left alone for a second, so that a Redis that hangs costs the
//! callers 50 ms three times and not on each request.

use std::{
    future::Future,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus::IntCounterVec;
use redis::{
    AsyncCommands, RedisResult, Script,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::time::{Instant, timeout};

use crate::{env::Env, telemetry::metrics};

/// How long a call may take.
const LIMIT: Duration = Duration::from_millis(50);
/// Failures in a row after which the cache rests.
const FAILURES: u32 = 3;
/// How long it rests.
const REST: Duration = Duration::from_secs(1);

/// Replaces the entry unless a newer one is there, in one step on the server.
static PUT_NEWER: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local known = redis.call('hget', KEYS[1], 'v')
         if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
         redis.call('hset', KEYS[1], 'v', ARGV[1], 'b', ARGV[2])
         redis.call('pexpire', KEYS[1], ARGV[3])
         return 1",
    )
});

static CALLS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    metrics::counter(
        "cache_calls_total",
        "Calls to Redis by outcome.",
        &["call", "outcome"],
    )
});

/// Where Redis is, and what this process' keys begin with.
#[derive(Clone, Debug)]
pub struct Config {
    /// For example `redis://127.0.0.1:6379`.
    pub url: String,
    /// Put before every key; tests use it to stay apart.
    pub prefix: String,
}

impl Config {
    /// Reads `REDIS_URL`, and `REDIS_PREFIX` (default empty).
    pub fn read(env: &mut Env) -> Self {
        let url = env.string("REDIS_URL");
        if !url.is_empty() && redis::Client::open(url.as_str()).is_err() {
            env.problem("REDIS_URL is not a Redis URL");
        }
        Self {
            url,
            prefix: env.optional("REDIS_PREFIX").unwrap_or_default(),
        }
    }
}

/// A connection to Redis that repairs itself; clones share it.
#[derive(Clone)]
pub struct Cache {
    redis: ConnectionManager,
    prefix: Arc<str>,
    health: Arc<Failures>,
}

impl Cache {
    /// Prepares the connection, which is made by the first call. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the URL is not one of Redis.
    pub fn connect(config: &Config) -> anyhow::Result<Self> {
        let settings = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Some(LIMIT))
            .set_response_timeout(Some(LIMIT));
        let redis = ConnectionManager::new_lazy_with_config(
            redis::Client::open(config.url.as_str())?,
            settings,
        )?;
        Ok(Self {
            redis,
            prefix: config.prefix.as_str().into(),
            health: Arc::new(Failures::new()),
        })
    }

    /// The bytes under `key`.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let mut redis = self.redis.clone();
        self.call("get", async {
            redis.get::<_, Option<Vec<u8>>>(self.key(key)).await
        })
        .await
        .flatten()
    }

    /// Stores `value` under `key` for `ttl`.
    pub async fn put(&self, key: &str, value: &[u8], ttl: Duration) {
        let mut redis = self.redis.clone();
        self.call("put", async {
            redis
                .pset_ex::<_, _, ()>(self.key(key), value, millis(ttl))
                .await
        })
        .await;
    }

    /// Stores `value` as `version` of `key` for `ttl`, unless a newer version is there. Gives `false` when Redis was
    /// away, so that an older version may still be there or come back.
    pub async fn put_newer(&self, key: &str, version: i64, value: &[u8], ttl: Duration) -> bool {
        let mut redis = self.redis.clone();
        let put = self.call("put_newer", async {
            PUT_NEWER
                .key(self.key(key))
                .arg(version)
                .arg(value)
                .arg(millis(ttl))
                .invoke_async::<()>(&mut redis)
                .await
        });
        put.await.is_some()
    }

    /// The version and bytes that [`put_newer`](Self::put_newer) stored under `key`.
    pub async fn get_newer(&self, key: &str) -> Option<(i64, Vec<u8>)> {
        let mut redis = self.redis.clone();
        let fields = self.call("get_newer", async {
            redis
                .hmget::<_, _, (Option<i64>, Option<Vec<u8>>)>(self.key(key), &["v", "b"])
                .await
        });
        let (version, value) = fields.await?;
        version.zip(value)
    }

    /// Forgets `key`.
    pub async fn remove(&self, key: &str) {
        let mut redis = self.redis.clone();
        self.call("remove", async { redis.del::<_, ()>(self.key(key)).await })
            .await;
    }

    /// Whether Redis answers; asks even while the cache rests, so that a recovery is seen at once.
    pub async fn healthy(&self) -> bool {
        let mut redis = self.redis.clone();
        let answered = matches!(
            timeout(LIMIT, redis::cmd("PING").query_async::<()>(&mut redis)).await,
            Ok(Ok(()))
        );
        if answered {
            self.health.succeeded();
        }
        answered
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn call<T>(&self, name: &str, call: impl Future<Output = RedisResult<T>>) -> Option<T> {
        if self.health.resting() {
            CALLS.with_label_values(&[name, "skipped"]).inc();
            return None;
        }
        let error = match timeout(LIMIT, call).await {
            Ok(Ok(value)) => {
                self.health.succeeded();
                CALLS.with_label_values(&[name, "ok"]).inc();
                return Some(value);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} ms", LIMIT.as_millis()),
        };
        CALLS.with_label_values(&[name, "failed"]).inc();
        if self.health.failed() {
            tracing::warn!(call = name, error, "cache is away, going on without it");
        }
        None
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// Counts failures in a row and says when to leave the cache alone.
struct Failures {
    began: Instant,
    in_a_row: AtomicU32,
    /// Milliseconds after `began`.
    rests_until: AtomicU64,
}

impl Failures {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            in_a_row: AtomicU32::new(0),
            rests_until: AtomicU64::new(0),
        }
    }

    fn resting(&self) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        until != 0 && millis(self.began.elapsed()) < until
    }

    fn succeeded(&self) {
        if self.in_a_row.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    /// Notes a failure and says whether it is the one after which the cache rests for the first time.
    fn failed(&self) -> bool {
        let failures = self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= FAILURES {
            self.rests_until
                .store(millis(self.began.elapsed() + REST), Ordering::Relaxed);
        }
        failures == FAILURES
    }
}
