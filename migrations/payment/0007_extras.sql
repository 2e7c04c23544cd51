-- What of a charge is not the gift: it is the platform's, and never counts as raised.
alter table payments
    add column tip_minor bigint not null default 0,
    add column covered_fee_minor bigint not null default 0,
    add constraint payments_extras_within
        check (tip_minor >= 0 and covered_fee_minor >= 0 and tip_minor + covered_fee_minor < amount_minor);
-- A decline may also be read off the provider's object, without an event that told of it.
alter table payment_attempts alter column psp_event drop not null;
