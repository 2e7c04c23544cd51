-- Nothing is ever looked for by these columns. Their statistics would have every analysis read them, and they are most of
-- their tables.
alter table payments
    alter column psp_request set statistics 0, alter column psp_key set statistics 0;
alter table webhook_events
    alter column body set statistics 0, alter column signature set statistics 0, alter column headers set statistics 0,
    alter column diff set statistics 0;
alter table idempotency
    alter column fingerprint set statistics 0, alter column headers set statistics 0, alter column body set statistics 0;
