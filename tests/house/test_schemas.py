"""Schemas: a service's tables are named in SQL by that service alone."""

import re
from pathlib import Path

import pytest
from tests.house.tree import SRC, name_of, python_files, strings

SERVICES = ("routing", "ledger", "inquiry", "dead")
MAY_NAME_ALL = (SRC / "migrations", SRC / "services" / "reconciliation")
_AFTER_SQL_WORD = r"(?i:\b(?:from|join|into|update|table|truncate|copy|only|index|schema)\s+)"
_CREATED = re.compile(r"create\s+(?:unlogged\s+)?(?:table|view|function)\s+(\w+)\.(\w+)")


def tables() -> set[tuple[str, str]]:
    """(schema, name) of all that the migrations create."""
    files = (SRC / "migrations" / "sql").glob("*.up.sql")
    return {found for path in files for found in _CREATED.findall(path.read_text())}


def names_schema(text: str, schema: str) -> bool:
    """Whether a string is SQL on a schema, or names one of its tables."""
    own = "|".join(sorted(name for of, name in tables() if of == schema))
    return bool(re.search(rf"{_AFTER_SQL_WORD}{schema}\.\w|\b{schema}\.(?:{own})\b", text))


def naming(schema: str) -> dict[str, Path]:
    """Where a schema is named."""
    return {
        f"{name_of(path)}:{line}": path
        for path in python_files(SRC)
        for line, text in strings(path)
        if names_schema(text, schema)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_a_schema_is_named_by_its_service_alone(service: str) -> None:
    may = (*MAY_NAME_ALL, SRC / "services" / service)
    found = naming(service)
    assert found, "the test finds no SQL at all"
    strangers = [where for where, path in found.items() if not set(may) & set(path.parents)]
    assert strangers == []


def test_sql_is_told_from_other_words() -> None:
    assert names_schema("select 1 FROM ledger.anything", "ledger")
    assert names_schema("routing.attempt", "routing")
    assert not names_schema("voltpay.services.ledger.store", "ledger")
    assert not names_schema("ledger.batch_posted", "ledger")


def test_every_schema_of_the_migrations_belongs_to_a_service() -> None:
    assert {schema for schema, _ in tables()} == {*SERVICES, "reference"}
