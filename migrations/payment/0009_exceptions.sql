-- What a person has to look at: one row for each matter, opened and closed in the transaction of what it is about.
create table exceptions (
    kind         text        not null,
    subject      text        not null, -- what it is about: a payment, a webhook event, a refund, a dispute, ...
    payment_id   uuid,
    amount_minor bigint,
    currency     text,
    detail       text        not null,
    opened_at    timestamptz not null,
    due_at       timestamptz,          -- when it will be too late, where there is such a time
    closed_at    timestamptz,
    closed_by    text,                 -- an admin, or what settled it
    constraint exceptions_pkey primary key (kind, subject),
    constraint exceptions_kind_known check
        (kind in ('UNKNOWN', 'QUARANTINED', 'PARKED', 'CONFLICT', 'SUSPENSE', 'RECONCILIATION', 'EVIDENCE_DUE',
                  'REFUND_FAILED', 'OUTBOX_STUCK')),
    constraint exceptions_closed_by_someone check ((closed_at is null) = (closed_by is null))
);
create index exceptions_open on exceptions (opened_at, kind, subject) where closed_at is null;

-- The effects that refunds, disputes and amounts that nobody asked for have in the books.
alter table ledger_sets drop constraint ledger_sets_effect_known;
alter table ledger_sets add constraint ledger_sets_effect_known check
    (effect in ('captured', 'refunded', 'refund_failed', 'dispute_held', 'dispute_released', 'dispute_fee',
                'dispute_lost', 'dispute_reversed', 'settled', 'settlement_reversed', 'suspense', 'suspense_resolved',
                'correction'));
