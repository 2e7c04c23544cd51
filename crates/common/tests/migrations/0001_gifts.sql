create table gifts (
    n bigint not null,
    constraint gifts_pkey primary key (n),
    constraint gifts_positive check (n > 0)
);
