"""A card torn on the issuing point's reader: what the operator reads is true of the card."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime

import pytest

from sim.air import VirtualClock
from sim.card.virtual import VirtualCard
from sim.faults import FaultPlan, tear_after, tear_before
from sim.reader import SimReader
from terminal.app.simulated import laboratory_keys
from terminal.cli.card_view import card_content
from terminal.errors import ReaderError
from terminal.keys.file import load_file_keys
from terminal.lab.issuing import IssueReport, issue_on
from terminal.policy.load import load_region

HEADER = load_region("demo").header
REGION = HEADER.region
TODAY = date(2026, 9, 15)


def on_reader(card: VirtualCard, faults: FaultPlan | None = None) -> SimReader:
    reader = SimReader("issuing point", VirtualClock(datetime(2026, 9, 15, tzinfo=UTC)))
    reader.present(card, faults)
    return reader


def issue(card: VirtualCard, faults: FaultPlan | None = None) -> IssueReport:
    connection = on_reader(card, faults).wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    return issue_on(connection, "adult_purse", "demo", None, TODAY, secrets.token_bytes)


def is_issued(card: VirtualCard) -> bool:
    connection = on_reader(card).wait_for_card(0)
    assert connection is not None, "a card has just been presented"
    try:
        content = card_content(connection, load_file_keys(laboratory_keys()), HEADER)
    except ReaderError:
        return False
    return bool(content["purse_minor"] == 50_000)


def blank() -> VirtualCard:
    return VirtualCard(b"\x04" + secrets.token_bytes(6), secrets.token_bytes, generation="EV3")


def test_a_card_whose_last_answer_was_lost_is_not_called_unissued() -> None:
    exchanges = issue(blank()).exchanges
    for tear, issued in ((tear_after, True), (tear_before, False)):
        card = blank()
        with pytest.raises(ReaderError, match="left or failed while it was issued") as error:
            issue(card, tear(exchanges))
        assert "`terminal card read`" in error.value.advice
        assert is_issued(card) is issued


def test_a_card_whose_issue_was_interrupted_is_refused_as_no_longer_blank() -> None:
    card = blank()
    with pytest.raises(ReaderError):
        issue(card, tear_after(20))
    with pytest.raises(ReaderError, match="was not issued") as error:
        issue(card)
    assert "interrupted" in error.value.advice
    assert not is_issued(card)
