do $$
declare service text; place text;
begin
    foreach service in array array['api', 'ingest', 'routing', 'ledger', 'projection', 'inquiry', 'purge'] loop
        foreach place in array array['migrations', 'reference', 'routing', 'ledger', 'inquiry', 'dead'] loop
            execute format('revoke all on all tables in schema %I from %I', place, 'voltpay_' || service);
            execute format('revoke all on schema %I from %I', place, 'voltpay_' || service);
        end loop;
    end loop;
end $$;
-- The roles stay: other databases of this server may use them.

revoke execute on function ledger.prepare_day(date), ledger.clean(date) from voltpay_ledger;
grant execute on function ledger.prepare_day(date), ledger.clean(date) to public;
alter function ledger.prepare_day(date) security invoker reset search_path;
alter function ledger.clean(date) security invoker reset search_path;

create or replace function inquiry.begin_rebuild() returns void language plpgsql as $$
begin
    drop schema if exists inquiry_next cascade;
    create schema inquiry_next;
    perform inquiry.make_tables('inquiry_next');
end $$;
drop function inquiry.grant_tables(text);
