"""Which terminal takes which names of a bundle, and from when: the target `assign/fleet/assignment.json`.

    {"format": 1, "groups": [{"terminals": [70001, "70010-70099"], "takes": ["tariff/demo", "roster/17/1f0e…"],
                              "from": "2026-12-01T03:00:00+03:00"},
                             {"terminals": ["70001-70999"], "percent": 5, "takes": ["tariff/demo-2"], "from": "…"},
                             {"terminals": [70001, 70002], "shadow": "tariff/demo-3"}],
     "confirmed": ["demo:2"], "withdrawn": []}

Of the groups that name a terminal and something of a role, the one with the newest `from` that has come counts; a group
without one has always come. So a new tariff is a second group with its moment, and later the only one. With `percent`
so many of its terminals are meant (`place_in`). A tariff in `shadow` decides each tap once more there, and nothing is
charged by it; of several the newest counts, too. `confirmed` and `withdrawn` name region documents on trial (O-12).
Pure: no file, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.decoding import NewerVersion, decode_versioned
from terminal.errors import DocumentError
from terminal.updates.bundle.roles import PER_OPERATOR, BundleRole

FORMAT: Final = 1
MOST_BYTES: Final = 256 << 10
MOST_GROUPS: Final = 200
MOST_TERMINALS: Final = 2_000
"""Numbers and ranges of one group."""
MOST_VERDICTS: Final = 100
ALWAYS: Final = datetime.min.replace(tzinfo=UTC)

Number = Annotated[int, Meta(ge=1, le=LARGEST_TERMINAL)]
Range = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,6}-[1-9][0-9]{0,6}$")]
GroupName = Annotated[str, Meta(pattern=r"^[a-z]+(/[a-z0-9][a-z0-9-]{0,63}){1,2}$")]
EditionName = Annotated[str, Meta(pattern=r"^[^\s:]{1,64}:[1-9][0-9]{0,18}$")]
Moment = Annotated[datetime, Meta(tz=True)]


class AssignmentError(DocumentError):
    """The assignment cannot be used; the one in force stays in force."""


class _Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    terminals: Annotated[tuple[Number | Range, ...], Meta(min_length=1, max_length=MOST_TERMINALS)]
    takes: Annotated[tuple[GroupName, ...], Meta(max_length=len(BundleRole))] = ()
    shadow: GroupName | None = None
    percent: Annotated[int, Meta(ge=1, le=100)] | None = None
    from_: Moment | None = None


class _AssignmentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Annotated[int, Meta(ge=1, le=FORMAT)]
    groups: Annotated[tuple[_Group, ...], Meta(max_length=MOST_GROUPS)]
    confirmed: Annotated[tuple[EditionName, ...], Meta(max_length=MOST_VERDICTS)] = ()
    withdrawn: Annotated[tuple[EditionName, ...], Meta(max_length=MOST_VERDICTS)] = ()


class Verdicts(NamedTuple):
    """Region documents on trial ("demo:2") that a person has confirmed, and those that the publisher takes back."""

    confirmed: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()


NO_VERDICTS: Final = Verdicts()


class _TakenSpan(NamedTuple):
    """Terminals from `first` to `last`, both included, that take `name` from `begins` on: `percent` of them."""

    first: int
    last: int
    begins: datetime
    name: str
    percent: int

    def holds(self, terminal: int) -> bool:
        return self.first <= terminal <= self.last and place_in(self.name, terminal) < self.percent


@dataclass(frozen=True, slots=True)
class Assignment:
    """The spans of each role, and what is said of documents on trial."""

    spans: Mapping[BundleRole, tuple[_TakenSpan, ...]]
    verdicts: Verdicts = NO_VERDICTS
    shadows: tuple[_TakenSpan, ...] = ()

    def taken(self, terminal: int, now: datetime) -> Mapping[BundleRole, str]:
        """What `terminal` takes at `now`: for each role one `ROLE/NAME`; nothing of a role that is not among them."""
        found: dict[BundleRole, str] = {}
        for role, spans in self.spans.items():
            name = _newest(spans, terminal, now)
            if name is not None:
                found[role] = name
        return found

    def in_shadow(self, terminal: int, now: datetime) -> str | None:
        """The tariff that `terminal` decides by once more at `now`; None for none."""
        return _newest(self.shadows, terminal, now)

    @property
    def names(self) -> frozenset[str]:
        """Every `ROLE/NAME` that some terminal takes, or has in shadow, at some time."""
        return frozenset(span.name for listed in (*self.spans.values(), self.shadows) for span in listed)


def _newest(spans: Iterable[_TakenSpan], terminal: int, now: datetime) -> str | None:
    come = [span for span in spans if span.begins <= now and span.holds(terminal)]
    return max(come, key=lambda span: span.begins).name if come else None


def place_in(name: str, terminal: int) -> int:
    """0 to 99: a terminal takes `name` where a group gives it to more percent than this. Who is among five in a hundred
    is among twenty, too; of another name it is others.
    """
    return int.from_bytes(sha256(f"{name}:{terminal}".encode()).digest()[:8]) % 100


def read_assignment(content: bytes, called: str = "assignment.json") -> Assignment:
    """The assignment in a file. Raises `AssignmentError` with what is wrong."""
    try:
        file = decode_versioned(content, _AssignmentFile, FORMAT, MOST_BYTES, in_format=True)
    except NewerVersion as error:
        raise AssignmentError(f"{called}: {error}", "Update the software of this machine.") from error
    except msgspec.DecodeError as error:
        raise AssignmentError(
            f"{called} is no assignment: {error}", "See docs/bundles.md for its form."
        ) from error
    spans: dict[BundleRole, list[_TakenSpan]] = {}
    shadows: list[_TakenSpan] = []
    for number, group in enumerate(file.groups, start=1):
        if group.shadow is not None:
            _require_tariff(group.shadow, called, number)
            shadows.extend(_spans(group, group.shadow, called, number))
        elif not group.takes:
            raise AssignmentError(
                f"{called}: group {number} takes nothing", "Name what its terminals take, or leave it out."
            )
        for name in group.takes:
            role = _role_of(name, called, number)
            spans.setdefault(role, []).extend(_spans(group, name, called, number))
    for role, listed in spans.items():
        _require_one(role, listed, called)
    _require_one(BundleRole.TARIFF, shadows, called)
    verdicts = Verdicts(frozenset(file.confirmed), frozenset(file.withdrawn))
    return Assignment({role: tuple(listed) for role, listed in spans.items()}, verdicts, tuple(shadows))


def _require_tariff(name: str, called: str, number: int) -> None:
    """Raise `AssignmentError` for anything else in shadow."""
    if _role_of(name, called, number) is not BundleRole.TARIFF:
        raise AssignmentError(
            f"{called}: group {number} has {name!a} in shadow, which is no tariff", "Write tariff/NAME."
        )


def _role_of(name: str, called: str, number: int) -> BundleRole:
    first, *others = name.split("/")
    try:
        role = BundleRole(first)
        if role is not BundleRole.ASSIGN and len(others) == (2 if role in PER_OPERATOR else 1):
            return role
    except ValueError:
        pass
    raise AssignmentError(
        f"{called}: group {number} takes {name!a}, which no role publishes",
        "Write ROLE/NAME, or ROLE/OPERATOR/NAME for rosters and prices.",
    )


def _spans(group: _Group, name: str, called: str, number: int) -> Iterator[_TakenSpan]:
    for one in group.terminals:
        first, last = (one, one) if isinstance(one, int) else map(int, one.split("-"))
        if not first <= last <= LARGEST_TERMINAL:
            raise AssignmentError(
                f"{called}: group {number} has the range {one}",
                f"Write the lower number first; the highest is {LARGEST_TERMINAL}.",
            )
        yield _TakenSpan(first, last, group.from_ or ALWAYS, name, group.percent or 100)


def _require_one(role: BundleRole, spans: list[_TakenSpan], called: str) -> None:
    """No terminal may have two names of a role from the same moment."""
    before: _TakenSpan | None = None
    for span in sorted(spans, key=lambda span: (span.begins, span.first)):
        if before is not None and before.begins == span.begins and span.first <= before.last:
            raise AssignmentError(
                f"{called}: terminal {span.first} takes {before.name} and {span.name} from the same moment",
                f"A terminal takes one name of {role.value} at a time.",
            )
        before = span
