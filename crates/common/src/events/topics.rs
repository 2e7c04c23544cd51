//! The topics and how Kafka keeps them.

/// A topic's name and retention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Name, without any prefix.
    pub name: &'static str,
    /// Whether only the newest message of each key is kept, for ever.
    pub compacted: bool,
}

/// Accounts, keyed by user id.
pub const USER: Topic = Topic {
    name: "cfa.user.events.v1",
    compacted: false,
};

/// Names and addresses of donors, keyed by contact id. The one topic with personal data.
pub const CONTACT: Topic = Topic {
    name: "cfa.contact.state.v1",
    compacted: true,
};

/// Campaigns, keyed by campaign id.
pub const CAMPAIGN: Topic = Topic {
    name: "cfa.campaign.state.v1",
    compacted: true,
};

/// Pledges, keyed by pledge id.
pub const PLEDGE: Topic = Topic {
    name: "cfa.pledge.events.v1",
    compacted: false,
};

/// Payments, keyed by pledge id, so that one busy campaign does not fill one partition.
pub const PAYMENT: Topic = Topic {
    name: "cfa.payment.events.v1",
    compacted: false,
};

/// Totals, keyed by campaign id.
pub const TOTALS: Topic = Topic {
    name: "cfa.totals.events.v1",
    compacted: false,
};

/// Every topic.
pub const ALL: [Topic; 6] = [USER, CONTACT, CAMPAIGN, PLEDGE, PAYMENT, TOTALS];
