"""The resident application's own records, and whole taps, against vectors written by hand from docs/card-layout.md.

Both readers of a record are held to them, and both ways of building one. A tap is played by the real terminal side
against the written card, to the byte, and its proof is verified as the collector does it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cardproto.channel import CardChannel
from cardproto.desfire.authentication import AesAuthentication, Authentication
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.diversify import an10922_aes128
from cardproto.desfire.transaction_mac import DataCommand, tmi, transaction_mac_value
from cardproto.errors import FormatError
from cardproto.resident.keyset import diversifier
from cardproto.resident.layout import PASS_TAP, PURSE_TAP
from cardproto.resident.opening import OpenedCard
from cardproto.resident.records.documented import (
    EXACT_EVENT,
    parse_event_with_schema,
    parse_rights_with_schema,
)
from cardproto.resident.records.event import (
    Event,
    EventKind,
    PaidBy,
    build_event,
    parse_event,
)
from cardproto.resident.records.rights import (
    Concession,
    Contract,
    Rights,
    build_rights,
    parse_rights,
)
from terminal.decision.outcome import WritePlan
from terminal.media.port import WriteDone
from terminal.media.resident.machine import Course, WriteState
from terminal.media.resident.open import open_session, select_resident
from terminal.media.resident.write import planned_commands, write_plan_to_card
from tests.cardproto.scripted import ScriptedConnection
from tests.vectors.test_vectors import test_vector as check

Entry = Mapping[str, Any]
VECTORS: dict[str, list[Entry]] = json.loads(
    Path(__file__).with_name("resident.json").read_text(encoding="utf-8")
)
EVENT_PARSERS = (parse_event, parse_event_with_schema)
RIGHTS_PARSERS = (parse_rights, parse_rights_with_schema)
START_OF_TIME = datetime(2024, 1, 1, tzinfo=UTC)


def each(section: str) -> pytest.MarkDecorator:
    """One test per entry of a section of the file, called by the entry's own name."""
    return pytest.mark.parametrize("entry", VECTORS[section], ids=lambda entry: str(entry["id"]))


def by_id(section: str, name: str) -> Entry:
    return next(entry for entry in VECTORS[section] if entry["id"] == name)


def code_name(words: str) -> str:
    return words.upper().replace("-", "_").replace(" ", "_")


def event_of(fields: Entry) -> Event:
    """The event that the words of an entry describe."""
    age = fields["journey_age_s"]
    return Event(
        kind=EventKind[code_name(fields["kind"])],
        at=datetime.fromisoformat(fields["at"]),
        terminal=fields["terminal"],
        sequence=fields["sequence"],
        balance_after_minor=fields["balance_after"],
        amount_minor=fields["amount"],
        route=fields["route"],
        direction=fields["direction"],
        journey_age_s=None if age == "none" else age,
        transfers=fields["transfers"],
        paid_by=PaidBy[code_name(fields["paid_by"])],
        counter_layout=fields["counter_layout"],
        meals=int(fields["meals"], 2),
        counters=int(fields["counters"], 16),
        period_ahead=fields["period_ahead_days"],
        inside=fields["persons_inside"],
        last_order=fields["last_order"],
    )


def numbers_of(event: Event) -> dict[str, int]:
    """The same as the documented schema holds it: numbers only."""
    return {
        "version": 2,
        "kind": int(event.kind),
        "at": int((event.at - START_OF_TIME).total_seconds()),
        "period_ahead": event.period_ahead,
        "terminal": event.terminal,
        "sequence": event.sequence,
        "balance_after_minor": event.balance_after_minor,
        "amount_minor": event.amount_minor,
        "direction": event.direction,
        "route": event.route,
        "inside": event.inside,
        "journey_age_s": 0x1FFFF if event.journey_age_s is None else event.journey_age_s,
        "transfers": event.transfers,
        "paid_by": int(event.paid_by),
        "counter_layout": event.counter_layout,
        "last_order": event.last_order,
        "meals": event.meals,
        "counters": event.counters,
    }


def slots_of(fields: Entry, names: str, build: Callable[[Entry], Any]) -> tuple[Any, ...]:
    return tuple(build(fields[name]) if name in fields else None for name in names)


def concession_of(slot: Entry) -> Concession:
    return Concession(slot["code"], slot["parameter"], day(slot["valid_from"]), day(slot["valid_to"]))


def contract_of(slot: Entry) -> Contract:
    return Contract(slot["product"], day(slot["valid_from"]), day(slot["valid_to"]), slot["trips"])


def day(text: str) -> date:
    return date.fromisoformat(text)


def rights_of(fields: Entry) -> Rights:
    """The rights that the words of an entry describe."""
    return Rights(
        region=fields["region"],
        pseudonym=bytes.fromhex(fields["pseudonym"]),
        valid_from=day(fields["valid_from"]),
        valid_to=day(fields["valid_to"]),
        issued_on=day(fields["issued_on"]),
        revision=fields["revision"],
        blocked="blocked" in fields["flags"],
        inactive="inactive" in fields["flags"],
        concessions=slots_of(fields["concessions"], "ABC", concession_of),
        contracts=slots_of(fields["contracts"], "AB", contract_of),
        credential_digest=bytes.fromhex(fields["credential_digest"]),
    )


@each("events")
def test_an_event(entry: Entry) -> None:
    raw, event = bytes.fromhex(entry["hex"]), event_of(entry["fields"])
    for parse in EVENT_PARSERS:
        assert parse(raw) == event
    assert build_event(event).hex().upper() == entry["hex"]
    assert EXACT_EVENT.build({"event": numbers_of(event)}).hex().upper() == entry["hex"]


def test_the_events_show_every_code_and_both_ends_of_every_field() -> None:
    events = [numbers_of(event_of(entry["fields"])) for entry in VECTORS["events"]]
    assert {number["kind"] for number in events} == set(EventKind)
    assert {number["paid_by"] for number in events} == set(PaidBy)
    assert {number["inside"] for number in events} == set(range(8))
    seen = {name: {number[name] for number in events} for name in WIDTHS}
    for name, bits in WIDTHS.items():
        assert {0, (1 << bits) - 1} <= seen[name], name
    assert {-32, -1, 0, 1, 31} <= {number["period_ahead"] for number in events}


WIDTHS = MappingProxyType(
    {
        "at": 30, "terminal": 20, "sequence": 28, "balance_after_minor": 21, "amount_minor": 21, "direction": 1,
        "route": 15, "inside": 3, "journey_age_s": 17, "transfers": 4, "counter_layout": 4, "last_order": 10,
        "meals": 8, "counters": 56,
    }
)  # fmt: skip


@pytest.mark.parametrize("parse", EVENT_PARSERS)
@each("events_not_read")
def test_an_event_that_is_refused(parse: Callable[[bytes], Event], entry: Entry) -> None:
    with pytest.raises(FormatError, match=r"file 02 \(events\)") as refused:
        parse(bytes.fromhex(entry["hex"]))
    assert entry["byte"] is None or refused.value.offset == entry["byte"]


@each("events_not_built")
def test_an_event_that_fits_no_record(entry: Entry) -> None:
    event = event_of(entry["fields"])
    with pytest.raises(FormatError):
        build_event(event)


@each("rights")
def test_rights(entry: Entry) -> None:
    raw, rights = bytes.fromhex(entry["hex"]), rights_of(entry["fields"])
    for parse in RIGHTS_PARSERS:
        assert parse(raw) == rights
    assert build_rights(rights).hex().upper() == entry["hex"]


@pytest.mark.parametrize("parse", RIGHTS_PARSERS)
@each("rights_not_read")
def test_rights_that_are_refused(parse: Callable[[bytes], Rights], entry: Entry) -> None:
    with pytest.raises(FormatError, match=r"file 01 \(rights\)"):
        parse(bytes.fromhex(entry["hex"]))


@each("rights_not_read")
def test_where_the_mistake_in_rights_is(entry: Entry) -> None:
    with pytest.raises(FormatError) as refused:
        parse_rights(bytes.fromhex(entry["hex"]))
    assert entry["byte"] is None or refused.value.offset == entry["byte"]


@each("rights_not_built")
def test_rights_that_fit_no_file(entry: Entry) -> None:
    rights = rights_of(entry["fields"])
    with pytest.raises(FormatError):
        build_rights(rights)


@dataclass(frozen=True, slots=True)
class WrittenKeys:
    """One card's key K1 made from the vector's master key, and the random number the vector's terminal has drawn."""

    entry: Entry

    def versions(self, uid: bytes | None) -> Sequence[int]:
        return (1,)

    def own(self, uid: bytes, version: int) -> Authentication:
        inputs = self.entry["inputs"]
        master = AesKey(bytes.fromhex(inputs["validate_master"]))
        key = AesKey(an10922_aes128(master, diversifier(uid, inputs["region"])))
        return AesAuthentication(key, bytes.fromhex(inputs["rnd_a"]))

    def identify(self, version: int) -> Authentication:
        raise AssertionError("the card shows its own UID")

    def opened(self, card: OpenedCard) -> None:
        assert card == OpenedCard(bytes.fromhex(self.entry["inputs"]["uid"]), 1)


class IntentOnDisk:
    """An intent whose flush has ended."""

    def wait(self) -> None:
        """There is nothing to wait for."""


@each("taps")
def test_a_whole_tap_is_read_back(entry: Entry) -> None:
    """By the reading side: session keys, every MAC, TMI, TMV, the record."""
    check(dict(entry))


@each("taps")
def test_a_whole_tap_is_played_to_the_byte(entry: Entry) -> None:
    """By the terminal's own side: key diversification, select, session, what is read, written and proven."""
    inputs, expected = entry["inputs"], entry["expected"]
    uid = [("FFCA000000", inputs["uid"] + "9000")]
    card = ScriptedConnection([*uid, *map(tuple, inputs["apdus"])])
    channel = CardChannel(card)
    assert select_resident(channel)
    session = open_session(channel, WrittenKeys(entry))
    assert session.snapshot.event == event_of(entry["before"])
    assert session.snapshot.rights == rights_of(by_id("rights", entry["rights"])["fields"])
    plan, course = WritePlan(event_of(entry["after"]), entry["debit"]), Course()
    planned = [
        [f"{c.ins:02X}", c.header.hex().upper(), c.data.hex().upper()]
        for c in planned_commands(session.card, plan)
    ]
    assert planned == entry["proof"]
    result = write_plan_to_card(session.card, plan, IntentOnDisk(), course)
    assert result == WriteDone(expected["TMC"], bytes.fromhex(expected["TMV"]))
    assert course.state is WriteState.COMMITTED
    assert card.finished()


@each("taps")
def test_a_tap_stays_inside_what_a_tap_may_spend(entry: Entry) -> None:
    """The UID, asked of the reader, is none of the card's exchanges."""
    budget = PURSE_TAP if entry["debit"] else PASS_TAP
    apdus = entry["inputs"]["apdus"]
    assert len(apdus) <= budget.exchanges
    assert sum(len(message) // 2 for pair in apdus for message in pair) == entry["apdu_bytes"]
    assert entry["apdu_bytes"] <= budget.apdu_bytes


@each("taps")
def test_the_proof_covers_every_field_of_the_event(entry: Entry) -> None:
    """As the collector recomputes it from a row: right with what was written, wrong with any bit of it changed."""
    inputs, expected = entry["inputs"], entry["expected"]
    key, uid = AesKey(bytes.fromhex(inputs["tmac_key"])), bytes.fromhex(inputs["uid"])
    master = AesKey(bytes.fromhex(inputs["transaction_mac_master"]))
    assert an10922_aes128(master, diversifier(uid, inputs["region"])) == bytes.fromhex(inputs["tmac_key"])
    commands = [DataCommand(int(i, 16), bytes.fromhex(h), bytes.fromhex(d)) for i, h, d in entry["proof"]]
    *before, written = commands

    def proof(record: bytes) -> str:
        last = DataCommand(written.ins, written.header, record)
        return transaction_mac_value(key, uid, expected["TMC"], tmi((*before, last))).hex().upper()

    assert proof(written.data) == expected["TMV"]
    for bit in range(8 * len(written.data)):
        changed = int.from_bytes(written.data, "big") ^ 1 << bit
        assert proof(changed.to_bytes(len(written.data), "big")) != expected["TMV"]
