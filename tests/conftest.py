"""Where the variable CI is set, a test that was skipped has failed: nothing may go missing there unnoticed.

Tests marked `hardware` need a reader and a card on it and are the one exception.

`make test` shares the modules out among processes; those for the PC/SC service stay together, because there is one.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests import warm

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

TESTS = Path(__file__).parent
ON_CI = bool(os.environ.get("CI"))
PCSC_SERVICE = "tests/device/"
LONGEST = (
    "tests/package/",
    PCSC_SERVICE,
    "tests/terminal/cli/test_output.py",
    "tests/terminal/screen/console/test_console_browser.py",
    "tests/flows/test_vehicle_sources.py",
    "tests/flows/test_no_leaks.py",
    "tests/storm/",
    "tests/terminal/updates/test_live.py",
    "tests/terminal/fleet/",
    "tests/formal/",
    "tests/oracle/",
    "tests/terminal/cli/test_desk_session.py",
    "tests/terminal/collector/test_tls.py",
    "tests/terminal/screen/",
    "tests/terminal/publish/",
    "tests/flows/",
    "tests/golden/",
)
"""Modules that take long begin first, so that none of them is left to one process at the end."""

# No run depends on luck: what a property test tries follows from its own text, here and on CI alike.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
# `make explore` looks where nobody has looked yet, with a seed that it names. The pace of a machine is no finding.
settings.register_profile(
    "explore",
    derandomize=False,
    deadline=None,
    print_blob=True,
    max_examples=1_000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")
warm.replace_popen()
# A shell that starts the tests in the background has them ignore SIGINT, and so would every command that they start.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)


HANDLED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def _handlers_as_they_were() -> Iterator[None]:
    """A command that a test calls in this process sets handlers as the process it is meant to be.

    An ignored signal would be inherited by every command that a later test starts.
    """
    before = {number: signal.getsignal(number) for number in HANDLED}
    yield
    for number, handler in before.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="module")
def _fresh_modules(request: pytest.FixtureRequest) -> Iterator[None]:
    """A module's fixtures, too, start what its own mark says."""
    before = warm.only_fresh(request.node.get_closest_marker("fresh") is not None)
    yield
    warm.only_fresh(before)


@pytest.fixture(autouse=True)
def _fresh_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    before = warm.only_fresh(request.node.get_closest_marker("fresh") is not None)
    yield
    warm.only_fresh(before)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Of a whole run each process compiles its share of the modules, and finds the others' compiled.

    Without it every process rewrites the assertions of all of them at the same time. What fails here is reported
    when it is collected.
    """
    worker: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for path in sorted(TESTS.rglob("test_*.py"))[number::count]:
        with suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The same order in every process: modules by `LONGEST`, and as they were found."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    return next((n for n, beginning in enumerate(LONGEST) if nodeid.startswith(beginning)), len(LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Whose tests run in one process: those of a module share its fixtures, those of the service its reader slots."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 only where the plugin is loaded

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = nodeid.partition("::")[0]
            return PCSC_SERVICE if module.startswith(PCSC_SERVICE) else module

    config.option.loadscopereorder = False  # by the number of tests it would be
    return ByModule(config, log)


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
