-- Who called the payment off: written before the provider is asked to cancel. Until the provider has answered, the
-- payment's state says nothing of it.
alter table payments
    add column ending text,
    add column ending_at timestamptz,                   -- when the provider is asked next; null while nobody has to ask
    add column ending_tries integer not null default 0, -- how often it was asked again: each time is a call of its own
    add column hold_due timestamptz,                    -- when held money is to be taken or released; null while not known
    add column client text,                             -- HMAC of the network that the payer asked from
    add constraint payments_ending_known
        check (ending in ('DONOR', 'ADMIN', 'EXPIRY', 'DECLINES', 'CAMPAIGN'));
create index payments_ending on payments (ending_at) where ending_at is not null;
create index payments_expiring on payments (expires_at) where state = 'PENDING' and ending is null;
create index payments_holds on payments (hold_due) where state = 'AUTHORIZED' and ending is null;
create index payments_by_state on payments (state, payment_id);

-- Held money that is to be taken: once for each payment, written before the provider is asked.
create table captures (
    payment_id   uuid        not null,
    amount_minor bigint      not null,
    asked_by     uuid,                         -- the admin; null where the hold was about to run out
    scope        bytea,                        -- of the admin's Idempotency-Key: the same request again is no second one
    retry_at     timestamptz,                  -- when the provider is asked next; null once it has answered
    tries        integer     not null default 0,
    asked_at     timestamptz not null,
    constraint captures_pkey primary key (payment_id),
    constraint captures_amount_positive check (amount_minor > 0)
);
create index captures_open on captures (retry_at) where retry_at is not null;

-- What a declined try is counted under, for an hour: the donor, the network, the card. Null where it counts against
-- nobody, as when the provider itself failed.
alter table payment_attempts
    add column donor_ref text,
    add column client text,
    add column fingerprint text;
create index payment_attempts_by_donor on payment_attempts (donor_ref, at) where donor_ref is not null;
create index payment_attempts_by_client on payment_attempts (client, at) where client is not null;
create index payment_attempts_by_card on payment_attempts (fingerprint, at) where fingerprint is not null;

-- Switches of the operators, and who turned them.
create table controls (
    name       text        not null,
    paused     boolean     not null,
    reason     text        not null,
    changed_by uuid        not null,
    changed_at timestamptz not null,
    constraint controls_pkey primary key (name),
    constraint controls_name_known check (name in ('charging'))
);
create table control_changes (
    id         bigint generated always as identity,
    name       text        not null,
    paused     boolean     not null,
    reason     text        not null,
    changed_by uuid        not null,
    trace_id   text,
    changed_at timestamptz not null,
    constraint control_changes_pkey primary key (id)
);
create trigger control_changes_append_only before update or delete or truncate on control_changes
    for each statement execute function history_is_append_only();
