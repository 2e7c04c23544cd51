-- Facts on their way to Kafka. A row is inserted in the same transaction as the change that it tells of, and
-- deleted once the broker has acknowledged it; the table is therefore almost always empty.
create table outbox (
    id          bigint generated always as identity,
    event_id    uuid        not null, -- CloudEvents id: stays the same when the row is published twice
    topic       text        not null,
    key         text        not null, -- Kafka key: everything about one aggregate keeps its order
    kind        text        not null, -- CloudEvents type
    payload     bytea       not null,
    traceparent text,                 -- W3C trace context of the request that caused the fact
    created_at  timestamptz not null default now(),
    constraint outbox_pkey primary key (id)
);
-- Every row is dead soon: vacuum by count and without pauses, or the relay's reads slow down over time.
alter table outbox set (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 50000,
    autovacuum_vacuum_cost_delay = 0
);
