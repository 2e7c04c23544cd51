-- Mail that is owed, and the two projections that it is written from.

-- The only table of this schema that knows a donor's name and address.
create table contacts (
    contact_id uuid primary key,
    name       text not null,
    email      text not null,
    version    bigint not null,
    updated_at timestamptz not null
);

create table campaigns (
    campaign_id uuid primary key,
    title       text not null,
    version     bigint not null,
    updated_at  timestamptz not null
);

create table deliveries (
    delivery_id     uuid primary key,         -- UUIDv7: also the order of the history
    kind            text not null,
    payment_id      uuid not null,
    campaign_id     uuid not null,            -- no foreign key: the projection may lag behind
    contact_id      uuid not null,            -- no foreign key: a mail waits for its contact
    amount          bigint not null,          -- minor units
    currency        text not null,
    traceparent     text,                     -- of the event that caused it, so that one trace leads to the mail
    status          text not null,
    attempts        integer not null,
    last_result     text,                     -- never the server's own words: they tend to repeat the address
    next_attempt_at timestamptz not null,     -- while an attempt runs, the end of its lease
    created_at      timestamptz not null,
    sent_at         timestamptz,
    -- The guarantee: one thank-you for one payment, however often its events come.
    constraint deliveries_kind_payment_id_unique unique (kind, payment_id),
    constraint deliveries_kind_known check (kind in ('THANK_YOU')),
    constraint deliveries_status_known check (status in ('QUEUED', 'SENT', 'FAILED')),
    constraint deliveries_sent_at_when_sent check ((status = 'SENT') = (sent_at is not null))
);

-- What the worker asks twice a second; finished rows are not in it.
create index deliveries_due_idx on deliveries (next_attempt_at) where status = 'QUEUED';
