-- Who gives without a name is kept without one.
update pledges set public_name = null where visibility = 'ANONYMOUS' and public_name is not null;
alter table pledges
    add constraint pledges_anonymous_nameless check (visibility <> 'ANONYMOUS' or public_name is null);

comment on column pledges.given_after is 'the first pledge of the guest, by the token that came with this one';
