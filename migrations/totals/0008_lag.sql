-- How far a total was behind the payments when it came to stand so. Rows without money, and rows of before, have none.
alter table campaign_totals add column lag_ms bigint; -- from the newest counted change of a payment to as_of
