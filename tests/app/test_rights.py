"""Least privilege: what each service's role may do in the database, and what it is refused."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import product

import asyncpg
import pytest
from pydantic import SecretStr
from tests.house.tree import SRC
from tests.stack import Stack

from voltpay.app.rights import as_service, database_role, passwords_of, set_rights
from voltpay.app.roles import ROLES, UP
from voltpay.app.settings import Settings, read_settings
from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.postgres.pool import DatabaseAway, Postgres

SECRET = "a secret of the tests, long enough"
ROLE_NAMES = [role.name for role in ROLES]
LOOKS, ADDS, CHANGES = {"SELECT"}, {"SELECT", "INSERT"}, {"SELECT", "INSERT", "UPDATE"}
NAMES = ("reference.account", "reference.merchant", "reference.processor")
READ_MODEL = ("inquiry.payment", "inquiry.balance", "inquiry.bucket", "inquiry.progress")
EVERYBODY = {"migrations.history": LOOKS}
INSTALLATION = {"reference.installation": LOOKS}
QUESTIONS = dict.fromkeys(
    (*READ_MODEL, "routing.attempt", "routing.conflict", "dead.letter"), LOOKS
)
MAY: dict[str, dict[str, set[str]]] = {
    "api": EVERYBODY
    | INSTALLATION
    | QUESTIONS
    | dict.fromkeys(("routing.health", "routing.lane"), LOOKS)
    | {"dead.letter": {"SELECT", "UPDATE"}},
    "ingest": EVERYBODY,
    "routing": EVERYBODY
    | INSTALLATION
    | dict.fromkeys(("routing.attempt", "routing.conflict", "routing.health"), CHANGES)
    | {"routing.lane": CHANGES | {"DELETE"}}
    | dict.fromkeys(("ledger.idempotency", "ledger.payment", "ledger.retention"), LOOKS),
    "ledger": EVERYBODY
    | INSTALLATION
    | dict.fromkeys((*NAMES, "ledger.idempotency", "ledger.payment", "ledger.posting"), ADDS)
    | {"ledger.balance": CHANGES, "ledger.retention": LOOKS},
    "projection": EVERYBODY
    | INSTALLATION
    | dict.fromkeys((*READ_MODEL, "dead.letter"), CHANGES)
    | {"routing.attempt": LOOKS},
    "inquiry": EVERYBODY | INSTALLATION | QUESTIONS,
}
FORBIDDEN = {
    "api": (
        "insert into inquiry.balance values ('alice', 978, 0, 1, 1, 1, now())",
        "update dead.letter set state = 'discarded' where false; delete from dead.letter",
        "update routing.attempt set state = 'executed'",
        "select * from ledger.payment",
        "truncate inquiry.payment",
    ),
    "ingest": (
        "select * from inquiry.payment",
        "select epoch from reference.installation",
        "update routing.attempt set state = 'absent'",
    ),
    "routing": (
        "insert into ledger.retention values (true, now())",
        "update ledger.balance set amount_minor = 0",
        "delete from routing.attempt",
        "select * from inquiry.payment",
        "update reference.installation set epoch = 9",
    ),
    "ledger": (
        "update ledger.payment set amount_minor = 1",
        "delete from ledger.posting",
        "truncate ledger.posting",
        "drop table ledger.payment_rest",
        "alter table ledger.posting_rest disable trigger balanced",
        "insert into routing.health (processor, probed_at) values ('default', now())",
        "select * from dead.letter",
    ),
    "projection": (
        "delete from inquiry.payment",
        "select * from ledger.balance",
        "update routing.attempt set state = 'absent'",
        "select ledger.clean(current_date)",
    ),
    "inquiry": (
        "insert into inquiry.balance values ('alice', 978, 0, 1, 1, 1, now())",
        "update inquiry.balance set amount_minor = 0",
        "update dead.letter set state = 'discarded'",
        "delete from routing.conflict",
        "select * from ledger.payment",
        "create table inquiry.mine (id integer)",
        "create schema mine",
        "select ledger.prepare_day(current_date)",
    ),
}


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Postgres]:
    """The owner of the schema, after the roles got their logins."""
    database = Postgres(database_url, name="owner", size_max=1)
    try:
        await set_rights(database, settings_of(database_url))
        yield database
    finally:
        await database.close()


def settings_of(url: str, *, is_sandbox: bool = False) -> Settings:
    passwords = {name: SecretStr(one) for name, one in passwords_of(SECRET).items()}
    return Settings(
        database_url=SecretStr(url),
        secret=SecretStr(SECRET),
        service_passwords=passwords,
        sandbox=is_sandbox,
    )


def database_of(url: str, role: str) -> Postgres:
    own = as_service(settings_of(url), role).database_url.get_secret_value()
    return Postgres(own, name=role, size_max=1)


def test_every_role_has_its_rights_written_down() -> None:
    assert list(MAY) == ROLE_NAMES
    assert list(FORBIDDEN) == ROLE_NAMES


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_a_role_may_do_on_each_table_what_is_written_here_and_nothing_else(
    owner: Postgres, role: str
) -> None:
    tables = [
        row[0]
        for row in await owner.fetch(
            "select c.oid::regclass::text from pg_class c"
            " join pg_namespace n on n.oid = relnamespace"
            " where relkind in ('r', 'p') and not relispartition and nspname = any($1::text[])",
            ["migrations", "reference", "routing", "ledger", "inquiry", "dead"],
        )
    ]
    deeds = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES")
    found: dict[str, set[str]] = {}
    for table, deed in product(tables, deeds):
        asked = "select has_table_privilege($1, $2::text, $3)"
        if await owner.fetch_value(asked, database_role(role), table, deed):
            found.setdefault(table, set()).add(deed)
    assert found == MAY[role]


@pytest.mark.parametrize("role", ROLE_NAMES)
async def test_what_a_role_is_not_for_the_database_refuses(
    owner: Postgres, database_url: str, role: str
) -> None:
    database = database_of(database_url, role)
    try:
        for statement in FORBIDDEN[role]:
            with pytest.raises(DatabaseAway, match=r"permission denied|must be owner"):
                await database.execute(statement)
        assert await database.fetch_value("select current_user") == database_role(role)
    finally:
        await database.close()


async def test_the_ledger_makes_and_drops_days_that_it_does_not_own(
    owner: Postgres, database_url: str
) -> None:
    database = database_of(database_url, "ledger")
    try:
        assert await database.fetch_value("select ledger.prepare_day('2026-01-01')")
        assert await database.fetch_value("select ledger.clean('2026-01-01')") == 1
    finally:
        await database.close()


async def test_a_rebuilt_read_model_may_be_read_and_written_by_the_same_roles(
    owner: Postgres,
) -> None:
    await owner.execute("select inquiry.begin_rebuild()")
    await owner.execute("select inquiry.finish_rebuild()")
    for role, deed in (("inquiry", "select"), ("api", "select"), ("projection", "update")):
        for table in READ_MODEL:
            asked = "select has_table_privilege($1, $2::text, $3)"
            assert await owner.fetch_value(asked, database_role(role), table, deed), (role, table)


async def test_only_a_sandbox_lets_the_api_empty_it(owner: Postgres, database_url: str) -> None:
    database = database_of(database_url, "api")
    try:
        await set_rights(owner, settings_of(database_url, is_sandbox=True))
        await database.execute("truncate dead.letter")
        await set_rights(owner, settings_of(database_url))
        with pytest.raises(DatabaseAway, match="permission denied"):
            await database.execute("truncate dead.letter")
    finally:
        await set_rights(owner, settings_of(database_url))
        await database.close()


def test_passwords_of_two_secrets_and_of_two_roles_differ() -> None:
    made = [*passwords_of("one").values(), *passwords_of("two").values()]
    assert len(set(made)) == 2 * len(ROLES)


def test_a_password_for_a_role_that_there_is_not_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VOLTPAY_SERVICE_PASSWORDS", json.dumps({"lodger": "x"}))
    with pytest.raises(Misconfigured, match=r"service_passwords is wrong.*no role lodger"):
        read_settings()


def test_up_runs_each_role_as_its_own_role_of_the_database(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("rights")
    folder.chmod(0o711)
    with Stack(folder / "data") as stack:
        stack.pay(accountId="alice")
        stack.until(lambda: stack.call("GET", "/accounts/alice/balance")[0] == 200)
        users = asyncio.run(users_of(stack))
        for name in ("routing", "ledger", "projection", "inquiry"):
            assert database_role("api" if name == "inquiry" else name) in users[f"voltpay:{name}"]
        owners = {name for name, roles in users.items() if "voltpay" in roles}
        assert not owners & {f"voltpay:{role}" for role in (*UP, "inquiry", "dead")}, users
        assert stack.call("POST", "/purge-payments")[0] == 204


async def users_of(stack) -> dict[str, set[str]]:
    """The roles of the database that are connected, by what the connection is for."""
    from voltpay.foundation.engines.embedded import installed_urls

    urls = installed_urls(stack.folder)
    connection = await asyncpg.connect(urls.database)
    rows = await connection.fetch(
        "select application_name, usename from pg_stat_activity"
        " where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    await connection.close()
    users: dict[str, set[str]] = {}
    for name, user in rows:
        users.setdefault(name, set()).add(user)
    return users


def test_every_schema_of_a_migration_is_in_the_list_of_rights() -> None:
    made = {
        name
        for path in (SRC / "migrations" / "sql").glob("*.up.sql")
        for name in re.findall(r"(?m)^create table (\w+\.\w+)", path.read_text())
        if "_rest" not in name
    }
    written = {table for tables in MAY.values() for table in tables}
    assert made - written == set()
