#!/bin/sh
# A standby: copied from the primary where there is none yet, then it follows. The arguments are its command.
set -eu
host=${PRIMARY%:*} port=${PRIMARY#*:}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    rm -rf "$PGDATA.new"
    until PGPASSWORD=$REPLICATION_PASSWORD pg_basebackup --host="$host" --port="$port" --username=replicator --no-password \
        --checkpoint=fast --wal-method=stream --pgdata="$PGDATA.new"; do
        echo "the primary cannot be copied yet; again in 2 s" >&2
        rm -rf "$PGDATA.new"
        sleep 2
    done
    chmod 700 "$PGDATA.new"
    mv "$PGDATA.new" "$PGDATA"
fi
touch "$PGDATA/standby.signal"
printf "primary_conninfo = 'host=%s port=%s user=replicator password=%s application_name=replica'\n" \
    "$host" "$port" "$REPLICATION_PASSWORD" >"$PGDATA/postgresql.auto.conf"
exec "$@"
