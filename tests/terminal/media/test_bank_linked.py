"""Bank cards at two linked doors of one vehicle, each `terminal run`: what one keeps of a card, the other knows."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from shutil import copyfile

from terminal.app.station import journal_reader
from terminal.journal.records import Intent
from terminal.policy.load import region_path
from terminal.sync.credentials import load_or_make_keys
from tests.by_hand import BY_HAND, TerminalByHand, started
from tests.flows.live import run
from tests.flows.test_link import free_port, marks, until
from tests.terminal.media.test_bank_live import PAID, card_in, said, settings

FRONT, REAR = 1, 2
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

    def at(self, stack: ExitStack, number: int, route: int, since: str = "08:00") -> TerminalByHand:
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
