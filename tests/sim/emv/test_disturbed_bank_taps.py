"""Bank cards on the simulated reader: torn, slow, silent and disturbed taps, air time, and what a transcript shows."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from cardproto.connection import CardConnection
from cardproto.errors import CardGone, ExchangeTimeout
from sim.air import AirModel, VirtualClock
from sim.desk.trace import traced
from sim.emv.card import DualCard, VirtualBankCard
from sim.faults import FaultPlan, corrupt, delay, replace, silence, tear_after, tear_before
from sim.issuing import issue
from sim.lab_keys import load_lab_keys
from sim.profile import load_profile, profile_names
from sim.reader import SimReader
from sim.recorder import TranscriptWriter
from sim.transcript import load_transcript
from sim.transcript_view import Keyring, read_tap
from tests.sim.emv.judge import Judge, Rejected

DAY = date(2026, 9, 15)
START = datetime(2026, 9, 15, 4, 40, tzinfo=UTC)
EXCHANGES = {"bank_cda": 8, "bank_fdda": 7}
INITIATED_BY = 2
"""The exchange that counts the transaction; before it the application is selected."""


def issued(name: str) -> VirtualBankCard | DualCard:
    card = issue(load_profile(name), load_lab_keys(), 34, DAY, random.Random(1).randbytes)
    assert isinstance(card, VirtualBankCard | DualCard)
    return card


def pays(name: str, connection: CardConnection) -> bytes:
    """A tap of this profile's card, judged."""
    judge = Judge(connection)
    judge.select()
    judge.start()
    method = load_profile(name).bank
    assert method is not None
    return judge.fdda() if method.method == "fDDA" else judge.cda()[1]


def laid(
    card: VirtualBankCard | DualCard, faults: FaultPlan | None = None
) -> tuple[SimReader, CardConnection]:
    reader = SimReader("reader", VirtualClock(START), AirModel())
    reader.present(card, faults)
    connection = reader.wait_for_card(0)
    assert connection is not None
    return reader, connection


def counted(card: VirtualBankCard | DualCard) -> int:
    return sum(one.atc for one in card.chip_memory.wallet.applications)


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("tear", [tear_before, tear_after])
def test_a_tap_torn_at_any_exchange_counts_at_most_once_and_the_next_one_is_whole(name: str, tear) -> None:
    for exchange in range(1, EXCHANGES[name] + 1):
        card = issued(name)
        with pytest.raises(CardGone):
            pays(name, laid(card, tear(exchange))[1])
        done = exchange >= INITIATED_BY if tear is tear_after else exchange > INITIATED_BY
        assert counted(card) == int(done), f"{tear.__name__} {exchange}"
        reader, connection = laid(card)
        pays(name, connection)
        assert counted(card) == int(done) + 1
        assert reader.exchanges == EXCHANGES[name]


@pytest.mark.parametrize(
    "fault",
    [corrupt(exchange, 77) for exchange in range(4, 9)]  # before them nothing is covered by a signature
    + [replace(exchange, bytes.fromhex("77039F27019000")) for exchange in range(1, 9)],
)
def test_a_flipped_bit_or_a_foreign_answer_is_never_a_proof(fault: FaultPlan) -> None:
    with pytest.raises((Rejected, AssertionError, KeyError, ValueError, IndexError, StopIteration)):
        pays("bank_cda", laid(issued("bank_cda"), fault)[1])


def test_slow_and_silent_cards() -> None:
    reader, connection = laid(issued("bank_cda"), delay(8, 2.0))
    pays("bank_cda", connection)
    late = reader._field.clock.monotonic()
    assert late > 2.0
    with pytest.raises(ExchangeTimeout):
        pays("bank_cda", laid(issued("bank_cda"), silence(3))[1])


def test_air_time_is_mostly_the_card_s_signature() -> None:
    took = {}
    for name in EXCHANGES:
        reader, connection = laid(issued(name))
        pays(name, connection)
        assert reader.last is not None
        took[name] = reader.last.air_ms
        assert 800 < reader.last.apdu_bytes < 1200
    assert 170 < took["bank_fdda"] < 240
    assert 190 < took["bank_cda"] < 260


BANK = [name for name in profile_names() if load_profile(name).bank is not None and name != "bank_blocked"]


@pytest.mark.parametrize("name", BANK)
def test_a_masked_transcript_shows_nothing_of_the_number(name: str, tmp_path: Path) -> None:
    """Packed, as text, and recovered from a certificate; the bytes that stay are those of the conversation."""
    card = issued(name)
    with TranscriptWriter(tmp_path / "tap", VirtualClock(START)) as writer:
        judge = Judge(writer.record(card))
        judge.select()
        judge.start()
        judge.transmit("0088000004" + "8F21C0DE" + "00")
    text = (tmp_path / "tap").read_text()
    for application in card.chip_memory.wallet.applications:
        shown = application.pan
        for part in (shown[1:], shown[:-1], shown[6:].encode().hex().upper()):
            assert part not in text
    for tag in (0x9F46, 0x9F4B, 0x57, 0x5A):
        value = judge.data.get(tag, b"\xff" * 20)
        assert value.hex().upper() not in text
    assert load_transcript(tmp_path / "tap").masked
    assert "9F37" in text


def test_the_view_names_the_commands_and_the_desk_hides_what_is_masked(tmp_path: Path) -> None:
    card = issued("bank_cda")
    with TranscriptWriter(tmp_path / "tap", VirtualClock(START), masked=False) as writer:
        pays("bank_cda", writer.record(card))
    tap = load_transcript(tmp_path / "tap").tap(1)
    names = [step.name for step in read_tap(tap)]
    assert names[:3] == ["ISO SELECT", "GET PROCESSING OPTIONS", "ISO READ RECORDS"]
    assert names[-1] == "GENERATE AC"
    rows = traced(tap, Keyring(load_lab_keys(), 34), AirModel(), ())
    number = card.chip_memory.wallet.applications[1].pan
    assert number in str(tap.exchanges)
    assert number not in str(rows)
    assert number[6:-1] not in str(rows)
