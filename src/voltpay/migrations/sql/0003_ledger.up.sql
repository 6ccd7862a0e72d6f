-- The books: append-only payments and postings by day without any index, and balances.
create schema ledger;

-- kind: 1 the settled payment. The row holds what a repeat must publish again.
create table ledger.idempotency (
    payment_id uuid           not null,
    kind       smallint       not null,
    day        date           not null,  -- UTC day of requested_at, never of now
    sequence   bigint         not null,
    posted_at  timestamptz(3) not null,
    primary key (payment_id, kind, day)
) partition by range (day);

create table ledger.payment (
    payment_id   uuid           not null,
    day          date           not null,
    account_id   bigint         not null,
    merchant_id  integer        not null,
    processor_id smallint       not null,
    currency     smallint       not null,  -- ISO 4217 numeric
    amount_minor bigint         not null check (amount_minor > 0),
    fee_minor    bigint         not null check (fee_minor >= 0),
    executed     boolean        not null,
    sequence     bigint         not null,
    requested_at timestamptz(3) not null,
    posted_at    timestamptz(3) not null,
    partition    smallint       not null,  -- of payment.settled, at the first posting
    settled      bytea          not null   -- the fact as on the log: what a rebuild replays
) partition by range (day);

create table ledger.posting (
    payment_id   uuid     not null,
    kind         smallint not null,
    day          date     not null,
    account_id   bigint   not null,
    slot         smallint not null,
    currency     smallint not null,
    sequence     bigint   not null,
    amount_minor bigint   not null check (amount_minor <> 0)
) partition by range (day);

create table ledger.balance (
    account_id   bigint         not null,
    currency     smallint       not null,
    slot         smallint       not null,  -- 0, or the partition for accounts that all partitions touch
    amount_minor bigint         not null,
    sequence     bigint         not null,
    primary key (account_id, currency, slot)
) with (fillfactor = 50);

create table ledger.retention (
    singleton       boolean primary key default true check (singleton),
    cleaned_through date not null default '2000-01-01'
);
insert into ledger.retention default values;

create function ledger.refuse_unbalanced() returns trigger language plpgsql as $$
declare wrong record;
begin
    select payment_id, currency, sum(amount_minor) as rest into wrong
      from added group by payment_id, kind, currency having sum(amount_minor) <> 0 limit 1;
    if found then
        raise exception 'entry of payment % does not balance: % left over in currency %', wrong.payment_id, wrong.rest, wrong.currency
            using errcode = 'check_violation', constraint = 'posting_balanced';
    end if;
    return null;
end $$;

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'check_violation', constraint = 'append_only';
end $$;

create function ledger.guard(target regclass, checks_balance boolean) returns void language plpgsql as $$
begin
    execute format('create trigger append_only before update or delete on %s for each statement execute function ledger.refuse_change()', target);
    if checks_balance then
        execute format('create trigger balanced after insert on %s referencing new table as added for each statement execute function ledger.refuse_unbalanced()', target);
    end if;
end $$;
select ledger.guard('ledger.payment', false), ledger.guard('ledger.posting', true);

create table ledger.idempotency_rest partition of ledger.idempotency default;
create table ledger.payment_rest partition of ledger.payment default;
create table ledger.posting_rest partition of ledger.posting default;
select ledger.guard('ledger.payment_rest', false), ledger.guard('ledger.posting_rest', true);

-- Makes a day's partitions, each guarded like its parent: an insert into a partition passes the
-- parent's trigger by. False, and nothing made, where rows of that day stand in a default partition.
-- Attached, not created in place: "partition of" would lock out the writers of every other day.
create function ledger.prepare_day(wanted date) returns boolean language plpgsql as $$
declare
    suffix text := to_char(wanted, 'YYYYMMDD');
    parent text;
begin
    if to_regclass('ledger.posting_' || suffix) is not null then return true; end if;
    lock table only ledger.idempotency, only ledger.payment, only ledger.posting in share update exclusive mode;
    lock table only ledger.idempotency_rest, only ledger.payment_rest, only ledger.posting_rest in access exclusive mode;
    if to_regclass('ledger.posting_' || suffix) is not null then return true; end if;
    if exists (select from ledger.idempotency_rest where day = wanted)
        or exists (select from ledger.payment_rest where day = wanted)
        or exists (select from ledger.posting_rest where day = wanted)
    then return false; end if;
    foreach parent in array array['idempotency', 'payment', 'posting'] loop
        execute format('create table ledger.%1$s_%2$s (like ledger.%1$s including all)', parent, suffix);
        execute format('alter table ledger.%1$s attach partition ledger.%1$s_%2$s for values from (%3$L) to (%4$L)',
            parent, suffix, wanted, wanted + 1);
    end loop;
    perform ledger.guard(('ledger.payment_' || suffix)::regclass, false), ledger.guard(('ledger.posting_' || suffix)::regclass, true);
    return true;
end $$;

-- Forgets which facts of days up to `through` were posted, and notes it: from then on a fact of such
-- a day is looked for among that day's payments. Gives how many partitions were dropped.
create function ledger.clean(through date) returns integer language plpgsql as $$
declare
    leaf text;
    dropped integer := 0;
begin
    update ledger.retention set cleaned_through = greatest(cleaned_through, through);
    for leaf in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'ledger.idempotency'::regclass and c.relname ~ '^idempotency_[0-9]{8}$'
           and to_date(right(c.relname, 8), 'YYYYMMDD') <= through
         order by c.relname
    loop
        execute format('drop table ledger.%I', leaf);
        dropped := dropped + 1;
    end loop;
    delete from ledger.idempotency_rest where day <= through;
    return dropped;
end $$;
