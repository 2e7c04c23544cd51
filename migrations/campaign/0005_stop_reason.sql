-- Why a campaign was called off or suspended.
alter table campaigns add column stop_reason text;
