//! The audit's third invariant: what the provider charged, holds and gave back is what we recorded.

use std::fs;

use serde_json::{Value, json};

use crate::{
    audit::{at_rest, breaks, holds, written},
    harness::Gift,
};

#[test]
fn a_charge_that_the_provider_forgot_or_made_twice_is_found() {
    at_rest(async |world, past| {
        let mut copy = world.copy().await;
        let ledger = fs::read_to_string(&copy.sources.ledger).expect("a ledger");
        let of_paid = |line: &&str| line.contains(&past.paid.payment_id);
        let taken = |line: &&str| of_paid(line) && !line.contains("\"received\":0");
        let without: Vec<&str> = ledger.lines().filter(|line| !taken(line)).collect();
        copy.sources.ledger = written(world, "forgetful.jsonl", &without);
        breaks(
            &copy.audit().await,
            "I3",
            "a charge is missing at the provider",
        );

        let intents = world.provider.intents_of(&past.paid.payment_id).await;
        let intent = intents[0]["id"].as_str().expect("an id");
        let again = ledger.replace(intent, "pi_again");
        let twice: Vec<&str> = ledger.lines().chain(again.lines().filter(taken)).collect();
        copy.sources.ledger = written(world, "twice.jsonl", &twice);
        breaks(&copy.audit().await, "I3", "a pledge was charged twice");

        // What has ended here could be paid there.
        let of_open = |line: &&str| line.contains(&past.open.payment_id);
        let last = ledger.lines().rfind(of_open).expect("its intent");
        assert!(last.contains("requires_payment_method"), "{last}");
        let ended = world.copy().await;
        ended.change(&format!(
            "update payment.payments set state = 'EXPIRED' where payment_id = '{}'",
            past.open.payment_id
        ));
        breaks(
            &ended.audit().await,
            "I3 I5 I8 I9",
            "an ended payment can still be paid",
        );

        // A line that a crash has cut short was never answered.
        let torn = format!("{ledger}{{\"fact\":{{\"kind\":\"intent.cre");
        copy.sources.ledger = world.folder("torn.jsonl");
        fs::write(&copy.sources.ledger, torn).expect("a file");
        holds(&copy.audit().await);
    });
}

#[test]
fn money_that_is_held_or_went_back_otherwise_than_recorded_is_found() {
    at_rest(async |world, past| {
        for (broken, gift, change) in [
            (
                "I3 I4 I5",
                &past.held,
                "update payment.payments set authorized_minor = authorized_minor - 1 where payment_id = '{}'",
            ),
            (
                "I3 I4 I5 I6 I8 I9",
                &past.held,
                "delete from payment.payments where payment_id = '{}'",
            ),
            (
                "I3 I4 I5 I9",
                &past.refunded,
                "update payment.payments set refunded_minor = refunded_minor + 1 where payment_id = '{}'",
            ),
            (
                "I3 I4 I5 I9",
                &past.refunded,
                "alter table payment.payments drop constraint payments_refunded_within;
                 update payment.payments set refunded_minor = captured_minor + 1 where payment_id = '{}'",
            ),
            (
                "I3",
                &past.refunded,
                "update payment.refunds set amount_minor = amount_minor - 1 where payment_id = '{}'",
            ),
            (
                "I3",
                &past.refunded,
                "update payment.refunds set status = 'FAILED' where payment_id = '{}'",
            ),
            (
                "I3",
                &past.refunded,
                "insert into payment.refunds (refund_id, payment_id, campaign_id, amount_minor, currency, cause, status,
                                              psp_key, psp_request, outcome, requested_at, created_at, updated_at)
                 select gen_random_uuid(), payment_id, campaign_id, 1, currency, cause, 'PENDING',
                        'never', '', 'none', now(), now(), now()
                 from payment.refunds where payment_id = '{}'",
            ),
            (
                "I4",
                &past.disputed,
                "set search_path to payment;
                 with set as (insert into payment.ledger_sets (set_id, payment_id, effect, psp_object, at)
                              values (gen_random_uuid(), '{}', 'dispute_held', 'txn_nobody', now()) returning set_id)
                 insert into payment.ledger_entries (set_id, line, account, currency, amount_minor, at)
                 select set_id, line, account, 'USD', minor, now()
                 from set, (values (1, 'dispute_hold', 5), (2, 'psp_settled', -5)) as e (line, account, minor)",
            ),
            (
                "I3",
                &past.refunded,
                "update payment.refunds set psp_refund = 're_nobody' where payment_id = '{}'",
            ),
            (
                "I3 I8",
                &past.refunded,
                "delete from payment.refunds where payment_id = '{}'",
            ),
            (
                "I3 I9",
                &past.refunded,
                "update payment.campaigns set status = 'CANCELLED'
                 where campaign_id = (select campaign_id from payment.payments where payment_id = '{}')",
            ),
            (
                "I3 I9",
                &past.refunded,
                "update campaign.campaigns set status = 'CANCELLED'
                 where campaign_id = (select campaign_id from payment.payments where payment_id = '{}')",
            ),
            (
                "I3",
                &past.refunded,
                "set search_path to payment;
                 with set as (insert into payment.ledger_sets (set_id, payment_id, effect, psp_object, at)
                              values (gen_random_uuid(), '{}', 'suspense', 'pi_nobody', now()) returning set_id)
                 insert into payment.ledger_entries (set_id, line, account, currency, amount_minor, at)
                 select set_id, line, account, 'USD', minor, now()
                 from set, (values (1, 'psp_receivable', 5), (2, 'suspense', -5)) as e (line, account, minor)",
            ),
            (
                "I3",
                &past.refunded,
                "alter table payment.late_captures disable trigger user;
                 insert into payment.late_captures (payment_id, amount_minor, currency, decision, reason, at)
                 select payment_id, captured_minor, currency, 'REFUND', 'EXPIRED', now()
                 from payment.payments where payment_id = '{}'",
            ),
            (
                "I8",
                &past.refunded,
                "alter table payment.payment_transitions disable trigger user;
                 update payment.payment_transitions set from_state = 'EXPIRED'
                 where payment_id = '{}' and to_state = 'CAPTURED'",
            ),
            (
                "I3 I4 I5 I9",
                &past.disputed,
                "update payment.payments set disputed_minor = disputed_minor - 1 where payment_id = '{}'",
            ),
            (
                "I3 I4",
                &past.disputed,
                "update payment.disputes set status = 'won' where payment_id = '{}'",
            ),
            (
                "I3 I4",
                &past.disputed,
                "update payment.disputes set amount_minor = amount_minor + 1 where payment_id = '{}'",
            ),
            (
                "I3 I4 I8",
                &past.disputed,
                "delete from payment.disputes where payment_id = '{}'",
            ),
        ] {
            let copy = world.copy().await;
            copy.change(&change.replace("{}", &gift.payment_id));
            breaks(&copy.audit().await, broken, change);
        }
    });
}

#[test]
fn what_the_provider_did_otherwise_is_found() {
    at_rest(async |world, past| {
        let ledger = fs::read_to_string(world.sources().ledger).expect("a ledger");
        for (what, gift, pointer, amended) in [
            (
                "an intent that ended",
                &past.open,
                "/fact/intent/status",
                json!("canceled"),
            ),
            (
                "a hold that is gone",
                &past.held,
                "/fact/intent/status",
                json!("canceled"),
            ),
            (
                "a hold of another amount",
                &past.held,
                "/fact/intent/capturable",
                json!(1),
            ),
            (
                "a refund that nobody made",
                &past.refunded,
                "/fact/charge/refunds",
                json!([]),
            ),
            (
                "a refund of another amount",
                &past.refunded,
                "/fact/charge/refunds/0/amount",
                json!(1),
            ),
            (
                "a refund that failed",
                &past.refunded,
                "/fact/charge/refunds/0/status",
                json!("failed"),
            ),
            (
                "a dispute that nobody began",
                &past.disputed,
                "/fact/charge/disputes",
                json!([]),
            ),
            (
                "a dispute that was won",
                &past.disputed,
                "/fact/charge/disputes/0/status",
                json!("won"),
            ),
        ] {
            let mut last = last_fact(&ledger, gift);
            *last.pointer_mut(pointer).expect(what) = amended;
            let mut copy = world.copy().await;
            copy.sources.ledger = written(
                world,
                "otherwise.jsonl",
                &[ledger.trim_end(), &last.to_string()],
            );
            breaks(&copy.audit().await, "I3", what);
        }

        let mut last = last_fact(&ledger, &past.refunded);
        let refunds = last.pointer_mut("/fact/charge/refunds").expect("refunds");
        let refunds = refunds.as_array_mut().expect("a list");
        let mut again = refunds[0].clone();
        again["id"] = json!("re_again");
        refunds.push(again);
        let mut copy = world.copy().await;
        copy.sources.ledger = written(
            world,
            "again.jsonl",
            &[ledger.trim_end(), &last.to_string()],
        );
        let report = copy.audit().await;
        breaks(&report, "I3", "a refund was made twice");
        let twice = "refunds that were promised once and made twice";
        assert!(report.to_string().contains(twice), "{report}");
    });
}

/// The newest line of the provider's ledger about a gift's intent.
fn last_fact(ledger: &str, gift: &Gift) -> Value {
    let of_gift = |line: &&str| line.starts_with("{\"fact\"") && line.contains(&gift.payment_id);
    let last = ledger.lines().rfind(of_gift).expect("a fact");
    serde_json::from_str(last).expect("JSON")
}
