"""Hygiene: nothing in the repository knows where it was written or what it was fetched from."""

import re
from pathlib import Path

import pytest
from tests.house.tree import ROOT, name_of, texts, tracked

REGISTRY = re.compile(r"(?:pypi|pythonhosted|npmjs|maven)\.(?:org|com)|--(?:extra-)?index-url")
HOME = re.compile(r"/(?:home|Users)/[a-z]\w*/|/(?:root)/\.")


def naming(pattern: re.Pattern[str]) -> list[str]:
    """Every line that has it, but those of this file."""
    return [
        f"{name_of(path)}: {found[0]}"
        for path, text in texts()
        if path != Path(__file__)
        for found in pattern.finditer(text)
    ]


def test_no_file_names_a_registry() -> None:
    assert naming(REGISTRY) == []


@pytest.mark.parametrize("folder", [ROOT, Path.home() / "."])
def test_no_file_names_this_machine(folder: Path) -> None:
    assert naming(re.compile(re.escape(str(folder)) + r"(?![\w.-])/")) == []


def test_no_file_names_a_home() -> None:
    assert naming(HOME) == []


def test_there_is_no_lock_file_with_addresses() -> None:
    assert [name_of(path) for path in tracked() if path.name in {"uv.lock", "poetry.lock"}] == []


@pytest.mark.parametrize("kind", ["", "-dev", "-build"])
def test_what_is_required_is_pinned_by_hash(kind: str) -> None:
    text = (ROOT / f"requirements{kind}.txt").read_text().replace("\\\n", " ")
    rows = text.splitlines()
    assert rows
    loose = [row for row in rows if not re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:", row)]
    assert loose == []
    assert "://" not in text


def test_the_tests_run_on_what_runs_in_production() -> None:
    runtime, dev = (pins((ROOT / f"requirements{kind}.txt").read_text()) for kind in ("", "-dev"))
    assert runtime <= dev


def pins(text: str) -> set[str]:
    """The names and versions in a requirements file."""
    return set(re.findall(r"^[a-z0-9._-]+==\S+", text, re.MULTILINE))
