"""Carriers' settlement equals a computation of its own from the records, in whatever parts and order they come."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from cardproto.resident.records.event import Event, EventKind, build_event
from terminal.codes import TicketKind
from terminal.collector.office_says import OfficeCode
from terminal.collector.proof import Proof
from terminal.collector.registry import RegisteredCard, write_registry
from terminal.collector.settlement.carriers import CarriersError, SplitKey, parse_carriers
from terminal.collector.settlement.legs import RideLeg
from terminal.collector.settlement.lines import COLUMNS, day_lines
from terminal.collector.settlement.split import divided
from terminal.collector.users import OfficeRole
from terminal.journal.console_records import SaleCancelled
from terminal.journal.records import CashSale, Intent, NotCommitted, SettledBy
from tests.properties import examples
from tests.terminal.collector.office import Terminal, Town
from tests.terminal.collector.settled_apart import SettledAs, settled_apart
from tests.terminal.journal.samples import AT, INTENT, READ_RIGHTS, committed

CARRIERS = """
split = "{split}"
together = [11]

[header]
id = "carriers"
version = 1
region = 34
issued_at = 2026-01-01T00:00:00+03:00

[[carriers]]
id = "trams"
name = "Трамвайное депо"
weight = 3
routes = [{{ number = 7 }}]

[[carriers]]
id = "buses"
name = "Автобусный парк"
weight = 2
routes = [{{ number = 8 }}, {{ number = 9 }}]
"""
CARRIER_OF = {7: "trams", 8: "buses", 9: "buses"}
WEIGHTS = {"trams": 3, "buses": 2}
UID, TMK = bytes.fromhex("04a1b2c3d4e5f6"), bytes(range(16))
PROVING = bytes.fromhex("c0ffee0000000000")
DAY_MS = 24 * 3600 * 1000


class RidingCard:
    """What a card holds: its newest event, where the journey stands, and how often it has proven."""

    def __init__(self, number: int) -> None:
        self.ref = PROVING[:-1] + bytes([number])
        self.newest, self.transfers, self.balance, self.tmc = (900, number + 1), 0, 900_000, 0


def ride(
    terminal: Terminal, card: RidingCard, route: int, charge: int, at_ms: int, kind: EventKind, transfers: int
) -> Intent:
    """A tap as its terminal writes it."""
    row = len(terminal.bodies) + 1
    after = card.balance - charge
    event = build_event(
        Event(kind, AT, terminal.number, row, after, charge, route, journey_age_s=60, transfers=transfers)
    )
    found = build_event(Event(EventKind.RIDE, AT, *card.newest, card.balance, 0, route))
    commands = [READ_RIGHTS, (0xAB, bytes.fromhex("02000000010000"), found)]
    if charge:
        commands.append((0xDC, b"\x03" + charge.to_bytes(4, "little"), b""))
    commands.append((0x8B, bytes.fromhex("02000000200000"), event))
    return replace(
        INTENT,
        at_ms=at_ms,
        card_ref=card.ref,
        route=route,
        charge_minor=charge,
        balance_before_minor=card.balance,
        balance_after_minor=after,
        prev_terminal=card.newest[0],
        prev_sequence=card.newest[1],
        event=event,
        proof=tuple(commands),
    )


TAPS = st.tuples(
    st.integers(0, 2),  # card
    st.integers(1, 3),  # terminal
    st.sampled_from(("new", "transfer", "transfer", "exit", "cash")),
    st.sampled_from((0, 1, 2_400, 3_333, 7_001)),
    st.sampled_from(("committed", "committed", "committed", "silent", "refused", "lost")),
    st.integers(0, 2),  # days later
    st.booleans(),  # all terminals but one send what they have
)


@given(st.lists(TAPS, min_size=4, max_size=30), st.sampled_from(SplitKey))
@examples(25)
def test_it_equals_an_independent_computation_to_the_kopeck(taps, split):
    with tempfile.TemporaryDirectory() as folder:
        town = town_in(Path(folder), split)
        terminals = {number: town.terminal(number) for number in (1, 2, 3)}
        cards = [RidingCard(number) for number in range(3)]
        at_ms = INTENT.at_ms
        for number, at, what, charge, end, days, send in taps:
            at_ms += 60_000 + days * DAY_MS
            play(terminals[at], cards[number], 6 + at, what, charge, end, at_ms)
            if send:
                town.send(terminals[at])
        for terminal in reversed(terminals.values()):
            town.send(terminal)
        assert_equal(town, split)
        town.close()


def town_in(folder: Path, split: SplitKey) -> Town:
    write_registry(folder / "cards.json", [RegisteredCard(PROVING, UID, TMK)])
    town = Town(folder / "collector", registry=folder / "cards.json")
    (folder / "collector/carriers.toml").write_text(CARRIERS.format(split=split), "utf-8")
    return town


def play(
    terminal: Terminal, card: RidingCard, route: int, what: str, charge: int, end: str, at_ms: int
) -> None:
    if what == "cash":
        sold = terminal.write(CashSale(at_ms, 1, 1, route, 0, 1, charge, "demo:1", currency="RUB"))
        if end in ("refused", "lost"):
            terminal.write(SaleCancelled(at_ms, 1, sold, charge, "RUB", "17"))
        return
    kind = EventKind.CHECK_OUT if what == "exit" else EventKind.RIDE
    transfers = min(card.transfers + (what == "transfer"), 9) if what != "new" else 0
    record = ride(terminal, card, route, charge, at_ms, kind, transfers)
    row = terminal.write(record)
    if end == "refused":
        terminal.write(NotCommitted(at_ms, row, SettledBy.ANSWERED))
    if end in ("refused", "lost"):
        return
    card.newest, card.transfers, card.balance = (terminal.number, row), transfers, card.balance - charge
    card.tmc += 1
    if end == "committed":
        value = transaction_mac_value(
            AesKey(TMK), UID, card.tmc, tmi(DataCommand(*one) for one in record.proof)
        )
        terminal.write(replace(committed(row, card.tmc, value), at_ms=at_ms))


def assert_equal(town: Town, split: SplitKey) -> None:
    """What the product says of all its days, against the same records read apart."""
    settlement, store = town.collector.office.settlement, town.collector.store
    records = {(one.terminal, one.sequence): one.body for one in store.records()}
    wanted = settled_apart(records, CARRIER_OF, split, WEIGHTS, {PROVING: (UID, TMK)}, {11})
    found: dict[SettledAs, dict[str, int]] = {}
    proven = 0
    for day in days_of(town):
        moved = 0
        for key, numbers in settlement.day(day).items():
            line = {name.removesuffix("_minor"): getattr(numbers, name) for name in COLUMNS}
            line["due"] = numbers.due_minor
            found[SettledAs(day, *key)] = {name: number for name, number in line.items() if number}
            moved += numbers.moved_proven_minor + numbers.moved_unproven_minor
            proven += numbers.proven_minor
        assert moved == 0, "what one carrier is given another has given"
    assert found == wanted
    total = town.collector.books.totals()
    counted = sum(one.proofs.get(Proof.PROVEN, {}).get("RUB", ZERO).charged_minor for one in total.values())
    assert proven == counted


class ZERO:
    charged_minor = 0


def days_of(town: Town) -> list[str]:
    with town.collector.office.settlement._held() as held:
        return held.days()


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 1000), min_size=1, max_size=9))
def test_no_kopeck_is_made_or_lost(money, weights):
    shares = divided(money, weights)
    assert sum(shares) == money
    assert all(
        abs(share * sum(weights) - money * weight) < sum(weights)
        for share, weight in zip(shares, weights, strict=True)
    )


@pytest.mark.parametrize(
    ("money", "weights", "shares"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (10, [1, 2, 3], [2, 3, 5]),
        (5, [3, 1, 3], [2, 1, 2]),
        (1, [1, 2], [0, 1]),
    ],
)
def test_what_is_left_over_goes_to_the_largest_remainders_the_earlier_first(money, weights, shares):
    assert divided(money, weights) == shares
    assert divided(-money, weights) == [-share for share in shares]


def test_who_rode_is_counted_where_the_ride_began_and_not_at_its_exit(tmp_path: Path) -> None:
    town = town_in(tmp_path, SplitKey.NONE)
    tram, card = town.terminal(1), RidingCard(0)
    play(tram, card, 7, "new", 2_400, "committed", INTENT.at_ms)
    play(tram, card, 7, "exit", 300, "committed", INTENT.at_ms + 60_000)
    friends = replace(
        ride(tram, card, 7, 4_800, INTENT.at_ms + 9_000_000, EventKind.RIDE, 0), trip={"companions": 2}
    )
    tram.write(committed(tram.write(friends)))
    tram.write(CashSale(INTENT.at_ms, 1, 1, 7, 0, 4, 12_800, "demo:1", currency="RUB"))
    tram.write(
        CashSale(INTENT.at_ms, 1, 1, 7, 0, 2, 600, "demo:1", currency="RUB", ticket=TicketKind.LUGGAGE)
    )
    town.send(tram)
    (day,) = days_of(town)
    (cards, cash) = sorted(town.collector.office.settlement.day(day).values(), key=lambda one: one.rides_cash)
    assert (cards.rides_proven + cards.rides_unproven, cards.proven_minor + cards.unproven_minor) == (
        4,
        7_500,
    )
    assert (cash.rides_cash, cash.cash_minor) == (4, 13_400)
    town.close()


def test_a_day_is_looked_at_again_when_a_journey_that_ends_on_it_begins_two_days_before(
    tmp_path: Path,
) -> None:
    town, card = town_in(tmp_path, SplitKey.LEGS), RidingCard(0)
    tram, bus = town.terminal(1), town.terminal(2)
    play(tram, card, 7, "new", 2_400, "committed", INTENT.at_ms)
    play(bus, card, 8, "transfer", 0, "committed", INTENT.at_ms + 2 * DAY_MS)
    settlement = town.collector.office.settlement
    seen = []
    for terminal in (bus, tram):
        town.send(terminal)
        lines = settlement.day(days_of(town)[-1]).values()
        seen.append((sum(one.unlinked for one in lines), sum(abs(one.moved_proven_minor) for one in lines)))
    assert seen == [(1, 0), (0, 2_400)]
    town.close()


FIRST = RideLeg(
    *((1, 1), "2026-02-03", 7, "purse", 0, "RUB", 1, 2_400, Proof.PROVEN, b"card", (9, 9), False, False)
)
CHANGE = FIRST._replace(row=(2, 1), route=8, charge_minor=0, previous=(1, 1), goes_on=True)


def split_over(earlier: RideLeg, last: RideLeg = CHANGE) -> tuple[dict[int, int], int]:
    """What `last` moves, by route, and how many rides were not linked."""
    book = parse_carriers(CARRIERS.format(split=SplitKey.LEGS).encode(), "carriers.toml")
    lines = day_lines([last], {earlier.row: earlier}.get, book)
    moved = {key.route: one.moved_proven_minor + one.moved_unproven_minor for key, one in lines.items()}
    return moved, sum(one.unlinked for one in lines.values())


def test_money_moves_along_the_journey_of_one_card_alone() -> None:
    assert split_over(FIRST) == ({7: -1_200, 8: 1_200}, 0)
    not_linked = {8: 0}, 1
    assert split_over(FIRST._replace(card=b"another")) == not_linked
    assert split_over(FIRST._replace(currency="BYN")) == not_linked
    assert split_over(FIRST._replace(charge_minor=None)) == not_linked
    assert split_over(FIRST._replace(row=(1, 2))) == not_linked
    assert split_over(CHANGE._replace(row=(1, 1))) == not_linked, "it goes on and on"
    assert split_over(FIRST, CHANGE._replace(goes_on=False)) == ({8: 0}, 0)
    paid = CHANGE._replace(charge_minor=600, proof=Proof.REPLACED)
    assert split_over(FIRST, paid) == ({7: -900, 8: 900}, 0)


def test_a_closed_month_stays_and_what_comes_late_is_a_correction(tmp_path):
    """Two people close February; a bus that was out of reach then sends: its transfer moves money of a closed day."""
    town = town_in(tmp_path, SplitKey.LEGS)
    money, other = town.user("1", OfficeRole.MONEY), town.user("2", OfficeRole.MONEY)
    seven, eight, card = town.terminal(1), town.terminal(2), RidingCard(0)
    play(seven, card, 7, "new", 2_400, "committed", INTENT.at_ms)
    town.send(seven)
    play(eight, card, 8, "transfer", 0, "committed", INTENT.at_ms + 600_000)
    client = town.client()

    def ask(method: str, path: str, token: str = money, **options):
        return client.request(
            method, f"/operator{path}", headers={"authorization": f"Bearer {token}"}, **options
        )

    office, users = town.collector.office, town.collector.office.users
    first, second = users.get("1").who, users.get("2").who
    assert office.close_month(first, "2026-02").says is OfficeCode.NOT_OVER
    town.clock.move(days=40)
    asked = office.close_month(first, "2026-02")
    assert asked.says is OfficeCode.WAITS
    assert office.confirm(first, asked.number).says is OfficeCode.SAME_PERSON
    assert ask("POST", f"/v1/requests/{asked.number}/confirmation", other).status_code == 204
    assert office.close_month(second, "2026-02").says is OfficeCode.CLOSED_ALREADY
    closed = office.settlement.month("2026-02")
    assert [(line.key.carrier, line.numbers.due_minor) for line in closed.lines] == [("trams", 2_400)]

    town.send(eight)
    again = office.settlement.month("2026-02")
    assert (again.digest, again.lines) == (closed.digest, closed.lines), "what was stated stays"
    march = office.settlement.month("2026-03")
    assert all(line.earlier for line in march.lines)
    due = {(line.key.carrier, line.day): line.numbers.due_minor for line in march.lines}
    assert due == {("trams", "2026-02-02"): -1_200, ("buses", "2026-02-02"): 1_200}
    html = ask("GET", "/settlement?month=2026-03").text
    assert "Corrections of earlier months" in html
    assert "-12.00" in html
    assert ask("GET", "/settlement/2026-02.csv").text.count("\r\n") == 2
    assert ask("GET", "/settlement/2026-02.xlsx").content[:2] == b"PK"
    assert ask("GET", "/settlement", town.user("3", OfficeRole.LOOK)).status_code == 403

    # What changed between the asking and the confirming is not what was asked for.
    town.clock.move(days=31)
    asked = office.close_month(first, "2026-03")
    play(seven, card, 7, "new", 100, "committed", INTENT.at_ms + 40 * DAY_MS)
    town.send(seven)
    assert office.confirm(second, asked.number).says is OfficeCode.CHANGED
    asked = office.close_month(first, "2026-03")
    assert office.confirm(second, asked.number).says is OfficeCode.DONE
    everything = [line for month in ("2026-02", "2026-03") for line in office.settlement.month(month).lines]
    assert sum(line.numbers.due_minor for line in everything) == 2_500
    assert office.settlement.month("2026-04").lines == []
    done = [one.code for one in town.collector.store.operations() if one.code == "month_closed"]
    assert len(done) == 2
    town.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("number = 8 }", "number = 7 }"), "run by `trams` as well"),
        (("number = 8 }", "number = 7, since = 2026-03-01 }"), "run by `trams` as well"),
        (("number = 8 }", "number = 8, since = 2026-03-01, until = 2026-03-01 }"), "never run"),
        (('id = "buses"', 'id = "trams"'), "already used"),
        (('split = "legs"', 'split = "fairly"'), "split"),
    ],
)
def test_a_document_with_mistakes_is_refused_with_its_line(change, said):
    text = CARRIERS.format(split="legs").replace(*change)
    with pytest.raises(CarriersError) as refused:
        parse_carriers(text.encode(), "carriers.toml")
    assert said in json.dumps(str(refused.value), ensure_ascii=False)
    assert "carriers.toml" in str(refused.value)


def test_a_route_changes_hands_between_two_days():
    text = CARRIERS.format(split="none").replace("number = 7 }", "number = 7, until = 2026-03-01 }")
    text = text.replace("number = 9 }", "number = 7, since = 2026-03-01 }")
    book = parse_carriers(text.encode(), "carriers.toml")
    assert [book.carrier_of(7, day) for day in ("2026-02-28", "2026-03-01")] == ["trams", "buses"]
    assert book.carrier_of(15, "2026-03-01") == ""
