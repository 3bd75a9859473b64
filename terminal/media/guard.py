"""Another author's medium as a tap may have it: what it raises or returns amiss ends its tap and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from cardproto.channel import CardChannel
from cardproto.errors import CardError, ProtocolError
from terminal.decision.outcome import Decision, WritePlan
from terminal.devices import DeviceWatch
from terminal.errors import JournalError, KeyLimitReached
from terminal.journal.journal import Pending
from terminal.journal.taps import TapId
from terminal.media.port import (
    Medium,
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
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip

Answer = TypeVar("Answer")

CODE: Final = re.compile("[a-z0-9_.:-]*")
"""What a string in a row may be made of."""


class GuardedMedium:
    """`medium`, whose mistakes `watch` hears of. A card at which it fails is not supported; where `select` fails, the
    next medium is asked. A decision is checked before it is shown or recorded.
    """

    def __init__(self, medium: Medium, watch: DeviceWatch) -> None:
        self.name: Final = medium.name
        self.messages: Final = medium.messages
        self._own = frozenset(message.code for message in medium.messages)
        self._medium = medium
        self._watch = watch
        self._writes = False

    def select(self, channel: CardChannel) -> bool:
        try:
            selected = self._medium.select(channel)
        except CardError:
            raise
        except Exception as error:  # noqa: BLE001 other people's code: the next medium may know the card
            self._watch.raised(error)
            return False
        return bool(selected)

    def open(self, channel: CardChannel, now: datetime) -> Presented:
        found: Presented = self._tried(lambda: _require(self._medium.open(channel, now), Presented))
        self._writes = found.writer is not None
        writer = None if found.writer is None else GuardedWriter(found.writer, self._watch)
        return replace(found, read=(), writer=writer)  # nothing is decided again without this code

    def decide(self, snapshot: Any, policy: Policy, trip: Trip, now: datetime) -> Decision:
        return self._tried(lambda: self._sound(self._medium.decide(snapshot, policy, trip, now)))

    def _sound(self, decision: Decision) -> Decision:
        """`decision`, if it can be carried out, shown in every language and recorded as codes."""
        outcome = _require(decision, Decision).outcome
        if decision.write_plan is not None and not self._writes:
            raise TypeError("a write is planned, and there is no writer")
        if outcome.message not in TABLE and outcome.message not in self._own:
            raise ValueError(f"there is no message {outcome.message!r}")
        for language in LANGUAGES:
            text(outcome.message, language, outcome.values)
        for string in _strings(decision):
            if not CODE.fullmatch(string):
                raise ValueError(f"{string!r} is no code")
        return decision

    def _tried(self, call: Callable[[], Answer]) -> Answer:
        try:
            answer = call()
        except (CardError, UnsupportedCard, KeyLimitReached):
            raise
        except Exception as error:
            raise UnsupportedCard(f"{self.name}: {self._watch.raised(error)}") from error
        self._watch.works()
        return answer


class GuardedWriter:
    """The writing side of such a medium. From the commit on, a mistake means *unknown*, never *failed*."""

    def __init__(self, writer: MediumWriter, watch: DeviceWatch) -> None:
        self._writer = writer
        self._watch = watch

    def planned(self, plan: WritePlan) -> PlannedWrite:
        try:
            planned: PlannedWrite = _require(self._writer.planned(plan), PlannedWrite)
        except Exception as error:
            raise UnsupportedCard(self._watch.raised(error)) from error
        return planned

    def commit(self, plan: WritePlan, intent: Pending) -> WriteResult:
        try:
            result: WriteResult = _require(
                self._writer.commit(plan, intent), WriteDone, WriteNotDone, WriteUnknown
            )
        except JournalError:
            raise
        except CardError as error:
            return WriteUnknown(error)
        except Exception as error:  # noqa: BLE001 other people's code: the card may hold the write
            return WriteUnknown(ProtocolError(self._watch.raised(error)))
        return result

    def became(self, earlier: TapId, previous: TapId) -> WriteDone | WriteNotDone | None:
        try:
            return self._writer.became(earlier, previous)
        except (CardError, KeyLimitReached):
            raise
        except Exception as error:
            raise ProtocolError(self._watch.raised(error)) from error


def _strings(decision: Decision) -> Iterator[str]:
    """Everything of `decision` that a row would hold as text."""
    yield from (*decision.flags, *decision.counted, *decision.lists, *decision.lists.values())
    yield from (fact.code for fact in decision.facts)
    for values in (decision.outcome.values, *(fact.inputs for fact in decision.facts)):
        yield from values
        yield from (value for value in values.values() if isinstance(value, str))


def _require(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise TypeError(f"{type(value).__name__} where {kinds[0].__name__} belongs")
    return value
