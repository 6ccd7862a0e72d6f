-- Attempts: the last record of a charge, kept for good.
create schema routing;

create table routing.attempt (
    payment_id   uuid           not null,
    number       smallint       not null,
    processor    text           not null,
    amount_minor bigint         not null check (amount_minor > 0),
    currency     text           not null,
    fee_minor    bigint         not null default 0,
    fingerprint  bytea          not null,
    payment      bytea          not null,  -- the payment as on the log, personal data sealed
    requested_at timestamptz(3) not null,
    state        text           not null check (state in ('sending', 'unknown', 'absent', 'executed', 'declined', 'parked')),
    owner        text           not null,
    turn         integer        not null default 1,  -- raised by every takeover: the fence of compare-and-set
    lease_until  timestamptz    not null,
    ask_at       timestamptz,  -- unknown: when to ask; settled or absent, not passed on: when to sweep
    asked        integer        not null default 0,
    explanation  jsonb          not null,
    note         text           not null default '',  -- decline reason, or why it is parked, absent or unknown
    settled_at   timestamptz(3),
    posted       boolean        not null default false,  -- the ledger has it, or, of an absent one, the log
    epoch        integer        not null,
    primary key (payment_id, number)
) with (fillfactor = 80);
-- A payment has one live attempt at most: another processor needs the former one proven absent.
create unique index attempt_live on routing.attempt (payment_id) where state <> 'absent';
create index attempt_unknown on routing.attempt (processor, ask_at) where state = 'unknown';
create index attempt_sending on routing.attempt (processor, lease_until) where state = 'sending';
create index attempt_unposted on routing.attempt (ask_at) where state in ('executed', 'declined', 'absent') and not posted;

create table routing.conflict (
    payment_id   uuid           not null,
    fingerprint  bytea          not null,
    payment      bytea          not null,
    fields       text[]         not null,
    noticed_at   timestamptz(3) not null default now(),
    primary key (payment_id, fingerprint)
);

-- Logged: a crash of the database must not let the allowed rate of health calls begin anew.
create table routing.health (
    processor       text primary key,
    probed_at       timestamptz not null,
    answered_at     timestamptz,
    failing         boolean,
    min_response_ms integer
);

create unlogged table routing.lane (
    instance  text        not null,
    processor text        not null,
    view      jsonb       not null,
    seen_at   timestamptz not null,
    primary key (instance, processor)
);
