//! Lists in pages: `?limit=&cursor=` in, `{"data":[..],"next_cursor":..}` out.
//!
//! The cursor is the place of the last item in the list's order, not a count: items that come or go between two
//! pages neither repeat nor hide others.

use std::{fmt, str::FromStr};

use chassis::http::Problem;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The query of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many items to give at most; 20 by default.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the page before; none for the first page.
    cursor: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// Gives the next page, if there is one.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A place in a list that is ordered by time: when, and whatever tells apart what has one time. As text it is the
/// microseconds since 1970, a dot, and the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment<T>(pub DateTime<Utc>, pub T);

/// The earliest time that PostgreSQL keeps, 4714-11-24 BC, in microseconds since 1970. Its last is later than any that
/// a [`DateTime`] can hold.
const EARLIEST: i64 = -210_866_803_200_000_000;

impl<T: fmt::Display> fmt::Display for Moment<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.timestamp_micros(), self.1)
    }
}

/// Tells that a text is no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in a list")]
pub struct NoPlace;

impl<T: FromStr> FromStr for Moment<T> {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (micros, rest) = text.split_once('.').ok_or(NoPlace)?;
        let micros = micros.parse().ok().filter(|micros| *micros >= EARLIEST);
        let at = micros.and_then(DateTime::from_timestamp_micros);
        let rest = rest.parse().map_err(|_| NoPlace)?;
        Ok(Self(at.ok_or(NoPlace)?, rest))
    }
}

impl Paging {
    /// The paging of a list whose query has members of its own.
    pub fn of(limit: Option<i64>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    /// How many rows to ask the database for: one more than the page holds, which tells whether another page follows.
    ///
    /// # Errors
    /// 400 `invalid_limit`.
    pub fn rows(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(20) {
            limit @ 1..=100 => Ok(limit + 1),
            _ => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_limit",
                "limit must be between 1 and 100",
            )),
        }
    }

    /// Where the page before ended.
    ///
    /// # Errors
    /// 400 `invalid_cursor`, also for a text with a NUL, which PostgreSQL does not take.
    pub fn after<T: FromStr>(&self) -> Result<Option<T>, Problem> {
        let refused = || {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_cursor",
                "cursor is not one that this list gave",
            )
        };
        let Some(cursor) = self.cursor.as_deref() else {
            return Ok(None);
        };
        if cursor.contains('\0') {
            return Err(refused());
        }
        cursor.parse().map(Some).map_err(|_| refused())
    }
}

impl<T> Page<T> {
    /// Makes the page out of what was found when asked for `rows`; `place` names an item's place in the list's order.
    pub fn of<R>(
        mut found: Vec<R>,
        rows: i64,
        place: impl Fn(&R) -> String,
        item: impl Fn(R) -> T,
    ) -> Self {
        let size = usize::try_from(rows - 1).unwrap_or(0);
        let more = found.len() > size;
        found.truncate(size);
        let next_cursor = found.last().filter(|_| more).map(place);
        Self {
            data: found.into_iter().map(item).collect(),
            next_cursor,
        }
    }
}
