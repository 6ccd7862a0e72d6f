-- A role of the database a service, with what its service does and nothing else. They have no
-- password before `voltpay migrate up` or a person gives them one. Roles belong to a whole server:
-- what they may do in a database is granted in that database.
do $$
declare service text;
begin
    foreach service in array array['api', 'ingest', 'routing', 'ledger', 'projection', 'inquiry', 'purge'] loop
        begin
            execute format('create role %I nologin', 'voltpay_' || service);
        exception
            when duplicate_object or unique_violation then null;
            when insufficient_privilege then
                raise exception 'user % may not create the role voltpay_% of a service', current_user, service
                    using errcode = 'insufficient_privilege', hint = 'grant it CREATEROLE, or create these roles first';
        end;
    end loop;
end $$;

-- Whether the schema fits the code.
grant usage on schema migrations to voltpay_api, voltpay_ingest, voltpay_routing, voltpay_ledger, voltpay_projection, voltpay_inquiry;
grant select on migrations.history to voltpay_api, voltpay_ingest, voltpay_routing, voltpay_ledger, voltpay_projection, voltpay_inquiry;

-- The epoch, which whoever writes looks at.
grant usage on schema reference to voltpay_api, voltpay_routing, voltpay_ledger, voltpay_projection, voltpay_inquiry, voltpay_purge;
grant select on reference.installation to voltpay_api, voltpay_routing, voltpay_ledger, voltpay_projection, voltpay_inquiry, voltpay_purge;
grant select, insert on reference.account, reference.merchant, reference.processor to voltpay_ledger;

grant usage on schema routing to voltpay_routing, voltpay_api, voltpay_inquiry, voltpay_projection, voltpay_purge;
grant select, insert, update on routing.attempt, routing.conflict, routing.health to voltpay_routing;
grant select, insert, update, delete on routing.lane to voltpay_routing;
grant select on routing.attempt, routing.conflict, routing.health, routing.lane to voltpay_api;
grant select on routing.attempt, routing.conflict to voltpay_inquiry;
grant select on routing.attempt to voltpay_projection;

-- Routing asks which of its outcomes are posted.
grant usage on schema ledger to voltpay_ledger, voltpay_routing, voltpay_purge;
grant select, insert on ledger.idempotency, ledger.payment, ledger.posting to voltpay_ledger;
grant select, insert, update on ledger.balance to voltpay_ledger;
grant select on ledger.retention to voltpay_ledger;
grant select on ledger.idempotency, ledger.payment, ledger.retention to voltpay_routing;
-- Partitions are made and dropped by their owner, at the ledger's word.
alter function ledger.prepare_day(date) security definer set search_path = pg_catalog, pg_temp;
alter function ledger.clean(date) security definer set search_path = pg_catalog, pg_temp;
revoke execute on function ledger.prepare_day(date), ledger.clean(date) from public;
grant execute on function ledger.prepare_day(date), ledger.clean(date) to voltpay_ledger;

-- Also for the tables of a rebuild, which take the place of these.
create function inquiry.grant_tables(target text) returns void language plpgsql as $$
begin
    execute format($ddl$
        grant select on %1$I.payment, %1$I.balance, %1$I.bucket, %1$I.progress to voltpay_inquiry, voltpay_api;
        grant select, insert, update on %1$I.payment, %1$I.balance, %1$I.bucket, %1$I.progress to voltpay_projection;
        grant select, truncate on %1$I.payment, %1$I.balance, %1$I.bucket to voltpay_purge;
        grant select, insert, update on %1$I.progress to voltpay_purge;
    $ddl$, target);
end $$;
select inquiry.grant_tables('inquiry');
create or replace function inquiry.begin_rebuild() returns void language plpgsql as $$
begin
    drop schema if exists inquiry_next cascade;
    create schema inquiry_next;
    perform inquiry.make_tables('inquiry_next');
    perform inquiry.grant_tables('inquiry_next');
end $$;
grant usage on schema inquiry to voltpay_projection, voltpay_inquiry, voltpay_api, voltpay_purge;

grant usage on schema dead to voltpay_projection, voltpay_inquiry, voltpay_api, voltpay_purge;
grant select, insert, update on dead.letter to voltpay_projection;
grant select, update on dead.letter to voltpay_api;
grant select on dead.letter to voltpay_inquiry;

-- What empties a sandbox. Granted to voltpay_api in sandboxes, and nowhere else.
grant update on reference.installation, ledger.retention to voltpay_purge;
grant select on ledger.retention to voltpay_purge;
grant truncate on reference.account, reference.merchant, reference.processor, routing.attempt, routing.conflict,
    ledger.idempotency, ledger.balance, ledger.payment, ledger.posting, dead.letter to voltpay_purge;
