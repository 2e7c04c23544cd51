-- The payments of a pledge that it does not show. A pledge shows its newest payment that stands; an earlier one stands again
-- when its money comes late, and must be known then. Most pledges have one payment, and no row here.
create table other_attempts (
    pledge_id      uuid    not null,
    attempt        integer not null,
    version        bigint  not null, -- of the payment's newest snapshot
    status         text    not null, -- what the pledge's status would be
    refunded_minor bigint  not null,
    constraint other_attempts_pkey primary key (pledge_id, attempt)
);

-- Each payment whose money was taken has its receipt: money that comes late and goes straight back has one, too, and the
-- payment that the gift is then made by has another.
alter table receipts drop constraint receipts_pkey;
alter table receipts add constraint receipts_pkey primary key (payment_id);
create index receipts_by_pledge on receipts (pledge_id);
