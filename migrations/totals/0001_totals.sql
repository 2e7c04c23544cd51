-- What each campaign has raised: one row that a read takes as it stands. Amounts are minor units of `currency` and
-- are never clamped; a negative one means that something is wrong and must be seen.
create table campaign_totals (
    campaign_id       uuid        not null,
    currency          text        not null, -- the goal's, or that of the first payment when that came first
    goal              bigint,               -- null until the campaign itself has come
    title             text,
    campaign_version  bigint      not null default 0, -- of the newest campaign snapshot applied; 0: none
    pledged           bigint      not null default 0, -- promised, not paid yet
    authorized        bigint      not null default 0, -- held, not taken yet
    captured          bigint      not null default 0, -- taken, before refunds and disputes
    refunded          bigint      not null default 0,
    disputed          bigint      not null default 0, -- lost disputes
    donors            bigint      not null default 0, -- rows of campaign_donors with a gift
    version           bigint      not null,           -- grows by one with each change
    as_of             timestamptz not null,           -- when it came to stand so
    announced_version bigint      not null default 0, -- the newest version that the outbox has got
    announced_at      timestamptz not null default 'epoch',
    constraint campaign_totals_pkey primary key (campaign_id)
    -- A popular campaign's row changes many times a second: half-empty pages let new versions stay on the same page.
) with (fillfactor = 50);

-- What of each payment the totals contain. A snapshot is applied as its difference to this row, which makes a
-- repetition, a late one and a gap harmless.
create table payment_watermarks (
    payment_id  uuid   not null,
    campaign_id uuid   not null,
    donor_ref   text   not null, -- tells donors apart without naming them
    version     bigint not null,
    pledged     bigint not null,
    authorized  bigint not null,
    captured    bigint not null,
    refunded    bigint not null,
    disputed    bigint not null,
    constraint payment_watermarks_pkey primary key (payment_id)
) with (fillfactor = 70);

-- How many payments of a donor have money in a campaign, so that the number of donors needs no count.
create table campaign_donors (
    campaign_id uuid   not null,
    donor_ref   text   not null,
    gifts       bigint not null,
    constraint campaign_donors_pkey primary key (campaign_id, donor_ref)
);

-- The public wall. A gift is on it once its pledge and its money have both come, in whatever order.
create table donations (
    pledge_id      uuid   not null,
    campaign_id    uuid   not null,
    currency       text   not null,
    pledge_version bigint not null default 0, -- of the newest pledge snapshot applied; 0: none
    visibility     text,
    public_name    text,
    message        text,
    net            bigint not null default 0, -- captured, less refunds and lost disputes
    given_at       timestamptz,               -- when its money came; null: not yet
    constraint donations_pkey primary key (pledge_id),
    constraint donations_anonymous_nameless check (visibility <> 'ANONYMOUS' or public_name is null)
) with (fillfactor = 70);

create index donations_wall on donations (campaign_id, given_at desc, pledge_id desc)
    where pledge_version > 0 and given_at is not null and net > 0;
