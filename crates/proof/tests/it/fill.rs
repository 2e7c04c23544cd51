//! The fill: a made-up past agrees with itself in every witness, and so the audit holds over it and sees what is changed.

use chassis::clock::Clock;
use proof::fill::{Filled, Plan, fill};
use uuid::Uuid;

use crate::audit::{at_rest, breaks, holds};
use crate::harness::{Copy, World};

/// How many donations are made up.
const GIFTS: u64 = 2000;

#[test]
fn the_audit_holds_over_a_filled_fleet_and_breaks_when_a_row_is_changed() {
    at_rest(async |world, _past| {
        let (copy, filled) = filled(world).await;
        assert_eq!(filled.lines, 2 * GIFTS);
        // Made, taken, and for all but the last few available; a contact, and a pledge made and paid.
        assert!(filled.records > 5 * GIFTS, "{filled:?}");
        let report = copy.audit().await;
        holds(&report);
        let compared = |invariant: &str| {
            let mut of = report
                .verdicts
                .iter()
                .filter(|one| one.invariant == invariant);
            of.next()
                .map(|one| one.compared.clone())
                .unwrap_or_default()
        };
        assert!(
            compared("I3").contains(&format!("with {GIFTS} payments")),
            "{report}"
        );
        assert!(
            compared("I5").contains(&format!("{GIFTS} snapshots")),
            "{report}"
        );

        for (broken, change) in [
            (
                "I5",
                "update totals.campaign_totals set captured = captured + 1 where captured =
                 (select max(captured) from totals.campaign_totals)",
            ),
            (
                "I3",
                "update payment.payments set provider_ref = 'pi_nobody' where payment_id =
                 (select payment_id from payment.payments order by payment_id limit 1)",
            ),
            (
                "I8",
                "delete from payment.payment_transitions where id = (select max(id) from payment.payment_transitions)",
            ),
            (
                "I10",
                "delete from notification.deliveries where delivery_id =
                 (select delivery_id from notification.deliveries limit 1)",
            ),
        ] {
            let changed = copy.again().await;
            changed.change(change);
            breaks(&changed.audit().await, broken, change);
        }
    });
}

#[test]
fn the_triggers_are_as_they_were_after_a_fill() {
    at_rest(async |world, _past| {
        let before = triggers(&world.copy().await);
        assert!(before.contains("ledger_sets_balanced|A"), "{before}");
        let (copy, _filled) = filled(world).await;
        assert_eq!(triggers(&copy), before);
    });
}

/// A copy of the fleet's database, emptied and filled, with topics and a ledger of its own.
async fn filled(world: &World) -> (Copy, Filled) {
    let mut copy = world.copy().await;
    copy.change(EMPTY);
    let run = Uuid::new_v4().simple().to_string();
    copy.sources.topic_prefix = format!("fill{run}.");
    copy.sources.ledger = world.folder(&format!("fill-{run}.jsonl"));
    copy.sources.mail_url = None;
    let plan = Plan::new(GIFTS, 20, Clock::system().now());
    let filled = fill(&copy.sources, plan).await;
    (copy, filled.expect("every server takes it"))
}

/// Each trigger and whether it fires.
fn triggers(copy: &Copy) -> String {
    copy.ask(
        "select tgrelid::regclass || '.' || tgname, tgenabled from pg_trigger where not tgisinternal order by 1",
    )
}

/// Empties every table, those of history too, and leaves the triggers that forbid that as they were.
const EMPTY: &str = "
    create temp table kept as
    select tgrelid::regclass::text as of, tgname, tgenabled from pg_trigger where tgname like '%append_only';
    do $$
    declare one record;
    begin
        for one in select * from kept loop
            execute format('alter table %s disable trigger %I', one.of, one.tgname);
        end loop;
        execute (select 'truncate ' || string_agg(oid::regclass::text, ', ') from pg_class
                 where relkind = 'r' and relname <> '_sqlx_migrations' and relnamespace::regnamespace::text in
                       ('users', 'campaign', 'pledge', 'payment', 'totals', 'notification'));
        for one in select * from kept loop
            execute format('alter table %s enable %s trigger %I', one.of,
                           case one.tgenabled when 'A' then 'always' else '' end, one.tgname);
        end loop;
    end $$";
