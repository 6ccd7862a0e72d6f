-- Dead letters: what no stage could handle, payload sealed.
create schema dead;

create table dead.letter (
    id         bigint generated always as identity primary key,
    topic      text           not null,
    partition  smallint       not null,
    position   bigint         not null,
    key        text           not null,
    stage      text           not null,
    payment_id uuid,
    payload    bytea          not null,  -- sealed
    error      text           not null,
    failures   integer        not null,
    buried_at  timestamptz(3) not null,
    state      text           not null default 'buried' check (state in ('buried', 'replayed', 'discarded')),
    reason     text           not null default '',
    changed_at timestamptz(3),
    replays    integer        not null default 0,
    epoch      integer        not null,
    unique (topic, partition, position, stage, epoch)
);
create index letter_payment on dead.letter (payment_id, id desc);
create index letter_stage on dead.letter (stage, id desc);
