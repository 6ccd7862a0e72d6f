"""Sizes: small files of small functions. The counts only go down."""

from pathlib import Path

import pytest
from tests.house.tree import SRC, TESTS, functions, line_count, name_of, python_files

FILE_MAX = 300
TEST_FILE_MAX = 500
FUNCTION_MAX = 60

LONG_FILE = 200
LONG_FILES_MAX = 17
"""How many files of the package are longer than LONG_FILE."""

LONG_FUNCTION = 30
LONG_FUNCTIONS_MAX = 5
"""How many functions of the package are longer than LONG_FUNCTION."""


@pytest.mark.parametrize(("folder", "most"), [(SRC, FILE_MAX), (TESTS, TEST_FILE_MAX)])
def test_no_file_is_too_long(folder: Path, most: int) -> None:
    sizes = {name_of(path): line_count(path) for path in python_files(folder)}
    assert {name: lines for name, lines in sizes.items() if lines > most} == {}


@pytest.mark.parametrize("folder", [SRC, TESTS])
def test_no_function_is_too_long(folder: Path) -> None:
    every = [function for path in python_files(folder) for function in functions(path)]
    assert [function for function in every if function.lines > FUNCTION_MAX] == []


def test_the_number_of_long_files_only_goes_down() -> None:
    long = [name_of(path) for path in python_files(SRC) if line_count(path) > LONG_FILE]
    assert len(long) == LONG_FILES_MAX, f"set LONG_FILES_MAX to {len(long)} if lower: {long}"


def test_the_number_of_long_functions_only_goes_down() -> None:
    long = [
        function.where
        for path in python_files(SRC)
        for function in functions(path)
        if function.lines > LONG_FUNCTION
    ]
    assert len(long) == LONG_FUNCTIONS_MAX, (
        f"set LONG_FUNCTIONS_MAX to {len(long)} if lower: {long}"
    )
