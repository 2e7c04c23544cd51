-- What is still to be announced is few rows among many, and is asked for several times a second.
create index campaign_totals_unannounced on campaign_totals (announced_at) where version > announced_version;
