-- An order to give back what a suspended campaign took is about that suspension alone: it holds while the campaign stands
-- at the version at which it was given. An order from before this names none, and is to be given again.
alter table refund_batches add column campaign_version bigint;
-- What can still be charged is called off whatever the state of the batch.
drop index refund_batches_due;
create index refund_batches_due on refund_batches (run_at);

-- A key belongs to one request, also while the provider has not answered; and a capture that the provider refused for
-- good stands in the way of nothing.
alter table captures
    add column fingerprint bytea, -- of the body of the admin's request
    add column refused text;      -- the provider's code

-- A donor who calls a gift off comes before whatever else was called off, however much that is.
drop index payments_ending;
create index payments_ending on payments ((ending <> 'DONOR'), ending_at) where ending_at is not null;
