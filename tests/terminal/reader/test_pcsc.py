"""The PC/SC reader over a service in memory; tests/device has the same over a real pcscd."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from cardproto.connection import CardConnection
from cardproto.errors import (
    CardError,
    CardGone,
    ExchangeTimeout,
    ProtocolError,
    ReaderGone,
    ReaderTaken,
    ServiceGone,
)
from terminal.errors import ReaderError
from terminal.reader import pcsc
from terminal.reader.pcsc import PcscReader, choose, list_readers
from terminal.reader.presence import Presence
from terminal.reader.scard import MEANINGS, SHARE_EXCLUSIVE, SHARE_SHARED, SHARING_VIOLATION, TIMEOUT
from tests.terminal.reader.fake_service import CONTACT_ATR, FakeService, Slot, echo

NAME, OTHER = "Maker Contactless 00 00", "Maker SAM 00 01"
COMMAND = bytes.fromhex("905A000003014B5A00")
SHORT_S, LONG_S = 0.02, 60.0


@pytest.fixture
def service() -> FakeService:
    return FakeService({NAME: Slot(), OTHER: Slot()})


@pytest.fixture
def reader(service: FakeService) -> Iterator[PcscReader]:
    reader = PcscReader("contactless", service, exchange_timeout_s=LONG_S)
    yield reader
    reader.close()
    assert not service.contexts, "a context was not given back"


def take_card(reader: PcscReader) -> CardConnection:
    connection = reader.wait_for_card(LONG_S)
    assert connection is not None
    return connection


# presence


def test_a_card_already_there_is_presented_once(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)
    reader.release()
    assert reader.wait_for_card(SHORT_S) is None
    assert not reader.wait_for_removal(SHORT_S)
    service.take(NAME)
    assert reader.wait_for_removal(LONG_S)


def test_the_card_found_at_the_first_look_lay_there_until_it_leaves(
    service: FakeService, reader: PcscReader
) -> None:
    service.insert(NAME)
    assert not reader.lay_there, "none was handed out yet"
    for lies in (True, False, False):
        take_card(reader)
        assert reader.lay_there is lies
        reader.release()
        service.take(NAME)
        assert reader.wait_for_removal(LONG_S)
        service.insert(NAME)


@pytest.mark.parametrize(("found_within_s", "lies"), [(LONG_S, True), (0.0, False)])
def test_a_service_that_comes_back_needs_a_moment_to_find_its_card(
    service: FakeService,
    reader: PcscReader,
    monkeypatch: pytest.MonkeyPatch,
    found_within_s: float,
    lies: bool,
) -> None:
    monkeypatch.setattr(pcsc, "FOUND_WITHIN_S", found_within_s)
    assert reader.wait_for_card(0.0) is None
    service.insert(NAME)
    take_card(reader)
    assert reader.lay_there is lies


def test_a_card_stays_on_a_reader_that_is_unplugged_and_comes_back(
    service: FakeService, reader: PcscReader
) -> None:
    assert reader.wait_for_card(0.0) is None
    service.insert(NAME)
    take_card(reader)
    reader.release()
    service.unplug(NAME)
    with pytest.raises(ReaderGone):
        reader.wait_for_removal(LONG_S)
    service.plug(NAME)
    service.insert(NAME)
    take_card(reader)
    assert reader.lay_there


def test_waits_end_without_a_card(service: FakeService, reader: PcscReader) -> None:
    assert reader.wait_for_card(0.0) is None
    assert reader.wait_for_card(SHORT_S) is None
    assert reader.wait_for_removal(0.0), "nothing was handed out, so nothing can still be there"


def test_a_card_coming_later_wakes_the_wait(service: FakeService, reader: PcscReader) -> None:
    assert reader.wait_for_card(0.0) is None
    threading.Timer(0.02, service.insert, [NAME]).start()
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


def test_a_swap_nobody_watched_is_seen_by_the_event_counter(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    take_card(reader)
    reader.release()
    service.take(NAME)
    service.insert(NAME, lambda command: b"\x6d\x00")
    assert reader.wait_for_removal(LONG_S), "the card handed out has left"
    assert take_card(reader).transmit(COMMAND) == b"\x6d\x00"


def test_cards_on_the_other_reader_are_not_ours(service: FakeService, reader: PcscReader) -> None:
    service.insert(OTHER)
    assert reader.wait_for_card(SHORT_S) is None


def test_the_card_is_reset_and_free_after_release(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    connection = take_card(reader)
    assert service.slots[NAME].handle is not None
    reader.release()
    reader.release()
    assert (service.slots[NAME].handle, service.slots[NAME].resets) == (None, 1)
    with pytest.raises(CardGone):
        connection.transmit(COMMAND)


# what goes wrong


def test_a_card_that_does_not_wake_up_is_presented_and_says_so(
    service: FakeService, reader: PcscReader
) -> None:
    service.insert(NAME, mute=True)
    with pytest.raises(CardGone, match="does not answer to reset"):
        take_card(reader).transmit(COMMAND)
    reader.release()
    assert reader.wait_for_card(SHORT_S) is None, "once"
    service.take(NAME)
    assert reader.wait_for_removal(LONG_S)


def test_a_program_that_lets_go_in_a_moment_is_waited_for(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    service.fail("SCardConnect", SHARING_VIOLATION, SHARING_VIOLATION)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


def test_a_program_that_keeps_the_card_is_reported_and_outlived(
    service: FakeService, reader: PcscReader
) -> None:
    service.insert(NAME)
    service.fail("SCardConnect", *[SHARING_VIOLATION] * 6)
    with pytest.raises(ReaderGone, match="another program"):
        reader.wait_for_card(LONG_S)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND), "the same card, once it is free"


def test_a_card_pulled_during_a_tap(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    connection = take_card(reader)
    service.take(NAME)
    with pytest.raises(CardGone, match="taken away"):
        connection.transmit(COMMAND)
    reader.release()
    assert reader.wait_for_removal(LONG_S)


def test_unplugged_while_waiting_and_plugged_in_again(service: FakeService, reader: PcscReader) -> None:
    assert reader.wait_for_card(0.0) is None
    threading.Timer(0.02, service.unplug, [NAME]).start()
    with pytest.raises(ReaderGone, match="unplugged"):
        reader.wait_for_card(LONG_S)
    with pytest.raises(ReaderGone, match="no reader is called 'contactless'"):
        reader.wait_for_card(SHORT_S)
    service.plug(NAME)
    service.insert(NAME)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


def test_unplugged_with_a_card_on_it(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    connection = take_card(reader)
    service.unplug(NAME)
    with pytest.raises(ServiceGone):
        connection.transmit(COMMAND)  # the handle is not known any more
    reader.release()
    with pytest.raises(ReaderGone):
        reader.wait_for_removal(LONG_S)
    service.plug(NAME)
    service.insert(NAME)
    take_card(reader)


def test_the_last_reader_gone_and_the_plug_event_awaited(service: FakeService, reader: PcscReader) -> None:
    service.slots.clear()
    with pytest.raises(ReaderGone, match="no card reader"):
        reader.wait_for_card(SHORT_S)
    threading.Timer(0.01, service.plug, [NAME]).start()
    assert reader.wait_for_card(0.2) is None
    assert reader.name == NAME


def test_the_service_ends_and_comes_back_with_the_card_still_there(
    service: FakeService, reader: PcscReader
) -> None:
    service.insert(NAME)
    take_card(reader)
    reader.release()
    threading.Timer(0.02, service.stop).start()
    with pytest.raises(ServiceGone):
        reader.wait_for_removal(LONG_S)
    with pytest.raises(ServiceGone):
        reader.wait_for_card(SHORT_S)
    service.start()
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND), "nobody can tell whether it is the same card"
    assert reader.lay_there


def test_the_service_ends_during_a_tap(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME)
    connection = take_card(reader)
    service.stop()
    with pytest.raises(ServiceGone):
        connection.transmit(COMMAND)
    reader.release()
    service.start()
    assert reader.wait_for_removal(LONG_S)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


@pytest.mark.parametrize("code", MEANINGS, ids=lambda code: MEANINGS[code].name)
@pytest.mark.parametrize("call", ["SCardConnect", "SCardTransmit", "SCardGetStatusChange", "SCardDisconnect"])
def test_any_code_at_any_call_is_one_of_ours_and_the_next_card_is_served(
    service: FakeService, reader: PcscReader, call: str, code: int
) -> None:
    service.insert(NAME)
    service.fail(call, *[code] * (6 if call == "SCardConnect" else 1))
    errors: list[CardError] = []
    answers: list[bytes] = []
    presence = Presence(
        reader, lambda card: answers.append(card.transmit(COMMAND)), errors.append, pause_s=0.0
    )
    presence.run(max_taps=1)
    service.failures.clear()
    service.take(NAME)
    service.insert(NAME)
    presence.run(max_taps=1)
    assert answers[-1] == echo(COMMAND)
    assert all(isinstance(error, CardGone | ReaderGone | ServiceGone | ProtocolError) for error in errors)
    # a time-out of the wait is no fault, and a disconnect that fails leaves nothing to do
    quiet = call == "SCardDisconnect" or (call == "SCardGetStatusChange" and code == TIMEOUT)
    assert bool(errors) is not quiet


# answers


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        (b"\x90", COMMAND),
        (bytes(259), COMMAND),
        (bytes(65535), COMMAND),
        (bytes(65539), bytes.fromhex("00B00000000000")),
    ],
)
def test_answers_no_card_may_give(
    service: FakeService, reader: PcscReader, answer: bytes, command: bytes
) -> None:
    service.insert(NAME, lambda _: answer)
    with pytest.raises(ProtocolError):
        take_card(reader).transmit(command)


def test_an_empty_answer_is_a_pulled_card(service: FakeService, reader: PcscReader) -> None:
    service.insert(NAME, lambda _: b"")
    with pytest.raises(CardGone, match="without an answer"):
        take_card(reader).transmit(COMMAND)


@pytest.mark.parametrize(
    ("answer", "command"),
    [(b"\x90\x00", b""), (bytes(258), COMMAND), (bytes(65538), bytes.fromhex("00B00000000000"))],
)
def test_answers_at_the_limits(
    service: FakeService, reader: PcscReader, answer: bytes, command: bytes
) -> None:
    service.insert(NAME, lambda _: answer)
    assert take_card(reader).transmit(command) == answer


# silence


def test_a_silent_card_is_given_up_and_the_reader_comes_back(service: FakeService) -> None:
    reader = PcscReader(NAME, service, exchange_timeout_s=SHORT_S)
    answered = threading.Event()

    def silent(command: bytes) -> bytes:
        answered.wait()
        return b"late"

    service.insert(NAME, silent)
    connection = take_card(reader)
    for _ in range(2):
        with pytest.raises(ExchangeTimeout):
            connection.transmit(COMMAND)
    reader.release()
    for wait in (reader.wait_for_removal, reader.wait_for_card):
        with pytest.raises(ReaderGone, match="out of order"):
            wait(SHORT_S)
    answered.set()
    # The thread is free once the late answer was dropped and the card reset; then the card is known to be the old one.
    assert _until_it_answers(reader) is None
    assert service.slots[NAME].resets == 1
    service.take(NAME)
    service.insert(NAME)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)
    reader.close()


def test_many_silent_cards_cost_no_threads(service: FakeService) -> None:
    reader = PcscReader(NAME, service, exchange_timeout_s=0.001)
    threads = threading.active_count()
    for _ in range(50):
        answered = threading.Event()
        service.insert(NAME, lambda command, answered=answered: b"\x90\x00" if answered.wait() else b"")
        with pytest.raises(ExchangeTimeout):
            take_card(reader).transmit(COMMAND)
        reader.release()
        answered.set()
        service.take(NAME)
        _until_it_answers(reader)
    assert threading.active_count() == threads
    reader.close()
    assert threading.active_count() == threads - 1


def test_a_service_that_does_not_answer_is_reported_and_awaited(service: FakeService) -> None:
    reader = PcscReader(NAME, service, service_timeout_s=SHORT_S)
    service.answering.clear()
    with pytest.raises(ReaderGone, match="does not answer"):
        reader.wait_for_card(SHORT_S)
    with pytest.raises(ReaderGone, match="out of order"):
        reader.wait_for_card(SHORT_S)
    service.answering.set()
    service.insert(NAME)
    _until_it_answers(reader)
    reader.close()


def test_close_while_stuck_returns(service: FakeService) -> None:
    reader = PcscReader(NAME, service, exchange_timeout_s=SHORT_S)
    answered = threading.Event()
    service.insert(NAME, lambda _: b"\x90\x00" if answered.wait() else b"")
    with pytest.raises(ExchangeTimeout):
        take_card(reader).transmit(COMMAND)
    reader.close()
    answered.set()


def _until_it_answers(reader: PcscReader) -> CardConnection | None:
    while True:
        try:
            return reader.wait_for_card(SHORT_S)
        except ReaderGone as error:
            assert "out of order" in str(error)  # noqa: PT017 any other reason is a failure


# choosing a reader


@pytest.mark.parametrize("wanted", [NAME, "contactless", "CONTACTLESS 00", "00 00"])
def test_a_reader_is_found_by_name_or_part_of_it(wanted: str) -> None:
    assert choose(wanted, [OTHER, NAME]) == NAME


def test_an_exact_name_wins_over_a_longer_one() -> None:
    assert choose("Maker", ["Maker 2", "Maker"]) == "Maker"


@pytest.mark.parametrize(
    ("wanted", "names", "said"),
    [
        ("acme", [NAME, OTHER], f"no reader is called 'acme'. Available: '{NAME}', '{OTHER}'."),
        ("maker", [NAME, OTHER], f"'maker' fits 2 readers. Available: '{NAME}', '{OTHER}'."),
        ("maker", [], "no card reader is plugged in"),
    ],
)
def test_no_or_several_readers_are_explained(wanted: str, names: list[str], said: str) -> None:
    with pytest.raises(ReaderError) as caught:
        choose(wanted, names)
    assert said in str(caught.value)
    assert caught.value.exit_code == 30


def test_without_a_name_cards_come_from_every_contactless_reader(service: FakeService) -> None:
    """One after the other and in turn; a card that stays on one of them is no new tap and keeps no other out."""
    with closing(PcscReader("", service)) as reader:
        assert reader.wait_for_card(0.0) is None
        assert reader.name == f"{NAME}, {OTHER}"
        service.insert(OTHER)
        take_card(reader)
        reader.release()
        assert not reader.wait_for_removal(SHORT_S)
        service.insert(NAME)
        assert reader.wait_for_removal(LONG_S), "the next passenger is on the other reader"
        take_card(reader)
        reader.release()
        assert not reader.wait_for_removal(SHORT_S)
        assert reader.wait_for_card(SHORT_S) is None, "both lie there, both were served"
        service.take(OTHER)
        service.insert(OTHER)
        assert reader.wait_for_removal(LONG_S)
        take_card(reader)


@pytest.mark.parametrize("mute", [False, True], ids=["answers", "mute"])
def test_a_module_in_a_contact_slot_is_no_passenger(service: FakeService, mute: bool) -> None:
    """Such as a security module that was there before the start."""
    service.insert(OTHER, mute=mute, atr=CONTACT_ATR)
    with closing(PcscReader("", service)) as reader:
        assert reader.wait_for_card(SHORT_S) is None
        service.insert(NAME)
        assert take_card(reader).transmit(COMMAND) == echo(COMMAND)
        assert service.slots[OTHER].resets == 0
        reader.release()
        service.take(NAME)
        assert reader.wait_for_removal(LONG_S)
        assert reader.wait_for_card(SHORT_S) is None


def test_a_card_that_comes_and_does_not_wake_up_hears_of_it_once_and_keeps_nobody_out(
    service: FakeService,
) -> None:
    with closing(PcscReader("", service)) as reader:
        assert reader.wait_for_card(0.0) is None
        service.insert(OTHER)
        take_card(reader)
        reader.release()
        service.take(OTHER)
        assert reader.wait_for_removal(LONG_S)
        service.insert(OTHER, mute=True)
        with pytest.raises(CardGone, match="does not answer to reset"):
            take_card(reader).transmit(COMMAND)
        reader.release()
        service.insert(NAME)
        assert reader.wait_for_removal(LONG_S)
        assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


def test_a_contact_card_is_taken_from_a_reader_that_was_named(
    service: FakeService, reader: PcscReader
) -> None:
    service.insert(NAME, atr=CONTACT_ATR)
    assert take_card(reader).transmit(COMMAND) == echo(COMMAND)


def test_one_of_several_readers_that_is_pulled_out_is_no_outage(service: FakeService) -> None:
    with closing(PcscReader("", service)) as reader:
        assert reader.wait_for_card(0.0) is None
        service.unplug(OTHER)
        assert reader.wait_for_card(SHORT_S) is None
        service.insert(NAME)
        take_card(reader)
        reader.release()
        back = threading.Timer(SHORT_S, lambda: (service.plug(OTHER), service.insert(OTHER)))
        back.start()
        assert reader.wait_for_removal(LONG_S)
        take_card(reader)
        back.join()


def test_readers_are_looked_for_again_when_the_service_comes_back(service: FakeService) -> None:
    with closing(PcscReader("", service)) as reader:
        assert reader.wait_for_card(0.0) is None
        service.stop()
        with pytest.raises(ServiceGone):
            reader.wait_for_card(0.0)
        service.start()
        service.insert(OTHER)
        take_card(reader)


@pytest.mark.parametrize(
    ("wanted", "back"),
    [(NAME, NAME.replace("00 00", "01 00")), (NAME, NAME.removesuffix(" 00 00"))],
)
def test_a_reader_named_whole_is_found_again_under_another_number(
    service: FakeService, wanted: str, back: str
) -> None:
    with closing(PcscReader(wanted, service)) as reader:
        assert reader.wait_for_card(0.0) is None
        service.unplug(wanted)
        with pytest.raises(ReaderGone):
            reader.wait_for_card(LONG_S)
        service.plug(back)
        service.insert(back)
        take_card(reader)
        assert reader.name == back


def test_two_readers_of_the_name_without_numbers_are_explained() -> None:
    with pytest.raises(ReaderError, match="fits 2 readers"):
        choose("Maker Reader 00 00", ["Maker Reader 01 00", "Maker Reader 02 00"])


# another program on the reader


def test_a_program_that_shares_the_reader_is_served_beside(service: FakeService, reader: PcscReader) -> None:
    """The card is reset, so that nothing of what the other did goes on, and ours for one transaction."""
    service.slots[NAME].other_program = SHARE_SHARED
    service.insert(NAME)
    connection = take_card(reader)
    slot = service.slots[NAME]
    assert (slot.in_transaction, slot.resets, reader.shared) == (True, 1, True)
    assert connection.transmit(COMMAND) == echo(COMMAND)
    reader.release()
    assert (slot.in_transaction, slot.resets) == (False, 2)
    slot.other_program = 0
    service.take(NAME)
    service.insert(NAME)
    take_card(reader)
    assert not reader.shared


def test_each_card_that_another_program_keeps_out_is_turned_away_once(
    service: FakeService, reader: PcscReader
) -> None:
    service.slots[NAME].other_program = SHARE_EXCLUSIVE
    heard = []
    for _ in range(2):
        service.insert(NAME)
        for _ in range(2):
            with pytest.raises(ReaderTaken) as taken:
                reader.wait_for_card(LONG_S)
            heard.append(taken.value.turned_away)
        service.take(NAME)
    assert heard == [True, False, True, False]


# starting


def use_binding(monkeypatch: pytest.MonkeyPatch, service: FakeService | None) -> None:
    """Install `service` where pyscard would be; None is a machine without pyscard."""
    monkeypatch.delitem(sys.modules, "smartcard.scard", raising=False)
    if service is None:
        monkeypatch.setitem(sys.modules, "smartcard", None)
        return
    package = type(sys)("smartcard")
    package.scard = service  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "smartcard", package)


def test_open_finds_the_reader(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    use_binding(monkeypatch, service)
    reader = PcscReader.open("sam")
    assert reader.name == OTHER
    reader.close()
    assert list_readers() == [NAME, OTHER]
    assert not service.contexts


def test_without_pyscard_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use_binding(monkeypatch, None)
    with pytest.raises(ReaderError, match="libpcsclite-dev"):
        PcscReader.open()
    with pytest.raises(ReaderError, match="libpcsclite-dev"):
        list_readers()


def test_without_a_service_its_package_and_start_are_named(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_binding(monkeypatch, service)
    service.stop()
    threads = threading.active_count()
    with pytest.raises(ReaderError, match="systemctl start pcscd"):
        PcscReader.open()
    with pytest.raises(ReaderError, match="systemctl start pcscd"):
        list_readers()
    assert threading.active_count() == threads


def test_without_a_reader_open_says_so(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    use_binding(monkeypatch, service)
    service.slots.clear()
    assert list_readers() == []
    with pytest.raises(ReaderError, match="no card reader is plugged in"):
        PcscReader.open()
    assert not service.contexts


def test_a_terminal_starts_without_a_reader_and_works_once_one_is_plugged_in(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_binding(monkeypatch, service)
    slots = dict(service.slots)
    service.slots.clear()
    reader = PcscReader.open("contactless", awaits=True)
    with pytest.raises(ReaderGone, match="no card reader is plugged in"):
        reader.wait_for_card(0.0)
    service.slots.update(slots)
    assert reader.wait_for_card(0.0) is None
    assert reader.name in slots
    reader.close()
