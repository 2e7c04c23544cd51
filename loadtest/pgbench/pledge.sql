-- The rows of one gift, as the pledge service writes them, in one statement: the stored reply, the pledge and its two
-- outbox rows, with texts of the same length. PostgreSQL's own client does it here, so this is the yardstick.
\set amount random(500, 5000)
with gift as (
    select gen_random_uuid() as pledge_id, gen_random_uuid() as contact_id, now() as at
), claimed as (
    insert into idempotency (scope, fingerprint, status, headers, body)
    select sha256(uuid_send(pledge_id)), sha256(uuid_send(contact_id)), 201,
           '[["content-type","application/json"]]'::json, convert_to(repeat('r', 1700), 'UTF8')
    from gift
    on conflict do nothing
    returning scope
), fresh as (
    select gift.* from gift join claimed on claimed.scope = sha256(uuid_send(pledge_id))
), pledged as (
    insert into pledges (pledge_id, campaign_id, payment_id, donor_ref, contact_id, amount_minor, currency, capture,
                         visibility, public_name, status, expires_at, version, created_at, updated_at)
    select pledge_id, '018f0000-0000-7000-8000-000000000001'::uuid, gen_random_uuid(), repeat('d', 64), contact_id, :amount, 'USD', 'automatic',
           'PUBLIC', 'Load', 'PENDING', at + interval '30 minutes', 1, at, at
    from fresh
)
insert into outbox (event_id, topic, key, kind, payload, traceparent)
select gen_random_uuid(), 'cfa.pledge.events.v1', pledge_id::text, 'pledge.created', convert_to(repeat('e', 640), 'UTF8'), repeat('t', 55)
from fresh
union all
select gen_random_uuid(), 'cfa.contact.state.v1', contact_id::text, 'contact.changed', convert_to(repeat('c', 170), 'UTF8'), repeat('t', 55)
from fresh;
