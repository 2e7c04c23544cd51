-- What campaigns say of themselves, apart from their money: the money can be built anew without it.
create table campaigns (
    campaign_id  uuid   not null,
    organiser_id uuid,            -- null where the snapshot came before this column
    currency     text   not null,
    goal         bigint not null,
    title        text   not null,
    version      bigint not null, -- of the newest snapshot applied
    constraint campaigns_pkey primary key (campaign_id)
);
insert into campaigns (campaign_id, currency, goal, title, version)
select campaign_id, currency, goal, title, campaign_version from campaign_totals where campaign_version > 0;

-- Everything that is added up from payments belongs to a generation. Each campaign's row says which one it stands on;
-- another may be built meanwhile, and takes its place in one transaction.
alter table campaign_totals
    add column generation bigint not null default 0,
    -- A bucket fell below zero: the amounts stay as they were then, for people to see, until they are built anew.
    add column frozen boolean not null default false;

alter table payment_watermarks
    add column generation bigint not null default 0,
    add column pledge_id uuid,       -- null where the row is older than this column; a rebuild knows it
    add column given_at timestamptz, -- when its money came; null: not yet
    drop constraint payment_watermarks_pkey,
    add constraint payment_watermarks_pkey primary key (payment_id, generation);
-- The wall in its order, and all payments of a campaign's generation.
create index payment_watermarks_by_campaign
    on payment_watermarks (campaign_id, generation, given_at desc, payment_id desc);

alter table campaign_donors
    add column generation bigint not null default 0,
    drop constraint campaign_donors_pkey,
    add constraint campaign_donors_pkey primary key (campaign_id, generation, donor_ref);

-- The wall's money is that of the payments; what is left here is how each pledge wants to be shown.
update payment_watermarks set given_at = statement_timestamp() where captured - refunded - disputed <> 0;
delete from donations where pledge_version = 0;
drop index donations_wall;
alter table donations drop column net, drop column given_at, alter column visibility set not null;

-- Which snapshot of a payment moved which bucket by how much. Added to, never changed: the moves of a campaign's
-- generation sum to its row.
create table totals_moves (
    campaign_id uuid        not null,
    generation  bigint      not null,
    move_id     bigint      generated always as identity,
    payment_id  uuid        not null,
    version     bigint      not null, -- of the payment's snapshot
    cause       text        not null, -- the event's kind, or 'rebuild'
    pledged     bigint      not null,
    authorized  bigint      not null,
    captured    bigint      not null,
    refunded    bigint      not null,
    disputed    bigint      not null,
    trace_id    text,                 -- of what moved the payment
    at          timestamptz not null,
    constraint totals_moves_pkey primary key (campaign_id, generation, move_id)
);
insert into totals_moves
    (campaign_id, generation, payment_id, version, cause, pledged, authorized, captured, refunded, disputed, at)
select campaign_id, generation, payment_id, version, 'rebuild', pledged, authorized, captured, refunded, disputed,
       statement_timestamp()
from payment_watermarks;
create function moves_are_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name;
end
$$;
create trigger totals_moves_append_only before update or delete on totals_moves
    for each statement execute function moves_are_append_only();

-- Generations that were or are being built. Whoever applies payments holds this table in ROW SHARE mode, whoever puts a
-- new generation in place takes it in EXCLUSIVE mode, and so no payment is applied to a generation that has just gone.
create table rebuilds (
    generation  bigint      generated always as identity,
    run_id      uuid        not null,
    campaign_id uuid,                         -- null: all campaigns
    state       text        not null default 'BUILDING',
    seeded      boolean     not null default false, -- campaigns without any payment have their place
    after       uuid        not null default '00000000-0000-0000-0000-000000000000', -- the last payment read
    complete    boolean     not null default false, -- all payments were read
    payments    bigint      not null default 0,     -- read so far
    skipped     bigint      not null default 0,     -- that can never be counted, such as of another currency
    started_by  uuid        not null,
    started_at  timestamptz not null,
    finished_at timestamptz,
    constraint rebuilds_pkey primary key (generation),
    constraint rebuilds_run_id_key unique (run_id),
    constraint rebuilds_state_known check (state in ('BUILDING', 'LIVE'))
);
create unique index rebuilds_one_at_a_time on rebuilds (state) where state = 'BUILDING';

-- The rows of campaign_totals to be.
create table shadow_totals (
    generation  bigint not null,
    campaign_id uuid   not null,
    currency    text   not null,
    pledged     bigint not null default 0,
    authorized  bigint not null default 0,
    captured    bigint not null default 0,
    refunded    bigint not null default 0,
    disputed    bigint not null default 0,
    donors      bigint not null default 0,
    retires     bigint, -- the generation that it has taken the place of, whose rows are to go
    constraint shadow_totals_pkey primary key (generation, campaign_id)
) with (fillfactor = 50);
create index shadow_totals_retires on shadow_totals (retires) where retires is not null;
