"""`terminal card acceptance` on simulated chips: each assumption that fails has its row and a fallback that works."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest

from cardproto.connection import CardConnection
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.commands import INS_COMMIT_TRANSACTION, INS_CREATE_APPLICATION
from cardproto.desfire.key_types import KeyType
from cardproto.errors import ReaderGone, TransmissionError
from cardproto.resident.issuance import CardBefore, look_at
from cardproto.resident.layout import KeyNo
from cardproto.resident.personalise import PERSONALISATION_EXCHANGES, personalise
from sim.air import VirtualClock
from sim.card.deviation import ChipDeviation
from sim.card.virtual import VirtualCard
from sim.days import service_days
from sim.image_file import save_card
from sim.issuing import ReloadPoint, issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile
from sim.recorder import TranscriptWriter
from terminal.clock import SystemClock
from terminal.errors import ReaderError, TerminalError
from terminal.lab.acceptance.assumptions import (
    EXPECTED,
    FALLBACK,
    HELPS,
    Assumption,
    CardFallback,
    CardVerdict,
)
from terminal.lab.acceptance.bench import AcceptanceBench, AcceptanceEnd, usable
from terminal.lab.acceptance.command import acceptance
from terminal.lab.acceptance.issue import content
from terminal.lab.acceptance.issue import issue as issue_for_acceptance
from terminal.lab.acceptance.report import AcceptanceUnfinished, page, report_of, write_report
from terminal.lab.acceptance.rig import SimRig
from terminal.lab.acceptance.run import accept, look

ROOT = Path(__file__).resolve().parents[2]
REGION = 34
BEGIN = datetime(2026, 9, 15, 6, tzinfo=UTC)
MASTERS = load_lab_keys()

SHOWN_BY = {
    ChipDeviation.TIMER_REFUSED: Assumption.TIMER_FORM,
    ChipDeviation.TIMER_TOO_SHORT: Assumption.TIMER_LENGTH,
    ChipDeviation.NO_ADDITIONAL_RIGHTS: Assumption.ADDITIONAL_RIGHTS,
    ChipDeviation.NO_KEY_SETS: Assumption.KEY_SETS,
    ChipDeviation.NO_KEYS_IN_SETS: Assumption.KEYS_IN_SETS,
    ChipDeviation.NO_ROLL: Assumption.ROLL,
    ChipDeviation.OTHER_RECORD_PROOF: Assumption.PROOF_OF_RECORDS,
    ChipDeviation.OTHER_BACKUP_PROOF: Assumption.PROOF_OF_BACKUP,
    ChipDeviation.NO_WAY_BACK: Assumption.WAY_BACK,
    ChipDeviation.FEWER_RECORDS: Assumption.RECORDS_KEPT,
    ChipDeviation.TORN_APART: Assumption.TEARS,
    ChipDeviation.NO_CHANGES_IS_HARMLESS: Assumption.NO_CHANGES,
    ChipDeviation.NO_CREDIT_AHEAD: Assumption.CREDIT_AHEAD,
}


def blank(generation: str, *deviations: ChipDeviation) -> VirtualCard:
    rng = random.Random(5).randbytes
    card = VirtualCard(b"\x04" + rng(6), rng, generation=generation, key_type=KeyType.DES)
    return card.deviating(*deviations)


def bench_of(card: VirtualCard) -> AcceptanceBench:
    rng = random.Random(6).randbytes
    rig = SimRig(card, SystemClock())
    return AcceptanceBench(rig, MASTERS, REGION, VirtualClock(BEGIN), rng, lambda _code: None)


def failed(bench: AcceptanceBench) -> set[Assumption]:
    return {row.assumption for row in bench.all_rows() if row.verdict is CardVerdict.FAILS}


@pytest.mark.parametrize("generation", ["EV1", "EV2", "EV3"])
def test_a_chip_as_assumed_holds_everywhere_and_ends_as_it_came(generation: str, tmp_path: Path) -> None:
    card = blank(generation)
    before = card.image()
    bench = bench_of(card)
    accept(bench, "demo", tmp_path, pulls=1)
    assert not failed(bench)
    assert usable(bench.all_rows())
    assert bench.twin is not None
    assert not bench.twin.different
    assert card.image() == before


@pytest.mark.parametrize("deviation", ChipDeviation)
def test_a_chip_that_fails_an_assumption_is_named_and_has_a_fallback(
    deviation: ChipDeviation, tmp_path: Path
) -> None:
    card = blank("EV3", deviation)
    before = card.image()
    bench = bench_of(card)
    accept(bench, "demo", tmp_path, pulls=0)
    rows = bench.all_rows()
    assert SHOWN_BY[deviation] in failed(bench)
    assert usable(rows) is (FALLBACK[SHOWN_BY[deviation]] is not CardFallback.NONE)
    if deviation is not ChipDeviation.NO_WAY_BACK:
        assert card.image() == before
    for language in ("ru", "en"):
        assert card.uid.hex().upper() not in page(report_of(bench, BEGIN, 1.0), language).upper()


def test_every_assumption_has_words_and_a_fallback() -> None:
    assert set(EXPECTED) == set(FALLBACK) == set(Assumption)
    assert set(HELPS) == set(CardFallback)
    assert set(SHOWN_BY) == set(ChipDeviation)


@pytest.mark.parametrize("rolled", [False, True])
def test_a_card_in_service_is_never_touched(rolled: bool) -> None:
    rng = random.Random(7).randbytes
    card = issue(load_profile("adult_purse"), MASTERS, REGION, date(2026, 9, 15), rng)
    assert isinstance(card, VirtualCard)
    keys = MASTERS.for_card(card.uid, REGION)
    if rolled:
        ReloadPoint(card, keys, rng, service_days("Europe/Volgograd", 3)).roll(1)
    before = card.image()
    with pytest.raises(ReaderError, match="in service"):
        look(bench_of(card))
    assert card.image() == before
    card.power_on()
    found = look_at(DesfireCard(DesfireChannel(card)), keys, rng)
    assert found.before is CardBefore.ISSUED, "no --finish empties it"


@pytest.mark.parametrize("rolled", [False, True])
def test_what_an_earlier_run_left_is_taken_up_and_restored(rolled: bool) -> None:
    card = blank("EV2")
    before = card.image()
    first = bench_of(card)
    look(first)
    assert issue_for_acceptance(first)
    if rolled:
        card.power_on()
        rng = random.Random(8).randbytes
        ReloadPoint(card, first.keys, rng, service_days("Europe/Volgograd", 3)).roll(1)
    look(bench_of(card))
    assert card.image() == before


def test_a_masked_transcript_names_no_card(tmp_path: Path) -> None:
    transcript = tmp_path / "transcript"
    image = tmp_path / "card.json"
    card = blank("EV2")
    save_card(card, image)
    made = acceptance(f"sim:{image}", "demo", None, transcript, say=lambda _line: None)
    assert made.usable
    assert card.uid.hex().upper() not in transcript.read_text()


class Drawn:
    """Random bytes that are remembered: challenges, transaction identifiers."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.seen: set[bytes] = set()

    def __call__(self, count: int) -> bytes:
        drawn = self.rng.randbytes(count)
        self.seen.add(drawn)
        return drawn


@pytest.mark.parametrize("generation", ["EV1", "EV3"])
def test_a_transcript_holds_no_key_and_nothing_that_session_keys_are_made_of(
    generation: str, tmp_path: Path
) -> None:
    """None of the card's keys, spare sets and the roll included, and none of what both sides draw at random."""
    path, card_draws, own_draws = tmp_path / "transcript", Drawn(5), Drawn(6)
    card = VirtualCard(b"\x04acceptd"[:7], card_draws, generation=generation, key_type=KeyType.DES)
    bench = bench_of(card)
    bench.random = own_draws
    with TranscriptWriter(path, SystemClock()) as writer:
        bench.record = writer.record
        accept(bench, "demo", tmp_path, pulls=0)
    assert bench.restored
    text = path.read_text()
    generations = (bench.keys, *bench.keys.spare)
    keys = {each.application_key(number) for each in generations for number in KeyNo}
    secret = {bench.keys.picc, bench.keys.transaction_mac, *keys, *card_draws.seen, *own_draws.seen}
    secret = {each for each in secret if len(each) >= 4}
    assert len(secret) > 100
    assert len(text.splitlines()) > 400
    assert not [each for each in (card.uid, *secret) if each.hex().upper() in text]


class OddRig(SimRig):
    """A rig whose card's answers `meddle` changes; it hears the number of the exchange and the answer."""

    def __init__(self, card: VirtualCard, meddle: Callable[[int, bytes], bytes]) -> None:
        super().__init__(card, SystemClock())
        self.count = 0
        self.meddle = meddle

    def connect(self, wait_s: float) -> CardConnection:
        return Meddled(self, super().connect(wait_s))


class Meddled:
    def __init__(self, rig: OddRig, connection: CardConnection) -> None:
        self.rig = rig
        self.connection = connection

    def transmit(self, command: bytes) -> bytes:
        answer = self.connection.transmit(command)
        self.rig.count += 1
        return self.rig.meddle(self.rig.count, answer)


def flipped(answer: bytes) -> bytes:
    return bytes((answer[0] ^ 4,)) + answer[1:]


ODD: dict[str, Callable[[bytes], bytes]] = {
    "a bit flipped": flipped,
    "cut short": lambda answer: answer[1:],
    "nothing but more": lambda answer: b"\x91\xaf",
    "refused": lambda answer: b"\x91\xee",
    "empty": lambda answer: b"",
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("generation", ["EV1", "EV3"])
def test_an_odd_answer_anywhere_is_a_row_and_the_card_is_restored(
    generation: str, odd: str, tmp_path: Path
) -> None:
    """Once while it is issued or probed, once while taps are torn."""
    for first in (60, 240):
        card = blank(generation)
        before = card.image()
        bench = bench_of(card)
        bench.rig = OddRig(
            card, lambda count, answer, first=first: ODD[odd](answer) if count == first else answer
        )
        folder = tmp_path / str(first)
        folder.mkdir()
        try:
            accept(bench, "demo", folder, pulls=0)
        except ReaderError:
            assert not bench.taken
        if bench.taken:
            assert bench.restored
        assert card.image() == before
        assert (bench.ended, bench.cause) in [
            (AcceptanceEnd.COMPLETE, ""),
            (AcceptanceEnd.LEFT, "ReaderError"),  # it showed another UID
        ]


@pytest.mark.parametrize(
    ("stage", "assumption"),
    [
        ("issue", Assumption.ISSUE),
        ("probe", Assumption.PROOF_OF_BACKUP),
        ("tap", Assumption.TAP),
        ("tear", Assumption.TEARS),
        ("roll", Assumption.ROLL),
    ],
)
def test_a_stage_whose_answers_do_not_verify_fails_by_name_and_the_card_is_restored(
    stage: str, assumption: Assumption, tmp_path: Path
) -> None:
    """From the first answer of a stage on nothing that bears a MAC is right, until restoring begins."""
    card = blank("EV3")
    before = card.image()
    bench = bench_of(card)
    begun: list[str] = []
    bench.say = begun.append
    bench.rig = OddRig(
        card, lambda _count, answer: flipped(answer) if begun[-1] == stage and len(answer) > 9 else answer
    )
    accept(bench, "demo", tmp_path, pulls=0)
    assert assumption in failed(bench)
    assert usable(bench.all_rows()) is (FALLBACK[assumption] is not CardFallback.NONE)
    assert card.image() == before
    made = report_of(bench, BEGIN, 1.0)
    assert made.ended is AcceptanceEnd.COMPLETE
    saw = next(row.saw for row in made.rows if row.assumption is assumption)
    assert saw


class LeavingRig(SimRig):
    """A reader unplugged, or its card taken away, when `left` says so, for good."""

    def __init__(self, card: VirtualCard, left: Callable[[], bool], error: type[TransmissionError]) -> None:
        super().__init__(card, SystemClock())
        self.left = left
        self.error = error

    def connect(self, wait_s: float) -> CardConnection:
        self.transmit(b"")
        self._connection = super().connect(wait_s)
        return self

    def transmit(self, command: bytes) -> bytes:
        if self.left():
            raise self.error("gone")
        return self._connection.transmit(command) if command else b""


@pytest.mark.parametrize("stage", ["look", "issue", "probe", "tap", "tear", "roll", "restore"])
def test_a_reader_unplugged_leaves_a_partial_report_and_the_next_run_restores(
    stage: str, tmp_path: Path
) -> None:
    card = blank("EV2")
    before = card.image()
    bench = bench_of(card)
    begun: list[str] = []
    bench.say = begun.append
    bench.rig = LeavingRig(card, lambda: stage in begun, ReaderGone)
    accept(bench, "demo", tmp_path, pulls=0)
    made = report_of(bench, BEGIN, 1.0)
    assert not made.restored
    assert not made.usable or stage == "restore"
    if stage != "restore":
        assert (made.ended, made.stage, made.cause) == (AcceptanceEnd.LEFT, stage, "ReaderGone")
    assert "run the same command again" in str(AcceptanceUnfinished(made))
    again = bench_of(card)
    again.finish = True
    second = tmp_path / "again"
    second.mkdir()
    accept(again, "demo", second, pulls=0)
    assert again.restored
    assert card.image() == before


def test_a_card_that_answers_nothing_right_is_not_taken() -> None:
    card = blank("EV3")
    before = card.image()
    bench = bench_of(card)
    bench.rig = OddRig(card, lambda _count, answer: flipped(answer) if len(answer) > 9 else answer)
    with pytest.raises(ReaderError):
        look(bench)
    assert not bench.taken
    assert card.image() == before


def test_an_interrupted_issue_is_named_and_finish_takes_it_up() -> None:
    """It may be another issuing point's."""
    card = blank("EV2")
    before = card.image()
    known = bench_of(card)
    known.uid = card.uid
    personalise(
        DesfireCard(DesfireChannel(card, max_exchanges=PERSONALISATION_EXCHANGES)),
        known.keys,
        content(known),
        random.Random(9).randbytes,
        stop_after="files",
    )
    interrupted = card.image()
    with pytest.raises(ReaderError, match="--finish"):
        look(bench_of(card))
    assert card.image() == interrupted
    bench = bench_of(card)
    bench.finish = True
    look(bench)
    assert card.image() == before


def test_what_the_card_refuses_and_its_twin_does_is_one_difference_and_all_else_is_compared(
    tmp_path: Path,
) -> None:
    bench = bench_of(blank("EV3", ChipDeviation.NO_ROLL))
    accept(bench, "demo", tmp_path, pulls=0)
    assert bench.twin is not None
    assert [(each.ins, each.card, each.twin) for each in bench.twin.differences] == [("55", "911C", "9100")]
    assert bench.twin.in_line
    assert bench.rows[Assumption.TWIN].saw["not_compared"] == 0


def test_a_card_that_holds_other_data_than_its_twin_is_not_compared_any_more(tmp_path: Path) -> None:
    bench = bench_of(blank("EV3", ChipDeviation.FEWER_RECORDS))
    accept(bench, "demo", tmp_path, pulls=0)
    assert bench.twin is not None
    assert not bench.twin.in_line
    assert bench.twin.different == 1
    assert int(bench.rows[Assumption.TWIN].saw["not_compared"]) > 100
    assert bench.rows[Assumption.TEARS].verdict is CardVerdict.HOLDS


class Refusing(OddRig):
    """Refuses one command at its issue, once or always."""

    def __init__(self, card: VirtualCard, ins: int, times: int) -> None:
        super().__init__(card, lambda _count, answer: answer)
        self.ins = ins
        self.times = times

    def connect(self, wait_s: float) -> CardConnection:
        return RefusingConnection(self, SimRig.connect(self, wait_s))


class RefusingConnection:
    def __init__(self, rig: Refusing, connection: CardConnection) -> None:
        self.rig = rig
        self.connection = connection

    def transmit(self, command: bytes) -> bytes:
        if command[:2] == bytes((0x90, self.rig.ins)) and self.rig.times:
            self.rig.times -= 1
            return b"\x91\x0e"
        return self.connection.transmit(command)


ALWAYS = 99


@pytest.mark.parametrize(
    ("generation", "ins", "times", "expected"),
    [
        ("EV1", INS_CREATE_APPLICATION, 1, set()),
        ("EV3", INS_CREATE_APPLICATION, 1, set()),
        ("EV1", INS_CREATE_APPLICATION, ALWAYS, {Assumption.ISSUE}),
        ("EV3", INS_CREATE_APPLICATION, ALWAYS, {Assumption.ISSUE}),
        ("EV3", INS_COMMIT_TRANSACTION, 1, set()),
        ("EV2", INS_COMMIT_TRANSACTION, ALWAYS, {Assumption.ISSUE}),
        ("EV3", INS_COMMIT_TRANSACTION, ALWAYS, {Assumption.ISSUE}),
    ],
)
def test_a_refusal_at_issue_is_blamed_on_what_caused_it(
    generation: str, ins: int, times: int, expected: set[Assumption], tmp_path: Path
) -> None:
    """Once is a mishap. A commit that is refused with and without the timer is not the timer's fault."""
    card = blank(generation)
    before = card.image()
    bench = bench_of(card)
    bench.rig = Refusing(card, ins, times)
    accept(bench, "demo", tmp_path, pulls=0)
    assert failed(bench) - {Assumption.TWIN} == expected
    assert card.image() == before


def test_pulls_are_rehearsed_without_a_person_on_a_simulated_card(tmp_path: Path) -> None:
    image = tmp_path / "card.json"
    save_card(blank("EV2"), image)
    said: list[str] = []
    made = acceptance(f"sim:{image}", "demo", None, None, pulls=2, say=said.append)
    assert made.usable
    assert said.count("take the card off the reader") == said.count("lay the card on the reader") == 2
    (tears,) = [row for row in made.rows if row.assumption is Assumption.TEARS]
    assert tears.saw["by_hand"] == 2


def accepting(folder: Path, *more: object) -> subprocess.Popen[str]:
    command = (
        sys.executable,
        "-m",
        "terminal.cli.app",
        "card",
        "acceptance",
        "--expendable",
        *map(str, more),
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **pipes)


@pytest.mark.parametrize("report", ["none/report.html", ".", "/dev/null"])
def test_a_report_that_cannot_be_written_is_said_before_the_card_is_touched(
    report: str, tmp_path: Path
) -> None:
    save_card(blank("EV3"), tmp_path / "card.json")
    before = (tmp_path / "card.json").read_bytes()
    process = accepting(tmp_path, "--reader", "sim:card.json", "--report", report)
    said, error = process.communicate(timeout=60)
    assert (process.returncode, said) == (1, "")
    assert error.startswith(f"terminal: the report {report} cannot be written: ")
    assert error.count("\n") == 1
    assert (tmp_path / "card.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]


def test_a_report_replaces_no_file_that_is_none(tmp_path: Path) -> None:
    keys = tmp_path / "office.keys"
    keys.write_text("not to be lost")
    process = accepting(tmp_path, "--reader", "sim:nothing", "--report", keys)
    assert "is there already. Give a new name" in process.communicate(timeout=60)[1]
    assert (process.returncode, keys.read_text()) == (1, "not to be lost")


def test_what_a_person_is_to_do_is_said_in_the_language_of_the_report(tmp_path: Path) -> None:
    save_card(blank("EV2"), tmp_path / "card.json")
    process = accepting(tmp_path, "--reader", "sim:card.json", "--pulls", 1, "--language", "ru")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "terminal: уберите карту со считывателя\nterminal: положите карту на считыватель\n" in said


def test_an_earlier_report_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("of yesterday")
    process = accepting(tmp_path, "--reader", "sim:nothing", "--report", report)
    assert "nothing" in process.communicate(timeout=60)[1]
    assert report.read_text() == "of yesterday"
    bench = bench_of(blank("EV2"))
    accept(bench, "demo", tmp_path, pulls=0)
    made = report_of(bench, BEGIN, 1.0)
    report.with_name("report.json.new").mkdir()
    with pytest.raises(TerminalError, match="cannot be written") as refused:
        write_report(made, report, "en")
    assert "was printed" in refused.value.advice
    assert report.read_text() == "of yesterday"
    report.with_name("report.json.new").rmdir()
    write_report(made, report, "en")
    assert msgspec.json.decode(report.read_bytes())["usable"]
