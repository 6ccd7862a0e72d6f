"""The history of the schemas: up, down, kept in the database, refused where it does not fit."""

import asyncio
import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from tests import next_release

from voltpay.core.errors import Misconfigured
from voltpay.foundation.engines.postgres.pool import DatabaseAway, DatabaseRefused
from voltpay.migrations import (
    migrate_down,
    migrate_up,
    needs_migration,
    newer_than_this,
    runner,
    scripts,
    status,
)
from voltpay.migrations.runner import alembic_config

ALL = [script.revision for script in scripts.scripts()]
OURS = {"reference", "routing", "ledger", "inquiry", "dead"}
SCHEMAS = "select nspname from pg_namespace where nspname !~ '^(pg_|information_|public|migrat)'"


def fetch(url: str, statement: str) -> list[Any]:
    """The first column of what a statement gives."""

    async def fetched() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return asyncio.run(fetched())


def planted(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, sql: str) -> None:
    """Let the last script of the history be another one."""
    for path in scripts.SQL.iterdir():
        (folder / path.name).write_text(path.read_text())
    (folder / name).write_text(sql)
    monkeypatch.setattr(scripts, "SQL", folder)


@contextlib.contextmanager
def planted_next(monkeypatch: pytest.MonkeyPatch, folder: Path, sql: str) -> Iterator[None]:
    """A release whose history has a script more."""
    copy = next_release.made(folder / "next", sql, "drop schema later;")
    with monkeypatch.context() as patched:
        patched.setattr(scripts, "SQL", copy / "voltpay" / "migrations" / "sql")
        patched.setattr(runner, "_SETTINGS", copy / "voltpay" / "migrations" / "alembic.ini")
        yield


def test_an_empty_database_is_migrated_to_the_head(empty_database_url: str) -> None:
    assert needs_migration(empty_database_url)
    assert migrate_up(empty_database_url) == ALL
    assert set(fetch(empty_database_url, SCHEMAS)) == OURS
    assert not needs_migration(empty_database_url)


def test_a_migrated_database_is_left_as_it_is(database_url: str) -> None:
    assert migrate_up(database_url) == []


def test_every_script_can_be_undone_and_done_again(database_url: str) -> None:
    for revision in reversed(ALL):
        assert migrate_down(database_url, "-1") == [revision]
    assert fetch(database_url, SCHEMAS) == []
    assert migrate_up(database_url) == ALL
    assert set(fetch(database_url, SCHEMAS)) == OURS


def test_it_stops_at_the_revision_that_is_named(empty_database_url: str) -> None:
    assert migrate_up(empty_database_url, "0002") == ["0001", "0002"]
    assert set(fetch(empty_database_url, SCHEMAS)) == {"reference", "routing"}
    assert needs_migration(empty_database_url)
    assert migrate_down(empty_database_url, "0001") == ["0002"]
    assert migrate_down(empty_database_url, "base") == ["0001"]


def test_who_and_when_and_what_are_kept(empty_database_url: str) -> None:
    assert [step.applied_at for step in status(empty_database_url)] == [None] * len(ALL)
    migrate_up(empty_database_url)
    migrate_down(empty_database_url, "0003")
    steps = {step.revision: step for step in status(empty_database_url)}
    assert steps["0003"].name == "ledger"
    assert steps["0003"].applied_at is not None
    assert "@" in (steps["0003"].who or "")
    assert not steps["0003"].is_changed
    assert steps["0004"].applied_at is None
    kept = fetch(
        empty_database_url,
        "select revision || direction || length(checksum) from migrations.history order by id",
    )
    undone = [f"{revision}down64" for revision in reversed(ALL) if revision > "0003"]
    assert kept == [*(f"{revision}up64" for revision in ALL), *undone]


def test_a_script_that_fails_leaves_nothing_and_keeps_what_went_before(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = "create schema half; select 1 / 0;"
    planted(monkeypatch, tmp_path, "0008_services.up.sql", broken)
    with pytest.raises(DatabaseRefused, match="division by zero"):
        migrate_up(empty_database_url)
    assert set(fetch(empty_database_url, SCHEMAS)) == OURS
    assert [step.revision for step in status(empty_database_url) if step.applied_at] == ALL[:-1]
    monkeypatch.undo()
    assert migrate_up(empty_database_url) == ["0008"]


@pytest.mark.parametrize("migrate", [migrate_up, lambda url: migrate_down(url, "base")])
def test_a_script_that_was_changed_after_it_was_applied_is_refused(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    migrate: Callable[[str], list[str]],
) -> None:
    planted(monkeypatch, tmp_path, "0002_routing.up.sql", "create schema routing;")
    assert [step.revision for step in status(database_url) if step.is_changed] == ["0002"]
    with pytest.raises(Misconfigured, match=r"0002_routing\.up\.sql was changed"):
        migrate(database_url)
    assert set(fetch(database_url, SCHEMAS)) == OURS


@pytest.mark.parametrize("question", [status, needs_migration, migrate_up])
def test_a_database_of_a_newer_version_is_refused(
    database_url: str, question: Callable[[str], object]
) -> None:
    fetch(
        database_url,
        "insert into migrations.history (revision, direction, checksum, who)"
        " values ('0099', 'up', '', 'a later one')",
    )
    with pytest.raises(Misconfigured, match=r"newer schema \(0099\).*: upgrade voltpay"):
        question(database_url)


def test_a_newer_database_that_still_serves_this_version_is_gone_on_with(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with planted_next(monkeypatch, tmp_path, f"-- serves: {ALL[-1]}\ncreate schema later;"):
        assert migrate_up(database_url) == ["0009"]
    assert status(database_url)[-1].revision == ALL[-1]
    assert not needs_migration(database_url)
    assert newer_than_this(database_url) == ["0009"]
    for migrate in (migrate_up, lambda url: migrate_down(url, "-1")):
        with pytest.raises(Misconfigured, match=r"newer schema \(0009\).*: upgrade voltpay"):
            migrate(database_url)
    with planted_next(monkeypatch, tmp_path, f"-- serves: {ALL[-1]}\ncreate schema later;"):
        assert migrate_down(database_url, "-1") == ["0009"]
    assert newer_than_this(database_url) == []
    assert migrate_up(database_url) == []


def test_a_newer_database_that_serves_only_its_own_version_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with planted_next(monkeypatch, tmp_path, "-- serves: 0009\ncreate schema later;"):
        migrate_up(database_url)
    with pytest.raises(Misconfigured, match=r"newer schema \(0009\)"):
        needs_migration(database_url)


def test_a_revision_that_there_is_not_is_refused(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="cannot downgrade to '0077'"):
        migrate_down(database_url, "0077")
    assert not needs_migration(database_url)


def test_a_database_that_cannot_be_reached_is_away(installation: Any) -> None:
    with pytest.raises(DatabaseAway):
        needs_migration("postgresql://voltpay@/voltpay?host=/nowhere")


def test_two_that_migrate_at_once_apply_each_script_once(empty_database_url: str) -> None:
    script = "import sys, voltpay.migrations as m; print(m.migrate_up(sys.argv[1]))"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_database_url], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    told = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert told == sorted(["[]", str(ALL)])


async def test_two_threads_of_one_process_can_migrate(
    empty_database_url: str, database_url: str
) -> None:
    urls = [empty_database_url, database_url, empty_database_url]
    done = await asyncio.gather(*(asyncio.to_thread(migrate_up, url) for url in urls))
    assert sorted(done, key=len) == [[], [], ALL]


def test_every_script_has_its_way_back_and_its_revision() -> None:
    names = {path.name for path in scripts.SQL.iterdir()}
    revisions = {f"{script.revision}_{script.name}" for script in scripts.scripts()}
    assert names == {f"{name}.{way}.sql" for name in revisions for way in ("up", "down")}
    versions = ScriptDirectory.from_config(alembic_config("postgresql://")).walk_revisions()
    assert {Path(each.path).stem.removeprefix("r") for each in versions} == revisions


def test_the_history_is_one_line() -> None:
    directory = ScriptDirectory.from_config(alembic_config("postgresql://"))
    assert directory.get_heads() == [ALL[-1]]
    assert [each.revision for each in directory.walk_revisions()] == ALL[::-1]


def test_the_commands_of_alembic_work(empty_database_url: str) -> None:
    config = alembic_config(empty_database_url)
    config.stdout = io.StringIO()
    command.upgrade(config, "0003")
    command.current(config)
    command.history(config)
    command.downgrade(config, "-1")
    told = config.stdout.getvalue()
    assert told.startswith("0003\n")
    assert re.search(r"0007 -> 0008 \(head\)", told)
    assert needs_migration(empty_database_url)
    assert migrate_up(empty_database_url) == ALL[2:]


def test_alembic_can_print_the_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    command.upgrade(alembic_config("postgresql://"), "0001", sql=True)
    told = capsys.readouterr().out
    assert "create schema reference;" in told
    assert "migrations.alembic_version" in told
