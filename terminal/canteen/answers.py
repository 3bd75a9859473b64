"""What came of a request to the till (`terminal.canteen.requests`): a closed set of typed answers, as they are sent."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Final, TypeVar, get_origin

import msgspec
from msgspec import Meta

from terminal import errors
from terminal.canteen.issuing import Issued
from terminal.canteen.pupils.comparing import PupilChange
from terminal.canteen.pupils.doubts import OF_TEXTS
from terminal.canteen.pupils.loading import Comparison
from terminal.canteen.report import DayReport
from terminal.canteen.roster import Roster
from terminal.clock import unix_ms
from terminal.decoding import decoded
from terminal.errors import CanteenRefused, KeyLimitReached, TerminalError
from terminal.trail import TrailEntry, recorded

Ref = Annotated[bytes, Meta(min_length=8, max_length=8)]
"""A pupil's or card's reference."""


class TillAnswer(msgspec.Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """What came of a request."""


class PupilServed(msgspec.Struct, frozen=True):
    """One pupil of a list; `reasons` are for the staff, `sequence` is the record's row, None without one."""

    pupil: Ref
    message: str
    accepted: bool
    sequence: int | None
    reasons: tuple[TrailEntry, ...]

    @classmethod
    def of(cls, issued: Issued) -> PupilServed:
        """As it came out."""
        outcome = issued.outcome
        return cls(
            issued.pupil, str(outcome.message), outcome.accepted, issued.sequence, recorded(issued.facts)
        )


class MealsIssued(TillAnswer, frozen=True):
    """What came of each pupil of the list, in its order."""

    pupils: tuple[PupilServed, ...]


class SaleDone(TillAnswer, frozen=True):
    """What came of a sale; `sequence` is None when nothing was sold, `forbidden` names what to take out."""

    message: str
    accepted: bool
    sold_minor: int
    currency: str
    forbidden: tuple[str, ...]
    sequence: int | None
    reasons: tuple[TrailEntry, ...]


class AnnulDone(TillAnswer, frozen=True):
    """Row `of` is annulled; `returned_minor` goes back to the parents' account."""

    of: int
    returned_minor: int
    currency: str


class Recorded(TillAnswer, frozen=True):
    """How many pupils got a record; those it was true of already get none."""

    pupils: int


class CardLentUntil(TillAnswer, frozen=True):
    """The service day (ISO) at whose end the loan ends."""

    day: str


class DayIsClosed(TillAnswer, frozen=True):
    """The closed day's report, and the names of the concessions (by code) that stand in it."""

    report: DayReport
    concessions: dict[str, str]


class RosterInForce(TillAnswer, frozen=True):
    """A roster in numbers; `late_orders` came after the cut-off and were left out (M-32). `begins_at_ms`: when it comes
    into force, 0 where it is."""

    school: str
    sequence: int
    pupils: int
    classes: dict[str, int]
    late_orders: int
    begins_at_ms: int = 0

    @classmethod
    def of(cls, roster: Roster, *, waits: bool = False) -> RosterInForce:
        """The numbers of a checked roster."""
        classes = {name: len(refs) for name, refs in roster.classes.items()}
        header = roster.header
        begins_at_ms = unix_ms(header.valid_from) if waits else 0
        return cls(
            header.school, header.sequence, len(roster.pupils), classes, roster.late_orders, begins_at_ms
        )


class PricesInForce(TillAnswer, frozen=True):
    """A price list in numbers."""

    school: str
    sequence: int
    products: int
    begins_at_ms: int = 0


class PaymentsLoaded(TillAnswer, frozen=True):
    """How many payments were new, how many known before, and what the new ones come to."""

    new: int
    known: int
    sum_minor: int
    currency: str


class ListedPupil(msgspec.Struct, frozen=True):
    """One pupil of the roster; `name` is empty unless names were asked for (D-02)."""

    ref: str
    class_id: str
    hot_minor: int | None
    buffet_minor: int | None
    name: str = ""

    def __repr__(self) -> str:
        return f"ListedPupil({self.ref}, {self.class_id})"


class PupilsListed(TillAnswer, frozen=True):
    """The pupils of one class or of all, in the roster's order; their accounts are in `currency`."""

    pupils: tuple[ListedPupil, ...]
    currency: str


class DoubtLine(msgspec.Struct, frozen=True):
    """A doubt without a name: what of it a command may print (D-02)."""

    code: str
    row: int
    sheet: str
    column: str
    values: dict[str, str | int]
    rows: int
    blocks: bool


class PupilsCompared(TillAnswer, frozen=True):
    """What a list of pupils changes, in numbers by `PupilChange`, and its doubts. `whole` None: it has to be said
    whether pupils who are missing leave. `sequence` is that of the list it became, 0 while it is not loaded."""

    school: str
    rows: int
    changes: dict[str, int]
    doubts: tuple[DoubtLine, ...]
    whole: bool | None
    debts: int
    """How many of those who leave owe something or have something left."""
    sequence: int = 0

    @property
    def blocking(self) -> int:
        """How many doubts stand against loading it."""
        return sum(doubt.blocks for doubt in self.doubts)

    @classmethod
    def of(cls, found: Comparison) -> PupilsCompared:
        """For sending."""
        leaves = (one for one in found.differences if one.change is PupilChange.GONE)
        return cls(
            school=found.school,
            rows=found.rows,
            changes=dict(Counter(str(one.change) for one in found.differences)),
            doubts=tuple(
                DoubtLine(
                    doubt.code,
                    doubt.row,
                    doubt.sheet,
                    doubt.column or "",
                    dict(doubt.values) if doubt.code in OF_TEXTS else _without_text(doubt.values),
                    doubt.rows,
                    doubt.blocks,
                )
                for doubt in found.doubts
            ),
            whole=found.whole,
            debts=sum(bool(one.balance_minor) for one in leaves),
            sequence=found.loaded,
        )


class Failed(TillAnswer, frozen=True):
    """What was asked could not be done: the `TerminalError` by its name, its texts and its exit code."""

    error: str
    what: str
    advice: str
    exit_code: int
    code: str = ""
    """Of `CanteenRefused`."""

    @classmethod
    def of(cls, error: TerminalError) -> Failed:
        """For sending."""
        if isinstance(error, CanteenRefused):  # whatever it is made of, a window hears code and texts
            return cls(CanteenRefused.__name__, error.what, error.advice, error.exit_code, error.code)
        return cls(type(error).__name__, error.what, error.advice, error.exit_code)

    def as_error(self) -> TerminalError:
        """The error as it was raised there; one of newer software, or made of more than its texts, keeps
        its texts and exit code.
        """
        if self.error == CanteenRefused.__name__:
            return CanteenRefused(self.what, self.advice, self.code)
        known = getattr(errors, self.error, None)
        if not (isinstance(known, type) and issubclass(known, TerminalError)) or known is KeyLimitReached:
            known = type(self.error, (TerminalError,), {"exit_code": self.exit_code})
        error: TerminalError = known(self.what, self.advice)
        return error


AnyAnswer = (
    MealsIssued
    | SaleDone
    | AnnulDone
    | Recorded
    | CardLentUntil
    | DayIsClosed
    | RosterInForce
    | PricesInForce
    | PupilsListed
    | PaymentsLoaded
    | PupilsCompared
    | Failed
)

Given = TypeVar("Given", bound=TillAnswer)
Given_co = TypeVar("Given_co", bound=TillAnswer, covariant=True)


def parse_answer(content: bytes) -> AnyAnswer:
    """The answer in `content`, as `msgspec.msgpack.encode` wrote it. Raises `msgspec.DecodeError`."""
    answer: AnyAnswer = decoded(_answers, content)
    return answer


def _without_text(values: dict[str, str | int]) -> dict[str, str | int]:
    return {name: "…" if name == "text" else value for name, value in values.items()}


def _counted(shape: Any, plain: Any) -> Any:
    """The one type of a report that msgspec does not know: how much of each."""
    if get_origin(shape) is not Counter:
        raise NotImplementedError(f"no answer holds {shape}")
    return Counter(plain)


_answers: Final = msgspec.msgpack.Decoder(AnyAnswer, dec_hook=_counted)
