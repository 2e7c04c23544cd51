-- Who runs a campaign may see the gifts to it.
alter table campaigns
    add column organiser_id uuid; -- null where the snapshot came before this column, until the next one
