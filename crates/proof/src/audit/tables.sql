-- What the other witnesses say, for as long as the audit's session lasts.

-- The provider's intents as they stand at last. Amounts are minor units.
create temp table psp_intents (
    intent     text not null,
    payment_id uuid,            -- null: not one of ours
    pledge_id  uuid,
    currency   text not null,   -- three capital letters
    status     text not null,
    held       bigint not null, -- on the card, and not taken
    taken      bigint not null,
    refunded   bigint not null,
    disputed   bigint not null, -- lost for good
    told_by    text             -- the event that told of the taking
);

-- The provider's refunds and disputes as they stand at last, in its own words.
create temp table psp_refunds (
    refund    text not null,
    intent    text not null,
    refund_id uuid,           -- ours; null: made in the provider's own tools
    amount    bigint not null,
    status    text not null
);
create temp table psp_disputes (
    dispute text not null,
    intent  text not null,
    amount  bigint not null,
    status  text not null
);

-- The provider's events that were answered with 2xx.
create temp table psp_acked (event text not null);

-- What the newest snapshots of a campaign's payments in their topic add up to.
create temp table told_sums (
    campaign_id uuid   not null,
    currency    text   not null,
    pledged     bigint not null,
    authorized  bigint not null,
    captured    bigint not null,
    refunded    bigint not null,
    disputed    bigint not null
);

-- `amount * part / whole`, rounded half to even. One expression without a subquery, so that the planner puts it in place
-- of each call, of which there are millions; most are about all of a charge, or about nothing.
create function pg_temp.share(amount bigint, part bigint, whole bigint) returns bigint
language sql immutable parallel safe as $$
    select case when part = whole then amount when amount = whole then part when amount = 0 then 0 else (
        div(amount::numeric * part, whole)
        + case when mod(amount::numeric * part, whole) * 2 > whole
                 or mod(amount::numeric * part, whole) * 2 = whole
                    and mod(div(amount::numeric * part, whole), 2) = 1
               then 1 else 0 end)::bigint
    end
$$;

-- What of an amount is the campaign's. `extras` is what of the charge is not the gift.
create function pg_temp.gift(amount bigint, charged bigint, extras bigint) returns bigint
language sql immutable parallel safe as $$
    select pg_temp.share(amount, charged - extras, charged)
$$;

-- `sum` of what is surely within 64 bits, or an error: the server's own adds up numerics, in ten times the memory.
create aggregate pg_temp.total(bigint) (sfunc = int8pl, stype = bigint, parallel = safe);

-- Mails in the mailbox, by the payment that they thank for.
create temp table mails (payment_id uuid not null, at timestamptz not null);

-- The time that the database has forgotten, if it was put back to an older copy: one row, or none.
create temp table lost (since timestamptz not null, until timestamptz not null);

-- What donors and operators asked for and learnt in the end: one row for each idempotency key.
create temp table journal (
    key         uuid   not null,
    kind        text   not null,
    sent_at     timestamptz not null, -- the try that told the outcome
    outcome     text   not null,
    campaign_id uuid   not null,
    amount      bigint not null,
    currency    text   not null,
    email       text   not null, -- no other gift has it
    pledge_id   uuid,
    payment_id  uuid,
    intent      text,
    after       uuid             -- the earlier pledge of a donor who did not say that both are meant
);

-- What was acknowledged, and whether in a time that the database has forgotten.
create temp view acknowledged as
select j.*, exists (select from lost where j.sent_at between since and until) as forgotten
from journal j where j.outcome = 'ok';
