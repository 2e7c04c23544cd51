//! The audit: it holds for a healthy fleet, and names what somebody changed behind the services' back.

use std::{fs, path::PathBuf};

use chassis::kafka::{Config, Kafka, Record, Topic};
use proof::{
    audit::{Report, audit},
    journal::{Entry, Journal, Kind, Outcome},
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use testkit::eventually;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::harness::{Gift, Wish, World, still, success};

/// What the fleet went through before it came to rest.
pub struct Past {
    /// Audited while the services still ran.
    report: Report,
    /// A gift that was paid.
    pub paid: Gift,
    /// A gift that was not.
    pub open: Gift,
    /// A gift whose money is held.
    pub held: Gift,
    /// A gift of which a part was given back.
    pub refunded: Gift,
    /// A gift that the bank of its donor has taken back.
    pub disputed: Gift,
}

#[test]
fn a_healthy_fleet_holds_running_and_stopped() {
    at_rest(async |world, past| {
        holds(&past.report);
        let skipped = past.report.verdicts.iter();
        let skipped: Vec<_> = skipped
            .filter(|verdict| verdict.skipped.is_some())
            .map(|verdict| verdict.invariant)
            .collect();
        assert!(skipped.starts_with(&["I1", "I2"]), "{}", past.report);
        holds(&world.copy().await.audit().await);
    });
}

#[test]
fn a_row_changed_behind_the_services_back_breaks_its_invariant() {
    at_rest(async |world, past| {
        let payment = &past.paid.payment_id;
        for (broken, change) in [
            (
                "I3 I4 I5 I9 I10",
                "update payment.payments set captured_minor = captured_minor - 1 where payment_id = '{}'",
            ),
            (
                "I3",
                "update payment.payments set provider_ref = 'pi_nobody' where payment_id = '{}'",
            ),
            (
                "I4 I5",
                "alter table payment.ledger_entries disable trigger all;
                 delete from payment.ledger_entries
                 where account = 'campaign_payable'
                   and set_id = (select set_id from payment.ledger_sets where payment_id = '{}')",
            ),
            (
                "I4 I5",
                "alter table payment.ledger_entries disable trigger all;
                 update payment.ledger_entries set amount_minor = amount_minor * 2
                 where set_id = (select set_id from payment.ledger_sets where payment_id = '{}')",
            ),
            (
                "I4",
                "alter table payment.ledger_holds disable trigger all;
                 delete from payment.ledger_holds where not resolved",
            ),
            (
                "I4",
                "set search_path to payment;
                 with set as (insert into payment.ledger_sets (set_id, payment_id, effect, psp_object, at)
                              values (gen_random_uuid(), '{}', 'settled', 'txn_nobody', now()) returning set_id)
                 insert into payment.ledger_entries (set_id, line, account, currency, amount_minor, at)
                 select set_id, line, account, 'USD', minor, now()
                 from set, (values (1, 'fees', 5), (2, 'platform_tip', -5)) as e (line, account, minor)",
            ),
            (
                "I5",
                "update totals.campaign_totals set captured = captured + 1 where captured > 0",
            ),
            (
                "I5",
                "update totals.donations set message = 'not by the donor'
                 where pledge_id = (select pledge_id from payment.payments where payment_id = '{}')",
            ),
            (
                "I5",
                "update totals.campaign_totals set donors = donors + 1 where captured > 0",
            ),
            ("I5", "delete from totals.payment_watermarks where payment_id = '{}'"),
            ("I5", "update totals.payment_watermarks set pledge_id = payment_id where payment_id = '{}'"),
            (
                "I5",
                "alter table totals.totals_moves disable trigger all;
                 delete from totals.totals_moves where payment_id = '{}'",
            ),
            (
                "I6",
                "insert into pledge.outbox (event_id, topic, key, kind, payload)
                 values ('{}', 'cfa.pledge.events.v1', '{}', 'pledge.created', '{}')",
            ),
            (
                "I6",
                "update pledge.pledges set version = version + 1 where payment_id = '{}'",
            ),
            (
                "I6",
                "update totals.campaign_totals set version = version + 1 where captured > 0",
            ),
            (
                "I7",
                "delete from payment.webhook_events where payment_id = '{}' and verdict = 'IGNORED'
                     or event_id = (select event from (select event_id as event from payment.webhook_events
                                    where payment_id = '{}' limit 1) one)",
            ),
            (
                "I7",
                "alter table payment.webhook_events drop constraint webhook_events_pkey;
                 insert into payment.webhook_events select * from payment.webhook_events where payment_id = '{}'",
            ),
            (
                "I8",
                "delete from payment.payment_transitions where payment_id = '{}' and to_state = 'AUTHORIZED'",
            ),
            (
                "I8",
                "delete from payment.payment_transitions where payment_id = '{}'",
            ),
            (
                "I8",
                "insert into payment.payment_transitions (payment_id, version, from_state, to_state, cause, implied, at)
                 values ('{}', 2, 'CAPTURED', 'AUTHORIZED', 'hand', true, now()),
                        ('{}', 2, 'AUTHORIZED', 'CAPTURED', 'hand', true, now())",
            ),
            (
                "I9",
                "update pledge.pledges set status = 'PENDING' where payment_id = '{}'",
            ),
            (
                "I9",
                "update pledge.pledges set refunded_minor = 1 where payment_id = '{}'",
            ),
            (
                "I9",
                "update pledge.pledges set tip_minor = tip_minor + 1 where payment_id = '{}'",
            ),
            (
                "I9 I10",
                "update payment.payments set contact_id = gen_random_uuid() where payment_id = '{}'",
            ),
            (
                "I9",
                "update pledge.campaigns set version = version - 1
                 where campaign_id = (select campaign_id from payment.payments where payment_id = '{}')",
            ),
            (
                "I9",
                "alter table pledge.pledge_timeline disable trigger all;
                 delete from pledge.pledge_timeline where payment_id = '{}'",
            ),
            (
                "I9",
                "alter table pledge.pledge_timeline disable trigger all;
                 update pledge.pledge_timeline set captured_minor = captured_minor - 1 where payment_id = '{}'",
            ),
            (
                "I10",
                "alter table pledge.receipts disable trigger all;
                 delete from pledge.receipts where payment_id = '{}'",
            ),
            (
                "I10",
                "alter table pledge.receipts disable trigger all;
                 update pledge.receipts set gift_minor = gift_minor + 1 where payment_id = '{}'",
            ),
            ("I10", "update pledge.receipt_numbers set last = last + 1"),
            (
                "I10",
                "update notification.deliveries set contact_id = gen_random_uuid() where payment_id = '{}'",
            ),
            ("I10", "delete from notification.deliveries where payment_id = '{}'"),
            (
                "I10",
                "alter table notification.deliveries drop constraint deliveries_kind_payment_id_unique;
                 insert into notification.deliveries
                 select gen_random_uuid(), kind, payment_id, campaign_id, contact_id, amount, currency, traceparent,
                        status, attempts, last_result, next_attempt_at, created_at, sent_at
                 from notification.deliveries where payment_id = '{}'",
            ),
            (
                "I10",
                "update notification.deliveries set attempts = 0 where payment_id = '{}'",
            ),
        ] {
            let copy = world.copy().await;
            copy.change(&change.replace("{}", payment));
            breaks(&copy.audit().await, broken, change);
        }
    });
}

#[test]
fn a_gift_that_donors_were_told_otherwise_of_is_found() {
    at_rest(async |world, past| {
        let stranger = Entry {
            email: "nobody@example.org".to_owned(),
            pledge_id: Some(Uuid::new_v4()),
            ..told(&past.paid, Outcome::Ok)
        };
        let more = Entry {
            amount: past.paid.wish.amount + 1,
            ..told(&past.paid, Outcome::Ok)
        };
        let nothing_came = Entry {
            email: "nobody@example.org".to_owned(),
            ..told(&past.paid, Outcome::Fail)
        };
        for (broken, entry) in [
            ("", told(&past.paid, Outcome::Ok)),
            ("", told(&past.open, Outcome::Unknown)),
            ("", nothing_came),
            ("I1", stranger),
            ("I1", more),
            ("I2", told(&past.paid, Outcome::Fail)),
            // As much for the same campaign, right after the other, and nobody was asked.
            ("I2", unasked(&past.open, &past.paid)),
            ("", unasked(&past.open, &past.refunded)),
        ] {
            let mut copy = world.copy().await;
            copy.sources.journal = Some(one_line(world, &entry));
            breaks(&copy.audit().await, broken, &format!("{entry:?}"));
        }
        // Two donors, each thanked for the gift of the other.
        let mut copy = world.copy().await;
        copy.change(&format!(
            "update notification.contacts c set email = o.email
             from pledge.pledges p, pledge.pledges q, notification.contacts o
             where c.contact_id = p.contact_id and o.contact_id = q.contact_id
               and ((p.pledge_id, q.pledge_id) = ('{0}', '{1}') or (p.pledge_id, q.pledge_id) = ('{1}', '{0}'))",
            past.open.id, past.paid.id
        ));
        copy.sources.journal = Some(one_line(world, &told(&past.paid, Outcome::Ok)));
        breaks(&copy.audit().await, "I1", "two addresses were swapped");
        // The same wish, fulfilled twice.
        for (broken, outcome) in [("I1 I9", Outcome::Ok), ("I2 I9", Outcome::Unknown)] {
            let mut copy = world.copy().await;
            copy.change(&format!(
                "update pledge.pledges set contact_id = (select contact_id from pledge.pledges where pledge_id = '{}')
                 where pledge_id = '{}'",
                past.open.id, past.paid.id
            ));
            copy.sources.journal = Some(one_line(world, &told(&past.open, outcome)));
            breaks(&copy.audit().await, broken, "two pledges of one key");
        }
    });
}

#[test]
fn an_answer_that_is_a_mistake_of_ours_is_found() {
    at_rest(async |world, past| {
        for (broken, kind, status) in [
            ("I12", Kind::Pledge, 500),
            ("", Kind::Pledge, 503),
            ("I12", Kind::Look, 500),
            ("", Kind::Confirm, 500),
        ] {
            let entry = Entry {
                kind,
                status: Some(status),
                route: "POST /api/pledges".to_owned(),
                trace_id: Some("4bf92f".to_owned()),
                ..told(&past.paid, Outcome::Unknown)
            };
            let mut copy = world.copy().await;
            copy.sources.journal = Some(one_line(world, &entry));
            let report = copy.audit().await;
            breaks(&report, broken, &format!("{entry:?}"));
            let names = report
                .to_string()
                .contains("500 POST /api/pledges (trace 4bf92f)");
            assert_eq!(names, !broken.is_empty(), "{report}");
        }
    });
}

#[test]
fn an_order_that_operators_were_told_otherwise_of_is_found() {
    at_rest(async |world, past| {
        let order = |gift: &Gift, kind, amount| Entry {
            kind,
            amount,
            ..told(gift, Outcome::Ok)
        };
        let rebuild = Entry {
            intent: Some(Uuid::new_v4().to_string()),
            ..order(&past.paid, Kind::Rebuild, 0)
        };
        let taken = "insert into payment.captures (payment_id, amount_minor, asked_at)
                     select payment_id, captured_minor, now() from payment.payments where payment_id = '{}'";
        // The bank let go before the order could be carried out.
        let lapsed = "insert into payment.captures (payment_id, amount_minor, asked_at)
                      select payment_id, authorized_minor, now() from payment.payments where payment_id = '{}';
                      update payment.payments set state = 'EXPIRED', authorized_minor = 0 where payment_id = '{}'";
        let less = "insert into payment.captures (payment_id, amount_minor, asked_at)
                    select payment_id, authorized_minor - 1, now() from payment.payments where payment_id = '{}';
                    update payment.payments set state = 'EXPIRED', authorized_minor = 0 where payment_id = '{}'";
        let let_go = "update payment.payments set state = 'CANCELLED' where payment_id = '{}'";
        let called_off = "update campaign.campaigns set status = 'CANCELLED' where campaign_id =
                          (select campaign_id from payment.payments where payment_id = '{}')";
        for (broken, entry, change) in [
            ("", order(&past.paid, Kind::Capture, 0), taken),
            ("", order(&past.paid, Kind::Capture, 2500), taken),
            ("I1", order(&past.paid, Kind::Capture, 2499), taken),
            ("I1", order(&past.paid, Kind::Capture, 0), ""),
            ("I1", order(&past.held, Kind::Capture, 0), ""),
            (
                "I3 I4 I5 I8 I9",
                order(&past.held, Kind::Capture, 0),
                lapsed,
            ),
            (
                "I1 I3 I4 I5 I8 I9",
                order(&past.held, Kind::Capture, 0),
                less,
            ),
            ("I1", order(&past.held, Kind::Void, 0), ""),
            ("I3 I4 I5 I8 I9", order(&past.held, Kind::Void, 0), let_go),
            ("I1", order(&past.open, Kind::CallOff, 0), ""),
            ("I3 I9", order(&past.open, Kind::CallOff, 0), called_off),
            ("I1", rebuild, ""),
        ] {
            let mut copy = world.copy().await;
            copy.sources.journal = Some(one_line(world, &entry));
            let payment = entry.payment_id.expect("an id").to_string();
            copy.change(&change.replace("{}", &payment));
            breaks(&copy.audit().await, broken, &format!("{change} {entry:?}"));
        }
    });
}

#[test]
fn a_refused_message_and_a_group_that_is_behind_are_found() {
    at_rest(async |world, _past| {
        let copy = world.copy().await;
        let (brokers, prefix) = (
            copy.sources.brokers.clone().expect("a broker"),
            copy.sources.topic_prefix.clone(),
        );
        let dlq = format!("{prefix}cfa.pledge.events.v1.dlq");
        poison(&brokers, &prefix).await;
        breaks(&copy.audit().await, "I9", "a message in a .dlq");
        clear(&brokers, &dlq).await;

        let (topic, group) = (
            format!("{prefix}cfa.payment.events.v1"),
            format!("{prefix}totals"),
        );
        let end = commit(&brokers, &group, &topic, 0).await;
        breaks(&copy.audit().await, "I9", "a group that is behind");
        commit(&brokers, &group, &topic, end).await;
        holds(&copy.audit().await);
    });
}

#[test]
fn a_topic_that_contradicts_itself_is_found() {
    at_rest(async |world, past| {
        let mut copy = world.copy().await;
        let brokers = copy.sources.brokers.clone().expect("a broker");
        // Topics of its own, in which everything else is missing: what is looked for here are the findings.
        copy.sources.topic_prefix = format!("{}.", Uuid::now_v7().simple());
        let told = |key: &str, version: i64, event: Uuid| Record {
            topic: "cfa.pledge.events.v1".to_owned(),
            key: key.to_owned(),
            payload: json!({ "version": version }).to_string().into_bytes(),
            headers: vec![("ce_id".to_owned(), event.to_string())],
        };
        let [sound, twofold, back, gap] = std::array::from_fn(|_| Uuid::now_v7().to_string());
        let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
        let records = vec![
            told(&sound, 1, first),
            told(&sound, 2, second),
            told(&sound, 1, first),
            told(&twofold, 1, first),
            told(&twofold, 1, second),
            told(&back, 2, first),
            told(&back, 1, second),
            told(&gap, 1, first),
            told(&gap, 3, second),
            told("nobody", 1, first),
        ];
        publish(&brokers, &copy.sources.topic_prefix, records).await;
        let report = copy.audit().await;
        let verdict = report
            .verdicts
            .iter()
            .find(|verdict| verdict.invariant == "I6");
        let verdict = verdict.expect("a verdict on the topics");
        let ids = |what: &str| {
            let finding = verdict.findings.iter().find(|one| one.what == what);
            finding.map_or(&[][..], |one| &one.ids)
        };
        let pledge = |id: &str| vec![format!("cfa.pledge.events.v1/{id}")];
        for (what, expected) in [
            (
                "versions that two events tell of",
                pledge(&format!("{twofold}@1")),
            ),
            (
                "aggregates that went back to an older version",
                pledge(&back),
            ),
            ("aggregates of which a version was not told", pledge(&gap)),
            ("records that say nothing", pledge("0@9")),
        ] {
            assert_eq!(ids(what), expected, "{what}\n{report}");
        }
        assert!(
            verdict
                .compared
                .starts_with("10 records (1 of them copies) of 4 "),
            "{report}"
        );
        let untold = ids("pledges that are told otherwise than they are");
        assert!(
            [&sound, &past.paid.id].iter().all(|id| untold.contains(id)),
            "{report}"
        );
        let unheard = ids("contacts that nobody was told of");
        assert!(!unheard.is_empty(), "{report}");
    });
}

#[test]
fn an_open_transaction_is_found() {
    at_rest(async |world, _past| {
        let copy = world.copy().await;
        let mut idle = PgConnection::connect(&copy.sources.database_url)
            .await
            .expect("a session");
        sqlx::raw_sql("begin; select 1 from payment.payments")
            .execute(&mut idle)
            .await
            .expect("an open transaction");
        eventually("it has been open for a while", async || {
            (copy.audit().await.broken() == ["I11"]).then_some(())
        })
        .await;
        sqlx::raw_sql("rollback")
            .execute(&mut idle)
            .await
            .expect("it ends");
        holds(&copy.audit().await);
    });
}

#[test]
fn a_failure_without_a_trace_and_a_secret_in_a_log_are_found() {
    at_rest(async |world, _past| {
        let mut copy = world.copy().await;
        let logs = world.folder("told");
        fs::create_dir_all(&logs).expect("a folder");
        copy.sources.logs = Some(logs.clone());
        let line = |more: serde_json::Value| {
            let mut line = json!({ "level": "ERROR", "service": "pledge" });
            let more = more.as_object().expect("an object").clone();
            line.as_object_mut().expect("an object").extend(more);
            line.to_string()
        };
        for (broken, text) in [
            (
                "",
                line(json!({ "message": "request failed", "trace_id": "0af7" })),
            ),
            (
                "",
                line(json!({ "message": "mail sent to a1b2@c3d4, cause at [email protected" })),
            ),
            (
                "I12",
                line(json!({ "message": "request failed", "error": "out of luck" })),
            ),
            ("I12", line(json!({ "message": "hello ada@example.org" }))),
            (
                "I12",
                line(json!({ "message": "no postgres://pledge:hunter2@127.0.0.1:5432/db" })),
            ),
            ("I12", line(json!({ "message": "key sk_test_51N2x3y4z5" }))),
            (
                "I12",
                line(json!({ "message": "paid by pi_3XQl_secret_NNMFpfTmybj" })),
            ),
            (
                "I12",
                line(json!({ "message": "Authorization: Bearer abcdefghijk" })),
            ),
        ] {
            fs::write(logs.join("pledge-2.log"), format!("{text}\n")).expect("a log");
            breaks(&copy.audit().await, broken, &text);
        }
        // An id may hold what tokens begin with.
        let harmless =
            line(json!({ "message": "applied", "psp.event": "evt_370y9yDseyJxuJs3iOOJiGTU" }));
        fs::write(logs.join("pledge-2.log"), format!("{harmless}\n")).expect("a log");
        let report = copy.audit().await;
        assert!(!report.broken().contains(&"I12"), "{report}");
    });
}

#[test]
fn a_witness_that_cannot_be_asked_is_no_verdict() {
    at_rest(async |world, _past| {
        let sources = world.copy().await.sources.clone();
        for broken in [
            proof::audit::Sources {
                database_url: "postgres://postgres@127.0.0.1:1/nothing".to_owned(),
                ..sources.clone()
            },
            proof::audit::Sources {
                mail_url: Some("http://127.0.0.1:1".to_owned()),
                ..sources.clone()
            },
            proof::audit::Sources {
                journal: Some(world.folder("no-such-journal.jsonl")),
                ..sources.clone()
            },
            proof::audit::Sources {
                ledger: written(world, "nonsense.jsonl", &["{\"fact\":{}}"]),
                ..sources.clone()
            },
        ] {
            let said = audit(&broken).await;
            assert!(said.is_err(), "{said:?}");
        }
    });
}

/// Runs a test once gifts of every kind were given, everything has settled, and the services have ended.
pub fn at_rest(test: impl AsyncFnOnce(&'static World, &'static Past)) {
    static PAST: OnceCell<Past> = OnceCell::const_new();
    still(async |world| {
        let past = PAST.get_or_init(|| prepare(world)).await;
        test(world, past).await;
    });
}

async fn prepare(world: &World) -> Past {
    world.account("organiser@example.org").await;
    let campaign = world.campaign().await;
    let paid = world.pledge(&campaign, 2500).await;
    world.pay(&paid).await;
    let declined = world.pledge(&campaign, 700).await;
    let intent = world.open(&declined).await;
    world
        .provider
        .confirm(&intent, "pm_card_chargeDeclined")
        .await;
    success(world.provider.confirm(&intent, "pm_card_visa").await).await;
    let open = world.pledge(&campaign, 2500).await;
    world.open(&open).await;
    let refunded = world.pledge(&campaign, 1800).await;
    world.pay(&refunded).await;
    let disputed = world.pledge(&campaign, 1500).await;
    let complained = world.open(&disputed).await;
    let complains = "pm_card_createDispute";
    success(world.provider.confirm(&complained, complains).await).await;
    let manual = world.campaign_with(json!({ "capture": "manual" })).await;
    let held = world.pledge(&manual, 4000).await;
    world.pay(&held).await;
    // Once more under the same key.
    let again = world.send(&paid.wish).await;
    assert!(again.status().is_success());
    let lost = Wish::new(&Uuid::new_v4().to_string(), 100);
    assert!(world.send(&lost).await.status().is_client_error());
    world.until_mail(&paid.wish.email).await;
    world.until_mail(&declined.wish.email).await;
    world.until_payment(&held, "AUTHORIZED").await;
    world.until_payment(&refunded, "CAPTURED").await;
    let refunds = format!("/api/payments/{}/refunds", refunded.payment_id);
    let part = json!({
        "amount": { "amount": 600, "currency": "USD" },
        "reason": "asked for by the donor",
    });
    world.administer(&refunds, &part).await;
    world.until_total(&campaign, "refunded", 600).await;
    eventually("the dispute is known", async || {
        let known = "select count(*) from payment.disputes where payment_id = $1";
        (world.count(known, &disputed.payment_id).await == 1).then_some(())
    })
    .await;
    world.provider.rule_for_the_donor(&complained).await;
    world.until_total(&campaign, "disputed", 1500).await;
    world.until_quiet().await;
    // The last mails and announcements may still be on their way.
    let mut report = audit(&world.sources()).await.expect("an audit");
    for _ in 0..10 {
        if report.holds() {
            break;
        }
        report = audit(&world.sources()).await.expect("an audit");
    }
    world.rest().await;
    Past {
        report,
        paid,
        open,
        held,
        refunded,
        disputed,
    }
}

/// What the donor of a gift was told about it.
fn told(gift: &Gift, outcome: Outcome) -> Entry {
    let id = |id: &str| id.parse().expect("an id");
    let is_done = outcome == Outcome::Ok;
    Entry {
        op: 1,
        key: gift.wish.key,
        kind: Kind::Pledge,
        sent_at: 0,
        outcome,
        status: None,
        code: None,
        campaign_id: id(&gift.wish.campaign),
        amount: gift.wish.amount,
        currency: "USD".to_owned(),
        email: gift.wish.email.clone(),
        pledge_id: is_done.then(|| id(&gift.id)),
        payment_id: is_done.then(|| id(&gift.payment_id)),
        intent: None,
        after: None,
        route: String::new(),
        trace_id: None,
    }
}

/// A gift that was taken beside an earlier one, without asking whether both are meant.
fn unasked(gift: &Gift, earlier: &Gift) -> Entry {
    Entry {
        after: Some(earlier.id.parse().expect("an id")),
        ..told(gift, Outcome::Ok)
    }
}

/// A journal of a single line.
fn one_line(world: &World, entry: &Entry) -> PathBuf {
    let path = world.folder("journal.jsonl");
    let journal = Journal::create(&path).expect("a journal");
    journal.add(entry).expect("a line");
    path
}

pub fn holds(report: &Report) {
    assert!(report.holds(), "{report}");
}

/// `broken` are the invariants that must be broken, no more and no fewer.
pub fn breaks(report: &Report, broken: &str, by: &str) {
    let expected: Vec<&str> = broken.split_whitespace().collect();
    assert_eq!(report.broken(), expected, "{by}\n{report}");
}

pub fn written(world: &World, name: &str, lines: &[&str]) -> PathBuf {
    let path = world.folder(name);
    fs::write(&path, lines.join("\n") + "\n").expect("a file");
    path
}

/// Sends records to the pledges' topic or what was refused of it; both are made where there are none.
async fn publish(brokers: &str, prefix: &str, records: Vec<Record>) {
    let kafka = Kafka::new(&Config {
        brokers: brokers.to_owned(),
        client_id: "test".to_owned(),
        prefix: prefix.to_owned(),
        partitions: 1,
        replication: 1,
        instance: None,
        retry_delays: Vec::new(),
        backoff: std::time::Duration::from_millis(100),
        silence: std::time::Duration::from_mins(1),
    });
    let topic = Topic {
        name: "cfa.pledge.events.v1",
        compacted: false,
    };
    kafka.create(&[topic]).await.expect("a topic");
    let producer = kafka.producer().expect("a producer");
    let sent = producer.send_all(records).await;
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
}

async fn poison(brokers: &str, prefix: &str) {
    let record = Record {
        topic: "cfa.pledge.events.v1.dlq".to_owned(),
        key: "poison".to_owned(),
        payload: b"{}".to_vec(),
        headers: Vec::new(),
    };
    publish(brokers, prefix, vec![record]).await;
}

/// Removes every record of a topic with one partition.
async fn clear(brokers: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .expect("an administrator");
    let mut records = TopicPartitionList::new();
    records
        .add_partition_offset(topic, 0, Offset::End)
        .expect("an offset");
    let gone = admin.delete_records(&records, &AdminOptions::new()).await;
    gone.expect("the records can be removed");
}

/// Commits an offset for a group without members, and gives the one before. A member with a fixed name keeps its place
/// for ten seconds after its process has ended.
async fn commit(brokers: &str, group: &str, topic: &str, to: i64) -> i64 {
    let patience = std::time::Duration::from_secs(10);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition(topic, 0);
    let before = consumer
        .committed_offsets(offsets.clone(), patience)
        .expect("the offsets");
    let mut asked = TopicPartitionList::new();
    asked
        .add_partition_offset(topic, 0, Offset::Offset(to))
        .expect("an offset");
    eventually("the group has no member", async || {
        let done = consumer.commit(&asked, CommitMode::Sync);
        let code = done.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        if code == Some(RDKafkaErrorCode::UnknownMemberId) {
            return None;
        }
        done.expect("the offset is taken");
        Some(())
    })
    .await;
    before.elements()[0].offset().to_raw().expect("an offset")
}
