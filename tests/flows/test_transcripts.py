"""Taps recorded, read back with the keys, and played again to a terminal that cannot tell the difference."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from msgspec.structs import replace

from cardproto.desfire.crypto import AesKey
from cardproto.resident.keyset import ResidentKeys
from cardproto.resident.layout import KeyNo
from sim.faults import tear_after
from sim.lab_keys import load_lab_keys
from sim.recorder import ReplayCard, TranscriptWriter, terminal_randoms
from sim.transcript import Transcript, TranscriptFault, load_transcript
from sim.transcript_view import DecodedCommand, Keyring, read_tap
from terminal.app.simulated import laboratory_keys
from terminal.journal.records import Committed, parse_record
from terminal.journal.taps import End
from terminal.keys.file import load_file_keys
from terminal.keys.limits import UNLIMITED
from terminal.lab.town import Town
from terminal.lab.world import pseudonym_on
from terminal.tap import take_tap
from terminal.tap_report import TapReport
from tests.flows.conftest import FRONT, OpenTown, resident_of

REGION = 34
PURSE_TAP = [
    "reader: UID",
    "SelectApplication",
    "AuthenticateEV2First",
    "AuthenticateEV2First",
    "ReadData",
    "ReadRecords",
    "Debit",
    "WriteRecord",
    "CommitTransaction",
]


class RecordedRandom:
    """A terminal's random source that gives what it gave in the recording, then fails loudly."""

    def __init__(self, numbers: Iterable[bytes]) -> None:
        self._numbers = iter(tuple(numbers))

    def __call__(self, length: int) -> bytes:
        """Raises `TranscriptFault` when the recording used no more random numbers of this length."""
        number = next(self._numbers, None)
        if number is None or len(number) != length:
            raise TranscriptFault(
                f"the recording has no further random number of {length} bytes", "Replay the same tap."
            )
        return number


def record(town: Town, path: Path, *, masked: bool, faults=None) -> tuple[TapReport, Transcript]:
    reader = town.readers[FRONT.number]
    reader.present(town.cards["adult_purse"], faults)
    connection = reader.wait_for_card(0)
    assert connection is not None
    with TranscriptWriter(path, town.clock, masked=masked) as writer:
        report = take_tap(writer.record(connection), town.terminals[FRONT.number])
    assert writer.failure is None
    return report, load_transcript(path)


def keys_of(town: Town) -> ResidentKeys:
    return load_lab_keys().for_card(town.cards["adult_purse"].uid, REGION)


def steps_of(transcript: Transcript, uid: bytes | None = None) -> list[DecodedCommand]:
    return read_tap(transcript.tap(1), Keyring(load_lab_keys(), REGION, uid))


def test_a_recorded_tap_is_read_back_with_the_keys(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        report, transcript = record(town, tmp_path / "tap.jsonl", masked=False)
        assert report.end is End.COMMITTED
        steps = steps_of(transcript)
        records = [parse_record(row.body) for row in town.terminals[FRONT.number].journal.rows()]
        (proof,) = [record for record in records if isinstance(record, Committed)]
    assert [step.name for step in steps] == PURSE_TAP
    assert all(step.verified for step in steps[3:])
    assert [step.session.rpartition(" ")[2] for step in steps[3:]] == list("012345")
    assert steps[6].content == ("file 03 (purse)", "amount 2400")
    assert "balance_after_minor 47600" in steps[7].content[1]
    assert steps[8].content[1] == f"TMC {proof.tmc}, TMV {proof.tmv.hex().upper()}"
    assert steps[8].sent_ms > 40, "the air time of seven exchanges has passed"
    assert all(step.took_ms > 0 for step in steps[1:])


def test_a_masked_file_shows_no_secret_and_says_that_it_is_masked(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        card = town.cards["adult_purse"]
        pseudonym = pseudonym_on(card)
        assert pseudonym is not None
        _, transcript = record(town, tmp_path / "tap.jsonl", masked=True)
        text = (tmp_path / "tap.jsonl").read_text()
    assert text.startswith('{"format":"resident-card-transcript","version":1,"masked":true}\n')
    assert "XX" * 7 + "9000" in text
    assert card.uid.hex().upper() not in text
    assert pseudonym.hex().upper() not in text
    assert transcript.masked
    assert (tmp_path / "tap.jsonl").stat().st_mode & 0o077 == 0
    unkeyed = steps_of(transcript)
    assert [step.name for step in unkeyed] == PURSE_TAP
    assert not any(step.verified for step in unkeyed)
    with_uid = steps_of(transcript, card.uid)
    assert "masked, so not verified" in with_uid[4].content
    assert all(step.verified for step in with_uid[5:]), "the session goes on behind a masked answer"


def test_wrong_keys_are_said_and_nothing_is_verified(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        _, transcript = record(town, tmp_path / "tap.jsonl", masked=False)
    steps = read_tap(transcript.tap(1), Keyring(load_lab_keys(), REGION + 1))
    assert steps[3].content == ("session not followed: the authentication was not made with this key",)
    assert not any(step.verified for step in steps)
    assert "region 34" in steps[4].content[1], "a MACed file is readable all the same"


def test_a_torn_tap_says_what_was_lost(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        report, transcript = record(town, tmp_path / "tap.jsonl", masked=False, faults=tear_after(8))
        assert report.end is End.UNRESOLVED
    assert steps_of(transcript)[-1].status == "no answer: CardGone"


def test_the_recording_serves_a_terminal_like_the_card(town_of: OpenTown, tmp_path: Path) -> None:
    """The same terminal, moment and random numbers: the same bytes, and the recorded proof again."""
    with town_of("adult_purse", stops=(FRONT,), folder="first") as town:
        report, transcript = record(town, tmp_path / "tap.jsonl", masked=False)
        keys = keys_of(town)
    randoms = terminal_randoms(transcript.tap(1), lambda n: AesKey(keys.application_key(KeyNo(n))))
    assert len(randoms) == 1
    with town_of("adult_purse", stops=(FRONT,), folder="second") as town:
        replayed = ReplayCard(transcript.tap(1))
        town.cards["adult_purse"] = replayed
        medium = resident_of(town.terminals[FRONT.number])
        keys = load_file_keys(laboratory_keys(), UNLIMITED, random=RecordedRandom(randoms))
        medium.setup = replace(medium.setup, keys=keys)
        again = town.tap(FRONT.number, "adult_purse").report
    assert replayed.diverged is None
    assert again == report


def test_a_terminal_that_says_something_else_is_noticed(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        _, transcript = record(town, tmp_path / "tap.jsonl", masked=False)
        replayed = ReplayCard(transcript.tap(1))
        assert take_tap(replayed, town.terminals[FRONT.number]).end is End.NOTHING_WRITTEN
        assert (replayed.diverged or "").startswith("exchange 3: 90AF0000")


def test_a_masked_tap_cannot_be_replayed(town_of: OpenTown, tmp_path: Path) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        _, transcript = record(town, tmp_path / "tap.jsonl", masked=True)
    with pytest.raises(TranscriptFault, match="masked"):
        ReplayCard(transcript.tap(1))


def test_an_existing_file_is_never_overwritten(town_of: OpenTown, tmp_path: Path) -> None:
    (tmp_path / "tap.jsonl").write_text("precious")
    with town_of("adult_purse", stops=(FRONT,)) as town, pytest.raises(TranscriptFault, match="exists"):
        record(town, tmp_path / "tap.jsonl", masked=True)
    assert (tmp_path / "tap.jsonl").read_text() == "precious"
