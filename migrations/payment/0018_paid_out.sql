-- Payments whose money is in a payout, with the version of the snapshot that told of it: each is told of once.
create table paid_out_payments (
    payment_id uuid        not null,
    payout     text        not null, -- of several, the first in which it was found
    version    bigint      not null,
    at         timestamptz not null,
    constraint paid_out_payments_pkey primary key (payment_id)
);
create trigger paid_out_payments_append_only before update or delete or truncate on paid_out_payments
    for each statement execute function history_is_append_only();
create index payouts_by_time on payouts (created_at, payout);
