-- What several services refer to, and the installation itself.
create schema reference;

create table reference.installation (
    singleton boolean primary key default true check (singleton),
    epoch     integer not null default 0
);
insert into reference.installation default values;

create table reference.account   (id bigint   generated always as identity primary key, name text not null unique);
create table reference.merchant  (id integer  generated always as identity primary key, name text not null unique);
create table reference.processor (id smallint generated always as identity primary key, name text not null unique);
comment on table reference.account is
    'Accounts of the books: customer:<id>, customer:anonymous:<merchant>, merchant:<id>, clearing:<processor>, fees:<processor>.';
