"""The error catalogue: its page is what the code says, and a type has one meaning."""

from tests.house.tree import ROOT
from typer.testing import CliRunner

from voltpay.cli.errors import catalogue, markdown
from voltpay.cli.main import app


def test_the_page_of_errors_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert page == markdown(), "docs/errors.md is not of this code: run `make docs`"


def test_a_type_is_one_word_with_one_meaning() -> None:
    slugs = [entry.slug for entry in catalogue()]
    assert len(slugs) == len(set(slugs))
    assert [
        slug for slug in slugs if not slug.replace("-", "").isalpha() or slug.lower() != slug
    ] == []
    assert all(entry.meaning.endswith(".") for entry in catalogue())


def test_errors_that_never_reach_http_are_no_rows() -> None:
    slugs = {entry.slug for entry in catalogue()}
    assert {"invalid-payment", "internal"} <= slugs
    assert not {"rejected", "unavailable"} & slugs


def test_the_command_prints_the_page_or_a_table_of_all_types() -> None:
    assert CliRunner().invoke(app, ["errors", "--markdown"]).stdout == markdown()
    table = CliRunner().invoke(app, ["errors"], env={"COLUMNS": "200"}).stdout
    assert [entry.slug for entry in catalogue() if entry.slug not in table] == []
