"""Whose CPU it is that a payment costs: processes as their command lines name them."""

import pytest

from voltpay.cli.bench.cost import kind_of


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (b"voltpay:log /data/log/valkey.conf", "Valkey: log, claims"),
        (b"voltpay:cache /data/cache/valkey.conf", "Valkey: cache"),
        (b"voltpay: routing", "routing"),
        (b"voltpay: sandbox default", "sandbox processors"),
        (b"postgres: voltpay voltpay [local] idle", "PostgreSQL"),
        (b"/wheels/bin/postgres\0-D\0/data", "PostgreSQL"),
        (b"java\0-cp\0libs\0kafka.Kafka\0server.properties", "Kafka"),
        (b"python\0load.py", "other"),
    ],
)
def test_a_process_is_what_its_command_line_says(command, kind):
    assert kind_of(command) == kind
