-- People who can log in, and the refresh tokens that keep them logged in.

create table accounts (
    user_id       uuid primary key,
    contact_id    uuid not null,          -- the same person in cfa.contact.state.v1
    email         text not null,          -- as typed: where mail goes
    email_key     text not null,          -- trimmed and lower-cased: who it is
    name          text not null,
    password_hash text not null,          -- argon2id as a PHC string, parameters and salt inside
    role          text not null,
    status        text not null,
    version       bigint not null,        -- grows by one with every published change
    created_at    timestamptz not null,
    constraint accounts_email_key_unique unique (email_key),
    constraint accounts_contact_id_unique unique (contact_id),
    constraint accounts_role_known check (role in ('DONOR', 'ADMIN')),
    constraint accounts_status_known check (status in ('ACTIVE', 'SUSPENDED'))
);

-- One login is one family: rotation grows it, logout ends it.
create table refresh_families (
    family_id  uuid primary key,
    user_id    uuid not null,
    created_at timestamptz not null,
    ended_at   timestamptz,
    constraint refresh_families_user_id_fkey foreign key (user_id) references accounts (user_id)
);

-- For ending every session of one account.
create index refresh_families_user_id_idx on refresh_families (user_id) where ended_at is null;

create table refresh_tokens (
    token_hash bytea primary key,         -- SHA-256: a stolen table opens no session
    family_id  uuid not null,
    issued_at  timestamptz not null,
    expires_at timestamptz not null,
    used_at    timestamptz,               -- a token shown again after this was stolen or replayed
    constraint refresh_tokens_family_id_fkey foreign key (family_id) references refresh_families (family_id),
    constraint refresh_tokens_token_hash_sha256 check (octet_length(token_hash) = 32)
);

create index refresh_tokens_family_id_idx on refresh_tokens (family_id);
