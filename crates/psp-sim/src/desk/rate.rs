use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many requests the merchant may make: a bucket that holds one second's worth and fills all the time.
pub(crate) struct Rate(Mutex<Bucket>);

struct Bucket {
    /// Requests in a second; zero is without a limit.
    per_second: u32,
    /// In thousandths of a request.
    level: i64,
    /// In Unix milliseconds.
    filled_at: i64,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: i64) -> Self {
        Self(Mutex::new(Bucket::full(per_second, now)))
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limit anew, with a full bucket.
    pub(crate) fn set(&self, per_second: u32, now: i64) {
        *self.lock() = Bucket::full(per_second, now);
    }

    /// How many requests in a second; zero is without a limit.
    pub(crate) fn per_second(&self) -> u32 {
        self.lock().per_second
    }

    /// Whether one more request is allowed at `now`, in Unix milliseconds.
    pub(crate) fn admits(&self, now: i64) -> bool {
        let mut bucket = self.lock();
        let rate = i64::from(bucket.per_second);
        if rate == 0 {
            return true;
        }
        let passed = now.saturating_sub(bucket.filled_at).max(0);
        let level = bucket.level.saturating_add(passed.saturating_mul(rate));
        bucket.level = level.min(rate * 1000);
        bucket.filled_at = now;
        let admits = bucket.level >= 1000;
        if admits {
            bucket.level -= 1000;
        }
        admits
    }
}

impl Bucket {
    fn full(per_second: u32, now: i64) -> Self {
        Self {
            per_second,
            level: i64::from(per_second) * 1000,
            filled_at: now,
        }
    }
}
