//! One made-up donation: everything about it follows from its number.

use chrono::{DateTime, TimeDelta, Utc};
use common::events::Visibility;
use common::ids::{CampaignId, ContactId, PaymentId, PledgeId};
use common::payment::State;
use uuid::{Builder, Uuid};

use super::Plan;

/// From the pledge to the capture.
const PAYING: TimeDelta = TimeDelta::seconds(40);
/// How long a donor has to pay.
const LIFETIME: TimeDelta = TimeDelta::minutes(30);
/// How many gifts a donor makes, on average.
const GIFTS_PER_DONOR: u64 = 3;

/// A donation that went well.
#[derive(Clone, Copy)]
pub(super) struct Gift {
    /// Its number, from 0; later ones were made later.
    pub(super) n: u64,
    /// Its campaign's number.
    pub(super) campaign_number: u64,
    /// Its donor's number.
    pub(super) donor: u64,
    pub(super) pledge: PledgeId,
    pub(super) payment: PaymentId,
    pub(super) campaign: CampaignId,
    pub(super) contact: ContactId,
    /// In minor units of US dollars.
    pub(super) amount: i64,
    /// What the provider keeps of it.
    pub(super) fee: i64,
    pub(super) visibility: Visibility,
    /// Whether it comes with a message.
    pub(super) speaks: bool,
    pub(super) created: DateTime<Utc>,
    pub(super) captured: DateTime<Utc>,
    /// When its money became available; `None`: not yet.
    pub(super) settled: Option<DateTime<Utc>>,
    /// When its money becomes available, or did.
    pub(super) available: DateTime<Utc>,
    seed: u64,
}

/// What several ids of one donation are told apart by.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Pledge = 1,
    Contact,
    Campaign,
    Delivery,
    CapturedSet,
    SettledSet,
    Intent,
    Charge,
    Transaction,
    Event,
    Donor,
    Draw,
    Key,
    Message,
}

impl Gift {
    /// The donation of this number.
    pub(super) fn nth(plan: &Plan, n: u64) -> Self {
        let draw = bits(plan.seed, Of::Draw, n, 0);
        let created = plan.made_at(n);
        let captured = created + PAYING;
        let available = captured + Plan::settling();
        let pledge = PledgeId::from(timed(created, plan.seed, Of::Pledge, n));
        let amount = 500 + 100 * i64::try_from((draw >> 8) % 50).unwrap_or_default();
        let campaign_number = plan.popular(draw >> 32);
        Self {
            n,
            campaign_number,
            donor: bits(plan.seed, Of::Draw, n, 1) % plan.gifts.div_ceil(GIFTS_PER_DONOR),
            pledge,
            payment: PaymentId::of(pledge, 1),
            campaign: plan.campaign(campaign_number),
            contact: ContactId::from(timed(created, plan.seed, Of::Contact, n)),
            amount,
            fee: amount * 29 / 1000 + 30,
            visibility: match draw % 10 {
                0..7 => Visibility::Public,
                7..9 => Visibility::Anonymous,
                _ => Visibility::HiddenAmount,
            },
            speaks: draw & 0x30 == 0,
            created,
            captured,
            settled: Some(available).filter(|at| *at <= plan.until),
            available,
            seed: plan.seed,
        }
    }

    /// When the donor's time to pay ends.
    pub(super) fn expires(&self) -> DateTime<Utc> {
        self.created + LIFETIME
    }

    /// When it last changed.
    pub(super) fn updated(&self) -> DateTime<Utc> {
        self.settled.unwrap_or(self.captured)
    }

    /// The version of its payment: made, taken, and available.
    pub(super) fn payment_version(&self) -> i64 {
        if self.settled.is_some() { 3 } else { 2 }
    }

    /// Where its payment stands.
    pub(super) fn state(&self) -> State {
        match self.settled {
            Some(_) => State::Completed,
            None => State::Captured,
        }
    }

    /// The pseudonym of its donor.
    pub(super) fn donor_ref(&self) -> String {
        let word = |salt| bits(self.seed, Of::Donor, self.donor, salt);
        format!(
            "{:016x}{:016x}{:016x}{:016x}",
            word(0),
            word(1),
            word(2),
            word(3)
        )
    }

    /// The donor's name.
    pub(super) fn name(&self) -> String {
        format!("Donor {}", self.donor)
    }

    /// The name to show.
    pub(super) fn public_name(&self) -> Option<String> {
        (self.visibility != Visibility::Anonymous).then(|| self.name())
    }

    /// What the donor says.
    pub(super) fn message(&self) -> Option<String> {
        self.speaks
            .then(|| format!("For everybody who needs it, from number {}.", self.n))
    }

    /// The donor's address.
    pub(super) fn email(&self) -> String {
        format!("donor{}@example.org", self.donor)
    }

    /// An id that sorts by time.
    pub(super) fn uuid(&self, of: Of, at: DateTime<Utc>) -> Uuid {
        timed(at, self.seed, of, self.n)
    }

    /// An id as the provider gives it: the time, and what looks random.
    pub(super) fn object(&self, prefix: &str, of: Of) -> String {
        let second = self.created.timestamp();
        let random = bits(self.seed, of, self.n, 0) >> 4;
        format!("{prefix}_3{second:08x}{random:015x}")
    }

    /// As many hexadecimal digits as make `bytes` bytes, which say nothing.
    pub(super) fn noise(&self, of: Of, bytes: usize) -> String {
        let word = format!("{:016x}", bits(self.seed, of, self.n, 9));
        let mut digits = word.repeat(bytes.div_ceil(8));
        digits.truncate(2 * bytes);
        digits
    }
}

/// A UUIDv7 of this time.
pub(super) fn timed(at: DateTime<Utc>, seed: u64, of: Of, n: u64) -> Uuid {
    let millis = u64::try_from(at.timestamp_millis()).unwrap_or_default();
    let mut random = [0; 10];
    random[..8].copy_from_slice(&bits(seed, of, n, 0).to_be_bytes());
    random[8..].copy_from_slice(&bits(seed, of, n, 1).to_be_bytes()[..2]);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Bits that look random and are the same each time (splitmix64).
fn bits(seed: u64, of: Of, n: u64, salt: u64) -> u64 {
    let start = seed ^ ((of as u64) << 56) ^ (salt << 48);
    let mut z = start.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
