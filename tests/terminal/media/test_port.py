"""A terminal with two media: which is asked when, what that costs, and what one that writes nothing leaves behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date

import pytest
from msgspec.structs import replace

from cardproto.connection import CardConnection
from cardproto.errors import CardError, CardGone, NotAuthenticated
from cardproto.resident.layout import PASS_TAP, PURSE_TAP, ExchangeBudget
from sim.card.files import AccessMasks, DataFile, FileHeader
from sim.card.memory import Application, KeySlot, blank_memory
from sim.card.port import SimCard
from sim.card.virtual import VirtualCard
from sim.faults import tear_after
from terminal.app.media import media_of
from terminal.errors import ConfigError
from terminal.journal.records import Unwritten, parse_record
from terminal.journal.taps import End
from terminal.lab.town import Town
from terminal.messages import Colour, colour, register, text
from terminal.tap import Terminal, take_tap
from terminal.tap_report import CAUSES, TapReport
from tests.flows.conftest import FRONT, OpenTown, resident_of
from tests.terminal.media import gym

FREE_READ = 0xE000
MEMBER = b"00004711"
UID = bytes.fromhex("04C1D2E3F40516")


def membership(content: bytes) -> Application:
    file = DataFile(FileHeader(1, 0, AccessMasks.of(FREE_READ), 0), backup=False, content=content)
    return Application(gym.AID[::-1], 0x0F, (KeySlot(bytes(16)),), {gym.FILE: file})


def member(valid_to: str = "2026-12-31") -> VirtualCard:
    memory = blank_memory().with_application(membership(MEMBER + valid_to.encode()))
    return VirtualCard(UID, random.Random(5).randbytes, memory=memory)


def both_in(town: Town) -> Terminal:
    """The front door of `town`, which takes resident cards first and then members of the gym."""
    terminal = town.terminals[FRONT.number]
    resident = resident_of(terminal)
    added = gym.GymMedium(resident.setup)
    register(added.name, added.messages)
    terminal.media = (resident, added)
    return terminal


def tap(town: Town, card: SimCard, terminal: Terminal) -> TapReport:
    town.cards["presented"] = card
    return town.tap(terminal.number, "presented").report


def last_row(terminal: Terminal) -> Unwritten:
    row = parse_record(terminal.journal.rows()[-1].body)
    assert isinstance(row, Unwritten)
    return row


@pytest.mark.parametrize(
    ("valid_to", "message", "accepted", "english", "russian"),
    [
        ("2026-12-31", "gym.welcome", True, "Welcome! Member until 31 Dec 2026", "до 31.12.2026"),
        ("2026-01-31", "gym.expired", False, "Membership ended on 31 Jan 2026", "закончился 31.01.2026"),
    ],
)
def test_a_medium_of_others_decides_and_words_its_own_taps(
    town_of: OpenTown, valid_to: str, message: str, accepted: bool, english: str, russian: str
) -> None:
    with town_of(stops=(FRONT,)) as town:
        terminal, card = both_in(town), member(valid_to)
        seen: list[str] = []
        terminal.signal = lambda outcome: seen.append(text(outcome.message, "en", outcome.values))
        before = card.image()
        report = tap(town, card, terminal)
        assert (report.outcome.message, report.outcome.accepted) == (message, accepted)
        assert (report.end, report.exchanges, seen) == (End.NOTHING_WRITTEN, 3, [english])
        assert text(report.outcome.message, "ru", report.outcome.values).endswith(russian)
        assert colour(message) is (Colour.GREEN if accepted else Colour.RED)
        assert card.image() == before
        row = last_row(terminal)
        assert (row.message, row.card_ref, row.prev_sequence) == (message, report.card_ref, 0)
        assert row.admission == report.outcome.admission
        assert report.snapshot == gym.Membership(date.fromisoformat(valid_to))


def test_a_member_and_a_resident_of_one_number_are_two(town_of: OpenTown) -> None:
    with town_of(stops=(FRONT,)) as town:
        terminal = both_in(town)
        report = tap(town, member(), terminal)
        assert report.card_ref == terminal.keys.token("transport", b"gym" + MEMBER)
        assert report.card_ref != terminal.keys.token("transport", MEMBER)


@pytest.mark.parametrize(
    ("resident", "budget"),
    [("month_pass", PASS_TAP), ("free_pensioner", PASS_TAP), ("adult_purse", PURSE_TAP)],
)
def test_another_medium_costs_a_resident_card_nothing(
    town_of: OpenTown, resident: str, budget: ExchangeBudget
) -> None:
    with town_of(resident, stops=(FRONT,)) as town:
        report = tap(town, town.cards[resident], both_in(town))
        assert report.end is End.COMMITTED
        assert report.exchanges <= budget.exchanges
        assert report.apdu_bytes <= budget.apdu_bytes


@pytest.mark.parametrize("stranger", ["foreign_desfire", "not_desfire"])
def test_a_card_of_no_medium_costs_one_exchange_a_medium(town_of: OpenTown, stranger: str) -> None:
    with town_of(stranger, stops=(FRONT,)) as town:
        terminal = both_in(town)
        report = tap(town, town.cards[stranger], terminal)
        assert (report.outcome.message, report.exchanges) == ("unknown_card", len(terminal.media))
        assert report.operator == "not recognised by any of: resident, gym"
        assert last_row(terminal).card_ref is None


@pytest.mark.parametrize(("resident_first", "message"), [(True, "ok_paid"), (False, "gym.welcome")])
def test_a_card_of_two_media_is_taken_by_the_first_in_the_list(
    town_of: OpenTown, resident_first: bool, message: str
) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        resident = town.cards["adult_purse"]
        assert isinstance(resident, VirtualCard)
        memory = resident.memory.with_application(membership(MEMBER + b"2026-12-31"))
        dual = VirtualCard(resident.uid, random.Random(6).randbytes, memory=memory)
        terminal = both_in(town)
        if not resident_first:
            terminal.media = terminal.media[::-1]
        assert tap(town, dual, terminal).outcome.message == message


def test_what_recognises_a_card_answers_for_it(town_of: OpenTown) -> None:
    """A damaged card is unsupported at once; the next medium is not tried on it."""
    with town_of("half_personalised", stops=(FRONT,)) as town:
        terminal, damaged = both_in(town), town.cards["half_personalised"]
        report = tap(town, damaged, terminal)
        terminal.media = terminal.media[:1]
        alone = tap(town, damaged, terminal)
        assert report.outcome.message == alone.outcome.message == "unknown_card"
        assert report.exchanges == alone.exchanges > 1


def test_a_damaged_membership_is_unsupported(town_of: OpenTown) -> None:
    with town_of(stops=(FRONT,)) as town:
        report = tap(town, member("soon and so"[:10]), both_in(town))
        assert report.outcome.message == "unknown_card"
        assert report.operator.startswith("membership not understood")


@pytest.mark.parametrize("exchange", [1, 2, 3])
def test_a_card_that_leaves_before_it_is_read_is_asked_to_come_again(
    town_of: OpenTown, exchange: int
) -> None:
    with town_of(stops=(FRONT,)) as town:
        terminal = both_in(town)
        town.cards["member"] = member()
        report = town.tap(terminal.number, "member", tear_after(exchange)).report
        assert (report.outcome.message, report.end) == ("read_again", End.NOTHING_WRITTEN)
        assert last_row(terminal).card_ref is None


class _WithoutUid:
    """A reader that cannot say the UID."""

    def __init__(self, card: CardConnection) -> None:
        self._card = card

    def transmit(self, command: bytes) -> bytes:
        return b"\x6a\x81" if command[:1] == b"\xff" else self._card.transmit(command)


def test_a_reader_without_uid_keeps_no_card_out(town_of: OpenTown) -> None:
    with town_of("adult_purse", stops=(FRONT,)) as town:
        terminal, guest, resident = both_in(town), member(), town.cards["adult_purse"]
        guest.power_on()
        resident.power_on()
        assert take_tap(_WithoutUid(guest), terminal).outcome.message == "gym.welcome"
        report = take_tap(_WithoutUid(resident), terminal)
        assert report.outcome.message == "ok_paid"
        assert report.uid_by_reader is False


def test_a_service_card_is_a_resident_card(town_of: OpenTown) -> None:
    """The question goes to every medium's snapshot; what is no resident card is no member of staff."""
    with town_of(stops=(FRONT,)) as town:
        terminal = both_in(town)
        asked: list[object] = []
        terminal.service_card = lambda snapshot, _now: asked.append(snapshot)
        assert tap(town, member(), terminal).outcome.message == "gym.welcome"
        assert asked == [gym.Membership(date(2026, 12, 31))]


@pytest.mark.parametrize("names", [(), ("resident", "resident"), ("resident", "gym"), ("tram",)])
def test_a_list_of_media_that_cannot_be_meant_is_refused(town_of: OpenTown, names: tuple[str, ...]) -> None:
    with town_of(stops=(FRONT,)) as town:
        station = replace(town.world.station(FRONT.number, "bus"), media=names)
        with pytest.raises(ConfigError, match="the media"):
            media_of(station, resident_of(town.terminals[FRONT.number]).setup)


def test_a_tap_needs_nothing_of_the_medium_after_it_has_left(town_of: OpenTown) -> None:
    with town_of(stops=(FRONT,)) as town:
        terminal = both_in(town)

        class Gone:
            def transmit(self, command: bytes) -> bytes:
                raise CardGone("left")

        report = take_tap(Gone(), terminal)
        assert (report.outcome.message, report.exchanges, report.snapshot) == ("read_again", 0, None)


def test_every_failure_of_a_commit_has_a_code_in_rows() -> None:
    """A class that is renamed changes no row; one that is added counts as the one it derives from."""
    listed = {error for error in subclasses(CardError) if error.__module__ == CardError.__module__}
    assert listed - CAUSES.keys() == {NotAuthenticated}
    assert len(set(CAUSES.values())) == len(CAUSES)


def subclasses(kind: type[CardError]) -> Iterator[type[CardError]]:
    for below in kind.__subclasses__():
        yield below
        yield from subclasses(below)
