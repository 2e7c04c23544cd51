-- What a donor adds to a gift, what becomes of the promise, and the proof of it.
alter table pledges
    add column tip_minor           bigint not null default 0, -- for the platform, on top of the gift
    add column covered_fee_minor   bigint not null default 0, -- towards the provider's fee, on top of both
    add column refunded_minor      bigint not null default 0, -- of the whole charge, as the payment's newest snapshot has it
    add column cancel_requested_at timestamptz,               -- when the donor first asked; the payment decides
    add column trace_id            text,                      -- of the request that made the pledge
    add column cancel_trace_id     text,                      -- of the request that first asked
    add column given_after         uuid,                      -- the pledge whose guest token came with this one: the same donor
    add constraint pledges_extras_not_negative check (tip_minor >= 0 and covered_fee_minor >= 0);

-- A gift of the same amount by the same donor to the same campaign, a moment ago. A guest without a token is in neither.
create index pledges_twin_idx on pledges (donor_id, campaign_id, amount_minor, created_at desc) where donor_id is not null;
create index pledges_given_after_idx on pledges (given_after, campaign_id, amount_minor, created_at desc)
    where given_after is not null;

-- What happened to the money of a pledge, as its payments told it: a row for each snapshot that means something to the
-- donor. The amounts are those of the whole charge so far, so that a row that comes late changes no other.
create table pledge_timeline (
    pledge_id      uuid        not null, -- no foreign key: the story of a payment is kept whatever else is known here
    payment_id     uuid        not null,
    version        bigint      not null, -- of the payment's snapshot
    attempt        integer     not null,
    kind           text        not null, -- what the payment said
    held_minor     bigint      not null,
    captured_minor bigint      not null,
    refunded_minor bigint      not null,
    disputed_minor bigint      not null,
    failure        text,                 -- the provider's code, where a try was declined
    trace_id       text,
    occurred_at    timestamptz not null,
    constraint pledge_timeline_pkey primary key (pledge_id, payment_id, version)
);

-- The last number of each year. Its row is locked until the receipts that took the numbers commit: no gap, ever.
create table receipt_numbers (
    year integer not null,
    last bigint  not null,
    constraint receipt_numbers_pkey primary key (year)
) with (fillfactor = 50);

-- What a donor gave, as it was when the money was taken.
create table receipts (
    pledge_id         uuid        not null,
    year              integer     not null, -- of the capture, in UTC
    number            bigint      not null, -- from 1 within its year, in the order of issue
    payment_id        uuid        not null,
    campaign_id       uuid        not null,
    gift_minor        bigint      not null,
    tip_minor         bigint      not null,
    covered_fee_minor bigint      not null,
    currency          text        not null,
    captured_at       timestamptz not null,
    issued_at         timestamptz not null,
    constraint receipts_pkey primary key (pledge_id),
    constraint receipts_number_once unique (year, number),
    constraint receipts_amounts check (gift_minor >= 0 and tip_minor >= 0 and covered_fee_minor >= 0)
);

-- Added to, never rewritten.
create function history_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end
$$;
create trigger receipts_append_only before update or delete or truncate on receipts
    for each statement execute function history_is_append_only();
create trigger pledge_timeline_append_only before update or delete or truncate on pledge_timeline
    for each statement execute function history_is_append_only();
-- `always`: also in a session that plays a replica, in which ordinary triggers sleep.
alter table receipts enable always trigger receipts_append_only;
alter table pledge_timeline enable always trigger pledge_timeline_append_only;
revoke update, delete, truncate on receipts, pledge_timeline from current_user;
