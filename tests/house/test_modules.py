"""Modules: they say what they give, have a telling name, and are checked without exceptions."""

import ast
import re

from tests.house.tree import SRC, TESTS, name_of, parsed, python_files

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "common", "data", "misc"}


def test_every_module_opens_with_a_docstring() -> None:
    silent = [name_of(path) for path in python_files(SRC) if not ast.get_docstring(parsed(path))]
    assert silent == []


def test_the_first_line_of_a_docstring_is_a_sentence() -> None:
    first_lines = {
        name_of(path): (ast.get_docstring(parsed(path)) or ".").splitlines()[0]
        for path in python_files(SRC)
    }
    assert {name: line for name, line in first_lines.items() if line[-1] not in ".:"} == {}


def test_no_name_of_a_module_or_folder_is_empty_of_meaning() -> None:
    paths = [*python_files(SRC), *python_files(TESTS)]
    named = {path: {path.stem, *path.relative_to(SRC.parents[1]).parts} for path in paths}
    assert [name_of(path) for path, names in named.items() if names & EMPTY_NAMES] == []


def test_nothing_is_hidden_from_the_type_checker() -> None:
    ignored = re.compile(r"#\s*type:\s*ignore|#\s*mypy:\s*ignore|@no_type_check\b")
    hiding = [name_of(path) for path in python_files(SRC) if ignored.search(path.read_text())]
    assert hiding == []


def test_every_folder_of_the_package_is_a_package() -> None:
    scripts = SRC / "migrations" / "versions"
    folders = {path.parent for path in python_files(SRC)} - {scripts}
    assert [name_of(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_test_file_has_a_name_of_its_own() -> None:
    names = [path.name for path in python_files(TESTS) if path.name != "conftest.py"]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
