-- Payments that were told further than they are known here, because the database was put back to an older copy: their
-- versions go on above those that were told. What the versions in between told of is not known any more.
create table payment_restatements (
    payment_id   uuid        not null,
    from_version bigint      not null, -- the last that is known here
    version      bigint      not null, -- the one under which it was told anew
    at           timestamptz not null,
    constraint payment_restatements_pkey primary key (payment_id, version),
    constraint payment_restatements_go_on check (version > from_version + 1)
);
create trigger payment_restatements_append_only before update or delete or truncate on payment_restatements
    for each statement execute function history_is_append_only();

-- A refund's id is a function of what asked for it, so that the same wish makes the same refund, also where the first
-- was forgotten.
comment on column refunds.refund_id is 'uuid v5 of the payment and the wish, or v7 of one that was made in the provider''s own tools';
