-- Payments that nobody has asked the provider about for a while. Whoever asks takes them into the queue (`retry_at`), so
-- that a payment whose webhooks come in time never enters it.
create index payments_unwatched on payments (state, updated_at)
    where retry_at is null and outcome = 'known' and state in ('PENDING', 'AUTHORIZED', 'CAPTURED');
create index exceptions_open_of_kind on exceptions (kind, opened_at) where closed_at is null;

-- What judging an event changed, how it came, and what came with it. Verdicts of later judgements are in
-- webhook_rulings; the last one counts.
alter table webhook_events
    add column source text not null default 'delivered',
    add column headers jsonb,
    add column diff jsonb,
    add constraint webhook_events_source_known check (source in ('delivered', 'swept'));
create index webhook_events_by_time on webhook_events (received_at, event_id);
create index webhook_events_by_verdict on webhook_events (verdict, received_at, event_id);

-- Verdicts on an event that was judged again: parked until its payment was known, or replayed by an admin.
create table webhook_rulings (
    event_id   text        not null,
    n          integer     not null, -- from 1; the first verdict is the event's own
    verdict    text        not null,
    detail     text,
    payment_id uuid,
    diff       jsonb,
    cause      text        not null, -- 'payment known', or 'replay'
    ruled_by   uuid,                 -- the admin who had it replayed
    trace_id   text,
    at         timestamptz not null,
    constraint webhook_rulings_pkey primary key (event_id, n),
    constraint webhook_rulings_verdict_known check
        (verdict in ('APPLIED', 'IMPLIED', 'DUPLICATE', 'STALE', 'CONFLICT', 'PARKED', 'QUARANTINED', 'IGNORED')),
    constraint webhook_rulings_replay_signed check ((cause = 'replay') = (ruled_by is not null))
);

create index webhook_rulings_by_verdict on webhook_rulings (verdict, event_id);

-- Deliveries of events that had come before.
create table webhook_deliveries (
    id          bigint generated always as identity,
    event_id    text        not null,
    verdict     text        not null default 'DUPLICATE',
    trace_id    text,
    received_at timestamptz not null,
    constraint webhook_deliveries_pkey primary key (id)
);
create index webhook_deliveries_by_event on webhook_deliveries (event_id, id);

-- Deliveries that were not believed: a ring of the newest. Nothing is ever read off them but by a person.
create sequence webhook_rejections_slot minvalue 0 maxvalue 999 cycle;
create table webhook_rejections (
    slot        integer     not null,
    reason      text        not null,
    body        bytea       not null, -- sealed, the first 64 KiB
    headers     jsonb,
    trace_id    text,
    received_at timestamptz not null,
    constraint webhook_rejections_pkey primary key (slot)
);
create index webhook_rejections_by_time on webhook_rejections (received_at);

-- Events whose payment we do not know yet: judged again until we do.
create table webhook_parked (
    event_id  text        not null,
    parked_at timestamptz not null,
    retry_at  timestamptz not null,
    tries     integer     not null default 0,
    constraint webhook_parked_pkey primary key (event_id)
);
create index webhook_parked_due on webhook_parked (retry_at);

create trigger webhook_rulings_append_only before update or delete or truncate on webhook_rulings
    for each statement execute function history_is_append_only();
create trigger webhook_deliveries_append_only before update or delete or truncate on webhook_deliveries
    for each statement execute function history_is_append_only();

-- Money that the provider took on a payment that had ended, and what was decided about it, once.
create table late_captures (
    payment_id   uuid        not null,
    amount_minor bigint      not null,
    currency     text        not null,
    decision     text        not null,
    reason       text        not null,
    at           timestamptz not null,
    constraint late_captures_pkey primary key (payment_id),
    constraint late_captures_decision_known check (decision in ('REVIVED', 'REFUND'))
);
create trigger late_captures_append_only before update or delete or truncate on late_captures
    for each statement execute function history_is_append_only();

-- How far the provider's lists were read.
create table sweeps (
    name    text        not null,
    read_to timestamptz not null,
    held_until timestamptz not null,
    constraint sweeps_pkey primary key (name)
);

-- Matching the provider's account with the books.
create table reconciliation_runs (
    run_id       uuid        not null,
    state        text        not null,
    cause        text        not null, -- 'daily', or 'admin'
    started_by   uuid,
    from_time    timestamptz not null,
    until_time   timestamptz not null,
    matched      bigint      not null default 0,
    missing_local bigint     not null default 0,
    missing_psp  bigint      not null default 0,
    amount_diff  bigint      not null default 0,
    held_until   timestamptz not null, -- until when somebody works at it
    detail       text,
    created_at   timestamptz not null,
    finished_at  timestamptz,
    constraint reconciliation_runs_pkey primary key (run_id),
    constraint reconciliation_runs_state_known check (state in ('QUEUED', 'RUNNING', 'DONE', 'FAILED'))
);
create index reconciliation_runs_open on reconciliation_runs (held_until) where state in ('QUEUED', 'RUNNING');
create index reconciliation_runs_daily on reconciliation_runs (until_time) where cause = 'daily';
create table reconciliation_differences (
    run_id       uuid        not null,
    subject      text        not null, -- the provider's balance transaction
    kind         text        not null,
    payment_id   uuid,
    currency     text,
    psp_minor    bigint,
    local_minor  bigint,
    constraint reconciliation_differences_pkey primary key (run_id, subject),
    constraint reconciliation_differences_kind_known check (kind in ('MISSING_LOCAL', 'MISSING_PSP', 'AMOUNT_DIFF'))
);

-- What the provider paid out, and what each payout is made of.
create table payouts (
    payout       text        not null,
    currency     text        not null,
    amount_minor bigint      not null,
    status       text        not null,
    arrives_at   timestamptz not null,
    created_at   timestamptz not null,
    constraint payouts_pkey primary key (payout)
);
create table payout_items (
    payout       text        not null,
    txn          text        not null,
    source       text,
    kind         text        not null,
    currency     text        not null,
    amount_minor bigint      not null,
    fee_minor    bigint      not null,
    verdict      text        not null, -- how it fits our books
    payment_id   uuid,
    constraint payout_items_pkey primary key (payout, txn),
    constraint payout_items_verdict_known check (verdict in ('MATCHED', 'MISSING_LOCAL', 'MISSING_PSP', 'AMOUNT_DIFF', 'OTHER'))
);
-- Settlements that were found at the provider as they are in the books.
create table settlement_matches (
    txn    text        not null,
    run_id uuid        not null,
    at     timestamptz not null,
    constraint settlement_matches_pkey primary key (txn)
);
-- The settlement of a charge by the provider's balance transaction.
create index ledger_sets_by_settlement on ledger_sets (psp_object) where effect = 'settled';
create index ledger_sets_settled_at on ledger_sets (at) where effect = 'settled';
