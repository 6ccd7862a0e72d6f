#!/bin/sh
# Run once, when the primary's cluster is made: who may copy it, and a role that is no superuser for Voltpay.
set -eu
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set=password="$REPLICATION_PASSWORD" <<'SQL'
create role replicator login replication password :'password';
grant pg_monitor to voltpay;
SQL
printf 'host replication replicator all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
