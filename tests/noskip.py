"""A pytest plugin: with VOLTPAY_NO_SKIP=1 a skipped test is a failed one.

Where everything must be there, a test that finds its engine missing has not held.
"""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

MUST_RUN = pytest.StashKey[bool]()
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    """Take the variable out of the environment: Voltpay refuses what names no setting of its."""
    if MUST_RUN not in config.stash:
        config.stash[MUST_RUN] = os.environ.pop("VOLTPAY_NO_SKIP", "") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a test into a failure; an expected failure stays one."""
    return _refuse_skip(item.config, (yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into an error."""
    return _refuse_skip(collector.config, (yield))


def _refuse_skip(config: pytest.Config, report: Report) -> Report:
    must_run = config.stash[MUST_RUN] and not hasattr(report, "wasxfail")
    if report.skipped and must_run:
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be skipped: {report.longrepr}"
    return report
