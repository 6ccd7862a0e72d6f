"""Stages: what a stage file says of itself is what the topology knows of it."""

import ast
import re
from pathlib import Path

import pytest
from tests.house.tree import ROOT, SRC, parsed, python_files

from voltpay.app.topology import STAGES, Stage, TopicNames

_TOPIC = re.compile(r"payment\.\w+")
_LINE = re.compile(r"^Reads (?P<reads>.*?) · Writes (?P<writes>.*?) · Needs \S", re.MULTILINE)


def file_of(stage: Stage) -> Path:
    return ROOT / "src" / f"{stage.module.replace('.', '/')}.py"


def names(topics: tuple[str, ...]) -> list[str]:
    """Their names on the log, as they are by default."""
    return [getattr(TopicNames(), topic) for topic in topics]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_says_what_it_reads_and_writes(stage: Stage) -> None:
    said = _LINE.search(ast.get_docstring(parsed(file_of(stage))) or "")
    assert said, f"{stage.module} opens without its line `Reads … · Writes … · Needs …`"
    assert _TOPIC.findall(said["reads"]) == names(stage.reads)
    assert sorted(_TOPIC.findall(said["writes"])) == sorted(names(stage.writes))


def test_whatever_says_that_it_reads_a_topic_is_a_stage() -> None:
    saying = {
        path
        for path in python_files(SRC)
        if re.search(r"^Reads payment\.", ast.get_docstring(parsed(path)) or "", re.MULTILINE)
    }
    assert saying == {file_of(stage) for stage in STAGES}


def test_a_group_reads_for_one_stage() -> None:
    groups = [stage.group for stage in STAGES]
    assert len(groups) == len(set(groups))
