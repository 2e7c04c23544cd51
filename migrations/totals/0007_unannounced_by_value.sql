-- PostgreSQL writes a new version of a row beside the old one, and into no index, unless a column has changed that some
-- index names, in its condition too. `version` changes with every gift, and whether it is to be announced only once for
-- many of them.
drop index campaign_totals_unannounced;
alter table campaign_totals add column unannounced boolean not null generated always as (version > announced_version) stored;
create index campaign_totals_unannounced on campaign_totals (announced_at) where unannounced;
