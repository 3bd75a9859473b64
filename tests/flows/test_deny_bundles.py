"""Deny lists through signed bundles: `terminal deny issue --bundles`, `terminal collector` and running terminals."""

from __future__ import annotations

import filecmp
import json
import os
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from sim.card.virtual import VirtualCard
from sim.image_file import save_card
from terminal.app.simulated import issue_residents
from terminal.clock import SystemClock
from terminal.policy.load import load_region
from terminal.publish import key_files
from terminal.publish.deny.bundling import draft_deny
from terminal.publish.deny.register import DenyRegister
from terminal.publish.repository import Repository
from terminal.updates.bundle.kept import delivered_folder
from tests.terminal.cli.inside import runner
from tests.terminal.publish.office import Office
from tests.terminal.publish.test_served import collecting
from tests.terminal.updates.served import Served, serving

DEMO_REGION = {"terminal": {"region": "demo"}}


class ResidentOnFile(NamedTuple):
    """A card in a file, and its UID in hex."""

    path: str
    uid: str


class DenyOffice:
    """The register in deny/, published in bundles/ as deny/all."""

    def __init__(self, office: Office) -> None:
        self.folder = office.folder
        self.office = office
        self.deny("init")

    def deny(self, *arguments: object) -> str:
        ended = self.office.run("deny", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def issue(self, *arguments: object) -> dict[str, int]:
        """The versions that were published."""
        keys = (f"keys/{name}.key" for name in ("deny-1", "snapshot-1", "timestamp-1"))
        signing = (word for key in keys for word in ("--key", key))
        said = self.deny(
            "issue", "--bundles", "bundles", *signing, "--passphrase-file", "pass", "--json", *arguments
        )
        return dict(json.loads(said)["published"])

    def stop(self, card: ResidentOnFile) -> None:
        self.deny("add", "--card", card.uid, "--reason", "lost", "--by", "17")

    def pin(self, state: Path) -> None:
        (state / "trust").mkdir(parents=True)
        (state / "trust/root.json").write_bytes((self.office.bundles / "metadata/1.root.json").read_bytes())


@pytest.fixture
def denying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> DenyOffice:
    monkeypatch.setattr(key_files, "LOG_N", 14)
    office = Office(tmp_path, runner(tmp_path, monkeypatch, capfd))
    office.begin()
    return DenyOffice(office)


@pytest.fixture
def cards(tmp_path: Path) -> list[ResidentOnFile]:
    """Month passes on files, one for each terminal."""
    made = issue_residents(["month_pass"] * 3, load_region("demo").header.region, SystemClock().now().date())
    saved = []
    for number, one in enumerate(made):
        assert isinstance(one, VirtualCard)
        path = tmp_path / f"card-{number}.json"
        save_card(one, path)
        saved.append(ResidentOnFile(str(path), one.uid.hex()))
    return saved


@contextmanager
def withheld(office: Office, *files: str) -> Iterator[None]:
    """Who asks for these gets none."""
    gone = [path for file in files for path in office.bundles.glob(f"targets/deny/all/*.{file}")]
    assert gone
    for path in gone:
        path.rename(path.with_suffix(".away"))
    yield
    for path in gone:
        path.with_suffix(".away").rename(path)


def look(denying: DenyOffice, served: Served) -> str:
    return denying.office.run("updates", "now", "--state", served.state).stdout


def test_increments_are_followed_and_a_night_s_list_is_made_and_never_fetched(
    denying: DenyOffice, cards: list[ResidentOnFile], tmp_path: Path
) -> None:
    denying.deny("add", "--card", "04000000000001", "--reason", "copied", "--by", "17")
    denying.issue("--base")
    denying.pin(tmp_path / "state")
    bundles = {"folder": denying.office.bundles, "every_min": 600}
    with serving(tmp_path, cards[0].path, **DEMO_REGION, bundles=bundles) as served:
        served.said("in_force", kind="deny", edition="deny:1")
        served.tap(lambda tap: tap["admission"] == "let_in")
        denying.stop(cards[1])
        denying.issue()
        denying.stop(cards[0])
        denying.issue()
        with withheld(denying.office, "deny-list", "deny-changes"):
            look(denying, served)
        served.said("in_force", kind="deny_changes", edition="deny_changes:2")
        served.tap(lambda tap: tap["message"] == "blocked")
        denying.deny("remove", "--card", cards[0].uid, "--by", "17")
        denying.issue("--base")
        with withheld(denying.office, "deny-list"):
            look(denying, served)
        served.said("in_force", kind="deny", edition="deny:2")
        served.tap(lambda tap: tap["message"] != "blocked")
        made = delivered_folder(served.state, "deny") / "deny-list"
        assert made.read_bytes() == (tmp_path / "deny/bases/2").read_bytes()
        denying.stop(cards[0])
        denying.issue()
        for broken in denying.office.bundles.glob("targets/deny/all/*.deny-increment"):
            broken.write_bytes(b"RCDC" + bytes(200))
        look(denying, served)
        served.said("in_force", kind="deny_changes", edition="deny_changes:4")
        served.tap(lambda tap: tap["message"] == "blocked")


def test_a_base_of_ten_million_entries_is_published_without_being_in_memory(
    denying: DenyOffice, tmp_path: Path
) -> None:
    denying.deny("add", "--card", "04000000000001", "--reason", "copied", "--by", "17")
    denying.deny("issue", "--base")
    base = tmp_path / "deny/bases/1"
    os.truncate(base, 80_000_000)
    repository, register = Repository(denying.office.bundles), DenyRegister(tmp_path / "deny")
    tracemalloc.start()
    with repository.changing(), closing(register):
        assert draft_deny(register, repository, "deny/all", SystemClock().now()) == "deny"
    _now, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 8 << 20
    (kept,) = repository.files.rglob("*.deny-list")
    assert filecmp.cmp(kept, base, shallow=False)


class CountedLine:
    """A way to a collector on which every byte of TCP's content is counted, both ways; connections are counted, too."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.bytes = self.connections = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self.connections += 1
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while content := one.recv(65_536):
                self.bytes += len(content)
                other.sendall(content)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listening.close()


@contextmanager
def taken() -> Iterator[None]:
    """A processor works on something else."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def share_of_processor() -> float:
    """How much of a processor a process gets that works without a pause."""
    began_s, spent_s = time.monotonic(), time.thread_time()
    while time.thread_time() - spent_s < 0.3:
        pass
    return 0.3 / (time.monotonic() - began_s)


def test_a_card_is_stopped_at_three_terminals_that_wait_for_news(
    denying: DenyOffice, cards: list[ResidentOnFile], tmp_path: Path
) -> None:
    """Looks are ten hours apart: what stops the card is the answer that was held back. Cards are tapped all the while
    and other work takes the processors; within 10 s from `deny add` on, as long as a process gets a third of one. The
    time is printed.
    """
    denying.deny("add", "--card", "04000000000001", "--reason", "copied", "--by", "17")
    denying.issue("--base")
    with ExitStack() as stack:
        url = stack.enter_context(collecting(tmp_path))
        line = stack.enter_context(closing(CountedLine(int(url.rpartition(":")[2]))))
        terminals = []
        for number in (70001, 70002, 70003):
            folder = tmp_path / str(number)
            folder.mkdir()
            denying.pin(folder / "state")
            by = line.url if number == 70001 else url
            bundles = {"url": f"{by}/v1/bundles", "every_min": 600}
            tables = {
                "terminal": {"region": "demo", "number": number},
                "reader": {"name": f"sim:{cards[0].path}", "pace_s": 0.2},
                "bundles": bundles,
            }
            terminals.append(stack.enter_context(serving(folder, cards[0].path, **tables)))
        for served in terminals:
            served.said("in_force", kind="deny", edition="deny:1")
            served.tap(lambda tap: tap["message"] != "blocked")
        before = line.bytes, line.connections
        for _processor in range(os.cpu_count() or 1):
            stack.enter_context(taken())
        began_s = time.monotonic()
        denying.stop(cards[0])
        denying.issue()
        released_s = time.monotonic() - began_s
        took_s = []
        for served in terminals:
            served.tap(lambda tap: tap["message"] == "blocked")
            took_s.append(time.monotonic() - began_s)
        share, spent = share_of_processor(), line.bytes - before[0]
        print(
            f"released after {released_s:.1f} s, refused after {', '.join(f'{one:.1f} s' for one in took_s)}"
            f" with {share:.2f} of a processor; "
            f"{spent} bytes of one terminal"
        )
        assert max(took_s) <= 10 * max(1, 1 / (3 * share))
        assert max(took_s) - released_s <= 3 * max(1, 1 / (3 * share))
        assert spent <= 4_096
        assert line.connections == before[1], "the connection is kept"
