-- The payments that can still be paid, by who pays them: too many declines call all of a payer's off.
create index payments_open_by_donor on payments (donor_ref)
    where state = 'PENDING' and ending is null and outcome <> 'none';
create index payments_open_by_client on payments (client)
    where state = 'PENDING' and ending is null and outcome <> 'none' and client is not null;
