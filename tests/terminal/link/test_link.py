"""The link between terminals of one place, over real sockets on loopback: what is said arrives, nothing else does."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sim.air import VirtualClock
from terminal.clock import unix_ms
from terminal.link.frames import MOST_BYTES, KeysRenewed, LinkRefusal, MarksSent, seal
from terminal.link.marks import MOST_MARKS, LinkMark, MarkBook, MarkKind, PeerSaid, who_of
from terminal.link.peers import MOST_A_SECOND, LinkPeer, OwnMarks, PeerLinks
from terminal.link.states import SaidState, state_mark, states_said
from terminal.sync.credentials import make_keys
from terminal.sync.enrolment import renewal_request

NOW = datetime(2026, 9, 15, 6, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ANNA = who_of("school_12", b"\x01" * 8, "2026-09-15")
KEPT_S, AHEAD_S = 36 * 3600, 15 * 60
KEYS = {number: make_keys() for number in (1, 2)}


def meal(number: int, who: bytes = ANNA, at_s: int = NOW_S, undoes: int = 0) -> LinkMark:
    return LinkMark(number, MarkKind.MEAL, who, "breakfast", at_s, undoes)


@dataclass
class End:
    """One of two linked terminals."""

    links: PeerLinks
    socket: socket.socket
    new: list[LinkMark] = field(default_factory=list)
    head: int = 0

    def gives(self, *marks: LinkMark) -> None:
        self.head = max(mark.number for mark in marks)
        self.new.extend(marks)

    def follow(self) -> list[LinkMark]:
        found, self.new = self.new, []
        return found

    def said(self, who: bytes = ANNA) -> PeerSaid | None:
        return self.links.book.said(MarkKind.MEAL, who, "breakfast")


def listener() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def end(folder: Path, number: int, at: socket.socket, other: socket.socket) -> End:
    """Terminal `number` of two, not started."""
    made = End.__new__(End)
    End.__init__(made, None, at)  # type: ignore[arg-type]  # the link asks its own end
    peer = LinkPeer(3 - number, other.getsockname(), (KEYS[3 - number].name,))
    own = OwnMarks(made.follow, lambda: made.head)
    made.links = PeerLinks(number, at, [peer], own, folder, VirtualClock(NOW), KEYS[number].sign)
    return made


def until(holds: Callable[[], bool]) -> None:
    """Wait for it; fail when it does not come."""
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[End, End]]:
    sockets = listener(), listener()
    first = end(tmp_path / "1", 1, *sockets)
    second = end(tmp_path / "2", 2, *reversed(sockets))
    with closing(first.links), closing(second.links):
        yield first, second


def test_what_one_gave_the_other_knows_and_what_was_undone_it_forgets(two: tuple[End, End]) -> None:
    first, second = two
    first.gives(meal(5))
    first.links.start()
    second.links.start()
    until(lambda: second.said() is not None)
    assert second.said() == PeerSaid(1, NOW_S)
    assert first.said() is None, "its own are in its journal"
    first.gives(meal(9, undoes=5))
    until(lambda: second.said() is None)
    until(lambda: first.links.waiting(first.links.peers[2]) == 0)
    first.gives(*(meal(10 + at, at.to_bytes(16, "big")) for at in range(500)))
    until(lambda: second.links.peers[1].through == 509)
    assert second.links.book.count == 502
    assert not first.links.refused
    assert not second.links.refused


def test_one_that_was_away_hears_it_all_and_a_restart_forgets_nothing(tmp_path: Path) -> None:
    sockets = listener(), listener()
    first, second = end(tmp_path / "1", 1, *sockets), end(tmp_path / "2", 2, *reversed(sockets))
    first.gives(*(meal(1 + at, at.to_bytes(16, "big")) for at in range(60)), meal(61))
    with closing(first.links):
        first.links.start()
        until(lambda: first.links.waiting(first.links.peers[2]) == 61)
        with closing(second.links):
            second.links.start()  # it comes later
            until(lambda: second.said() is not None)
            until(lambda: second.links.peers[1].through == 61)
    with closing(listener()) as away:
        again = end(tmp_path / "2", 2, listener(), away)
    assert again.said() == PeerSaid(1, NOW_S), "although no peer says it again"
    assert again.links.peers[1].through == 61
    again.links.close()


def test_replayed_forged_foreign_old_early_and_malformed_are_refused_and_counted(
    two: tuple[End, End],
) -> None:
    _, second = two
    number = iter(range(unix_ms(NOW), 1 << 48))

    def sent(message: MarksSent, sender: int = 1, receiver: int = 2, by: int = 1) -> bytes:
        return seal(sender, receiver, next(number), message, KEYS[by].sign)

    sound = sent(MarksSent(0, 5, 0, (meal(5),)))
    old, early = meal(6, at_s=NOW_S - KEPT_S - 1), meal(7, at_s=NOW_S + AHEAD_S + 1)
    for datagram, refusal in (
        (b"", LinkRefusal.MALFORMED),
        (b"RCL1" + bytes(MOST_BYTES), LinkRefusal.MALFORMED),
        (seal(1, 2, next(number), MarksSent(0, 0, 0), KEYS[1].sign)[:-65] + bytes(65), LinkRefusal.MALFORMED),
        (sent(MarksSent(0, 9, 0, (meal(5),)), by=2), LinkRefusal.FORGED),
        (sound[:-1] + bytes([sound[-1] ^ 1]), LinkRefusal.FORGED),
        (sent(MarksSent(0, 0, 0), receiver=7), LinkRefusal.FOREIGN),
        (sent(MarksSent(0, 0, 0), sender=7), LinkRefusal.FOREIGN),
        (sound, None),
        (sound, LinkRefusal.REPLAYED),
        (sent(MarksSent(5, 6, 0, (old,))), LinkRefusal.OLD),
        (sent(MarksSent(6, 7, 0, (early,))), LinkRefusal.AHEAD),
    ):
        before = second.links.refused.copy()
        refused = second.links._take(datagram, "127.0.0.1")
        if refused is not None:
            second.links.refused[refused] += 1
        assert second.links.refused - before == ({refusal: 1} if refusal else {}), refusal
    assert second.links._take(sound, "192.0.2.1") is LinkRefusal.FOREIGN
    assert second.said() == PeerSaid(1, NOW_S)
    assert second.links.book.count == 1, "what was refused left nothing"


def test_a_flood_costs_no_more_than_its_limit(two: tuple[End, End], monkeypatch: pytest.MonkeyPatch) -> None:
    _, second = two
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    datagram = seal(1, 2, 1, MarksSent(0, 0, 0), KEYS[2].sign)
    said = [second.links._take(datagram, "127.0.0.1") for _ in range(MOST_A_SECOND + 5)]
    assert said == [LinkRefusal.FORGED] * MOST_A_SECOND + [LinkRefusal.FLOOD] * 5


def test_the_book_is_bounded_and_forgets_other_days() -> None:
    book = MarkBook()
    for number in range(1, MOST_MARKS + 1):
        assert book.take(1, meal(number, number.to_bytes(16, "big")))
    assert not book.take(1, meal(MOST_MARKS + 1))
    assert book.take(2, meal(1)), "another peer has room of its own"
    book.drop_before(NOW_S + 1)
    assert book.count == 0
    assert book.said(MarkKind.MEAL, ANNA, "breakfast") is None
    assert book.take(1, meal(MOST_MARKS + 2, undoes=MOST_MARKS + 3))
    assert book.take(1, meal(MOST_MARKS + 3)), "what was undone before it was heard"
    assert book.said(MarkKind.MEAL, ANNA, "breakfast") is None


@pytest.mark.parametrize("hours", [0, 1, 12, 35.9])
def test_what_each_door_said_last_of_a_medium_counts_for_a_day_and_a_half(hours: float) -> None:
    """Rows of two doors have nothing to do with each other: the number of one is not newer than the other's."""
    book, said_at = MarkBook(), NOW.replace(hour=23, minute=59)
    for terminal, number, counter in ((1, 900, 4), (2, 7, 3), (1, 899, 9), (1, 901, 5)):
        made = state_mark(number, terminal, b"phone", bytes(32), counter, unix_ms(said_at))
        assert book.take(terminal, made)
    now = said_at + timedelta(hours=hours)
    assert set(states_said(book, b"phone", now)) == {SaidState(1, bytes(32), 5), SaidState(2, bytes(32), 3)}
    assert not set(states_said(book, b"another", now))
    assert book.count == 2, "an older one of the same door is let go"
    later = state_mark(8, 3, b"phone", bytes(32), 6, unix_ms(said_at) + 30_000)
    assert book.take(3, later)
    book.drop_before(later.at_s)
    assert set(states_said(book, b"phone", now)) == {SaidState(3, bytes(32), 6)}, "each is forgotten alone"


def test_whom_a_mark_is_about_is_told_apart_by_place_person_and_day() -> None:
    said = (("a", b"b", "c"), ("ab", b"", "c"), ("a", b"", "bc"), ("a" * 300, b"b", "c"), ("a", b"b", "d"))
    assert len({who_of(*parts) for parts in said}) == len(said)


def test_a_renewed_identity_is_followed_and_another_is_not(two: tuple[End, End]) -> None:
    _, second = two
    renewed, stranger = make_keys(), make_keys()
    peer, after = second.links.peers[1], MarksSent(0, 5, 0, (meal(5),))
    forged = KeysRenewed(renewal_request(1, stranger, stranger))
    assert second.links._take(seal(1, 2, 1, forged, stranger.sign), "127.0.0.1") is LinkRefusal.FORGED
    assert second.links._take(seal(1, 2, 2, after, renewed.sign), "127.0.0.1") is LinkRefusal.FORGED
    genuine = KeysRenewed(renewal_request(1, renewed, KEYS[1]))
    assert len(seal(1, 2, 3, genuine, renewed.sign)) <= MOST_BYTES
    assert second.links._take(seal(1, 2, 3, genuine, renewed.sign), "127.0.0.1") is None
    assert peer.keys == (renewed.name, KEYS[1].name)
    assert second.links._take(seal(1, 2, 4, after, renewed.sign), "127.0.0.1") is None
    assert second.said() == PeerSaid(1, NOW_S)
