-- A mail that nobody has sent yet when its money has gone back is not sent any more, unless the money comes again.
alter table deliveries
    add column payment_version bigint not null default 0, -- of the snapshot that called for the mail, or withdrew it
    drop constraint deliveries_status_known,
    add constraint deliveries_status_known check (status in ('QUEUED', 'SENT', 'FAILED', 'WITHDRAWN'));
