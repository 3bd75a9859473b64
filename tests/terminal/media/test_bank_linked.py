"""Bank cards at two linked doors of one vehicle, each `terminal run`: what one keeps of a card, the other knows."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile

from terminal.app.station import journal_reader
from terminal.journal.records import Intent, Unwritten
from terminal.policy.deny_list import DenyKind, build_deny_list
from terminal.policy.keyed_file import ListIssue
from terminal.policy.load import region_path
from terminal.sync.credentials import load_or_make_keys
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.flows.live import run
from tests.flows.test_link import free_port, marks, until
from tests.terminal.media.test_bank_live import DENY_KEY, PAID, card_in, said, settings

FRONT, REAR = 1, 2
REGION = 31
CHEAPEST_MINOR = 3200
"""Where no place is known, the exit charges the cheapest ride."""
OPEN: Mapping[str, str] = {
    'transfers = 1\nmedia = ["transport_card"]': 'transfers = 1\nmedia = ["transport_card", "bank_card"]',
    'zone = "boarded"\n': 'zone = "boarded"\nbank_cards = true\n',
}
"""What the region's document opens to bank cards: transfers, and check-in on suburban routes."""


class Doors:
    """The folders and ports of two doors that trust each other."""

    def __init__(self, folder: Path) -> None:
        self.folders = {number: folder / str(number) for number in (FRONT, REAR)}
        self.ports = {number: free_port() for number in self.folders}
        self.metrics = free_port(socket.SOCK_STREAM)
        for own in self.folders.values():
            load_or_make_keys(own / "state" / "terminal.key")
        for number, own in self.folders.items():
            (own / "peers").mkdir()
            other = FRONT + REAR - number
            copyfile(self.folders[other] / "state" / "terminal.pub", own / f"peers/{other}.pub")

    def at(
        self,
        stack: ExitStack,
        number: int,
        route: int,
        since: str = "08:00",
        lists: Mapping[str, object] | None = None,
    ) -> TerminalByHand:
        """A running door, whose clock begins at that hour."""
        own, other = self.folders[number], FRONT + REAR - number
        link = {"listen": f"127.0.0.1:{self.ports[number]}", "identities": "peers"}
        tables: dict[str, Mapping[str, object]] = {
            "terminal": {"number": number, "profile": "bus", "state": "state", "region": "region.toml"},
            "shift": {"operator": "17", "route": route},
            "laboratory": BY_HAND | {"starts_at": f"2026-09-15T{since}:00+03:00"},
            "link": {**link, "peers": [f"{other}@127.0.0.1:{self.ports[other]}"]},
        }
        if number == REAR:
            tables["metrics"] = {"port": self.metrics}
        if lists is not None:
            tables["lists"] = lists
        config = settings(own, **tables)
        text = region_path("belgorod").read_text("utf-8")
        for before, after in OPEN.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (own / "region.toml").write_text(text, "utf-8")
        return stack.enter_context(started(own, config))


def test_who_boarded_in_front_leaves_behind_and_changes_free(tmp_path: Path) -> None:
    doors = Doors(tmp_path)
    card = card_in(doors.folders[FRONT], "bank_cda")
    with ExitStack() as stack:
        front, rear = doors.at(stack, FRONT, 101), doors.at(stack, REAR, 101)
        boarded = front.tap(card)
        assert (said(boarded), boarded["charge_minor"]) == (("ok_checkin", "let_in", "committed"), 0)
        until(lambda: marks(doors.metrics) >= 2)
        assert said(rear.tap(card)) == ("already_paid", "let_in", "nothing_written"), "so soon it is the same"
        rear.say("clock", step_s=900)
        left = rear.tap(card)
        assert (said(left), left["charge_minor"]) == (("ok_checkout", "let_in", "committed"), CHEAPEST_MINOR)
        assert left["card_ref"] == boarded["card_ref"]
    with journal_reader(doors.folders[REAR] / "state") as reader:
        (row,) = [row.record for row in reader.all_rows() if isinstance(row.record, Intent)]
    assert row.prev_terminal == FRONT, "its row says whose word that was"
    run(doors.folders[REAR], "shift", "close")
    with ExitStack() as stack:
        city = doors.at(stack, REAR, 7, since="08:45")
        changed = city.tap(card)
        assert (said(changed), changed["charge_minor"]) == (("ok_transfer", "let_in", "committed"), 0)
        city.say("clock", step_s=1801)
        assert said(city.tap(card)) == PAID, "the window is over"


def test_while_the_list_is_old_the_vehicles_doors_count_together(tmp_path: Path) -> None:
    """Three taps a card and day are the vehicle's, whichever doors they were at, also after a power cut (T-43)."""
    doors = Doors(tmp_path)
    card = card_in(doors.folders[FRONT], "bank_cda")
    for own in doors.folders.values():
        issue = ListIssue(1, REGION, datetime(2026, 9, 12, tzinfo=UTC))
        build_deny_list(own / "deny-list", DENY_KEY, issue, [(DenyKind.BANK_CARD, bytes(16))])
    lists = {"deny": "deny-list"}
    with ExitStack() as stack:
        front, rear = doors.at(stack, FRONT, 7, lists=lists), doors.at(stack, REAR, 7, lists=lists)
        for minutes in (0, 31):
            for door in (front, rear):
                door.say("clock", set=f"2026-09-15T08:{minutes:02d}:00+03:00")
            tap = front.tap(card)
            assert said(tap) == PAID
            assert "t-43:within_stale_cap" in tap["reasons"]
        until(lambda: marks(doors.metrics) >= 5)  # its run, and each ride's, its state, what was taken
        rear.process.kill()
        rear.process.wait(20)
    with ExitStack() as stack:
        front, rear = (doors.at(stack, one, 7, since="09:10", lists=lists) for one in (FRONT, REAR))
        until(lambda: marks(doors.metrics) >= 5)
        third = rear.tap(card)
        assert said(third) == PAID, "the third of the vehicle, the first here"
        rear.say("clock", step_s=1860)
        assert said(rear.tap(card)) == ("online_only", "refused", "nothing_written")
        assert said(rear.tap(card_in(doors.folders[FRONT], "bank_fdda"))) == PAID, (
            "another card has its own three"
        )
    with journal_reader(doors.folders[REAR] / "state") as reader:
        rows = [row.record for row in reader.all_rows() if isinstance(row.record, Intent | Unwritten)]
    assert [row.trip.get("bank.taps_today") for row in rows] == [2, 3, None], "each row says what was known"
