"""Rows about staff: exact bytes, what a restart still knows of turn, place and order, and the id of an action."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from terminal.journal import console_records as console
from terminal.journal.action import acting
from terminal.journal.journal import Journal
from terminal.journal.records import Fault, ShiftClosed, ShiftOpened, build_record, parse_record

# Written out by hand from the msgpack specification: version 1, then [kind, fields…].
VECTORS = [
    (console.OperatorSeen(1, "77"), "01 93 32 01 a23737"),
    (console.SignedIn(1, "77", "driver", "card"), "01 95 33 01 a23737 a6647269766572 a463617264"),
    (console.TurnStarted(1, 2, 3, 15, 1, "77", "x"), "01 98 34 01 02 03 0f 01 a23737 a178"),
    (console.PlaceSet(1, 2, 0, 4, None, "77"), "01 98 35 01 02 00 04 c0 a23737 a0"),
    (console.OrderDeclared(1, False, "77"), "01 95 36 01 c2 a23737 a0"),
    (console.TicketCopied(1, 300, "77"), "01 95 37 01 cd012c a23737 a0"),
    (console.SaleCancelled(1, 2, 300, 100, "RUB", "77"), "01 98 38 01 02 cd012c 64 a3525542 a23737 a0"),
    (
        console.CrewChanged(1, 2, "88", "77", 100, 99, "RUB"),
        "01 99 39 01 02 a23838 a23737 64 63 a3525542 a0",
    ),
    (console.CashHandedOver(1, 2, 100, 99, "RUB", "77"), "01 98 3a 01 02 64 63 a3525542 a23737 a0"),
    (console.NoticeRead(1, 2, "detour", "77"), "01 96 3e 01 02 a66465746f7572 a23737 a0"),
    (console.BreakDeclared(1, 2, True, "77"), "01 96 3b 01 02 c3 a23737 a0"),
]
OPENED = ShiftOpened(1, 1, "77", "bus", 15, 0)
TURN = console.TurnStarted(2, 1, 1, 15, 0, "77")
PLACE = console.PlaceSet(3, 1, 0, 4, None, "77")
NOWHERE = console.PlaceSet(4, 1, 0, 0, None, "77")
BROKEN = console.OrderDeclared(5, False, "77")
MENDED = console.OrderDeclared(6, True, "77")


@pytest.mark.parametrize(("record", "text"), VECTORS)
def test_bytes_are_those_of_the_specification(record, text):
    assert build_record(record) == bytes.fromhex(text)
    assert parse_record(bytes.fromhex(text)) == record


def test_tags_are_those_of_the_first_day():
    tags = {kind.cls.__name__: kind.tag for kind in msgspec.inspect.type_info(console.ConsoleRecord).types}
    assert tags == {
        "OperatorSeen": 50,
        "SignedIn": 51,
        "TurnStarted": 52,
        "PlaceSet": 53,
        "OrderDeclared": 54,
        "TicketCopied": 55,
        "SaleCancelled": 56,
        "CrewChanged": 57,
        "CashHandedOver": 58,
        "BreakDeclared": 59,
        "NoticeRead": 62,
    }


@pytest.mark.parametrize(
    ("rows", "turn", "place", "out_of_order"),
    [
        ((OPENED,), None, None, None),
        ((OPENED, TURN, PLACE, BROKEN), TURN, PLACE, BROKEN),
        ((OPENED, TURN, PLACE, NOWHERE), TURN, None, None),
        ((OPENED, PLACE, TURN), TURN, None, None),
        ((OPENED, TURN, PLACE, ShiftClosed(4, 1, {}), BROKEN), None, None, BROKEN),
        ((BROKEN, MENDED, OPENED), None, None, None),
    ],
)
@pytest.mark.parametrize("way", ["running", "closed", "crashed", "purged"])
def test_what_an_operator_told_survives(tmp_path: Path, rows, turn, place, out_of_order, way):
    path = tmp_path / "journal.db"
    journal = Journal.open(path, 7)
    for row in rows:
        journal.append(row)
    if way == "purged":
        sequence, digest = journal.head
        journal.acknowledge(sequence, digest, 10)
        journal.checkpoint()
        assert journal.purge(0, 20) == len(rows)
    if way != "running":
        journal.abandon() if way == "crashed" else journal.close()
        journal = Journal.open(path, 7)
    assert (journal.open_turn, journal.open_place, journal.out_of_order) == (turn, place, out_of_order)
    journal.close()


def test_a_row_carries_the_action_it_is_the_answer_to(tmp_path: Path):
    journal = Journal.open(tmp_path / "journal.db", 7)
    with acting("a1"):
        journal.append(TURN)
        journal.append(Fault(1, "no place for an action"))
        beside = threading.Thread(target=journal.append, args=(PLACE,))
        beside.start()
        beside.join()
    journal.append(TURN)
    assert [getattr(row.record, "action", "") for row in journal.rows()] == ["a1", "", "", ""]
    journal.close()
