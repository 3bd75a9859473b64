"""Where the variable CI is set, a test that was skipped has failed: nothing may go missing there unnoticed.

Tests marked `hardware` need a reader and a card on the desk and are the one exception.

`make test` shares the modules out among processes; those for the PC/SC service stay together, because there is one.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ON_CI = bool(os.environ.get("CI"))
PCSC_SERVICE = Path(__file__).parent / "device"


@pytest.hookimpl(tryfirst=True)  # before the plugin looks for the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whose tests run in one process: those of a module share its fixtures, those of the service its reader slots."""
    for item in items:
        group = PCSC_SERVICE if item.path.is_relative_to(PCSC_SERVICE) else item.path
        item.add_marker(pytest.mark.xdist_group(str(group)))


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
