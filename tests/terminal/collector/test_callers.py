"""Who is given up when there is no more room: strangers first, and never who is being answered."""

from __future__ import annotations

import random
from functools import partial

import pytest

from terminal.collector.callers import (
    OPERATOR,
    Caller,
    Callers,
    CallerStage,
    ConnectionShares,
    DropCause,
    Proxies,
    Standing,
    grouped,
)
from terminal.collector.limits import KEPT_BUCKETS, KNOWN_S, KnownAddresses
from terminal.errors import CollectorError
from tests.terminal.collector.office import HandClock

TERMINALS = "192.0.2.1"


class Street:
    """Connections that come and are ended; `dropped` in the order in which they were."""

    def __init__(self, proxies: tuple[str, ...] = (), **shares: float) -> None:
        self.clock = HandClock()
        self.known = KnownAddresses(self.clock.monotonic)
        self.callers = Callers(ConnectionShares(**shares), self.known, self.clock.monotonic, Proxies(proxies))
        self.dropped: list[str] = []

    def come(self, name: str, address: str, stage: CallerStage = CallerStage.SILENT) -> Caller | None:
        caller = self.callers.arrive(address, partial(self.dropped.append, name))
        if caller is not None:
            self.callers.enter(caller, stage)
        return caller


def test_strangers_who_say_nothing_make_room_for_others_and_the_oldest_first():
    street = Street(strangers=3)
    for n in range(5):
        street.clock.move(seconds=0.1)
        assert street.come(f"silent {n}", f"10.0.0.{n}") is not None
    assert street.dropped == ["silent 0", "silent 1"]
    assert street.callers.dropped == {DropCause.ROOM: 2}


def test_who_is_being_answered_is_never_given_up():
    street = Street(strangers=2)
    for n in range(2):
        street.come(f"served {n}", f"10.0.0.{n}", CallerStage.SERVED)
    assert street.come("another", "10.0.0.9") is None
    assert street.dropped == []
    assert street.callers.count(Standing.STRANGER) == 2


def test_who_waits_for_news_makes_room_and_our_terminals_after_strangers():
    street = Street(connections=3, strangers=3)
    street.known.meet(TERMINALS)
    street.come("terminal", TERMINALS, CallerStage.HELD)
    street.clock.move(hours=1)
    for n in range(4):
        street.come(f"stranger {n}", f"10.0.0.{n}", CallerStage.HELD)
        street.callers.sweep()
    assert street.dropped == ["stranger 0", "stranger 1"]
    street.callers.end_held()
    assert street.dropped[2:] == ["stranger 2", "stranger 3", "terminal"]
    assert len(street.callers) == 0


def test_an_address_has_its_share_and_a_flood_from_it_is_turned_away():
    street = Street(stranger_address=2)
    for n in range(2):
        street.come(f"first {n}", "10.0.0.1")
    assert street.come("at once", "10.0.0.1") is None
    street.clock.move(seconds=2)
    assert street.come("later", "10.0.0.1") is not None
    assert street.dropped == ["first 0"]
    assert street.come("elsewhere", "10.0.0.2") is not None
    assert street.callers.dropped == {DropCause.SHARE: 2}


def test_an_address_that_brought_good_signatures_has_more_and_outlasts_strangers():
    street = Street(connections=4, strangers=3, stranger_address=2)
    street.known.meet(TERMINALS)
    for n in range(3):
        street.come(f"stranger {n}", f"10.0.0.{n}")
    for n in range(4):
        assert street.come(f"bus {n}", TERMINALS) is not None
    assert street.dropped == ["stranger 0", "stranger 1", "stranger 2"]
    assert street.come("stranger 9", "10.0.0.9") is None  # strangers never push out who is known
    street.clock.move(seconds=KNOWN_S)
    assert TERMINALS not in street.known


def test_only_strangers_bodies_are_bounded_by_giving_them_up():
    street = Street(bodies=2)
    street.known.meet(TERMINALS)
    for n in range(4):
        street.come(f"bus {n}", TERMINALS, CallerStage.BODY)
        street.come(f"stranger {n}", f"10.0.0.{n}", CallerStage.BODY)
    assert street.dropped == ["stranger 0", "stranger 1"]


def test_a_terminal_has_a_share_of_its_own_wherever_it_comes_from():
    street = Street(terminal=2)
    callers = [street.come(f"bus {n}", f"10.0.0.{n}", CallerStage.SERVED) for n in range(3)]
    for n, caller in enumerate(callers):
        street.callers.identify(caller, 7)
        street.callers.enter(caller, CallerStage.KEPT)
        assert caller.standing is Standing.KNOWN, n
    assert street.dropped == ["bus 0"]
    assert all(f"10.0.0.{n}" in street.known for n in range(3))
    street.callers.identify(callers[2], OPERATOR)
    assert street.callers.count(Standing.KNOWN) == 2


@pytest.mark.parametrize(
    ("stage", "standing", "longest"),
    [
        (CallerStage.SILENT, Standing.STRANGER, 10),
        (CallerStage.SILENT, Standing.NEIGHBOUR, 10),
        (CallerStage.HEAD, Standing.STRANGER, 10),
        (CallerStage.BODY, Standing.STRANGER, 30),
        (CallerStage.KEPT, Standing.STRANGER, 5),
        (CallerStage.KEPT, Standing.KNOWN, 75),
        (CallerStage.LEAVING, Standing.NEIGHBOUR, 2),
    ],
)
def test_every_stage_ends(stage, standing, longest):
    street = Street()
    if standing is Standing.NEIGHBOUR:
        street.known.meet(TERMINALS)
    caller = street.come("slow", TERMINALS)
    if standing is Standing.KNOWN:
        street.callers.identify(caller, 7)
    street.callers.enter(caller, stage)
    street.clock.move(seconds=longest - 0.1)
    street.callers.enter(caller, stage)  # a byte more begins nothing anew
    street.callers.sweep()
    assert street.dropped == []
    street.clock.move(seconds=0.2)
    street.callers.sweep()
    assert street.dropped == ["slow"]
    assert len(street.callers) == 0


def test_an_answer_may_take_what_it_takes():
    street = Street()
    street.come("served", TERMINALS, CallerStage.SERVED)
    street.clock.move(hours=1)
    street.callers.sweep()
    assert street.dropped == []


def test_a_proxy_is_no_stranger_and_only_a_configured_one_is_a_proxy():
    street = Street(proxies=("10.0.0.5", "2001:db8::/32"), stranger_address=1)
    for host in ("10.0.0.5", "10.0.0.5", "2001:db8::7"):
        assert street.come("proxy", host).standing is Standing.KNOWN
    assert street.come("stranger", "10.0.0.6").standing is Standing.STRANGER
    for wrong in ("*", "proxy.example", "10.0.0.5/8"):
        with pytest.raises(CollectorError, match="is no address of a proxy"):
            Proxies((wrong,))


def test_one_line_with_ipv6_is_one_address():
    assert grouped("2001:db8:1:2:3::4") == grouped("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64"
    assert grouped("::ffff:10.0.0.1") == grouped("10.0.0.1") == "10.0.0.1"
    assert grouped("testclient") == "testclient"


def test_known_addresses_do_not_fill_the_memory():
    known = KnownAddresses(HandClock().monotonic)
    for number in range(KEPT_BUCKETS + 10):
        known.meet(str(number))
    assert len(known) == KEPT_BUCKETS
    assert "9" not in known
    assert "10" in known


def test_whatever_happens_the_counts_are_those_of_the_connections_that_are_there():
    rng = random.Random(1)
    street = Street(connections=40, strangers=25, stranger_address=5, neighbour_address=12, bodies=4)
    there: list[Caller] = []
    for _ in range(4_000):
        street.clock.move(seconds=rng.random() / 5)
        match rng.randrange(4):
            case 0 | 1:
                caller = street.callers.arrive(f"10.0.0.{rng.randrange(9)}", lambda: None)
                if caller is not None:
                    caller.drop = partial(there.remove, caller)
                    there.append(caller)
            case 2 if there:
                street.callers.enter(rng.choice(there), rng.choice(list(CallerStage)))
            case _ if there:
                caller = rng.choice(there)
                if rng.random() < 0.3:
                    street.callers.identify(caller, rng.randrange(4))
                else:
                    there.remove(caller)
                    street.callers.leave(caller)
        street.callers.sweep()
        assert len(street.callers) == len(there) <= 40
        assert street.callers.count(Standing.STRANGER) <= 25
