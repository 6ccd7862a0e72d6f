-- Rows as statements take them, one array of them each: what a driver encodes at half the cost of an
-- array a column.
create type routing.wish as (
    payment_id uuid, number smallint, processor text, amount_minor bigint, currency text,
    fingerprint bytea, payment bytea, requested_ms bigint, explanation text, lease_ms integer,
    epoch integer, former_turn integer, former_note text
);
create type routing.outcome as (
    payment_id uuid, number smallint, turn integer, state text, note text, fee_minor bigint,
    posted boolean, requested_ms bigint, settled_ms bigint, ask_after_ms integer
);
create type inquiry.fact as (
    payment_id uuid, account text, account_slot smallint, slot smallint, epoch integer,
    merchant text, processor text, currency smallint, amount_minor bigint, fee_minor bigint,
    executed boolean, declined text, attempt smallint, reason text, sequence bigint,
    accepted_ms bigint, requested_ms bigint, settled_ms bigint, posted_ms bigint, details bytea
);
