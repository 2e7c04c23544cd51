//! What Redis remembers, and how it forgets.

use redis::AsyncCommands;
use serde_json::Value;

use super::world::World;

impl World {
    /// Empties the cache. Only where nobody else has things in it.
    pub async fn forget_cache(&self) {
        let mut redis = self.redis().await;
        let _: () = redis::cmd("FLUSHALL")
            .query_async(&mut redis)
            .await
            .expect("Redis can be emptied");
    }

    /// Removes the total of a campaign from the cache, as its expiry does.
    pub async fn forget_total(&self, campaign: &str) {
        let mut redis = self.redis().await;
        let _: i64 = redis
            .del(format!("totals:{campaign}"))
            .await
            .expect("a key can be removed");
    }

    /// The total of a campaign as the cache has it.
    pub async fn kept_total(&self, campaign: &str) -> Option<Value> {
        let mut redis = self.redis().await;
        let kept: Option<Vec<u8>> = redis
            .hget(format!("totals:{campaign}"), "b")
            .await
            .expect("a key can be read");
        kept.map(|kept| serde_json::from_slice(&kept).expect("JSON"))
    }

    async fn redis(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.redis_url.as_str())
            .expect("a URL of Redis")
            .get_multiplexed_async_connection()
            .await
            .expect("Redis answers")
    }
}
