-- A pledge's state changes about once: room for that on its own page keeps the change out of every index.
alter table pledges set (fillfactor = 85);
