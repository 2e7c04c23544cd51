-- The lines of a set come in one statement, and at its end every set that it touched is weighed, once. Until now each
-- line had its set weighed again at the commit, which was most of what booking a payment cost. The set itself is still
-- weighed at the commit, so that none stays without lines.
drop trigger ledger_entries_balanced on ledger_entries;
create function ledger_entries_are_balanced() returns trigger language plpgsql as $$
declare
    uneven uuid;
    known boolean;
begin
    select touched.set_id, opened.set_id is not null into uneven, known
    from (select distinct set_id from added) touched
    left join ledger_sets opened on opened.set_id = touched.set_id
    where opened.set_id is null
       or exists (select from ledger_entries entry where entry.set_id = touched.set_id
                  group by entry.currency having sum(entry.amount_minor) <> 0)
    limit 1;
    if not found then
        return null;
    end if;
    if not known then
        raise exception using errcode = 'foreign_key_violation', constraint = 'ledger_entries_set_known',
            table = 'ledger_entries', message = format('entries of the unknown set %s', uneven);
    end if;
    raise exception using errcode = 'check_violation', constraint = 'ledger_sets_balanced',
        table = 'ledger_sets', message = format('the entries of set %s do not sum to zero', uneven);
end
$$;
create trigger ledger_entries_balanced after insert on ledger_entries
    referencing new table as added for each statement execute function ledger_entries_are_balanced();
alter table ledger_entries enable always trigger ledger_entries_balanced;

create or replace function ledger_set_is_balanced() returns trigger language plpgsql as $$
declare
    lines bigint;
    uneven bigint;
begin
    select sum(per.lines), count(*) filter (where per.total <> 0) into lines, uneven
    from (select count(*) as lines, sum(amount_minor) as total from ledger_entries where set_id = new.set_id
          group by currency) per;
    if lines is null or uneven <> 0 then
        raise exception using errcode = 'check_violation', constraint = 'ledger_sets_balanced',
            table = 'ledger_sets', message = format('the entries of set %s do not sum to zero', new.set_id);
    end if;
    return null;
end
$$;
