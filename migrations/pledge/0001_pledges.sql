-- Promises of donors. Money moves elsewhere; the status follows the payment's events.
create table pledges (
    pledge_id       uuid        not null,
    campaign_id     uuid        not null, -- no foreign key: campaigns live in another service's schema
    payment_id      uuid        not null, -- of the first attempt; derived from the pledge's id
    donor_id        uuid,                 -- the account; null for guests
    donor_ref       text        not null, -- HMAC of the e-mail address, which itself is never stored here
    contact_id      uuid        not null,
    amount_minor    bigint      not null,
    currency        text        not null,
    capture         text        not null,
    visibility      text        not null,
    public_name     text,                 -- only what the donor chose to show
    message         text,
    status          text        not null,
    expires_at      timestamptz not null,
    version         bigint      not null,
    payment_attempt integer     not null default 0, -- the payment snapshot that the status shows
    payment_version bigint      not null default 0,
    created_at      timestamptz not null,
    updated_at      timestamptz not null,
    constraint pledges_pkey primary key (pledge_id),
    constraint pledges_amount_positive check (amount_minor > 0)
);
-- A donor's own history, newest first.
create index pledges_donor_idx on pledges (donor_id, pledge_id desc) where donor_id is not null;

-- What this service knows of campaigns: a projection of cfa.campaign.state.v1.
create table campaigns (
    campaign_id   uuid        not null,
    status        text        not null,
    currency      text        not null,
    minimum_minor bigint      not null,
    ends_at       timestamptz,
    capture       text        not null,
    version       bigint      not null,
    constraint campaigns_pkey primary key (campaign_id)
);

-- What this service knows of accounts: a projection of cfa.user.events.v1. No name and no address.
create table donors (
    user_id    uuid   not null,
    contact_id uuid   not null,
    donor_ref  text   not null,
    version    bigint not null,
    constraint donors_pkey primary key (user_id)
);
