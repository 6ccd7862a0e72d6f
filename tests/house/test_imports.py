"""Imports: one way through the house, and never in a circle."""

import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest
from tests.house.tree import ROOT


@pytest.fixture(scope="module")
def house() -> grimp.ImportGraph:
    return grimp.build_graph("voltpay", cache_dir=None)


def cycle_in(graph: Mapping[str, set[str]]) -> list[str]:
    """A cycle, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def rooms_of(house: grimp.ImportGraph, package: str) -> Mapping[str, set[str]]:
    """The children of a package, and which of the others each one imports."""
    children = house.find_children(package)
    owner = {
        module: child for child in children for module in [child, *house.find_descendants(child)]
    }
    return {
        child: {
            owner[imported]
            for module in [child, *house.find_descendants(child)]
            for imported in house.find_modules_directly_imported_by(module)
            if imported in owner and owner[imported] != child
        }
        for child in children
    }


def test_a_cycle_would_be_found() -> None:
    assert cycle_in({"a": {"b"}, "b": {"a"}}) != []


def test_no_modules_import_each_other_in_a_circle(house: grimp.ImportGraph) -> None:
    imported = {module: house.find_modules_directly_imported_by(module) for module in house.modules}
    assert cycle_in(imported) == []


def test_no_rooms_import_each_other_in_a_circle(house: grimp.ImportGraph) -> None:
    packages = [module for module in house.modules if house.find_children(module)]
    cycles = {package: cycle_in(rooms_of(house, package)) for package in packages}
    assert {package: cycle for package, cycle in cycles.items() if cycle} == {}


def test_the_contracts_of_the_house_are_kept() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run(
        [command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout
