"""A terminal that cannot read its journal does not start, and its collector hears why: the product's own processes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from terminal.app.station import IDENTITY_FILE, JOURNAL_FILE
from terminal.app.uplink import START_FAULTS
from terminal.codes import StartFault, SyncFault
from terminal.collector.alarms import AlarmKind
from terminal.collector.intake import heard
from terminal.collector.service import PUBLIC_KEY_FILE
from terminal.errors import CollectorError, JournalDamaged, JournalSealed, OtherSoftware, TerminalError
from terminal.journal.key_file import copy_path, key_path
from terminal.journal.numbers import mark_path, numbers_path
from terminal.sync.credentials import load_keys, make_keys
from terminal.sync.exchange import Answer
from terminal.sync.failed_start import FAILED_STARTS_PATH, LAST_MS, failed_start, send
from terminal.sync.identity import read_public_key
from terminal.sync.link import HttpLink
from tests.config_file import config_file
from tests.flows.live import STATE, collector
from tests.terminal.cli.conftest import ENVIRONMENT, command

TABLES: dict[str, dict[str, object]] = {
    "terminal": {"number": 7, "profile": "bus", "state": STATE},
    "reader": {"name": "sim:adult_purse", "taps": 1},
    "shift": {"operator": "17", "route": 15},
}
VERSION_AT = 60
"""Where SQLite's header states the schema's version, in four bytes, the highest first."""


def starts(folder: Path) -> subprocess.CompletedProcess[str]:
    """`terminal run`, for one tap."""
    return subprocess.run(
        command(("run", "--config", folder / "terminal.toml")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def alarms(folder: Path) -> list[dict[str, Any]]:
    """The collector's open alarms about terminals that do not start."""
    done = subprocess.run(
        command(("collector", "alarms", "--folder", "collector", "--json")),
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = json.loads(done.stdout)["alarms"]
    return [alarm for alarm in found if alarm["kind"] == AlarmKind.NO_START]


@contextmanager
def bus(folder: Path) -> Iterator[tuple[Path, str]]:
    """A bus that has tapped once and is switched off, with its collector; its journal and the address."""
    (folder / STATE).mkdir(parents=True)
    config_file(folder, **TABLES)
    first = starts(folder)
    assert first.returncode == 0, first.stderr
    with collector(folder) as url:
        config_file(folder, **TABLES, collector={"url": url})
        yield folder / STATE / JOURNAL_FILE, url


def lose_keys(journal: Path) -> None:
    key_path(journal).unlink()
    copy_path(journal).unlink()


def flip_version(journal: Path) -> None:
    content = bytearray(journal.read_bytes())
    content[VERSION_AT] ^= 0x40
    journal.write_bytes(content)


def damage(journal: Path) -> None:
    journal.write_bytes(bytes(journal.stat().st_size))
    numbers_path(journal).unlink()
    mark_path(journal).unlink()


@pytest.mark.parametrize(
    ("harm", "error", "fault"),
    [
        (lose_keys, JournalSealed, StartFault.JOURNAL_SEALED),
        (flip_version, OtherSoftware, StartFault.JOURNAL_OF_OTHER_SOFTWARE),
        (damage, JournalDamaged, StartFault.JOURNAL_DAMAGED),
    ],
)
def test_the_collector_hears_of_a_terminal_that_cannot_read_its_journal(
    tmp_path: Path, harm: Any, error: type[TerminalError], fault: StartFault
) -> None:
    with bus(tmp_path) as (journal, _):
        harm(journal)
        for _ in range(2):
            failed = starts(tmp_path)
            assert failed.returncode == error.exit_code, failed.stderr
            assert "the collector knows" in failed.stderr
        (alarm,) = alarms(tmp_path)
        assert (alarm["terminal"], alarm["times"]) == (7, 1)
        assert alarm["detail"].startswith(f"cannot_start fault={fault} day=")
        assert alarm["says"].startswith("Does not start: ")
    # Without a collector the terminal says so, and the error is the same.
    alone = starts(tmp_path)
    assert alone.returncode == error.exit_code
    assert "the collector does not know" in alone.stderr


def test_only_the_terminal_itself_can_say_that_it_does_not_start(tmp_path: Path) -> None:
    with bus(tmp_path) as (_, url):
        own, fault = load_keys(tmp_path / STATE / IDENTITY_FILE), StartFault.JOURNAL_SEALED
        known = read_public_key(tmp_path / "collector" / PUBLIC_KEY_FILE)
        with closing(HttpLink(url)) as link:
            for number in (7, 8):
                with pytest.raises(CollectorError, match=r"bad_signature|unknown_terminal"):
                    send(link, failed_start(number, fault, 0, make_keys()), known)
            genuine = failed_start(7, fault, LAST_MS + 5, own)
            other_day = msgspec.structs.replace(genuine, at_ms=0)
            with pytest.raises(CollectorError, match="bad_signature"):
                send(link, other_day, known)
            wrong = msgspec.json.encode(genuine).replace(fault.value.encode(), b"start:x")
            assert link.exchange(FAILED_STARTS_PATH, wrong, "application/json").status == 400
            assert alarms(tmp_path) == []
            send(link, genuine, known)
            send(link, genuine, known)
            with pytest.raises(CollectorError, match="not signed by its collector") as other:
                send(link, genuine, make_keys().signing.public_key())
            assert other.value.fault is SyncFault.NOT_TRUSTED
        (alarm,) = alarms(tmp_path)
        assert (alarm["detail"], alarm["times"]) == (f"cannot_start fault={fault} day=9999-12-31", 1)


def test_only_the_collectors_word_on_this_very_message_says_that_it_was_heard() -> None:
    own, collector = make_keys(), make_keys()
    first = failed_start(7, StartFault.JOURNAL_SEALED, 1, own)
    others = (
        failed_start(7, StartFault.JOURNAL_SEALED, 2, own),
        failed_start(8, StartFault.JOURNAL_SEALED, 1, own),
        failed_start(7, StartFault.JOURNAL_DAMAGED, 1, own),
    )
    answers = [Answer(200, heard(said, collector).body) for said in (first, *others)]
    send(Played(answers[0]), first, collector.signing.public_key())
    for answer in (*answers[1:], Answer(200, b"{}"), Answer(200, b"")):
        with pytest.raises(CollectorError, match="not signed by its collector"):
            send(Played(answer), first, collector.signing.public_key())
    with pytest.raises(CollectorError, match="no collector's answer"):
        send(Played(Answer(204, b"")), first, collector.signing.public_key())


class Played(NamedTuple):
    """A link on which this is answered."""

    answer: Answer

    def exchange(self, path: str, body: bytes, content_type: str) -> Answer:
        return self.answer


def test_every_error_of_a_start_has_its_code() -> None:
    assert set(START_FAULTS.values()) == set(StartFault)
