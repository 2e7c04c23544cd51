//! Where the totals and the payments differ for longer than it takes an event to come.
//!
//! A difference counts once it was there at two looks and cannot be that the one was read before the other: what was
//! ahead of a page must be in the next one, and what is behind may be on its way, until later payments have come.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, Duration, Utc};
use common::events::PaymentEvent;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    alarm,
    db::drift::{Applied, Compared},
    domain::Buckets,
};

/// How a payment differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Difference {
    /// An older snapshot is contained, or none.
    Behind,
    /// A newer snapshot is contained than payment has.
    Ahead,
    /// Other amounts are contained than those of the same snapshot.
    Amounts,
    /// Payment does not know it.
    Unknown,
}

/// A payment that the totals contain otherwise than payment has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PaymentDrift {
    pub(crate) payment_id: Uuid,
    pub(crate) campaign_id: Uuid,
    pub(crate) difference: Difference,
    /// The version that payment has.
    #[schema(required)]
    pub(crate) version: Option<i64>,
    /// The version that is contained.
    #[schema(required)]
    pub(crate) applied: Option<i64>,
}

/// A campaign whose row is not the sum of the payments that it contains, in minor units.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct CampaignDrift {
    pub(crate) campaign_id: Uuid,
    /// What its row says.
    pub(crate) shown: Buckets,
    /// What its payments sum to.
    pub(crate) summed: Buckets,
    pub(crate) donors_shown: i64,
    pub(crate) donors_counted: i64,
    /// Whether its row stands still because a bucket fell below zero.
    pub(crate) frozen: bool,
}

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// How often everything was compared.
    pub(crate) passes: u64,
    /// When the last pass ended.
    pub(crate) as_of: Option<DateTime<Utc>>,
    pub(crate) payments: BTreeMap<Uuid, PaymentDrift>,
    pub(crate) campaigns: Vec<CampaignDrift>,
    pub(crate) frozen: usize,
}

/// A difference that was seen once.
struct Suspicion {
    difference: Difference,
    version: i64,
    applied: i64,
    since: DateTime<Utc>,
}

/// The findings that the auditor and the admins share.
#[derive(Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<Findings>>, Arc<AtomicI64>);

/// What the auditor remembers between looks.
pub(crate) struct Memory {
    suspicions: BTreeMap<Uuid, Suspicion>,
    /// Payments that differed in this pass. What neither side has any more is met no more, and found no more.
    met: BTreeSet<Uuid>,
    /// How long a snapshot may take to be contained.
    patience: Duration,
    findings: Shared,
}

impl Difference {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Amounts => "amounts",
            Self::Unknown => "unknown",
        }
    }

    /// How what is contained differs from what payment has, if it does.
    fn between(payment: Option<&PaymentEvent>, applied: Option<&Applied>) -> Option<Self> {
        let (payment, applied) = match (payment, applied) {
            (None, None) => return None,
            (None, Some(_)) => return Some(Self::Unknown),
            (Some(_), None) => return Some(Self::Behind),
            (Some(payment), Some(applied)) => (payment, applied),
        };
        match applied.version.cmp(&payment.version) {
            std::cmp::Ordering::Less => Some(Self::Behind),
            std::cmp::Ordering::Greater => Some(Self::Ahead),
            std::cmp::Ordering::Equal => {
                let same = Buckets::of(payment) == Some(applied.buckets)
                    && payment.campaign_id.get() == applied.campaign_id
                    && payment.donor_ref == applied.donor_ref;
                (!same).then_some(Self::Amounts)
            }
        }
    }
}

impl Shared {
    /// What was found so far.
    pub(crate) fn get(&self) -> Findings {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes when the newest payment that has come was changed.
    pub(crate) fn hear(&self, at: DateTime<Utc>) {
        self.1.fetch_max(at.timestamp_micros(), Ordering::Relaxed);
    }

    /// Whether a payment has come that was changed after a moment: while none does, whatever is behind is on its way.
    fn has_heard_since(&self, at: DateTime<Utc>) -> bool {
        self.1.load(Ordering::Relaxed) > at.timestamp_micros()
    }

    fn change(&self, change: impl FnOnce(&mut Findings)) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut findings);
        alarm::count(
            findings.payments.len(),
            findings.campaigns.len(),
            findings.frozen,
        );
    }
}

impl Memory {
    pub(crate) fn new(patience: Duration, findings: Shared) -> Self {
        Self {
            suspicions: BTreeMap::new(),
            met: BTreeSet::new(),
            patience,
            findings,
        }
    }

    /// Compares a stretch of payments, read first, with what is contained of the same stretch, read afterwards.
    pub(crate) fn look(
        &mut self,
        payments: &[PaymentEvent],
        applied: &[Applied],
        now: DateTime<Utc>,
    ) {
        let mut both: BTreeMap<Uuid, (Option<&PaymentEvent>, Option<&Applied>)> = BTreeMap::new();
        for payment in payments {
            both.entry(payment.payment_id.get()).or_default().0 = Some(payment);
        }
        for one in applied {
            both.entry(one.payment_id).or_default().1 = Some(one);
        }
        for (id, (payment, applied)) in both {
            let certain = self.is_certain(id, payment, applied, now);
            let campaign = payment.map(|payment| payment.campaign_id.get());
            let found = certain.map(|difference| PaymentDrift {
                payment_id: id,
                campaign_id: campaign
                    .or(applied.map(|applied| applied.campaign_id))
                    .unwrap_or_default(),
                difference,
                version: payment.map(|payment| payment.version),
                applied: applied.map(|applied| applied.version),
            });
            self.findings.change(|findings| match found {
                Some(drift) => {
                    if !findings.payments.contains_key(&id) {
                        alarm::payment_drifts(&drift);
                    }
                    findings.payments.insert(id, drift);
                }
                None => drop(findings.payments.remove(&id)),
            });
        }
    }

    /// The difference of a payment, once it cannot be that it is only on its way.
    fn is_certain(
        &mut self,
        id: Uuid,
        payment: Option<&PaymentEvent>,
        applied: Option<&Applied>,
        now: DateTime<Utc>,
    ) -> Option<Difference> {
        let Some(difference) = Difference::between(payment, applied) else {
            self.suspicions.remove(&id);
            return None;
        };
        self.met.insert(id);
        let seen = Suspicion {
            difference,
            version: payment.map_or(0, |payment| payment.version),
            applied: applied.map_or(0, |applied| applied.version),
            since: now,
        };
        let mut first = match self.suspicions.entry(id) {
            Entry::Vacant(place) => {
                place.insert(seen);
                return None;
            }
            Entry::Occupied(place) => place,
        };
        let known = first.get();
        let still = known.difference == difference
            && match difference {
                // It has not even come to where payment was at the first look.
                Difference::Behind => seen.applied < known.version,
                // Payment was read after the newer snapshot was seen, and still does not have it.
                Difference::Ahead => seen.version < known.applied,
                Difference::Amounts => seen.applied == known.applied,
                Difference::Unknown => true,
            };
        if !still {
            first.insert(seen);
            return None;
        }
        let since = known.since;
        let lost = now - since >= self.patience && self.findings.has_heard_since(since);
        (difference != Difference::Behind || lost).then_some(difference)
    }

    /// Ends a pass with what comparing the campaigns' rows with the sums of their payments gave.
    pub(crate) fn end_pass(&mut self, compared: Vec<Compared>, now: DateTime<Utc>) {
        let met = std::mem::take(&mut self.met);
        self.suspicions.retain(|id, _| met.contains(id));
        let frozen = compared.iter().filter(|one| one.frozen).count();
        let campaigns: Vec<_> = compared
            .into_iter()
            .filter(Compared::differs)
            .map(CampaignDrift::from)
            .collect();
        self.findings.change(|findings| {
            for drift in &campaigns {
                let known = |other: &CampaignDrift| other.campaign_id == drift.campaign_id;
                if !findings.campaigns.iter().any(known) {
                    alarm::campaign_drifts(drift);
                }
            }
            findings.payments.retain(|id, _| met.contains(id));
            findings.campaigns = campaigns;
            findings.frozen = frozen;
            findings.as_of = Some(now);
            findings.passes += 1;
        });
    }
}

impl From<Compared> for CampaignDrift {
    fn from(compared: Compared) -> Self {
        Self {
            campaign_id: compared.campaign_id,
            shown: compared.shown,
            summed: compared.summed,
            donors_shown: compared.donors_shown,
            donors_counted: compared.donors_counted,
            frozen: compared.frozen,
        }
    }
}
