"""The working tree as the house tests read it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "voltpay"
TESTS = ROOT / "tests"

_SQL = re.compile(
    r"\s*(select|insert|update|delete|with|create|merge|copy|lock|--)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Function:
    """A function and how many lines it has, SQL constants not counted."""

    where: str
    lines: int


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    paths = (ROOT / name.decode() for name in listed.split(b"\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(folder: Path) -> Iterator[Path]:
    """The modules in a folder."""
    return (path for path in tracked() if path.suffix == ".py" and folder in path.parents)


def texts() -> Iterator[tuple[Path, str]]:
    """Every tracked file that is text."""
    for path in tracked():
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


def name_of(path: Path) -> str:
    """The path as it is named in a message."""
    return path.relative_to(ROOT).as_posix()


def line_count(path: Path) -> int:
    """Lines of a file."""
    return len(path.read_text().splitlines())


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(path.read_text(), str(path))


def functions(path: Path) -> Iterator[Function]:
    """All functions of a module, methods and inner ones too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(f"{name_of(path)}:{node.name}", _lines(node))


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    span = (function.end_lineno or function.lineno) - function.lineno + 1
    return span - sum(_extra_lines(node) for node in ast.walk(function))


def _extra_lines(node: ast.AST) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.match(node.value):
        return (node.end_lineno or node.lineno) - node.lineno
    return 0


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of the string constants of a module, docstrings left out."""
    tree = parsed(path)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield node.lineno, text
