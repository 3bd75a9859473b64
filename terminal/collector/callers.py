"""Who is connected, how far each request has come, and which connection makes room for another.

A connection is known by its address only until a signature or a client certificate has shown whose it is. Our
terminals may all share one address (a mobile network gives hundreds of buses one), so an address that has brought a
good signature of late is no stranger's: its connections are given up after those of addresses that never did.

The order in which connections are given up when there is no more room: strangers who have said nothing, those between
two requests or waiting for news, those in the middle of one; then the same of addresses that are known; then a known
terminal's idle connection, which costs that terminal a new handshake and nothing else. A request whose answer is being
made is never given up.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from terminal.errors import CollectorError

if TYPE_CHECKING:
    from starlette.types import Scope

    from terminal.collector.limits import KnownAddresses

OPERATOR: Final = "operator"
"""The name of a connection that has shown the operator's token."""
CALLER: Final = "resident.caller"
"""Where the scope of a request has its connection."""
_IPV6_NETWORK_BITS: Final = 64
_LOOKED_AT: Final = 64
"""Connections of one address that are looked through for one that may go."""


class CallerStage(StrEnum):
    """How far a connection has come."""

    SILENT = "silent"  # connected, not a byte yet
    HEAD = "head"  # sends the TLS handshake or the head of a request
    BODY = "body"  # sends the body of a request
    SERVED = "served"  # its request is whole: the answer is being made
    HELD = "held"  # its request waits for news, and costs nothing but its place
    KEPT = "kept"  # answered, may ask again
    LEAVING = "leaving"  # answered before it had sent everything


class Standing(IntEnum):
    """What is known of the other side."""

    STRANGER = 0  # nothing
    NEIGHBOUR = 1  # its address has brought good signatures
    KNOWN = 2  # itself has shown who it is: a terminal, an operator, a configured proxy


class DropCause(StrEnum):
    """Why a connection was given up."""

    SLOW = "slow"  # took longer than its stage may take
    SHARE = "share"  # its address or terminal has too many
    ROOM = "room"  # all connections are taken


@dataclass(frozen=True, slots=True)
class ConnectionShares:
    """How many connections there may be, of them unknown ones, and of one address or name; times are seconds.

    `bodies` is how many strangers may be sending a body (at most 1 MiB each) at once.
    """

    connections: int = 4_096
    strangers: int = 2_048
    bodies: int = 128
    stranger_address: int = 64
    neighbour_address: int = 1_024
    terminal: int = 8
    operators: int = 64
    young_s: float = 1.0
    silent_s: float = 10.0
    head_s: float = 10.0
    body_s: float = 30.0
    leaving_s: float = 2.0
    kept_s: float = 5.0
    known_kept_s: float = 75.0

    def within(self, files_for: Callable[[int], int]) -> ConnectionShares:
        """These shares, with no more connections than the system has files for."""
        return replace(self, connections=files_for(self.connections))

    def longest_s(self, stage: CallerStage, standing: Standing) -> float | None:
        """How long a connection may stay in `stage`; None for as long as the answer takes."""
        match stage:
            case CallerStage.SILENT:
                return self.silent_s
            case CallerStage.HEAD:
                return self.head_s
            case CallerStage.BODY:
                return self.body_s
            case CallerStage.SERVED | CallerStage.HELD:
                return None
            case CallerStage.KEPT:
                return self.known_kept_s if standing is Standing.KNOWN else self.kept_s
            case CallerStage.LEAVING:
                return self.leaving_s


class Caller:
    """One connection. `drop` ends it at once, whatever it is doing; `name` is whose it is once that is known. `held`:
    its request waits for news.
    """

    __slots__ = ("address", "drop", "held", "name", "since", "stage", "standing")

    def __init__(self, address: str, standing: Standing, since: float, drop: Callable[[], object]) -> None:
        self.address = address
        self.standing = standing
        self.stage = CallerStage.SILENT
        self.since = since
        self.drop = drop
        self.held = False
        self.name: Hashable = None


_GIVEN_UP: Final[tuple[tuple[CallerStage, Standing], ...]] = (
    (CallerStage.SILENT, Standing.STRANGER),
    (CallerStage.KEPT, Standing.STRANGER),
    (CallerStage.HELD, Standing.STRANGER),
    (CallerStage.LEAVING, Standing.STRANGER),
    (CallerStage.HEAD, Standing.STRANGER),
    (CallerStage.BODY, Standing.STRANGER),
)
_GIVEN_UP_FOR_NEIGHBOURS: Final[tuple[tuple[CallerStage, Standing], ...]] = (
    *_GIVEN_UP,
    (CallerStage.SILENT, Standing.NEIGHBOUR),
    (CallerStage.KEPT, Standing.NEIGHBOUR),
    (CallerStage.HELD, Standing.NEIGHBOUR),
    (CallerStage.LEAVING, Standing.NEIGHBOUR),
    (CallerStage.HEAD, Standing.NEIGHBOUR),
    (CallerStage.KEPT, Standing.KNOWN),
)

_Queue = OrderedDict[Caller, None]


class Callers:
    """Every connection of one server. Used in the event loop only."""

    def __init__(
        self,
        shares: ConnectionShares,
        known: KnownAddresses,
        monotonic: Callable[[], float],
        proxies: Proxies,
    ) -> None:
        self.shares = shares
        self.known = known
        self._monotonic = monotonic
        self._proxies = proxies
        self._queues: dict[tuple[CallerStage, Standing], _Queue] = {
            (stage, standing): OrderedDict() for stage in CallerStage for standing in Standing
        }
        self._addresses: dict[str, _Queue] = {}
        self._names: dict[Hashable, _Queue] = {}
        self._dropped: Counter[DropCause] = Counter()

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def count(self, standing: Standing) -> int:
        """How many connections have this standing."""
        return sum(len(self._queues[stage, standing]) for stage in CallerStage)

    @property
    def dropped(self) -> Mapping[DropCause, int]:
        """How many were given up since the start, by cause."""
        return MappingProxyType(self._dropped)

    def arrive(self, host: str, drop: Callable[[], object]) -> Caller | None:
        """A new connection; None when there is no room for it."""
        address, now = grouped(host), self._monotonic()
        if host in self._proxies:
            caller = Caller(address, Standing.KNOWN, now, drop)
        else:
            standing = Standing.NEIGHBOUR if address in self.known else Standing.STRANGER
            if not (self._room_at(address, standing, now) and self._room(standing)):
                return None
            caller = Caller(address, standing, now, drop)
            self._addresses.setdefault(address, OrderedDict())[caller] = None
        self._queues[caller.stage, caller.standing][caller] = None
        return caller

    def enter(self, caller: Caller, stage: CallerStage) -> None:
        """`caller` has come to `stage`; nothing happens when it is there already, or gone."""
        queue = self._queues[caller.stage, caller.standing]
        if caller.stage is stage or caller not in queue:
            return
        del queue[caller]
        caller.stage, caller.since = stage, self._monotonic()
        queue = self._queues[stage, caller.standing]
        queue[caller] = None
        if stage is CallerStage.BODY and caller.standing is Standing.STRANGER:
            while len(queue) > self.shares.bodies:
                self._give_up(next(iter(queue)), DropCause.ROOM)

    def identify(self, caller: Caller, name: Hashable) -> None:
        """`caller` has shown that it is terminal `name`, or `OPERATOR`; its address is known from now on."""
        if caller.name == name or caller not in self._queues[caller.stage, caller.standing]:
            return
        self.leave(caller)
        self.known.meet(caller.address)
        caller.name, caller.standing, caller.since = name, Standing.KNOWN, self._monotonic()
        self._queues[caller.stage, caller.standing][caller] = None
        named = self._names.setdefault(name, OrderedDict())
        named[caller] = None
        most = self.shares.operators if name == OPERATOR else self.shares.terminal
        if len(named) > most:
            other = next((each for each in named if each.stage is not CallerStage.SERVED), None)
            if other is not None:
                self._give_up(other, DropCause.SHARE)

    def leave(self, caller: Caller) -> None:
        """`caller` is gone."""
        self._queues[caller.stage, caller.standing].pop(caller, None)
        _leave_group(self._addresses, caller.address, caller)
        _leave_group(self._names, caller.name, caller)

    def sweep(self) -> None:
        """Give up what has been in its stage for too long."""
        now = self._monotonic()
        for (stage, standing), queue in self._queues.items():
            longest = self.shares.longest_s(stage, standing)
            while longest is not None and queue:
                oldest = next(iter(queue))  # each queue is in the order in which its connections entered it
                if now - oldest.since < longest:
                    break
                self._give_up(oldest, DropCause.SLOW)

    def end_held(self) -> None:
        """The server ends: what waits for news waits no longer."""
        for standing in Standing:
            for caller in list(self._queues[CallerStage.HELD, standing]):
                self.leave(caller)
                caller.drop()

    def make_room(self) -> bool:
        """Give one connection up because the system has no more; whether there was one."""
        return self._give_up_first(_GIVEN_UP_FOR_NEIGHBOURS)

    def _room_at(self, address: str, standing: Standing, now: float) -> bool:
        """Whether its address may have one more, after giving up one of its own."""
        own: _Queue = self._addresses.get(address, OrderedDict())
        shares = self.shares
        most = shares.stranger_address if standing is Standing.STRANGER else shares.neighbour_address
        if len(own) < most:
            return True
        looked_at = list(islice(own, _LOOKED_AT))
        silent = (each for each in looked_at if each.stage is CallerStage.SILENT)
        waiting = (each for each in looked_at if each.stage is not CallerStage.SERVED)
        victim = next(silent, None) or next(waiting, None)
        # Against a flood the cheapest thing is to refuse what comes: what is here would not have had its second.
        if victim is None or now - victim.since < shares.young_s:
            self._dropped[DropCause.SHARE] += 1
            return False
        self._give_up(victim, DropCause.SHARE)
        return True

    def _room(self, standing: Standing) -> bool:
        """Whether there is room for one more of this standing, after giving up another."""
        full = len(self) >= self.shares.connections
        order = _GIVEN_UP_FOR_NEIGHBOURS
        if standing is Standing.STRANGER:
            full = full or self.count(Standing.STRANGER) >= self.shares.strangers
            order = _GIVEN_UP
        if not full or self._give_up_first(order):
            return True
        self._dropped[DropCause.ROOM] += 1
        return False

    def _give_up_first(self, order: tuple[tuple[CallerStage, Standing], ...]) -> bool:
        for place in order:
            if queue := self._queues[place]:
                self._give_up(next(iter(queue)), DropCause.ROOM)
                return True
        return False

    def _give_up(self, caller: Caller, cause: DropCause) -> None:
        self._dropped[cause] += 1
        self.leave(caller)
        caller.drop()


GroupKey = TypeVar("GroupKey", bound=Hashable)


def _leave_group(groups: dict[GroupKey, _Queue], key: GroupKey, caller: Caller) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(caller, None)
        if not group:
            del groups[key]


class Proxies:
    """The addresses whose word about the address of a sender is believed."""

    def __init__(self, stated: tuple[str, ...] = ()) -> None:
        """`stated` are addresses or networks. Raises `CollectorError` for anything else."""
        self.stated = stated
        self._networks = [_network(one) for one in stated]

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _network(stated: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(stated)
    except ValueError as error:
        raise CollectorError(
            f"{stated} is no address of a proxy",
            "Give an address or a network, like 10.0.0.5 or 10.0.0.0/24.",
        ) from error


def grouped(host: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 an IPv6 address is in, which one line gets whole."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((address, _IPV6_NETWORK_BITS), strict=False))


def caller_of(scope: Scope) -> Caller | None:
    """The connection a request came over; None where no server of ours took it."""
    caller = scope.get(CALLER)
    return caller if isinstance(caller, Caller) else None
