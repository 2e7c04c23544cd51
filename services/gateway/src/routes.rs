//! The routing table: which service owns a path.

use std::ops::Index;

use http::uri::PathAndQuery;

/// The services behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Accounts and tokens.
    User,
    /// Campaigns and their moderation.
    Campaign,
    /// Gifts.
    Pledge,
    /// Money and the provider's webhooks.
    Payment,
    /// What a campaign has raised, and its wall.
    Totals,
    /// Mails and the live feed.
    Notification,
}

/// What sets a route apart beyond its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing does.
    Plain,
    /// It takes credentials, so few tries are allowed.
    Login,
    /// The provider delivers here; the owner verifies its signature.
    Webhook,
    /// It may become a WebSocket.
    Feed,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The owner of the path.
    pub service: Service,
    /// What sets the route apart.
    pub kind: Kind,
    /// The first part of the path, for metrics and spans: one of few names, never an id.
    pub name: &'static str,
}

/// Finds the owner of a path; whatever is not in this table does not exist for the outside. `/api/v1` is `/api`.
pub fn route(path: &str) -> Option<Route> {
    use Kind::{Feed, Login, Plain, Webhook};
    use Service::{Campaign, Notification, Payment, Pledge, Totals, User};

    if path == "/.well-known/jwks.json" {
        return Some(Route {
            service: User,
            kind: Plain,
            name: "/.well-known/jwks.json",
        });
    }
    let rest = path
        .strip_prefix("/api/v1/")
        .or_else(|| path.strip_prefix("/api/"))?;
    let mut segments = rest.split('/');
    let (first, second, third) = (segments.next()?, segments.next(), segments.next());
    let (service, kind, name) = match (first, second, third) {
        ("auth", ..) => (User, Login, "/api/auth"),
        ("users", Some("login" | "register"), None) => (User, Login, "/api/users"),
        ("users", ..) => (User, Plain, "/api/users"),
        ("campaigns", Some(_), Some("donations")) => {
            (Totals, Plain, "/api/campaigns/{id}/donations")
        }
        ("campaigns", Some(_), Some("totals")) => (Totals, Plain, "/api/campaigns/{id}/totals"),
        ("campaigns", ..) => (Campaign, Plain, "/api/campaigns"),
        ("pledges", ..) => (Pledge, Plain, "/api/pledges"),
        ("payments", Some("webhook"), None) => (Payment, Webhook, "/api/payments/webhook"),
        ("payments", ..) => (Payment, Plain, "/api/payments"),
        ("webhooks", ..) => (Payment, Webhook, "/api/webhooks"),
        ("totals", ..) => (Totals, Plain, "/api/totals"),
        ("notifications", ..) => (Notification, Plain, "/api/notifications"),
        ("ws", None, None) => (Notification, Feed, "/api/ws"),
        ("admin", Some("campaigns"), _) => (Campaign, Plain, "/api/admin/campaigns"),
        ("admin", Some("payments"), _) => (Payment, Plain, "/api/admin/payments"),
        ("admin", Some("ledger"), _) => (Payment, Plain, "/api/admin/ledger"),
        ("admin", Some("reconciliation"), _) => (Payment, Plain, "/api/admin/reconciliation"),
        ("admin", Some("exceptions"), _) => (Payment, Plain, "/api/admin/exceptions"),
        ("admin", Some("disputes"), _) => (Payment, Plain, "/api/admin/disputes"),
        ("admin", Some("refund-batches"), _) => (Payment, Plain, "/api/admin/refund-batches"),
        ("admin", Some("webhooks"), _) => (Payment, Plain, "/api/admin/webhooks"),
        ("admin", Some("totals"), _) => (Totals, Plain, "/api/admin/totals"),
        ("admin", Some("notifications"), _) => (Notification, Plain, "/api/admin/notifications"),
        _ => return None,
    };
    Some(Route {
        service,
        kind,
        name,
    })
}

/// The path and query as the services know them: the alias `/api/v1` becomes `/api`, all else stays as it came.
pub fn canonical(asked: &PathAndQuery) -> PathAndQuery {
    match asked.as_str().strip_prefix("/api/v1/") {
        Some(rest) => format!("/api/{rest}")
            .parse()
            .unwrap_or_else(|_| asked.clone()),
        None => asked.clone(),
    }
}

impl Service {
    /// Every service, in the order of [`PerService`].
    pub const ALL: [Self; 6] = [
        Self::User,
        Self::Campaign,
        Self::Pledge,
        Self::Payment,
        Self::Totals,
        Self::Notification,
    ];

    /// Its one name.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Campaign => "campaign",
            Self::Pledge => "pledge",
            Self::Payment => "payment",
            Self::Totals => "totals",
            Self::Notification => "notification",
        }
    }
}

/// One value for each service.
#[derive(Clone, Debug)]
pub struct PerService<T>([T; Service::ALL.len()]);

impl<T> PerService<T> {
    /// Makes the value of each service.
    pub fn of(make: impl FnMut(Service) -> T) -> Self {
        Self(Service::ALL.map(make))
    }

    /// Every service with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Service, &T)> {
        Service::ALL.into_iter().zip(&self.0)
    }
}

impl<T> Index<Service> for PerService<T> {
    type Output = T;

    fn index(&self, service: Service) -> &T {
        &self.0[service as usize]
    }
}
