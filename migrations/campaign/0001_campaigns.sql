-- Campaigns as they stand. Each change raises the version by one and writes one outbox row in its transaction.
create table campaigns (
    campaign_id      uuid        not null, -- UUIDv7: its order is the order of creation, which lists and cursors use
    organiser_id     uuid        not null, -- no foreign key: accounts live in another service's schema
    title            text        not null,
    story            text        not null,
    category         text        not null,
    goal_minor       bigint      not null, -- minor units, as minimum_minor
    currency         text        not null,
    minimum_minor    bigint      not null, -- the smallest gift
    capture          text        not null,
    ends_at          timestamptz,          -- null: open until it is closed
    timezone         text        not null, -- IANA name: whose midnight ends a day
    status           text        not null,
    rejection_reason text,
    version          bigint      not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    constraint campaigns_pkey primary key (campaign_id),
    constraint campaigns_goal_positive check (goal_minor > 0),
    constraint campaigns_minimum_positive check (minimum_minor > 0),
    constraint campaigns_currency_code check (currency ~ '^[A-Z]{3}$'),
    constraint campaigns_capture_known check (capture in ('automatic', 'manual')),
    constraint campaigns_status_known check (
        status in ('DRAFT', 'SUBMITTED', 'ACTIVE', 'PAUSED', 'COMPLETED', 'CANCELLED', 'REJECTED', 'SUSPENDED')
    ),
    constraint campaigns_version_positive check (version > 0)
);

-- Lists are of one status, newest first; those of an organiser's own campaigns as well.
create index campaigns_status_idx on campaigns (status, campaign_id desc);
create index campaigns_organiser_idx on campaigns (organiser_id, status, campaign_id desc);
