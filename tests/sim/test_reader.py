"""The simulated reader: presentation and removal, faults, air time, threads."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from cardproto.errors import CardGone, ExchangeTimeout, ReaderGone
from sim.air import AirModel, VirtualClock
from sim.card.other import SilentCard
from sim.faults import (
    corrupt,
    delay,
    endless_frames,
    flip,
    replace,
    silence,
    tear_after,
    tear_before,
)
from sim.reader import SimConnection, SimReader
from tests.sim.bench import AID, READ_WRITE, Bench, commit, debit, example

FREE_READ = bytes.fromhex("90AD0000070000000004000000")
SELECT = bytes.fromhex("905A000003") + AID + b"\0"
UID_COMMAND = bytes.fromhex("FFCA000000")
OK = b"\x91\x00"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 9, 15, 4, 0, tzinfo=UTC))


@pytest.fixture
def reader(clock: VirtualClock) -> SimReader:
    return SimReader("bench reader", clock)


def connected(reader: SimReader) -> SimConnection:
    connection = reader.wait_for_card(0)
    assert connection is not None
    return connection


def test_waiting_alone_passes_virtual_time_only(reader: SimReader, clock: VirtualClock) -> None:
    assert reader.wait_for_card(30.0) is None
    assert clock.monotonic() == 30.0
    assert reader.wait_for_removal(5.0)  # nothing was handed out
    assert clock.monotonic() == 30.0


def test_a_card_is_handed_out_once(reader: SimReader, clock: VirtualClock) -> None:
    reader.present(example().card)
    assert connected(reader).transmit(SELECT) == OK
    assert reader.wait_for_card(1.0) is None
    assert not reader.wait_for_removal(2.0)
    assert clock.monotonic() == 3.0
    reader.remove()
    assert reader.wait_for_removal(2.0)


def test_a_quick_swap_counts_as_removal_and_a_new_card(reader: SimReader) -> None:
    reader.present(example().card)
    first = connected(reader)
    reader.present(example(proving=True).card)
    assert reader.wait_for_removal(0)
    second = connected(reader)
    assert second.transmit(SELECT) == OK
    with pytest.raises(CardGone):
        first.transmit(SELECT)


def test_what_lies_there_at_the_first_look_after_start_or_outage_is_known(reader: SimReader) -> None:
    card = example().card
    reader.present(card)
    for lies in (True, False):
        connected(reader)
        assert reader.lay_there is lies
        reader.present(card)
    reader.unplug()
    reader.present(card)
    with pytest.raises(ReaderGone):
        reader.wait_for_card(0)
    reader.plug_in()
    connected(reader)
    assert reader.lay_there


def test_the_same_card_again_is_a_new_presentation_with_new_counts(reader: SimReader) -> None:
    card = example().card
    for _ in range(2):
        reader.present(card)
        connection = connected(reader)
        connection.transmit(UID_COMMAND)
        connection.transmit(SELECT)
        assert reader.exchanges == 1
        assert reader.last is not None
        assert reader.last.apdu_bytes == len(SELECT) + 2
        reader.remove()


def test_removal_loses_what_was_volatile(reader: SimReader) -> None:
    bench = example()
    bench.begin(READ_WRITE)
    assert debit(bench, 1) == 0
    reader.present(bench.card)
    reader.remove()
    assert bench.card.transmit(bytes.fromhex("90C7000000")) == b"\x91\x0c"


def test_release_resets_the_card_and_ends_the_connection(reader: SimReader) -> None:
    bench = example()
    reader.present(bench.card)
    connection = connected(reader)
    bench.begin(READ_WRITE)
    reader.release()
    assert bench.card.transmit(bytes.fromhex("906C0000010300")) == b"\x91\xf0"  # back at the PICC level
    with pytest.raises(CardGone, match="released"):
        connection.transmit(SELECT)
    reader.release()
    reader.remove()
    reader.release()


def test_unplugged_reader_says_so_until_it_is_back(reader: SimReader) -> None:
    reader.present(example().card)
    connection = connected(reader)
    reader.unplug()
    with pytest.raises(ReaderGone):
        reader.wait_for_card(1.0)
    with pytest.raises(ReaderGone):
        reader.wait_for_removal(1.0)
    with pytest.raises(CardGone):
        connection.transmit(SELECT)
    reader.plug_in()
    reader.present(example().card)
    assert connected(reader).transmit(SELECT) == OK


def test_closed_reader_waits_no_more(reader: SimReader, clock: VirtualClock) -> None:
    reader.close()
    assert reader.wait_for_card(10.0) is None
    assert clock.monotonic() == 0


def test_tear_before_leaves_the_command_undone_and_after_does_it(reader: SimReader) -> None:
    for plan, done in ((tear_before(2), False), (tear_after(2), True)):
        card = example().card
        reader.present(card, plan)
        connection = connected(reader)
        assert connection.transmit(SELECT) == OK
        write = bytes.fromhex("908D000008000000000100007800")
        with pytest.raises(CardGone):
            connection.transmit(write)
        with pytest.raises(CardGone):
            connection.transmit(SELECT)
        assert reader.wait_for_removal(0)
        content = card.image()["applications"]["A10001"]["files"]["00"]["content"]
        assert content.startswith("78" if done else "00")


def test_pseudo_apdus_are_not_counted_for_faults(reader: SimReader) -> None:
    reader.present(example().card, tear_before(1))
    connection = connected(reader)
    assert connection.transmit(UID_COMMAND)[-2:] == b"\x90\x00"
    with pytest.raises(CardGone):
        connection.transmit(SELECT)


def test_silence_takes_its_time_and_the_card_stays(reader: SimReader, clock: VirtualClock) -> None:
    reader.present(example().card, silence(1, 2.0))
    connection = connected(reader)
    with pytest.raises(ExchangeTimeout):
        connection.transmit(SELECT)
    assert clock.monotonic() == 2.0
    assert connection.transmit(FREE_READ) == b"\x91\xf0"  # the selection never arrived
    reader.present(example().card, silence(1, executed=True))
    connection = connected(reader)
    with pytest.raises(ExchangeTimeout):
        connection.transmit(SELECT)
    assert connection.transmit(FREE_READ) == bytes(4) + OK


def test_a_silent_card_costs_time(reader: SimReader, clock: VirtualClock) -> None:
    reader.present(SilentCard())
    with pytest.raises(ExchangeTimeout):
        connected(reader).transmit(SELECT)
    assert clock.monotonic() == 1.0


def test_delay_corruption_and_replacement(reader: SimReader, clock: VirtualClock) -> None:
    reader.present(example().card, delay(1, 0.25) | corrupt(2, 7) | replace(3, b"\x6f\x00"))
    connection = connected(reader)
    assert connection.transmit(SELECT) == OK
    assert clock.monotonic() == 0.25
    assert connection.transmit(FREE_READ) == b"\x01" + bytes(3) + OK
    assert connection.transmit(FREE_READ) == b"\x6f\x00"
    assert connection.transmit(FREE_READ) == bytes(4) + OK


def test_endless_frames_begin_where_planned(reader: SimReader) -> None:
    reader.present(example().card, endless_frames(2, b"x\x91\xaf"))
    connection = connected(reader)
    assert connection.transmit(SELECT) == OK
    assert {connection.transmit(FREE_READ) for _ in range(20)} == {b"x\x91\xaf"}


def test_flip_counts_bits_from_the_top_of_the_first_byte() -> None:
    assert flip(b"\x00\x00", 0) == b"\x80\x00"
    assert flip(b"\x00\x00", 15) == b"\x00\x01"
    assert flip(b"\x00\x00", 16) == b"\x80\x00"
    assert flip(b"", 3) == b""


def test_air_time_moves_the_clock_and_is_counted(clock: VirtualClock) -> None:
    air = AirModel(212)
    reader = SimReader("timed", clock, air)
    reader.present(example().card)
    connection = connected(reader)
    connection.transmit(UID_COMMAND)
    connection.transmit(SELECT)
    expected_ms = air.activation_ms() + air.exchange_ms(SELECT, OK)
    assert reader.last is not None
    assert reader.last.air_ms == pytest.approx(expected_ms)
    assert clock.monotonic() == pytest.approx(expected_ms / 1000)


def test_a_lost_answer_still_cost_the_command_its_time(clock: VirtualClock) -> None:
    air = AirModel(106)
    reader = SimReader("timed", clock, air)
    reader.present(example().card, tear_after(1))
    with pytest.raises(CardGone):
        connected(reader).transmit(SELECT)
    assert reader.last is not None
    assert reader.last.air_ms == pytest.approx(air.activation_ms() + air.command_ms(SELECT))


def test_a_hasty_holder_takes_the_card_away_in_the_middle(clock: VirtualClock) -> None:
    air = AirModel(106)
    reader = SimReader("timed", clock, air)
    hold_s = (air.activation_ms() + 1.5 * air.exchange_ms(SELECT, OK)) / 1000
    reader.present(example().card, hold_s=hold_s)
    connection = connected(reader)
    assert connection.transmit(SELECT) == OK
    with pytest.raises(CardGone):
        connection.transmit(SELECT)
    assert reader.wait_for_removal(0)


def test_a_patient_holder_leaves_when_the_time_is_over(reader: SimReader, clock: VirtualClock) -> None:
    reader.present(example().card, hold_s=1.0)
    assert connected(reader).transmit(SELECT) == OK
    assert reader.wait_for_removal(10.0)
    assert clock.monotonic() == 1.0
    reader.present(example().card, hold_s=1.0)
    clock.advance(1.0)
    assert reader.wait_for_card(0) is None  # came and went unseen


def test_presentation_from_another_thread_wakes_the_terminal(reader: SimReader) -> None:
    seen: list[bytes] = []

    def terminal() -> None:
        for _ in range(3):
            connection = reader.wait_for_card(20.0)
            assert connection is not None
            seen.append(connection.transmit(SELECT))
            assert reader.wait_for_removal(20.0)

    thread = threading.Thread(target=terminal)
    thread.start()
    for _ in range(3):
        card = example().card
        reader.present(card)
        wait_until(lambda: reader.exchanges == 1 and reader.last is not None and reader.last.card is card)  # noqa: B023
        reader.remove()
    thread.join(20.0)
    assert not thread.is_alive()
    assert seen == [OK] * 3


def wait_until(true) -> None:
    """Let other threads run until it is so; a hang is the test's failure, by its time-out."""
    pause = threading.Event()
    for _ in range(20_000):
        if true():
            return
        pause.wait(0.001)
    pytest.fail("it never came to that")


def test_under_a_real_clock_the_holder_leaves_by_himself() -> None:
    reader = SimReader("real time", RealClock())
    reader.present(example().card, hold_s=0.02)
    assert connected(reader).transmit(SELECT) == OK
    assert reader.wait_for_removal(20.0)
    assert reader.wait_for_card(0.01) is None


class RealClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 a test of real waiting

    def monotonic(self) -> float:
        return time.monotonic()


def test_a_waiting_terminal_hears_of_unplugging(reader: SimReader) -> None:
    raised: list[BaseException] = []

    def terminal() -> None:
        try:
            reader.wait_for_card(20.0)
        except ReaderGone as error:
            raised.append(error)

    thread = threading.Thread(target=terminal)
    thread.start()
    reader.unplug()
    thread.join(20.0)
    assert len(raised) == 1


# A whole purse transaction is 6 exchanges here: select, two of authentication, debit, commit, and one read after.
@pytest.mark.parametrize("when", [tear_before, tear_after])
@pytest.mark.parametrize("exchange", range(1, 7))
def test_a_torn_transaction_is_done_wholly_or_not_at_all(reader: SimReader, when, exchange: int) -> None:
    card = example(proving=True).card
    before = card.image()
    undisturbed = example(proving=True)
    transaction(undisturbed)
    done = undisturbed.card.image()
    reader.present(card, when(exchange))
    connection = connected(reader)
    with pytest.raises(CardGone):
        transaction(Bench(connection))
    committed = exchange > 5 or (exchange == 5 and when is tear_after)
    assert card.image() == (done if committed else before)


def transaction(bench: Bench) -> None:
    """Debit and append, commit, then read the proof."""
    bench.begin(READ_WRITE)
    assert debit(bench, 240) == 0
    assert commit(bench, b"\x01")[0] == 0
    bench.ok(0x6F)
