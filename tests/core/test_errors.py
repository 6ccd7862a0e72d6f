"""Errors: three roots, and the one line of what is misconfigured."""

import pytest

from voltpay.core.errors import Broken, Misconfigured, Rejected, Unavailable, VoltpayError


@pytest.mark.parametrize("root", [Rejected, Unavailable, Broken, Misconfigured])
def test_all_that_is_raised_on_purpose_has_one_root(root: type[Exception]) -> None:
    assert issubclass(root, VoltpayError)


def test_a_rejection_names_the_fields() -> None:
    error = Rejected("no such currency", fields=("currency",))
    assert (error.detail, error.fields, str(error)) == (
        "no such currency",
        ("currency",),
        "no such currency",
    )
    assert Rejected("malformed").fields == ()
    assert 400 <= Rejected.status < 500


def test_what_is_away_says_when_to_come_back() -> None:
    assert Unavailable("the log is away").retry_after_s == 1
    assert Unavailable("the log is full", retry_after_s=7).retry_after_s == 7
    assert Unavailable.status == 503


def test_misconfiguration_says_what_is_wrong_and_how_to_mend_it() -> None:
    error = Misconfigured("port 9999 is taken", "choose another with --port")
    assert str(error) == "port 9999 is taken: choose another with --port"
