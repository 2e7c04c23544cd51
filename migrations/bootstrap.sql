-- Makes one role and one schema per service; safe to run again. Run by psql (14 or later) as a superuser in the
-- database that CareForAll shall live in, with one password per service in the environment:
-- DB_PASSWORD_USER, DB_PASSWORD_CAMPAIGN, DB_PASSWORD_PLEDGE, DB_PASSWORD_PAYMENT, DB_PASSWORD_TOTALS,
-- DB_PASSWORD_NOTIFICATION. An environment, because arguments can be read by every process of the machine.
\set ON_ERROR_STOP on
\getenv user_password DB_PASSWORD_USER
\getenv campaign_password DB_PASSWORD_CAMPAIGN
\getenv pledge_password DB_PASSWORD_PLEDGE
\getenv payment_password DB_PASSWORD_PAYMENT
\getenv totals_password DB_PASSWORD_TOTALS
\getenv notification_password DB_PASSWORD_NOTIFICATION

begin;

-- Roles belong to the whole cluster, so two databases that are prepared at the same moment take turns.
select rolsuper as superuser from pg_roles where rolname = current_user \gset
\if :superuser
lock table pg_catalog.pg_authid in share row exclusive mode;
\endif

-- `user` is a reserved word, hence `users`; every other role is named like its service.
select format('create role %I', name)
from unnest(array['users', 'campaign', 'pledge', 'payment', 'totals', 'notification']) as name
where not exists (select from pg_roles where rolname = name)
\gexec

alter role users login password :'user_password';
alter role campaign login password :'campaign_password';
alter role pledge login password :'pledge_password';
alter role payment login password :'payment_password';
alter role totals login password :'totals_password';
alter role notification login password :'notification_password';

-- A service names its tables without a schema and cannot see any other.
alter role users set search_path = users;
alter role campaign set search_path = campaign;
alter role pledge set search_path = pledge;
alter role payment set search_path = payment;
alter role totals set search_path = totals;
alter role notification set search_path = notification;

create schema if not exists users authorization users;
create schema if not exists campaign authorization campaign;
create schema if not exists pledge authorization pledge;
create schema if not exists payment authorization payment;
create schema if not exists totals authorization totals;
create schema if not exists notification authorization notification;

revoke all on schema public from public;
revoke all on database :"DBNAME" from public;
grant connect on database :"DBNAME" to users, campaign, pledge, payment, totals, notification;

-- No plan hangs on how values are spread, so that a tenth of the usual sample is enough; the usual one costs a young
-- database, whose tables grow by tenths all the time, more than many of its writes.
alter database :"DBNAME" set default_statistics_target = 10;

commit;
