-- The books. Every change of captured money has a set of entries that sums to zero in each currency; what went wrong
-- is set right by another set, never by an edit. Debits are positive, credits negative.

-- Why money moved between accounts, once for each effect.
create table ledger_sets (
    set_id     uuid        not null, -- uuid v7, so that later sets sort later
    payment_id uuid,                 -- null for a correction that concerns no payment
    effect     text        not null,
    psp_object text,                 -- the provider's object behind it: intent, refund, dispute, balance transaction
    reason     text,                 -- of a correction
    entered_by uuid,                 -- the admin who entered a correction
    trace_id   text,                 -- the request behind it
    at         timestamptz not null,
    constraint ledger_sets_pkey primary key (set_id),
    -- Two events of one effect book once. Corrections have no object, so they never meet here.
    constraint ledger_sets_effect_key unique (payment_id, effect, psp_object),
    constraint ledger_sets_effect_known check
        (effect in ('captured', 'refunded', 'refund_failed', 'dispute_lost', 'dispute_reversed', 'settled',
                    'settlement_reversed', 'correction')),
    constraint ledger_sets_effect_founded check
        (effect = 'correction' or (payment_id is not null and psp_object is not null)),
    constraint ledger_sets_correction_signed check
        ((effect = 'correction') = (reason is not null) and (effect = 'correction') = (entered_by is not null)
         and (effect <> 'correction' or psp_object is null))
);

-- No foreign key leads to the set: its check locks the set's row, for which PostgreSQL asks the table's owner for the
-- right to update that is taken away below. The trigger that balances a set looks for its header instead.
create table ledger_entries (
    set_id       uuid        not null,
    line         smallint    not null, -- place within the set, from 1
    account      text        not null,
    campaign_id  uuid,                 -- whose money it is
    currency     text        not null,
    amount_minor bigint      not null, -- debit positive, credit negative
    at           timestamptz not null, -- the set's own
    constraint ledger_entries_pkey primary key (set_id, line),
    constraint ledger_entries_line_positive check (line > 0),
    constraint ledger_entries_amount_moves check (amount_minor <> 0),
    constraint ledger_entries_account_known check
        (account in ('psp_receivable', 'psp_settled', 'donor_wallet', 'campaign_payable', 'platform_tip', 'fees',
                     'refunds_payable', 'dispute_hold', 'suspense', 'platform_loss')),
    constraint ledger_entries_campaign_named check (account <> 'campaign_payable' or campaign_id is not null)
);
-- An account's entries in their order; its balances are summed from the index alone.
create index ledger_entries_by_account on ledger_entries (account, set_id, line) include (currency, amount_minor);
create index ledger_entries_by_campaign on ledger_entries (campaign_id, at) where account = 'campaign_payable';

-- Authorisations are pending transfers: money that the provider holds and that is nobody's yet. A payment holds at
-- most once, and what it holds is posted (in part, the rest is released) or voided at most once: both by the key.
create table ledger_holds (
    payment_id     uuid        not null,
    step           text        not null,
    resolved       boolean     generated always as (step <> 'held') stored,
    campaign_id    uuid        not null,
    currency       text        not null,
    held_minor     bigint      not null,
    posted_minor   bigint      not null default 0,
    released_minor bigint      not null default 0,
    trace_id       text,
    at             timestamptz not null,
    constraint ledger_holds_pkey primary key (payment_id, resolved),
    constraint ledger_holds_step_known check (step in ('held', 'posted', 'voided')),
    constraint ledger_holds_held_positive check (held_minor > 0),
    constraint ledger_holds_resolved_whole check (case step
        when 'held' then posted_minor = 0 and released_minor = 0
        when 'posted' then posted_minor > 0 and released_minor >= 0 and posted_minor + released_minor = held_minor
        else posted_minor = 0 and released_minor = held_minor end)
);

-- The payments that there were before the books, however many: in this session a statement may otherwise run for
-- five seconds and read by an index only.
set local statement_timeout = 0;
set local enable_seqscan = on;
set local enable_hashjoin = on;
insert into ledger_holds (payment_id, step, campaign_id, currency, held_minor, at)
select payment_id, 'held', campaign_id, currency, authorized_minor, updated_at
from payments where state = 'AUTHORIZED';
with opened as (
    insert into ledger_sets (set_id, payment_id, effect, psp_object, at)
    select (lpad(to_hex(floor(extract(epoch from updated_at) * 1000)::bigint), 12, '0') || '7'
            || substr(md5(payment_id::text), 1, 3) || '8' || substr(md5(payment_id::text), 4, 15))::uuid,
           payment_id, 'captured', coalesce(provider_ref, payment_id::text), updated_at
    from payments where captured_minor > 0
    returning set_id, payment_id, at
)
insert into ledger_entries (set_id, line, account, campaign_id, currency, amount_minor, at)
select o.set_id, l.line, l.account, l.campaign_id, p.currency, l.amount_minor, o.at
from opened o
join payments p using (payment_id)
cross join lateral (values (1, 'psp_receivable', null, p.captured_minor),
                           (2, 'campaign_payable', p.campaign_id, -p.captured_minor))
    as l (line, account, campaign_id, amount_minor);

-- Checked at the commit, when the set is whole: entries that are added to an older set are checked like new ones.
create function ledger_set_is_balanced() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_sets where set_id = new.set_id) then
        raise exception using errcode = 'foreign_key_violation', constraint = 'ledger_entries_set_known',
            table = 'ledger_entries', message = format('entries of the unknown set %s', new.set_id);
    end if;
    if not exists (select from ledger_entries where set_id = new.set_id)
       or exists (select from ledger_entries where set_id = new.set_id group by currency having sum(amount_minor) <> 0)
    then
        raise exception using errcode = 'check_violation', constraint = 'ledger_sets_balanced',
            table = 'ledger_sets', message = format('the entries of set %s do not sum to zero', new.set_id);
    end if;
    return null;
end
$$;
create constraint trigger ledger_entries_balanced after insert on ledger_entries
    deferrable initially deferred for each row execute function ledger_set_is_balanced();
create constraint trigger ledger_sets_balanced after insert on ledger_sets
    deferrable initially deferred for each row execute function ledger_set_is_balanced();

create function ledger_hold_was_taken() returns trigger language plpgsql as $$
begin
    if not exists (select from ledger_holds
                   where payment_id = new.payment_id and not resolved
                     and (held_minor, currency, campaign_id) = (new.held_minor, new.currency, new.campaign_id)) then
        raise exception using errcode = 'check_violation', constraint = 'ledger_holds_taken',
            table = 'ledger_holds', message = format('nothing of that amount is held for payment %s', new.payment_id);
    end if;
    return null;
end
$$;
create constraint trigger ledger_holds_taken after insert on ledger_holds
    deferrable initially deferred for each row when (new.step <> 'held') execute function ledger_hold_was_taken();

create trigger ledger_sets_append_only before update or delete or truncate on ledger_sets
    for each statement execute function history_is_append_only();
create trigger ledger_entries_append_only before update or delete or truncate on ledger_entries
    for each statement execute function history_is_append_only();
create trigger ledger_holds_append_only before update or delete or truncate on ledger_holds
    for each statement execute function history_is_append_only();
-- `always`: also in a session that plays a replica, in which ordinary triggers sleep.
alter table ledger_sets enable always trigger ledger_sets_append_only, enable always trigger ledger_sets_balanced;
alter table ledger_entries enable always trigger ledger_entries_append_only, enable always trigger ledger_entries_balanced;
alter table ledger_holds enable always trigger ledger_holds_append_only, enable always trigger ledger_holds_taken;

-- The service's role owns these tables, and an owner can give itself back what is revoked, or drop a trigger. What
-- holds is this: no data statement of the service, ours or an injected one, changes a row (the grants refuse it before
-- the triggers do), and undoing that takes a statement of definition, which no code of the service holds. A superuser
-- is bound by the triggers alone.
revoke update, delete, truncate on ledger_sets, ledger_entries, ledger_holds from current_user;
