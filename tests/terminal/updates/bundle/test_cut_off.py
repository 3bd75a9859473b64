"""A look that is cut off: killed, or the disk takes no more, at any step. Never a mixed pair, and the next completes.

The steps are those that Python itself reports (audit events: files opened, renamed, removed), counted in a child that
has imported everything: no clock says where it dies.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminal.updates.bundle.conftest import Taker
from tests.terminal.updates.bundle.repository import Publisher

STEPS = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.mkdir", "shutil.rmtree"})
PAIRS = {(b"tariff 1", b"tables 1"), (b"tariff 2" * 9000, b"tables 2" * 9000)}


class Steps:
    """Counts the steps of this process from now on, and does something at one of them."""

    def __init__(self, at: int, deed: Callable[[], None]) -> None:
        self.count = 0
        self._at = at
        self._deed = deed
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _details: tuple[object, ...]) -> None:
        if event in STEPS:
            self.count += 1
            if self.count == self._at:
                self._deed()


def in_a_child(work: Callable[[], int]) -> int:
    """Its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException:  # noqa: BLE001 nothing of a child may run on
            traceback.print_exc()
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def updated(publisher: Publisher, taker: Taker) -> Taker:
    """One that has the first issue, while the second is published, with a new root."""
    taker.look(publisher.folder)
    big = {"region.toml": b"tariff 2" * 9000, "tables.zip": b"tables 2" * 9000}
    publisher.put("tariff", "city", big)
    publisher.put("deny", "all", {"deny-list": b"deny 2"})
    publisher.rotate_root()
    publisher.publish()
    return taker


@pytest.mark.parametrize(
    ("deed", "ends", "moments"), [(killed, {-signal.SIGKILL}, 80), (disk_full, {0, 1}, 20)]
)
def test_a_look_that_is_cut_off_leaves_the_old_or_the_new(
    deed: Callable[[], None],
    ends: set[int],
    moments: int,
    publisher: Publisher,
    updated: Taker,
    tmp_path: Path,
) -> None:
    state, kept = updated.state, tmp_path / "kept"
    shutil.copytree(state, kept, symlinks=True)

    def look(at: int) -> int:
        steps = Steps(at, deed)
        report = updated.look(publisher.folder)
        (tmp_path / "steps").write_text(str(steps.count))
        return int(bool(updated.faults(report)))

    assert in_a_child(lambda: look(0)) == 0
    count = int((tmp_path / "steps").read_text())
    assert count > 80, "so many steps are there to be cut off at"
    shutil.rmtree(state)
    pairs, codes = [], set()
    for at in (1 + number * count // moments for number in range(moments)):
        shutil.copytree(kept, state, symlinks=True)
        codes.add(in_a_child(lambda at=at: look(at)))
        pairs.append((updated.has("tariff", "region.toml"), updated.has("tariff", "tables.zip")))
        assert updated.faults(updated.look(publisher.folder)) == {}, f"after step {at}"
        assert updated.has("tariff", "region.toml") == b"tariff 2" * 9000
        assert updated.has("deny", "deny-list") == b"deny 2"
        shutil.rmtree(state)
    assert set(pairs) == PAIRS, "both are seen, and no mix"
    assert codes == ends
    state.mkdir()


def test_a_publisher_who_has_lost_his_disk_goes_on_above_what_was_accepted(
    publisher: Publisher, taker: Taker, tmp_path: Path
) -> None:
    backup, versions = publisher.copy(tmp_path / "backup"), dict(publisher.versions)
    publisher.put("deny", "all", {"deny-list": b"deny 2"})
    publisher.publish()
    taker.look(publisher.folder)
    publisher.folder, publisher.versions = backup, versions
    assert taker.faults(taker.look(backup)) == {"timestamp": "bundle:older"}
    publisher.put("deny", "all", {"deny-list": b"deny 3"})
    publisher.versions |= {"deny": 5, "snapshot": 5, "timestamp": 5}
    publisher.publish()
    assert taker.faults(taker.look(backup)) == {}
    assert taker.has("deny", "deny-list") == b"deny 3"


def test_two_sources_that_contradict_each_other_end_at_the_newer(
    publisher: Publisher, taker: Taker, tmp_path: Path
) -> None:
    stick = publisher.copy(tmp_path / "stick")
    publisher.put("deny", "all", {"deny-list": b"deny 2"})
    publisher.publish()
    for _ in range(2):
        for source in (stick, publisher.folder):
            taker.look(source)
        assert taker.has("deny", "deny-list") == b"deny 2"
    assert taker.faults(taker.look(stick)) == {"timestamp": "bundle:older"}


def test_a_half_copied_stick_brings_what_is_whole_and_the_rest_comes_later(
    publisher: Publisher, taker: Taker, tmp_path: Path
) -> None:
    taker.look(publisher.folder)
    for number in (2, 3):
        publisher.put("tariff", "city", {"region.toml": b"tariff %d" % number, "tables.zip": b"t"})
        publisher.put("deny", "all", {"deny-list": b"deny %d" % number})
        publisher.publish()
    stick = publisher.copy(tmp_path / "stick")
    shutil.rmtree(stick / "targets/tariff")
    assert taker.faults(taker.look(stick)) == {"tariff": "bundle:incomplete"}
    assert (taker.has("tariff", "region.toml"), taker.has("deny", "deny-list")) == (b"tariff 1", b"deny 3")
    assert taker.faults(taker.look(publisher.folder)) == {}
    assert taker.has("tariff", "region.toml") == b"tariff 3"
