//! Queries, one file per table that they write.

pub(crate) mod campaigns;
pub(crate) mod donations;
pub(crate) mod donors;
pub(crate) mod drift;
pub(crate) mod moves;
pub(crate) mod rebuilds;
pub(crate) mod shadow;
pub(crate) mod totals;
pub(crate) mod watermarks;

use sqlx::{FromRow, Row, postgres::PgRow};

use crate::domain::Buckets;

impl FromRow<'_, PgRow> for Buckets {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            pledged: row.try_get("pledged")?,
            authorized: row.try_get("authorized")?,
            captured: row.try_get("captured")?,
            refunded: row.try_get("refunded")?,
            disputed: row.try_get("disputed")?,
        })
    }
}
