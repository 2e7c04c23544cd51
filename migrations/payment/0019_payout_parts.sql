-- When it was read what a payout is made of; before the provider has put it together, and of payouts by hand, it is not.
alter table payouts add column parts_read_at timestamptz;
-- What a run found as it is in the books is counted by the run, however often it was taken up.
create index settlement_matches_by_run on settlement_matches (run_id);
