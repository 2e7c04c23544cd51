-- One row for each attempt to have a pledge paid. A pledge has at most one attempt that the provider may still charge.
create table payments (
    payment_id       uuid        not null, -- uuid v5 of pledge and attempt: the event and the ticket arrive at the same one
    pledge_id        uuid        not null, -- no foreign keys: pledges, campaigns and accounts live in other services' schemas
    campaign_id      uuid        not null,
    donor_id         uuid,                 -- null for a guest
    donor_ref        text        not null, -- HMAC of the donor's address
    contact_id       uuid        not null,
    attempt          integer     not null,
    state            text        not null,
    -- What the donor promised. Whatever the provider tells is measured against these two.
    amount_minor     bigint      not null,
    currency         text        not null,
    capture          text        not null, -- the campaign's policy when the pledge was made
    authorized_minor bigint      not null default 0,
    captured_minor   bigint      not null default 0,
    refunded_minor   bigint      not null default 0,
    disputed_minor   bigint      not null default 0,
    provider         text        not null default 'stripe',
    provider_ref     text,                 -- the one intent at the provider
    -- The call that opens the intent, frozen before it is made: whoever repeats it sends the same key and the same
    -- bytes, so that the provider answers with the same intent.
    psp_key          text        not null,
    psp_request      bytea       not null,
    outcome          text        not null default 'none', -- what we know of that call
    requested_at     timestamptz,          -- its first try: the provider remembers a key for a day only
    retry_at         timestamptz,          -- when the resolver repeats it; null while there is nothing to resolve
    tries            integer     not null default 0,
    failure_code     text,                 -- of the last declined try
    failure_message  text,
    expires_at       timestamptz not null, -- the pledge's own
    version          bigint      not null, -- of the last published snapshot
    traceparent      text,                 -- of the pledge, so that one trace leads from the pledge to the mail
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    constraint payments_pkey primary key (payment_id),
    constraint payments_attempt_key unique (pledge_id, attempt),
    constraint payments_provider_ref_key unique (provider_ref, provider),
    constraint payments_psp_key_key unique (psp_key),
    constraint payments_attempt_positive check (attempt > 0),
    constraint payments_amount_positive check (amount_minor > 0),
    constraint payments_state_known check
        (state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED', 'FAILED', 'EXPIRED', 'CANCELLED', 'REFUNDED')),
    constraint payments_capture_known check (capture in ('automatic', 'manual')),
    constraint payments_outcome_known check (outcome in ('none', 'requested', 'unknown', 'known')),
    constraint payments_authorized_within check (authorized_minor between 0 and amount_minor),
    constraint payments_captured_within check (captured_minor between 0 and amount_minor),
    constraint payments_refunded_within check (refunded_minor between 0 and captured_minor),
    constraint payments_disputed_within check (disputed_minor between 0 and captured_minor)
);
-- The last line of defence against two charges for one pledge.
create unique index payments_one_live_per_pledge on payments (pledge_id) where state in ('PENDING', 'AUTHORIZED');
create index payments_unresolved on payments (retry_at) where retry_at is not null;

-- How each payment came to stand where it stands. Steps that were skipped over are written as implied.
create table payment_transitions (
    id         bigint generated always as identity,
    payment_id uuid        not null,
    version    bigint      not null, -- of the snapshot that told of it
    from_state text        not null,
    to_state   text        not null,
    cause      text        not null, -- the provider's event type, or what else moved it
    implied    boolean     not null,
    psp_event  text,                 -- the webhook event behind it
    trace_id   text,                 -- the request behind it
    at         timestamptz not null,
    constraint payment_transitions_pkey primary key (id)
);
create index payment_transitions_by_payment on payment_transitions (payment_id, id);

-- Declined tries. A decline ends nothing: the same intent can be paid next.
create table payment_attempts (
    id           bigint generated always as identity,
    payment_id   uuid        not null,
    version      bigint      not null,
    psp_event    text        not null,
    code         text        not null,
    decline_code text,
    message      text,
    at           timestamptz not null,
    constraint payment_attempts_pkey primary key (id)
);
create index payment_attempts_by_payment on payment_attempts (payment_id, id);

-- Every verified delivery, and what was decided about it. The row commits together with its effect.
create table webhook_events (
    provider    text        not null,
    event_id    text        not null,
    kind        text        not null,
    verdict     text        not null,
    detail      text,
    payment_id  uuid,                 -- null when it concerns none of ours
    body        bytea       not null, -- as it came, sealed: it holds client secrets and personal data
    signature   text        not null,
    trace_id    text,
    received_at timestamptz not null,
    constraint webhook_events_pkey primary key (event_id, provider),
    constraint webhook_events_verdict_known check
        (verdict in ('APPLIED', 'IMPLIED', 'DUPLICATE', 'STALE', 'CONFLICT', 'PARKED', 'QUARANTINED', 'IGNORED'))
);
-- Sealed bytes do not shrink: no time is lost on trying.
alter table webhook_events alter column body set storage external;
create index webhook_events_by_payment on webhook_events (payment_id, received_at) where payment_id is not null;
create index webhook_events_open on webhook_events (received_at) where verdict in ('CONFLICT', 'PARKED', 'QUARANTINED');

-- History is added to, never rewritten.
create function history_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end
$$;
create trigger payment_transitions_append_only before update or delete or truncate on payment_transitions
    for each statement execute function history_is_append_only();
create trigger payment_attempts_append_only before update or delete or truncate on payment_attempts
    for each statement execute function history_is_append_only();
create trigger webhook_events_append_only before update or delete or truncate on webhook_events
    for each statement execute function history_is_append_only();
