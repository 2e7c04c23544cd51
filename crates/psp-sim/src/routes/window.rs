use std::ops::RangeInclusive;

use crate::{error::ApiError, form::Params, store::Series};

/// The parameters of every list.
pub(crate) const KNOWN: [&str; 4] = ["created", "ending_before", "limit", "starting_after"];

/// The part of a list that a client asked for.
pub(crate) struct Window {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    created: RangeInclusive<i64>,
}

impl Window {
    pub(crate) fn of(params: &Params) -> Result<Self, ApiError> {
        let limit = params.integer("limit")?.unwrap_or(10);
        let limit = usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=100).contains(limit));
        let limit = limit.ok_or_else(|| {
            ApiError::invalid("This value must be between 1 and 100.")
                .code("parameter_invalid_integer")
                .param("limit")
        })?;
        let exact = params.integer("created")?;
        let after = params
            .integer("created[gt]")?
            .map(|at| at.saturating_add(1));
        let before = params
            .integer("created[lt]")?
            .map(|at| at.saturating_sub(1));
        let from = exact
            .or(params.integer("created[gte]")?)
            .or(after)
            .unwrap_or(i64::MIN);
        let until = exact
            .or(params.integer("created[lte]")?)
            .or(before)
            .unwrap_or(i64::MAX);
        Ok(Self {
            limit,
            starting_after: params.text("starting_after"),
            ending_before: params.text("ending_before"),
            created: from..=until,
        })
    }

    /// Cuts the window out of a series, newest first, and says whether there is more beyond it.
    pub(crate) fn cut<'a, T>(
        &self,
        series: &'a Series<T>,
        noun: &str,
        created: impl Fn(&T) -> i64,
        keep: impl Fn(&T) -> bool,
    ) -> Result<(Vec<&'a T>, bool), ApiError> {
        let place = |id: &String, param| {
            series
                .position(id)
                .ok_or_else(|| ApiError::missing(noun, id, param))
        };
        let wanted = |item: &&T| self.created.contains(&created(item)) && keep(item);
        let all = series.all();
        let mut found: Vec<&T> = if let Some(id) = &self.ending_before {
            let newer = &all[place(id, "ending_before")? + 1..];
            let mut found: Vec<_> = newer.iter().filter(wanted).take(self.limit + 1).collect();
            let has_more = found.len() > self.limit;
            found.truncate(self.limit);
            found.reverse();
            return Ok((found, has_more));
        } else {
            let end = self
                .starting_after
                .as_ref()
                .map(|id| place(id, "starting_after"))
                .transpose()?;
            let older = &all[..end.unwrap_or(all.len())];
            older
                .iter()
                .rev()
                .filter(wanted)
                .take(self.limit + 1)
                .collect()
        };
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        Ok((found, has_more))
    }
}
