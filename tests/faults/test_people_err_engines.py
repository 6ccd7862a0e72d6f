"""A wrong URL, or an engine that cannot keep the promise, is refused in one line with its mend."""

import asyncio
import socket

import asyncpg
import pytest
import redis
from tests.contracts.servers import CACHE, LOG, StreamServer, program_of
from tests.faults.refusals import refused, refused_up
from tests.stack import Stack, free_ports

from voltpay.foundation.engines.embedded import EmbeddedEngines

NOWHERE = "no-such-host.invalid"
NEWER = """
insert into migrations.history (revision, direction, checksum, who)
values ('9999', 'up', 'of a newer one', 'test')
"""
MADE = "create schema migrations; create table migrations.history (id bigint generated always as"
MADE += " identity, revision text, direction text, checksum text, who text,"
MADE += " at timestamptz default clock_timestamp())"


@pytest.fixture
def urls(log_url, cache_url, database_url):
    """Settings that name good engines; the database is migrated."""
    return {
        "VOLTPAY_LOG_URL": log_url,
        "VOLTPAY_CACHE_URL": cache_url,
        "VOLTPAY_DATABASE_URL": database_url,
        "VOLTPAY_SECRET": "s" * 40,
    }


@pytest.fixture
def plain_server(request):
    """A Valkey of its own, with the settings that a test names."""
    server = StreamServer(program_of("valkey"), request.param)
    server.start()
    yield server
    server.remove()


def refused_to(where, command, urls):
    """The line that a command on these engines ends with."""
    if command == ("up",):
        return refused_up(where, "data", settings=urls)
    return refused(where, *command, settings=urls)


def revisions_after(url, sql):
    """Run statements on a database; the revisions that its history holds then, newest last."""

    async def run():
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
            rows = await connection.fetch("select revision from migrations.history order by id")
            return [row["revision"] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "ledger"), ("up",)])
@pytest.mark.parametrize(
    ("name", "url", "words"),
    [
        (
            "LOG",
            "http://h:1",
            ("log_url begins with http://", "begin VOLTPAY_LOG_URL with redis:/"),
        ),
        ("LOG", "redis://:geheim@h:port", ("log_url cannot be read", "mend port and options of V")),
        ("CACHE", "redis://h?foo=1", ("cache_url cannot be read", "options of VOLTPAY_CACHE_URL")),
        ("CACHE", "localhost:6379", ("cache_url has no scheme", "begin VOLTPAY_CACHE_URL with")),
        ("DATABASE", "postgresql://:::", ("database_url cannot be read", "VOLTPAY_DATABASE_URL")),
        ("DATABASE", "", ("database_url is not set", "set VOLTPAY_DATABASE_URL to postgresql://")),
    ],
)
def test_an_url_that_nothing_can_connect_to_is_refused(tmp_path, urls, command, name, url, words):
    settings = urls | {f"VOLTPAY_{name}_URL": url}
    line = refused_to(tmp_path, command, settings)
    assert all(word in line for word in words), line
    assert "geheim" not in line


@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "ledger"), ("up",)])
def test_a_standby_that_nothing_can_connect_to_is_refused(tmp_path, urls, command):
    settings = urls | {"VOLTPAY_REPLICA_URLS": '["mysql://me:geheim@h"]'}
    line = refused_to(tmp_path, command, settings)
    assert "replica_urls begins with mysql://" in line
    assert "postgresql://" in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("LOG", "redis://:geheim@{host}"),
        ("DATABASE", "postgresql://me:geheim@{host}/voltpay"),
    ],
)
@pytest.mark.parametrize("host", [f"{NOWHERE}:7", "127.0.0.1:{port}"])
def test_an_engine_that_is_away_is_named_with_its_place_and_never_its_password(
    tmp_path, urls, name, url, host
):
    place = host.format(port=free_ports(1)[0])
    settings = urls | {f"VOLTPAY_{name}_URL": url.format(host=place)}
    for line in (
        refused(tmp_path, "migrate", "up", settings=settings),
        refused_up(tmp_path, "data", settings=settings),
    ):
        assert f"{name.lower()}_url ({place}) does not answer" in line
        assert f"start it, or mend VOLTPAY_{name}_URL" in line
        assert "geheim" not in line


def test_a_log_that_is_away_is_named_by_a_command_that_reads_it(tmp_path, urls):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        line = refused(
            tmp_path, "reconcile", settings=urls | {"VOLTPAY_LOG_URL": f"redis://{place}"}
        )
    assert f"log_url ({place}) does not answer" in line


@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "ledger")])
@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("voltpay:", "voltpay:geheim", ("InvalidPasswordError", "mend user and password in VOLT")),
        ("voltpay:", "nobody:", ("InvalidPasswordError", "VOLTPAY_DATABASE_URL")),
        ("/test_", "/none_", ("does not exist", "create it, or name another in VOLTPAY_DATABASE")),
        ("?host", "?sslmode=perhaps&host", ("sslmode", "mend the options in VOLTPAY_DATABASE_URL")),
    ],
)
def test_a_database_that_refuses_is_refused(tmp_path, urls, command, old, new, words):
    url = urls["VOLTPAY_DATABASE_URL"].replace(old, new, 1)
    line = refused(tmp_path, *command, settings=urls | {"VOLTPAY_DATABASE_URL": url})
    assert "database_url (" in line
    assert all(word in line for word in words), line
    assert "geheim" not in line


@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "routing")])
@pytest.mark.parametrize("plain_server", [LOG], indirect=True)
def test_a_log_that_refuses_is_refused(tmp_path, urls, plain_server, command):
    plain_server.ask("CONFIG", "SET", "requirepass", "open")
    for url in (plain_server.url, plain_server.url.replace("//", "//:geheim@")):
        line = refused(tmp_path, *command, settings=urls | {"VOLTPAY_LOG_URL": url})
        assert "log_url (" in line
        assert "is refused" in line
        assert "mend user and password in VOLTPAY_LOG_URL" in line
        assert "geheim" not in line


@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "routing")])
def test_a_log_that_is_a_postgresql_is_refused(tmp_path, urls, installation, command):
    path = installation.data / "run" / "postgres" / ".s.PGSQL.5432"
    line = refused(tmp_path, *command, settings=urls | {"VOLTPAY_LOG_URL": f"unix://{path}"})
    assert f"log_url is not Redis: {path} speaks PostgreSQL: mend VOLTPAY_LOG_URL" in line


@pytest.mark.slow
@pytest.mark.parametrize("command", [("migrate", "up"), ("run", "routing")])
def test_a_database_that_is_a_redis_is_refused(tmp_path, urls, installation, command):
    path = tmp_path / ".s.PGSQL.5432"
    path.symlink_to(installation.data / "run" / "valkey" / "log.sock")
    url = f"postgresql://me:geheim@/voltpay?host={tmp_path}"
    line = refused(tmp_path, *command, settings=urls | {"VOLTPAY_DATABASE_URL": url})
    assert f"database_url is not PostgreSQL: {path} speaks Redis: mend VOLTPAY_DATABASE" in line
    assert "geheim" not in line


@pytest.mark.parametrize(
    ("plain_server", "words"),
    [
        (LOG | {"appendonly": "no"}, "has appendonly no: set appendonly yes"),
        (LOG | {"appendfsync": "everysec"}, "has appendfsync everysec: set appendfsync always"),
        (LOG | {"maxmemory": "0"}, "has no maxmemory: set one"),
        (LOG | {"maxmemory-policy": "allkeys-lru"}, "set maxmemory-policy noeviction"),
        (CACHE, "set appendonly yes"),
    ],
    indirect=["plain_server"],
)
def test_a_log_that_may_lose_a_payment_is_refused(tmp_path, urls, plain_server, words):
    line = refused_up(tmp_path, "data", settings=urls | {"VOLTPAY_LOG_URL": plain_server.url})
    assert words in line
    assert plain_server.ask("DBSIZE") == 0


@pytest.mark.parametrize("command", [("migrate", "up"), ("dead", "list"), ("run", "api"), ("up",)])
def test_a_missing_secret_is_refused(tmp_path, urls, command):
    del urls["VOLTPAY_SECRET"]
    line = refused_to(tmp_path, command, urls)
    assert "there is no secret: set VOLTPAY_SECRET to 32 characters or more" in line


@pytest.mark.parametrize(
    "command",
    [
        ("migrate", "up"),
        ("migrate", "status"),
        ("migrate", "down", "0001", "--destroy-data"),
        ("reconcile",),
        ("rebuild",),
        ("dead", "list"),
        ("run", "ledger"),
        ("up",),
    ],
)
def test_a_newer_schema_is_refused(tmp_path, urls, command):
    before = revisions_after(urls["VOLTPAY_DATABASE_URL"], NEWER)
    line = refused_to(tmp_path, command, urls)
    assert "of a newer schema (9999) than this Voltpay knows: upgrade voltpay" in line
    assert before[-1] == "9999"
    assert revisions_after(urls["VOLTPAY_DATABASE_URL"], "select 1") == before


def test_a_folder_of_a_newer_schema_is_refused_and_no_engine_is_left(folder, tmp_path):
    data = folder / "newer"
    engines = EmbeddedEngines(data, log_memory_bytes=2**26, cache_memory_bytes=2**24)
    try:
        revisions_after(engines.start().database, f"{MADE}; {NEWER}")
    finally:
        engines.stop()
    line = refused_up(tmp_path, data)
    assert "of a newer schema (9999) than this Voltpay knows: upgrade voltpay" in line
    assert not list(data.glob("*/server.pid"))


def test_other_partitions_than_those_of_a_log_that_is_not_drained_are_refused(tmp_path, urls):
    with redis.Redis.from_url(urls["VOLTPAY_LOG_URL"]) as log:
        log.set("log:partitions", 4)
        log.xadd("log:payment.settled:3", {"kept": "1"})
        line = refused(tmp_path, "migrate", "up", settings=urls | {"VOLTPAY_PARTITIONS": "3"})
        assert "the log has 4 partitions, the settings say 3: set the stored number, or" in line
        assert log.xlen("log:payment.settled:3") == 1


def test_a_port_in_use_is_refused_to_a_single_role(tmp_path, urls):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(tmp_path, "run", "api", "--port", port, settings=urls)
    assert f"cannot listen on 127.0.0.1:{port}: " in line
    assert "choose another with --port" in line


def test_a_folder_that_cannot_be_written_is_refused_with_engines_elsewhere(tmp_path, urls):
    (tmp_path / "data").write_text("a file")
    line = refused_up(tmp_path, "data", settings=urls)
    assert f"{tmp_path / 'data'}: it is no folder" in line
    assert "choose another folder with --data" in line


def test_a_folder_in_use_is_refused_with_engines_elsewhere(folder, tmp_path, urls):
    with Stack(folder / "elsewhere", settings=urls) as running:
        line = refused_up(tmp_path, running.folder, settings=urls)
        assert f"{running.folder} is in use by another voltpay up" in line
        assert "stop that one first, or choose another folder with --data" in line
        running.until_status(running.pay(1), "completed")
    assert not (running.folder / "supervisor.pid").exists()
