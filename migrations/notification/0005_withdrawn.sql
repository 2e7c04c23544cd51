-- A mail that nobody has sent yet when its money has gone back is not sent any more. Its row stays, so that no event that
-- comes again calls for another.
alter table deliveries
    drop constraint deliveries_status_known,
    add constraint deliveries_status_known check (status in ('QUEUED', 'SENT', 'FAILED', 'WITHDRAWN'));
