"""Trying mutants without a start for each: in forks of a process that has collected the tests already.

The process learns which test reaches which line and how long each takes. A fork then gives the functions that it has
loaded the code of the mutant, and runs the tests that reach the line, the quickest first, until one fails.
What is computed while a module is imported cannot be changed that way: such a mutant is left to a start of its own.
"""

from __future__ import annotations

import gc
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

import msgspec
import pytest
from _pytest.main import pytest_runtestloop as run_tests

from tests.mutants.plan import Mutant, Planted

LOOK_S: Final = 0.01
SLACK_S: Final = 5.0
SLOWER: Final = 3.0
"""A mutant may make the tests so much slower until it counts as noticed: most that hang are loops without an end."""
LEARN_S: Final = 600.0
PASSED, FAILED = 0, 1


class Seen(msgspec.Struct):
    """What one test was seen to do."""

    seconds: float
    lines: dict[str, list[int]]
    """Reached, by module. What a fixture reaches counts for every test of its file."""


class Trials:
    """A pytest plugin that tries `mutants` where pytest would run what it collected. Of each it writes a line to `out`:
    `noticed`, `hung`, `survived`, or `fresh` where that cannot be found out here, and behind it the files of tests that
    reach the module, the quickest first.
    """

    def __init__(self, folder: Path, mutants: Sequence[Mutant | Planted], out: int) -> None:
        self._folder, self._mutants, self._out = folder, mutants, out
        self._live: dict[str, list[FunctionType]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Learn, then one fork for each mutant. Ends with the code of failed tests when they fail unchanged."""
        if session.testsfailed:
            return False
        seen = self._learned(session)
        modules = {mutant.module for mutant in self._mutants}
        live = {module: _functions_of(self._folder / module) for module in modules}
        for mutant in self._mutants:
            items = _reaching(session.items, seen, mutant.module, mutant.numbers())
            verdict = self._tried(session, items, seen, mutant, live[mutant.module]) if items else "fresh"
            around = _reaching(session.items, seen, mutant.module)
            self._say(" ".join([verdict, *dict.fromkeys(map(_file, around))]))
        return True

    def _say(self, verdict: str) -> None:
        os.write(self._out, f"{verdict}\n".encode())

    def _learned(self, session: pytest.Session) -> dict[str, Seen]:
        """What the tests do without a change. Raises `pytest.Session.Failed` when they do not pass."""
        file = self._folder / "seen.json"
        paths = {str(self._folder / mutant.module): mutant.module for mutant in self._mutants}

        def learn() -> bool:
            watch = _Watch(paths)
            session.config.pluginmanager.register(watch)
            passed = _passed(session, session.items)
            file.write_bytes(msgspec.json.encode(watch.seen))
            return passed

        sys.dont_write_bytecode = False
        if forked(learn, LEARN_S) is not True:
            raise session.Failed("the tests fail without any change")
        sys.dont_write_bytecode = True
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Seen])

    def _tried(
        self,
        session: pytest.Session,
        items: list[pytest.Item],
        seen: dict[str, Seen],
        mutant: Mutant | Planted,
        live: list[FunctionType],
    ) -> str:
        path = self._folder / mutant.module
        source = mutant.source()
        try:
            changed = changed_code(path.read_text("utf-8"), source, str(path))
        except SyntaxError:  # no program any more
            return "noticed"
        if changed is None:
            return "fresh"
        limit_s = SLOWER * sum(seen[item.nodeid].seconds for item in items) + SLACK_S

        def look() -> bool:
            for function in live:
                code = changed.get(_key(function.__code__))
                if code is not None:
                    function.__code__ = code
            return _passed(session, items)

        with put(path, source):
            passed = forked(look, limit_s)
        return "hung" if passed is None else "survived" if passed else "noticed"


class _Watch:
    """A plugin that keeps what each test reaches, by phase, and how long it takes."""

    def __init__(self, paths: dict[str, str]) -> None:
        self._paths = paths
        self._reached: dict[str, set[int]] = {}
        self._fixtures: dict[str, dict[str, set[int]]] = {}
        self.seen: dict[str, Seen] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        begun = time.monotonic()
        result = yield
        of_file = self._fixtures.setdefault(_file(item), {})
        self.seen[item.nodeid] = Seen(time.monotonic() - begun, {})
        for module, lines in self._reached.items():
            self.seen[item.nodeid].lines[module] = sorted(lines | of_file.get(module, set()))
        for module, lines in of_file.items():
            self.seen[item.nodeid].lines.setdefault(module, sorted(lines))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        self._reached = self._fixtures.setdefault(_file(item), {})
        with self._traced():
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        self._reached = {}
        with self._traced():
            return (yield)

    @contextmanager
    def _traced(self) -> Iterator[None]:
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        module = self._paths.get(frame.f_code.co_filename)
        if module is None:
            return None
        if event == "line":
            self._reached.setdefault(module, set()).add(frame.f_lineno)
        return self._trace


def forked(work: Callable[[], bool], limit_s: float) -> bool | None:
    """What `work` returns in a fork; False when it raises, None when it takes longer: it is ended with all it began."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = FAILED
        try:
            os.setsid()
            code = PASSED if work() else FAILED
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == PASSED
        time.sleep(LOOK_S)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


@contextmanager
def put(path: Path, source: str) -> Iterator[None]:
    """The file has this text until the block ends, and no bytecode of either text is left."""
    before = path.read_bytes()
    _forget_bytecode(path)
    try:
        path.write_text(source, "utf-8")
        yield
    finally:
        path.write_bytes(before)
        _forget_bytecode(path)


def changed_code(before: str, after: str, filename: str) -> dict[tuple[str, int], CodeType] | None:
    """The code of the functions that differ, by name and line; None when what runs on import differs."""
    found: dict[tuple[str, int], CodeType] = {}
    old, new = (compile(text, filename, "exec", dont_inherit=True) for text in (before, after))
    return found if _compare(old, new, found, within=False) else None


def _compare(old: CodeType, new: CodeType, found: dict[tuple[str, int], CodeType], *, within: bool) -> bool:
    """Whether the two differ in functions only, which are then in `found`."""
    within = within or bool(old.co_flags & inspect.CO_OPTIMIZED)
    if not within and _own(old) != _own(new):
        return False
    pairs = [_nested(old), _nested(new)]
    inside = zip(*map(_all, pairs), strict=False)
    if within and (_own(old) != _own(new) or any(_own(a) != _own(b) for a, b in inside)):
        found[_key(old)] = new
    if len(pairs[0]) != len(pairs[1]):
        return within
    return all(_compare(a, b, found, within=within) for a, b in zip(*pairs, strict=True))


def _all(codes: list[CodeType]) -> Iterator[CodeType]:
    for code in codes:
        yield code
        yield from _all(_nested(code))


def _nested(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _own(code: CodeType) -> tuple[object, ...]:
    """What it does, without where that stands and without what is nested in it."""
    constants = [
        (type(one), repr(one)) if not isinstance(one, CodeType) else one.co_name for one in code.co_consts
    ]
    return (code.co_code, code.co_names, code.co_varnames, constants, code.co_exceptiontable)


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _functions_of(path: Path) -> list[FunctionType]:
    """Of a module that is loaded, wherever they are kept."""
    found = (one for one in gc.get_objects() if type(one) is FunctionType)
    return [one for one in found if one.__code__.co_filename == str(path)]


def _reaching(
    items: list[pytest.Item], seen: dict[str, Seen], module: str, lines: frozenset[int] = frozenset()
) -> list[pytest.Item]:
    """The tests that reach one of these lines, or without them any of the module; quick files and tests first."""
    reach = [
        item
        for item in items
        if (found := seen[item.nodeid].lines.get(module)) and not (lines and lines.isdisjoint(found))
    ]
    files: dict[str, float] = {}
    for item in reach:
        files[_file(item)] = files.get(_file(item), 0.0) + seen[item.nodeid].seconds
    return sorted(reach, key=lambda item: (files[_file(item)], _file(item), seen[item.nodeid].seconds))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _passed(session: pytest.Session, items: list[pytest.Item]) -> bool:
    """Run them, in this process, until one fails."""
    session.items = items
    with suppress(session.Failed, session.Interrupted):
        run_tests(session)
    code = pytest.ExitCode.TESTS_FAILED if session.testsfailed else pytest.ExitCode.OK
    session.config.hook.pytest_sessionfinish(session=session, exitstatus=code)
    return not session.testsfailed


def _forget_bytecode(path: Path) -> None:
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink(missing_ok=True)
