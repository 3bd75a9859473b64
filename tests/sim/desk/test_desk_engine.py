"""The desk's half that knows no terminal: faces, the shelf, what a card holds, the trace and its picture."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest

from cardproto.connection import CardConnection
from cardproto.errors import CardGone
from cardproto.resident.layout import AID
from sim.air import AirModel, DeskClock
from sim.card.port import SimCard
from sim.desk.content import CardLine, LineChange, changes, holding_of, lines_of
from sim.desk.disturbance import Disturbance, Mishap
from sim.desk.face import COLOURS, CardGroup, art
from sim.desk.shelf import Laid, lay_out
from sim.desk.trace import MOST_ROWS, Traced, TracingConnection, masked_tap, traced, waterfall
from sim.issuing import ReloadPoint
from sim.lab_keys import load_lab_keys
from sim.profile import profile_names
from sim.reader import SimReader
from sim.transcript_view import Keyring
from tests.sim.bench import SERVICE_DAY

DAY = date(2026, 9, 15)
NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
REGION = 34
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def shelf() -> dict[str, Laid]:
    return lay_out(load_lab_keys(), REGION, DAY, random.Random(1).randbytes)


def no_counters(_counters: int) -> dict[str, int]:
    return {}


def conversation(
    card: SimCard, talk: Callable[[CardConnection], None], disturbance: Disturbance | None = None
) -> tuple[list[Traced], TracingConnection]:
    """What `talk` says to `card`, as the desk would show it."""
    disturbance = disturbance or Disturbance()
    clock = DeskClock(NOON)
    reader = SimReader("reader", clock, AirModel())
    holding = holding_of(card)
    reader.present(card, disturbance.plan())
    connection = reader.wait_for_card(0)
    assert connection is not None
    listener = TracingConnection(disturbance.around(connection, reader.remove), clock)
    try:
        talk(listener)
    except CardGone:
        pass
    finally:
        reader.release()
        reader.remove()
    secrets = (card.uid, b"" if holding.rights is None else holding.rights.pseudonym)
    keyring = Keyring(load_lab_keys(), REGION, card.uid)
    return traced(listener.recorded(1), keyring, AirModel(), tuple(filter(None, secrets))), listener


def reload(card: SimCard) -> Callable[[CardConnection], None]:
    """A desk that reads the card and credits 10 roubles."""
    keys = load_lab_keys().for_card(card.uid, REGION)

    def talk(connection: CardConnection) -> None:
        desk = ReloadPoint(connection, keys, random.Random(5).randbytes, SERVICE_DAY)
        desk.set_purse((holding_of(card).purse_minor or 0) + 1000, NOON)

    return talk


def test_every_profile_lies_on_the_shelf_and_some_cards_mean_harm(shelf: dict[str, Laid]) -> None:
    assert set(profile_names()) <= shelf.keys()
    hostile = [laid for laid in shelf.values() if laid.face.group is CardGroup.HOSTILE]
    assert len(hostile) == 4
    groups = [laid.face.group for laid in shelf.values()]
    assert groups == sorted(groups, key=list(CardGroup).index)


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("adult_purse", CardGroup.PURSE),
        ("month_pass_ev1", CardGroup.RIGHTS),
        ("pupil_grade3", CardGroup.PUPILS),
        ("driver_service", CardGroup.STAFF),
        ("blocked", CardGroup.TROUBLE),
        ("deny_listed", CardGroup.TROUBLE),
        ("expired", CardGroup.TROUBLE),
        ("blank_light", CardGroup.STRANGE),
        ("not_desfire", CardGroup.STRANGE),
    ],
)
def test_a_card_lies_where_one_looks_for_it(shelf: dict[str, Laid], name: str, group: CardGroup) -> None:
    assert shelf[name].face.group is group


def test_each_card_has_a_drawing_of_its_own(shelf: dict[str, Laid]) -> None:
    drawings = {art(laid.face) for laid in shelf.values()}
    assert len(drawings) == len(shelf)
    for drawing in drawings:
        assert ElementTree.fromstring(drawing).tag == f"{SVG}svg"


@pytest.mark.parametrize("group", list(CardGroup))
def test_white_letters_on_a_card_are_readable(group: CardGroup) -> None:
    dark, light, _ = COLOURS[group]
    assert contrast_with_white(dark) >= 4.5
    assert contrast_with_white(mixed(dark, light, 0.55)) >= 4.5


def mixed(below: str, above: str, opacity: float) -> str:
    parts = [(int(below[i : i + 2], 16), int(above[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(low + (high - low) * opacity):02x}" for low, high in parts)


def contrast_with_white(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_what_a_card_holds_never_tells_the_pseudonym_nor_the_uid(shelf: dict[str, Laid]) -> None:
    for laid in shelf.values():
        holding = holding_of(laid.card)
        text = repr(lines_of(holding, no_counters))
        assert laid.card.uid.hex().upper() not in text
        if holding.rights is not None:
            assert holding.rights.pseudonym.hex().upper() not in text


def test_a_reload_changes_purse_and_newest_event_and_nothing_else(shelf: dict[str, Laid]) -> None:
    card = shelf["adult_purse"].card.clone()
    before = list(lines_of(holding_of(card), no_counters))
    conversation(card, reload(card))
    found = changes(before, list(lines_of(holding_of(card), no_counters)))
    changed = {
        (change.part, change.name): (str(change.before), str(change.after))
        for change in found
        if change.changed
    }
    assert changed["purse", "balance"] == ("50000", "51000")
    assert changed["newest event", "kind"] == ("issue", "reload")
    assert {part for part, _ in changed} == {"purse", "newest event"}


def test_changes_keep_lines_that_came_and_went_in_their_part() -> None:
    before = [CardLine("a", "kept", "1"), CardLine("a", "went", "2"), CardLine("b", "x", "3")]
    after = [CardLine("a", "kept", "1"), CardLine("b", "x", "4"), CardLine("b", "came", "5")]
    assert changes(before, after) == [
        LineChange("a", "kept", "1", "1"),
        LineChange("a", "went", "2", None),
        LineChange("b", "x", "3", "4"),
        LineChange("b", "came", None, "5"),
    ]


def test_the_trace_names_deciphers_and_verifies_and_hides_who_it_is(shelf: dict[str, Laid]) -> None:
    card = shelf["adult_purse"].card.clone()
    rights = holding_of(card).rights
    assert rights is not None
    rows, _ = conversation(card, reload(card))
    credit = next(row for row in rows if row.name == "Credit")
    assert credit.content == ("file 03 (purse)", "amount 1000")
    assert credit.verified
    assert all(row.verified for row in rows if row.mode == "MAC")
    shown = "".join(f"{row.command}{row.answer}{row.content}" for row in rows)
    for secret in (card.uid, rights.pseudonym):
        assert secret.hex().upper() not in shown.upper()
    assert "XXXXXXXX" in shown


def test_what_an_exchange_took_is_the_sum_of_its_parts(shelf: dict[str, Laid]) -> None:
    card = shelf["adult_purse"].card.clone()
    rows, _ = conversation(card, reload(card))
    for row in (row for row in rows if row.number):
        assert row.up_ms + row.card_ms + row.down_ms == pytest.approx(row.took_ms, abs=0.01)
    slow, _ = conversation(card, reload(card), Disturbance(Mishap.SLOW))
    assert all(row.waited_ms > 100 for row in slow if row.number)


@pytest.mark.parametrize(
    ("disturbance", "exchanges", "lost"),
    [
        (Disturbance(Mishap.TEAR_BEFORE, 3), 3, "CardGone"),
        (Disturbance(Mishap.TEAR_AFTER, 3), 3, "CardGone"),
        (Disturbance(Mishap.COMMIT_BEFORE), 15, "CardGone"),
        (Disturbance(Mishap.COMMIT_AFTER), 15, "CardGone"),
    ],
)
def test_a_torn_tap_ends_where_it_was_torn(
    shelf: dict[str, Laid], disturbance: Disturbance, exchanges: int, lost: str
) -> None:
    card = shelf["adult_purse"].card.clone()
    rows, _ = conversation(card, reload(card), disturbance)
    assert [row.lost for row in rows if row.lost] == [lost]
    assert rows[-1].lost == lost
    kept = disturbance.mishap is Mishap.COMMIT_AFTER
    assert holding_of(card).purse_minor == (51000 if kept else 50000)
    if disturbance.mishap in (Mishap.COMMIT_BEFORE, Mishap.COMMIT_AFTER):
        assert rows[-1].name == "CommitTransaction"
    else:
        assert rows[-1].number == exchanges


@pytest.mark.parametrize("exchange", [0, 65])
def test_there_is_no_such_exchange(exchange: int) -> None:
    with pytest.raises(ValueError, match="exchanges 1 to 64"):
        Disturbance(Mishap.TEAR_AFTER, exchange)


def test_a_masked_tap_is_as_long_as_the_real_one(shelf: dict[str, Laid]) -> None:
    card = shelf["adult_purse"].card.clone()
    _, listener = conversation(card, reload(card))
    clear = listener.recorded(1)
    masked = masked_tap(clear)
    assert masked.masked
    assert [len(e.command) for e in masked.exchanges] == [len(e.command) for e in clear.exchanges]


def test_the_waterfall_has_a_bar_for_each_exchange_and_escapes_its_texts(shelf: dict[str, Laid]) -> None:
    card = shelf["adult_purse"].card.clone()
    rows, _ = conversation(card, reload(card))
    picture = ElementTree.fromstring(waterfall(rows, "<script>&"))
    assert picture.findtext(f"{SVG}title") == "<script>&"
    on_air = [row for row in rows if row.number]
    assert len(picture.findall(f".//{SVG}rect[@class='compute']")) == len(on_air)
    assert len(picture.findall(f".//{SVG}text[@class='name']")) == len(on_air)


def test_a_long_waterfall_is_cut_and_says_so(shelf: dict[str, Laid]) -> None:
    card = shelf["blank_ev2"].card.clone()

    def talk(connection: CardConnection) -> None:
        for _ in range(MOST_ROWS + 5):
            connection.transmit(bytes.fromhex("9060000000"))

    rows, _ = conversation(card, talk)
    more = ElementTree.fromstring(waterfall(rows, "")).findtext(f"{SVG}text[@class='more']")
    assert more == f"and {len(rows) - MOST_ROWS} more exchanges"


def test_an_empty_tap_has_a_picture_too() -> None:
    assert ElementTree.fromstring(waterfall([], "nothing")).tag == f"{SVG}svg"


def test_the_clock_may_be_set_back_without_time_going_back() -> None:
    clock = DeskClock(NOON)
    clock.advance(90)
    clock.set(NOON - timedelta(hours=3))
    assert clock.now() == NOON - timedelta(hours=3)
    assert clock.monotonic() == 90
    clock.advance(10)
    assert clock.now() == NOON - timedelta(hours=3) + timedelta(seconds=10)
    with pytest.raises(ValueError, match="aware"):
        clock.set(NOON.replace(tzinfo=None))


def test_the_application_on_the_cards_is_ours(shelf: dict[str, Laid]) -> None:
    assert AID.hex().upper() in str(shelf["adult_purse"].card.image())
