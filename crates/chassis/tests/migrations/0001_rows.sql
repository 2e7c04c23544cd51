create table rows (
    n bigint not null,
    constraint rows_pkey primary key (n)
);
