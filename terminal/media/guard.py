"""Another author's medium as a tap may have it: what it raises or returns amiss ends its tap and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from cardproto.channel import CardChannel
from cardproto.errors import CardError, LimitExceeded, ProtocolError
from terminal.codes import Admission
from terminal.decision.meal import Serving
from terminal.decision.outcome import Decision, Outcome, WritePlan
from terminal.devices import DeviceWatch, require_held
from terminal.errors import JournalError, KeyLimitReached
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.keys.provider import KEYED_TOKEN_BYTES
from terminal.media.port import (
    LastTap,
    Medium,
    MediumFailed,
    MediumWriter,
    PlannedWrite,
    Presented,
    UnsupportedCard,
    WriteDone,
    WriteNotDone,
    WriteResult,
    WriteUnknown,
)
from terminal.messages import LANGUAGES, TABLE, text
from terminal.money import DECIMALS
from terminal.policy.policy import Policy
from terminal.trail import TrailEntry, recorded
from terminal.trip.facts import Trip

Answer = TypeVar("Answer")

CODE: Final = re.compile("[a-z0-9_.:-]*")
"""What a string in a row may be made of."""

SELECT_EXCHANGES: Final = 4
"""What `select` may spend: one exchange and what follows it up. The rest of a tap's exchanges belongs to the others."""


class _Held(msgspec.Struct, array_like=True):
    """What rows and reports keep of a decision."""

    message: str
    charge_minor: int
    values: dict[str, int | str]
    trail: tuple[TrailEntry, ...]
    flags: tuple[str, ...]
    lists: dict[str, str]

    @classmethod
    def of(cls, outcome: Outcome, decision: Decision) -> _Held:
        return cls(
            outcome.message,
            outcome.charge_minor,
            dict(outcome.values),
            recorded(decision.facts),
            decision.flags,
            dict(decision.lists),
        )


class GuardedMedium:
    """`medium`, whose mistakes `watch` hears of and a tap gets as `MediumFailed`. What it reads and decides is checked
    before it is shown or recorded.
    """

    def __init__(self, medium: Medium, watch: DeviceWatch) -> None:
        self.name: Final = medium.name
        self.messages: Final = medium.messages
        self._own = frozenset(message.code for message in medium.messages)
        self._medium = medium
        self._watch = watch
        self._writes = False

    def select(self, channel: CardChannel) -> bool:
        few = CardChannel(channel, max_exchanges=SELECT_EXCHANGES)

        def selected() -> bool:
            try:
                return bool(self._medium.select(few))
            except LimitExceeded as error:
                raise ValueError(f"select: {error}") from error

        found = self._tried(selected)
        channel.uid = few.uid or channel.uid
        return found

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        found: Presented = self._tried(lambda: _opened(self._medium.open(channel, now)))
        self._writes = found.writer is not None
        writer = None if found.writer is None else GuardedWriter(found.writer, self.name, self._watch)
        return replace(found, read=(), writer=writer)  # nothing is decided again without this code

    def decide(self, snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        decision = self._tried(lambda: self._sound(self._medium.decide(snapshot, policy, trip, now), policy))
        self._watch.works()
        return decision

    def _sound(self, decision: Decision, policy: Policy) -> Decision:
        """`decision`, if it can be carried out, shown in every language and recorded as codes."""
        outcome: Outcome = _require(_require(decision, Decision).outcome, Outcome)
        _require(outcome.admission, Admission)
        if decision.meal is not None:
            _require(decision.meal, Serving)
        if decision.write_plan is not None and not self._writes:
            raise TypeError("a write is planned, and there is no writer")
        if outcome.message not in TABLE and outcome.message not in self._own:
            raise ValueError(f"there is no message {outcome.message!r}")
        require_held(_Held.of(outcome, decision), _Held)
        if outcome.charge_minor < 0:
            raise ValueError(f"a charge of {outcome.charge_minor}")
        for language in LANGUAGES:
            text(outcome.message, language, outcome.values)
        for string in _strings(decision):
            if not CODE.fullmatch(string):
                raise ValueError(f"{string!r} is no code")
        if outcome.values.get("currency", policy.currency) != policy.currency:
            raise ValueError(f"a sum in {outcome.values['currency']} where cards pay in {policy.currency}")
        return decision

    def _tried(self, call: Callable[[], Answer]) -> Answer:
        try:
            return call()
        except (CardError, KeyLimitReached):
            raise
        except UnsupportedCard as card:
            raise UnsupportedCard(f"{self.name}: {card.why}") from card
        except BaseException as error:
            raise MediumFailed(self.name, self._watch.raised(error)) from error


class GuardedWriter:
    """The writing side of such a medium. From the commit on, a mistake means *unknown*, never *failed*."""

    def __init__(self, writer: MediumWriter, medium: str, watch: DeviceWatch) -> None:
        self._writer = writer
        self._medium = medium
        self._watch = watch

    def planned(self, plan: WritePlan) -> PlannedWrite:
        try:
            planned: PlannedWrite = _held(self._writer.planned(plan), PlannedWrite)
        except BaseException as error:
            raise MediumFailed(self._medium, self._watch.raised(error)) from error
        return planned

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        try:
            result: WriteResult = _written(self._writer.commit(plan, intent))
        except JournalError:
            raise
        except CardError as error:
            return WriteUnknown(error)
        except BaseException as error:  # noqa: BLE001 other people's code: the card may hold the write
            return WriteUnknown(ProtocolError(self._watch.raised(error)))
        return result

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:
        try:
            result = self._writer.became(earlier, previous)
            if isinstance(result, WriteUnknown):
                raise TypeError("unknown is None here")
            return None if result is None else _written(result)
        except (CardError, KeyLimitReached):
            raise
        except BaseException as error:
            raise ProtocolError(self._watch.raised(error)) from error


def _opened(found: Any) -> Presented:
    """`found`, if rows can hold what they keep of it."""
    presented: Presented = _require(found, Presented)
    _require_token(presented.reference, "the reference is not one of MediumSetup.reference")
    if presented.person is not None:
        _require_token(presented.person, "the person is not one of MediumSetup.person")
    require_held(presented.balance_minor, int | None)
    if presented.last is not None:
        last = _held(presented.last, LastTap).at
        if last.tzinfo is None:
            raise ValueError("the newest tap is at a time without a zone")
    return presented


def _require_token(token: Any, otherwise: str) -> None:
    if not isinstance(token, bytes) or len(token) != KEYED_TOKEN_BYTES:
        raise TypeError(otherwise)


def _written(result: Any) -> Any:
    """`result`, if the row of the tap's end can hold it."""
    match _require(result, WriteDone, WriteNotDone, WriteUnknown):
        case WriteDone():
            require_held(result, WriteDone)
        case WriteNotDone(cause):
            _require(cause, CardError, type(None))
        case WriteUnknown(cause):
            _require(cause, CardError)
    return result


def _held(value: Any, kind: type) -> Any:
    require_held(_require(value, kind), kind)
    return value


def _strings(decision: Decision) -> Iterator[str]:
    """Everything of `decision` that a row would hold as text."""
    yield from (*decision.flags, *decision.lists, *decision.lists.values())
    yield from (fact.code for fact in decision.facts)
    for values in (decision.outcome.values, *(fact.inputs for fact in decision.facts)):
        yield from values
        yield from (
            value
            for name, value in values.items()
            if isinstance(value, str) and not (name == "currency" and value in DECIMALS)
        )


def _require(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"{type(value).__name__} where {kinds[0].__name__} belongs")
    return value
