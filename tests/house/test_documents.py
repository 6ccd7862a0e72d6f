"""Documents: what they link to is there, and the commands that they name exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import typer
from tests.house.tree import ROOT, name_of, parsed, tracked

from voltpay.cli.main import app

_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_ANCHORED = re.compile(r"`([\w./-]+\.py)::([\w.]+)`")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def documents() -> list[Path]:
    """All pages."""
    return [path for path in tracked() if path.suffix == ".md"]


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of everything in this repository that a page points to."""
    text = page.read_text()
    for target in _LINK.findall(_FENCED.sub("", text)):
        if not re.match(r"[a-z][a-z+.-]*:", target):
            path, _, anchor = unquote(target).partition("#")
            yield (page.parent / path).resolve() if path else page, anchor
    for path, anchor in _ANCHORED.findall(text):
        yield (page.parent if path.startswith(".") else ROOT) / path, anchor


def resolves(path: Path, anchor: str) -> bool:
    """Whether the file is there and has what the anchor names."""
    if not path.exists():
        return False
    if not anchor:
        return True
    return anchor in (headings(path) if path.suffix == ".md" else definitions(path))


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    lines = re.findall(r"^#+ +(.+?) *#*$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def definitions(module: Path) -> set[str]:
    """Functions, classes and constants of a module by dotted name."""
    return set(_defined(parsed(module).body, "")) if module.suffix == ".py" else set()


def _defined(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _defined(inner, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name


def named_commands(page: Path, program: str) -> set[tuple[str, ...]]:
    """The words that follow a program's name where a page shows code."""
    code = "\n".join(_CODE.findall(page.read_text()))
    found = re.findall(rf"(?:^|[`$\s/]){program} ((?:[a-z][a-z-]*[ \n`]*)+)", code, re.MULTILINE)
    return {tuple(words.replace("`", " ").splitlines()[0].split()) for words in found}


def is_command(words: tuple[str, ...]) -> bool:
    """Whether `voltpay` with these words is a command of the program, or a family of them."""
    command: object = typer.main.get_command(app)
    for word in words:
        family = getattr(command, "commands", None)
        if family is None:
            return True
        if word not in family:
            return False
        command = family[word]
    return True


def test_every_link_leads_somewhere() -> None:
    broken = [
        f"{name_of(page)} -> {path.name}#{anchor}"
        for page in documents()
        for path, anchor in links(page)
        if not resolves(path, anchor)
    ]
    assert broken == []


def test_a_link_to_a_function_that_is_gone_is_found() -> None:
    here = Path(__file__)
    assert resolves(here, "resolves")
    assert resolves(ROOT / "src/voltpay/core/errors.py", "Rejected.__init__")
    assert not resolves(here, "resolved")
    assert not resolves(here.with_name("gone.py"), "")


def test_the_way_of_a_payment_links_each_hop_to_a_function() -> None:
    page = ROOT / "docs" / "way-of-a-payment.md"
    hops = [path for path, anchor in links(page) if path.suffix == ".py" and anchor]
    services = {path.parent.name for path in hops if path.parents[1].name == "services"}
    assert {"ingest", "routing", "ledger", "inquiry"} <= services


def test_every_command_in_a_page_exists() -> None:
    wrong = [
        f"{name_of(page)}: voltpay {' '.join(words)}"
        for page in documents()
        for words in named_commands(page, "voltpay")
        if not is_command(words)
    ]
    assert wrong == []


def test_every_make_target_in_a_page_exists() -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    wrong = [
        f"{name_of(page)}: make {words[0]}"
        for page in documents()
        for words in named_commands(page, "make")
        if words[0] not in targets
    ]
    assert wrong == []


def test_a_command_that_is_gone_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Run `make demo`, then\n\n```sh\n$ voltpay dead burn 1\nvoltpay up --port 1\n```\n"
    )
    assert named_commands(page, "make") == {("demo",)}
    assert named_commands(page, "voltpay") == {("dead", "burn"), ("up",)}
    assert is_command(("up",))
    assert not is_command(("dead", "burn"))


def test_the_readme_names_commands() -> None:
    assert named_commands(ROOT / "README.md", "make") | named_commands(
        ROOT / "README.md", "voltpay"
    )
