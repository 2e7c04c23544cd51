//! Who may call what: every operation of every service, called by everybody, through the gateway and around it.
//!
//! `CFA_MATRIX=1` prints the table: a row for each operation, a column for each caller, and the statuses that the caller
//! got; `.` stands where a caller was refused as it should be.

use std::{collections::HashMap, fmt::Write};

use common::{
    auth::{Issuer, Role},
    ids::UserId,
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use xtask::settings;

use crate::{
    described::{Facts, Operation, Request, documents, operations},
    harness::{Gift, Wish, World, as_a_client, calm, now, sign, success},
};

/// Who may be at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Forger,
    Expired,
    /// The account that made the pledge.
    Donor,
    /// An account that made another one.
    OtherDonor,
    /// An account that has nothing at all.
    Stranger,
    /// Of the campaign that the pledge is for.
    Organiser,
    /// Of another one.
    OtherOrganiser,
    Admin,
    /// Whoever has the guest token of the pledge.
    Guest,
    /// Whoever has that of another.
    OtherGuest,
    /// Whoever has the ticket of the pledge and nothing else.
    Payer,
    /// Whoever has that of another.
    OtherPayer,
    Provider,
}

use Who::{
    Admin, Donor, Expired, Forger, Guest, Nobody, Organiser, OtherDonor, OtherGuest,
    OtherOrganiser, OtherPayer, Payer, Provider, Stranger,
};

/// Those who are turned away most often come first: what the others do may change what there is to protect.
const EVERYBODY: [Who; 14] = [
    Nobody,
    Forger,
    Expired,
    Stranger,
    OtherGuest,
    OtherPayer,
    OtherDonor,
    OtherOrganiser,
    Provider,
    Payer,
    Guest,
    Donor,
    Organiser,
    Admin,
];

/// A campaign of the organiser's, a donor's paid pledge to it, and what each caller has to show.
struct Scene {
    world: &'static World,
    facts: Facts,
    gift: Gift,
    other: Gift,
    bearers: HashMap<&'static str, String>,
}

#[test]
fn whom_an_operation_is_not_for_is_refused_and_whom_it_is_for_is_not() {
    calm(async |world| {
        let scene = Scene::set(world).await;
        let mut faults = Vec::new();
        let mut table = String::new();
        let documents = documents(world).await;
        for who in EVERYBODY {
            for (service, document) in &documents {
                for operation in operations(service, document) {
                    let mut statuses = Vec::new();
                    for base in scene.doors(&operation) {
                        let (status, code, kept) = scene.try_door(&base, &operation, who).await;
                        statuses.push(status.as_u16().to_string());
                        let exists = scene.facts.has_all_of(&operation);
                        let fault = judge(&operation, who, status, code.as_deref(), exists)
                            .or_else(|| leak(&operation, kept.as_deref()));
                        faults.extend(fault.map(|fault| {
                            format!(
                                "{operation} at {base} answered {who:?} {status} {code:?}: {fault}"
                            )
                        }));
                    }
                    let _written = writeln!(table, "{operation}\t{who:?}\t{}", statuses.join(" "));
                }
            }
        }
        if settings::var("CFA_MATRIX").is_some() {
            show(&matrix(&table));
        }
        assert!(
            faults.is_empty(),
            "\n{}\n{}",
            faults.join("\n"),
            matrix(&table)
        );
    });
}

#[test]
fn an_unsafe_operation_without_its_key_is_refused() {
    calm(async |world| {
        let scene = Scene::set(world).await;
        let mut faults = Vec::new();
        let mut asked = 0;
        for (service, document) in &documents(world).await {
            for operation in operations(service, document) {
                let code = if operation.takes_header("Idempotency-Key") {
                    "idempotency_key_missing"
                } else if operation.takes_header("If-Match") {
                    "precondition_required"
                } else {
                    continue;
                };
                asked += 1;
                let who = welcome(&operation);
                for base in scene.doors(&operation) {
                    let request = scene.request(&base, &operation, who, None);
                    let reply = request.send().await.expect("an answer");
                    let status = reply.status();
                    let told = reply.json::<Value>().await.unwrap_or_default();
                    if !status.is_client_error() || told["code"] != code {
                        faults.push(format!("{operation} at {base} answered {status} {told}"));
                    }
                }
            }
        }
        assert!(faults.is_empty(), "\n{}", faults.join("\n"));
        assert!(asked >= 8, "{asked} operations take a key");
    });
}

impl Scene {
    async fn set(world: &'static World) -> Self {
        let email = |name: &str| format!("{name}-{}@example.org", Uuid::new_v4().simple());
        let organiser = world.account(&email("organiser")).await;
        let campaign = campaign_of(world, &organiser).await;
        let address = email("donor");
        let donor = world.account(&address).await;
        let gift = given(world, &campaign, &donor).await;
        world.pay(&gift).await;
        world.until_payment(&gift, "CAPTURED").await;
        let other = world.pledge(&campaign, 700).await;
        let other_donor = world.account(&email("other-donor")).await;
        given(world, &campaign, &other_donor).await;
        let other_organiser = world.account(&email("other-organiser")).await;
        campaign_of(world, &other_organiser).await;
        let bearers = HashMap::from([
            ("forger", forged()),
            ("expired", expired(world)),
            ("donor", donor),
            ("other donor", other_donor),
            ("stranger", world.account(&email("stranger")).await),
            ("other organiser", other_organiser),
            ("organiser", organiser),
            ("admin", world.admin().await.to_owned()),
        ]);
        Self {
            facts: facts(&campaign, &gift),
            world,
            gift,
            other,
            bearers,
        }
    }

    /// Where an operation can be called: at its service, and through the gateway unless it is internal.
    fn doors(&self, operation: &Operation) -> Vec<String> {
        let mut doors = vec![self.world.url(&operation.service)];
        let public = ["/api/", "/.well-known/"];
        if public.iter().any(|part| operation.path.starts_with(part)) {
            doors.push(self.world.gateway.clone());
        }
        doors
    }

    async fn try_door(
        &self,
        base: &str,
        operation: &Operation<'_>,
        who: Who,
    ) -> (StatusCode, Option<String>, Option<String>) {
        let key = Uuid::new_v4().to_string();
        let request = self.request(base, operation, who, Some(&key));
        let reply = request.send().await.expect("an answer");
        let status = reply.status();
        let kept = reply.headers().get("cache-control");
        let kept = kept.map(|kept| kept.to_str().expect("a text").to_owned());
        let kind = reply.headers().get("content-type");
        let is_problem = kind.is_some_and(|kind| kind == "application/problem+json");
        let body = reply.bytes().await.expect("a body");
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = told["code"].as_str().filter(|_| is_problem);
        (status, code.map(str::to_owned), kept)
    }

    fn request(
        &self,
        base: &str,
        operation: &Operation,
        who: Who,
        key: Option<&str>,
    ) -> RequestBuilder {
        let mut facts = self.facts.clone();
        // A ticket is a credential as well, in the query or in the body: whoever is not given one here has none.
        match who {
            Payer => facts.named.insert("ticket", json!(self.gift.ticket)),
            OtherPayer => facts.named.insert("ticket", json!(self.other.ticket)),
            _ => None,
        };
        let Request { method, path, body } = facts.request(operation);
        let mut request = self.world.client.request(method, format!("{base}{path}"));
        if operation.takes_header("Idempotency-Key") {
            request = key.into_iter().fold(request, |request, key| {
                request.header("idempotency-key", key)
            });
        }
        if operation.takes_header("If-Match") && key.is_some() {
            request = request.header("if-match", "\"1\"");
        }
        let body = body.unwrap_or_default();
        request = match who {
            Nobody | Payer | OtherPayer => request,
            Guest => request.header("x-guest-token", &self.gift.guest_token),
            OtherGuest => request.header("x-guest-token", &self.other.guest_token),
            Provider => {
                let secret = &self.world.provider.webhook_secret;
                request.header("stripe-signature", sign(secret, now(), &body))
            }
            Forger => request.bearer_auth(&self.bearers["forger"]),
            Expired => request.bearer_auth(&self.bearers["expired"]),
            Donor => request.bearer_auth(&self.bearers["donor"]),
            OtherDonor => request.bearer_auth(&self.bearers["other donor"]),
            Stranger => request.bearer_auth(&self.bearers["stranger"]),
            OtherOrganiser => request.bearer_auth(&self.bearers["other organiser"]),
            Organiser => request.bearer_auth(&self.bearers["organiser"]),
            Admin => request.bearer_auth(&self.bearers["admin"]),
        };
        if body.is_empty() {
            return request;
        }
        request
            .header("content-type", "application/json")
            .body(body)
    }
}

/// Whether the description lets this caller in.
fn admits(operation: &Operation, who: Who) -> bool {
    let bearer = |relation| operation.is_for("bearer", relation);
    operation.is_public()
        || match who {
            Nobody | Forger | Expired | OtherGuest | OtherPayer => false,
            Donor => bearer("OWNER"),
            // Whoever is nothing to what it asks for is let in only where every account is.
            Stranger | OtherDonor | OtherOrganiser => bearer("STRANGER"),
            Organiser => bearer("ORGANISER"),
            Admin => bearer("ADMIN"),
            Guest => operation.is_for("guest", "OWNER"),
            Payer => operation.is_for("ticket", "OWNER"),
            Provider => operation.is_for("stripe", "PROVIDER"),
        }
}

/// Somebody whom the operation is for.
fn welcome(operation: &Operation) -> Who {
    let mut all = EVERYBODY.into_iter().rev();
    all.find(|who| *who != Provider && admits(operation, *who))
        .unwrap_or_else(|| panic!("{operation} is for nobody"))
}

/// What is wrong with this answer to this caller, to a request about what exists or not.
fn judge(
    operation: &Operation,
    who: Who,
    status: StatusCode,
    code: Option<&str>,
    exists: bool,
) -> Option<&'static str> {
    let refused = [
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::NOT_FOUND,
    ];
    // That an admin's route would find nothing there is no refusal: it must not look.
    let refused = if operation.path.starts_with("/api/admin/") {
        &refused[..2]
    } else {
        &refused[..]
    };
    let shown_a_bad_token = matches!(who, Forger | Expired);
    if status.is_server_error() {
        return Some("a mistake of ours");
    }
    if status.is_client_error() && code.is_none() {
        return Some("no problem with a code");
    }
    if !admits(operation, who) {
        return (!refused.contains(&status)).then_some("it is not for them");
    }
    // Nobody is taken for a guest who shows a token that is none.
    if shown_a_bad_token && status == StatusCode::UNAUTHORIZED {
        return None;
    }
    let denied = refused[..2].contains(&status) && !judges_the_body(operation);
    let hidden = exists && status == StatusCode::NOT_FOUND;
    (denied || hidden).then_some("it is for them")
}

/// What is wrong with what a reply lets caches do. A guest's request is told from a stranger's by a header that no cache
/// looks at, so nothing that is not for everybody may be kept. What the provider is answered is nobody's secret.
fn leak(operation: &Operation, kept: Option<&str>) -> Option<&'static str> {
    let private = !operation.is_public() && !operation.is_for("stripe", "PROVIDER");
    (private && kept != Some("no-store")).then_some("a cache may keep it")
}

/// The operations that all may call and that judge what stands in the body: a password, a token, a ticket.
fn judges_the_body(operation: &Operation) -> bool {
    operation.is_public() && operation.method == "POST"
}

#[expect(clippy::print_stdout, reason = "a person asked to see it")]
fn show(table: &str) {
    println!("{table}");
}

/// The table that a person reads.
fn matrix(table: &str) -> String {
    let mut rows: Vec<(&str, HashMap<&str, &str>)> = Vec::new();
    for line in table.lines() {
        let mut cells = line.split('\t');
        let (operation, who, statuses) = (
            cells.next().unwrap_or_default(),
            cells.next().unwrap_or_default(),
            cells.next().unwrap_or_default(),
        );
        match rows.iter_mut().find(|(name, _)| *name == operation) {
            Some((_, row)) => {
                row.insert(who, statuses);
            }
            None => rows.push((operation, HashMap::from([(who, statuses)]))),
        }
    }
    let mut text = format!("{:62}", "at the service, and through the gateway");
    for who in EVERYBODY {
        let _written = write!(text, "{:15}", format!("{who:?}"));
    }
    for (operation, row) in rows {
        let _written = write!(text, "\n{operation:62}");
        for who in EVERYBODY {
            let statuses = row.get(format!("{who:?}").as_str()).copied();
            let _written = write!(text, "{:15}", statuses.unwrap_or_default());
        }
    }
    text
}

async fn campaign_of(world: &World, organiser: &str) -> String {
    let proposal = json!({
        "title": "A school for Bhola",
        "story": "The river took the last one.",
        "category": "education",
        "goal": { "amount": 1_000_000, "currency": "USD" },
    });
    let made = as_a_client("the campaign is made", || {
        let request = world.post("/api/campaigns", Uuid::new_v4(), &proposal);
        request.bearer_auth(organiser)
    });
    let made = success(made.await).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    world
        .administer(&format!("/api/campaigns/{id}/submit"), &json!({}))
        .await;
    let approve = format!("/api/admin/campaigns/{id}/approve");
    world
        .administer(&approve, &json!({ "reason": "looks good" }))
        .await;
    world.until_pledge_knows(&id, "ACTIVE").await;
    id
}

/// A gift of the account's.
async fn given(world: &World, campaign: &str, account: &str) -> Gift {
    let mut wish = Wish::new(campaign, 2500);
    let body = wish.body.as_object_mut().expect("an object");
    body.remove("donor");
    // The account's registration reaches the pledge service as an event.
    let reply = testkit::eventually("the account is known", async || {
        let request = world.post("/api/pledges", wish.key, &wish.body);
        let reply = request.bearer_auth(account).send().await.ok()?;
        reply.status().is_success().then_some(reply)
    });
    Gift::of(&wish, reply.await).await
}

fn facts(campaign: &str, gift: &Gift) -> Facts {
    let text = |text: &str| json!(text);
    Facts {
        ids: HashMap::from([
            ("campaigns", campaign.to_owned()),
            ("totals", campaign.to_owned()),
            ("refund-batches", campaign.to_owned()),
            ("pledges", gift.id.clone()),
            ("payments", gift.payment_id.clone()),
        ]),
        named: HashMap::from([
            ("campaign_id", text(campaign)),
            ("pledge_id", text(&gift.id)),
            ("payment_id", text(&gift.payment_id)),
            ("channel", text(&format!("campaign:{campaign}"))),
            ("password", text("correct horse battery staple")),
            (
                "email",
                json!(format!("caller-{}@example.org", Uuid::new_v4().simple())),
            ),
        ]),
    }
}

/// An administrator's token by another key.
fn forged() -> String {
    let at = chrono::DateTime::from_timestamp(now(), 0).expect("a time");
    let token = testkit::other_issuer().access(UserId::new(), Role::Admin, at);
    token.expect("a token")
}

/// An administrator's token whose time is over.
fn expired(world: &World) -> String {
    let issuer = Issuer::new("main", &world.secrets.jwt_private_key.clone().into())
        .expect("the fleet's key");
    let past = now() - Issuer::lifetime() - 1;
    let at = chrono::DateTime::from_timestamp(past, 0).expect("a time");
    issuer
        .access(UserId::new(), Role::Admin, at)
        .expect("a token")
}
