-- Money on its way back to a donor. The row is there before the provider is asked, with the call's own key and bytes: two
-- equal partial refunds are two rows with two keys, and one call that is repeated stays one refund.
create table refunds (
    refund_id      uuid        not null, -- uuid v7; the provider keeps it in the refund's metadata
    payment_id     uuid        not null,
    campaign_id    uuid        not null, -- the payment's own
    amount_minor   bigint      not null,
    currency       text        not null,
    reason         text,                 -- of whoever asked
    cause          text        not null,
    status         text        not null,
    failure        text,                 -- the provider's reason, where it failed
    psp_refund     text,                 -- the refund at the provider, once it is known
    psp_key        text,                 -- null for a refund that was made in the provider's own tools
    psp_request    bytea,
    outcome        text        not null, -- what we know of that call
    requested_at   timestamptz,          -- its first try: the provider remembers a key for a day only
    retry_at       timestamptz,          -- when it is looked after next; null while there is nothing to do
    tries          integer     not null default 0,
    requested_by   uuid,                 -- the account behind it; null where a rule refunds
    created_at     timestamptz not null,
    updated_at     timestamptz not null,
    constraint refunds_pkey primary key (refund_id),
    constraint refunds_psp_refund_key unique (psp_refund),
    constraint refunds_amount_positive check (amount_minor > 0),
    constraint refunds_cause_known check (cause in ('ADMIN', 'ORGANISER', 'STANDING', 'LATE_CAPTURE', 'IMPORTED')),
    constraint refunds_status_known check (status in ('PENDING', 'REQUIRES_ACTION', 'SUCCEEDED', 'FAILED', 'CANCELED')),
    constraint refunds_outcome_known check (outcome in ('none', 'requested', 'unknown', 'known')),
    constraint refunds_call_frozen check ((psp_key is null) = (psp_request is null) and (psp_key is null) = (requested_at is null)
                                          and (psp_key is not null or psp_refund is not null))
);
create index refunds_by_payment on refunds (payment_id, refund_id);
create index refunds_by_campaign on refunds (campaign_id, status) where cause = 'STANDING';
create index refunds_due on refunds (retry_at) where retry_at is not null;
-- A rule refunds a payment once: whatever is captured when, and whoever looks at the same time.
create unique index refunds_standing_once on refunds (payment_id) where cause = 'STANDING';
create unique index refunds_late_capture_once on refunds (payment_id) where cause = 'LATE_CAPTURE';

-- A donor's bank takes money back, or asks whether it should. Money moves only by the dispute's own balance transactions.
create table disputes (
    dispute_id      text        not null, -- the provider's
    payment_id      uuid        not null,
    amount_minor    bigint      not null,
    currency        text        not null,
    reason          text        not null, -- the provider's word
    status          text        not null, -- the provider's word
    evidence_due    timestamptz,
    submissions     integer     not null default 0,
    withdrawn_minor bigint      not null, -- taken by the bank so far, less what it returned
    fee_minor       bigint      not null, -- what the provider asks for its trouble
    transactions    text[]      not null, -- the balance transactions behind both
    seen_at         timestamptz not null, -- when the look began that found it so
    opened_at       timestamptz not null,
    updated_at      timestamptz not null,
    constraint disputes_pkey primary key (dispute_id),
    constraint disputes_amount_positive check (amount_minor > 0),
    constraint disputes_status_known check
        (status in ('warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response',
                    'under_review', 'won', 'lost', 'prevented'))
);
create index disputes_by_payment on disputes (payment_id);
create index disputes_by_status on disputes (status, opened_at, dispute_id);

-- The rule that a campaign which was called off gives its gifts back, and how far that is.
create table refund_batches (
    campaign_id   uuid        not null,
    cause         text        not null, -- CANCELLED: the rule itself; ORDERED: an admin, for a suspended campaign
    state         text        not null,
    -- What was to be given back when the batch was planned.
    planned_count bigint,
    planned_minor bigint,
    started_by    uuid,                 -- who cancelled the campaign or ordered the batch, where that is known
    approved_by   uuid,
    run_at        timestamptz not null, -- when the worker looks at it next; whoever takes it moves this on
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    constraint refund_batches_pkey primary key (campaign_id),
    constraint refund_batches_cause_known check (cause in ('CANCELLED', 'ORDERED')),
    constraint refund_batches_state_known check (state in ('PLANNED', 'AWAITING_APPROVAL', 'RUNNING', 'PAUSED', 'DONE')),
    constraint refund_batches_two_admins check (approved_by is null or approved_by is distinct from started_by)
);
create index refund_batches_due on refund_batches (run_at) where state in ('PLANNED', 'RUNNING', 'DONE');
create index refund_batches_by_state on refund_batches (state, campaign_id);
-- The payments of a campaign that hold money, or still can: what is to be given back, and what is to be called off.
create index payments_open_by_campaign on payments (campaign_id, state, payment_id)
    where state in ('PENDING', 'AUTHORIZED', 'CAPTURED', 'COMPLETED');
