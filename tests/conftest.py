"""Where the variable CI is set, a test that was skipped has failed: nothing may go missing there unnoticed.

Tests marked `hardware` need a reader and a card on the desk and are the one exception.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

ON_CI = bool(os.environ.get("CI"))


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped, as pytest would have shown it."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if ON_CI and report.skipped and not expected_failure and item.get_closest_marker("hardware") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped, which on CI is a failure: {reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole module that skips itself while it is being collected."""
    report = yield
    if ON_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which on CI is a failure: {reason(report)}"
    return report
