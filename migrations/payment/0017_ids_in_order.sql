comment on column payments.payment_id is
    'UUIDv8 of pledge and attempt: the pledge''s time, then a hash of both, so that the event and the ticket arrive at the same one and later ones sort later';
