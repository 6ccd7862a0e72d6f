-- The read model: indexed for the questions that are asked of it, filled from posted facts alone.
create schema inquiry;

-- Makes the tables of the read model in a schema: a rebuild fills those of another one and swaps.
create function inquiry.make_tables(target text) returns void language plpgsql as $$
begin
    execute format($ddl$
        create table %1$I.payment (
            payment_id   uuid           not null primary key,
            account      text           not null,
            merchant     text           not null,
            processor    text           not null,
            currency     smallint       not null,  -- ISO 4217 numeric
            amount_minor bigint         not null,
            fee_minor    bigint         not null,
            executed     boolean        not null,
            declined     text           not null,
            attempt      smallint       not null,
            reason       text           not null,
            sequence     bigint         not null,
            accepted_at  timestamptz(3) not null,
            requested_at timestamptz(3) not null,
            settled_at   timestamptz(3) not null,
            posted_at    timestamptz(3) not null,
            details      bytea                     -- sealed
        );
        create index payment_account on %1$I.payment (account, requested_at desc, payment_id desc);
        create index payment_requested on %1$I.payment (requested_at) include (processor, currency, amount_minor) where executed;

        create table %1$I.balance (
            account      text           not null,
            currency     smallint       not null,
            slot         smallint       not null,  -- 0, or the partition for accounts that all partitions touch
            amount_minor bigint         not null,
            version      bigint         not null,  -- sequence of the last posting in it
            facts        bigint         not null,  -- payments that it knows, declined ones too: the version of cached answers
            posted_at    timestamptz(3) not null,
            primary key (account, currency, slot)
        ) with (fillfactor = 50);

        -- tier: 1 second, 2 minute, 3 hour, 4 day; at: its UTC start; slot: the partition
        create table %1$I.bucket (
            tier         smallint       not null,
            currency     smallint       not null,
            at           timestamptz(3) not null,
            processor    text           not null,
            slot         smallint       not null,
            count        bigint         not null,
            amount_minor bigint         not null,
            primary key (tier, currency, at, processor, slot)
        ) with (fillfactor = 70);

        -- Position of the last settled record of each partition that the read model has.
        create table %1$I.progress (
            partition smallint primary key,
            position  bigint not null
        );
    $ddl$, target);
end $$;
select inquiry.make_tables('inquiry');

create function inquiry.begin_rebuild() returns void language plpgsql as $$
begin
    drop schema if exists inquiry_next cascade;
    create schema inquiry_next;
    perform inquiry.make_tables('inquiry_next');
end $$;

-- Keeps inquiry.progress: what the projection has passed does not change by a rebuild.
create function inquiry.finish_rebuild() returns void language plpgsql as $$
begin
    drop table inquiry.payment, inquiry.balance, inquiry.bucket;
    alter table inquiry_next.payment set schema inquiry;
    alter table inquiry_next.balance set schema inquiry;
    alter table inquiry_next.bucket set schema inquiry;
    drop schema inquiry_next cascade;
end $$;
