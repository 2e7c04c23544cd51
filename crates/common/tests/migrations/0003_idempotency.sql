-- The reply that each Idempotency-Key got. The row commits together with the effect that the reply tells of,
-- so a key without a row never had an effect, and a key with a row never has a second one.
create table idempotency (
    scope       bytea       not null, -- SHA-256 of caller, method, route and key
    fingerprint bytea       not null, -- SHA-256 of the canonical request body
    status      smallint    not null,
    headers     json        not null, -- array of [name, value]
    body        bytea       not null, -- replayed byte for byte
    created_at  timestamptz not null default now(),
    constraint idempotency_pkey primary key (scope)
);
