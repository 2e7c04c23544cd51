-- Events that a consumer has already acted on, for effects that are not projections of snapshots. The row
-- commits together with the effect, so an event that comes twice acts once.
create table inbox (
    consumer text        not null,
    event_id uuid        not null,
    seen_at  timestamptz not null default now(),
    constraint inbox_pkey primary key (consumer, event_id)
);
