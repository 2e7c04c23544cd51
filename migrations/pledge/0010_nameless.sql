-- Who gives without a name is kept without one.
update pledges set public_name = null where visibility = 'ANONYMOUS' and public_name is not null;
alter table pledges
    add constraint pledges_anonymous_nameless check (visibility <> 'ANONYMOUS' or public_name is null);
