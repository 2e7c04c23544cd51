-- A step is only ever read as one of its payment, and a delivery as one of its event: one index serves both ends.
alter table payment_transitions
    drop constraint payment_transitions_pkey,
    add constraint payment_transitions_pkey primary key (payment_id, id);
drop index payment_transitions_by_payment;
alter table webhook_deliveries
    drop constraint webhook_deliveries_pkey,
    add constraint webhook_deliveries_pkey primary key (event_id, id);
drop index webhook_deliveries_by_event;

-- From 2 kB on, which is about what a delivery has, PostgreSQL tries to compress a row and then moves parts of it to a
-- second table with an index of its own. What is sealed cannot be compressed, and two deliveries fit on a page.
alter table webhook_events alter column body set storage external;
alter table webhook_events set (toast_tuple_target = 4080);
