"""Errors that end a command: what happened, what to do, and a distinct exit code.

TerminalError            1
├── DocumentError        10   base of everything about files that people write; it carries all their mistakes
├── RegionDocumentError  10   region document or deny list invalid or unknown
├── ScenarioFileError    10   scenario file invalid or written for something else
├── KeyFileError         11   key file missing, malformed, or marked production
├── ScenariosDiffer      12   scenarios do not come out as their file says
├── RosterError          13   roster or price list invalid, too old, or of another school
├── FeedError            14   GTFS feed unreadable, or not to be charged by
├── ConfigError          15   terminal.toml invalid, or it lacks what this command needs
├── ClockRefused         17   the clock is wrong beyond what an operator may accept
├── ActiveSetError       18   the active set is damaged, and nothing that may replace it is at hand
├── KeyLimitReached      16   the key provider has been used as often as it may be
├── JournalError         20   base of everything about the journal
│   ├── JournalLocked    21   another process writes it
│   ├── JournalDamaged   22   the chain or the database is broken
│   ├── JournalFull      23   no room (disk or stated capacity)
│   ├── ChargesDiffer    24   what is recorded does not follow from document, card and place
│   ├── JournalSealed    25   the journal's key is missing, wiped, or another journal's
│   ├── JournalUnreadable 26  records of newer software, or damaged ones, were shown as such
│   └── OtherSoftware    27   it is of other software, and may be whole
├── ReaderError          30   no such reader, or no PC/SC service or binding
├── AuditError           45   an audit dossier or statement is damaged, was changed, or cannot be made
│   └── AuditDiffers     46   the evidence in a dossier does not lead to the statement in it
├── CollectorError       40   collector unreachable or refusing
├── PortInUse            41   the collector's port is taken
├── CollectorDamaged     42   the collector's database or books are broken
├── OfficeRefused        44   an office user may not do this, or not now
├── CollectorContradicts 43   the collector holds other rows than this journal
├── PublishError         48   a bundle cannot be made, signed or published as asked; what is published stays
├── MetricsError         80   the port for metrics is taken
├── BackupError          70   a backup cannot be written, opened or believed
│   └── RestoreRefused   71   restoring here and now could repeat a sequence number
├── ProfileError         50   simulated resident profile unknown or malformed
├── StaffError           51   staff list unusable, or a reference or PIN that cannot be taken
├── CanteenRefused       60   the canteen cannot do what was asked
├── ControlError         62   the running terminal cannot be asked, or its answer was lost
└── ReceiptError         61   a receipt or ticket could not be handed over
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Self

from terminal.codes import SyncFault


class TerminalError(Exception):
    """`what` says what happened in one line, `advice` what the operator should do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}. {advice}")
        self.what = what
        self.advice = advice


class MistakeCode(StrEnum):
    """Base of the codes of mistakes: a member is what is stored and compared, with its words as the catalogues know
    them. Both may name values of the mistake: "unknown {what} {value}".
    """

    what: str
    advice: str

    def __new__(cls, code: str, what: str, advice: str) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.what, member.advice = what, advice
        return member


MistakeValues = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a file people write. `path` is the place inside it ("meals.kinds[1].bit"), empty for
    the whole file.

    What finds it knows path, code and values; what read the file adds its name, the line from 1 where the text has
    one, and `entries`: what the author calls the entries on the way there, by path ("concessions[1]" is "student").
    """

    path: str
    code: MistakeCode
    values: MistakeValues = field(default_factory=dict)
    file: str = ""
    line: int | None = None
    entries: Mapping[str, str] = field(default_factory=dict)


class DocumentError(TerminalError):
    """A file that people write cannot be used. `mistakes` are all that was found in it, in the order of the file; none
    where it is sound by itself and does not fit here or now.
    """

    exit_code = 10

    def __init__(self, what: str, advice: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(what, advice)
        self.mistakes = mistakes


class RegionDocumentError(DocumentError):
    """The region document cannot be used; the one in force stays in force."""


class ScenarioFileError(DocumentError):
    """The scenario file cannot be used."""


class ScenariosDiffer(TerminalError):
    """A scenario does not come out as its file says."""

    exit_code = 12


class KeyFileError(DocumentError):
    """The key file cannot be used."""

    exit_code = 11


class KeyLimitReached(TerminalError):
    """A ceiling of the key provider is met: `use` ("token:transport") opens again in `opens_in_s`, at `opens_at`."""

    exit_code = 16

    def __init__(self, use: str, opens_in_s: float, opens_at: datetime) -> None:
        super().__init__(
            f"the key provider's limit for {use} is reached until {opens_at:%Y-%m-%d %H:%M:%S} UTC",
            "Wait until then. If passengers cannot have caused it, look for who uses the keys besides.",
        )
        self.use = use
        self.opens_in_s = opens_in_s
        self.opens_at = opens_at


class JournalError(TerminalError):
    """The journal cannot be written: no paid operation may start."""

    exit_code = 20


class JournalLocked(JournalError):
    exit_code = 21


class JournalDamaged(JournalError):
    exit_code = 22


class JournalFull(JournalError):
    exit_code = 23


class ChargesDiffer(JournalError):
    """A recorded charge does not follow from what is recorded with it."""

    exit_code = 24


class JournalSealed(JournalError):
    """The journal cannot be read without its key."""

    exit_code = 25


class JournalUnreadable(JournalError):
    """Some records could only be shown as unreadable; the others were."""

    exit_code = 26


class OtherSoftware(JournalError):
    """The journal is of another software's form, and may be whole."""

    exit_code = 27


class ReaderError(TerminalError):
    exit_code = 30


class CollectorError(TerminalError):
    """`fault` is what a terminal records and compares; the sentences are for people."""

    exit_code = 40
    usual_fault: ClassVar[SyncFault] = SyncFault.UNREACHABLE

    def __init__(self, what: str, advice: str, fault: SyncFault | None = None) -> None:
        super().__init__(what, advice)
        self.fault: SyncFault = self.usual_fault if fault is None else fault


class PortInUse(CollectorError):
    exit_code = 41


class CollectorDamaged(CollectorError):
    """A file of the collector holds what SQLite cannot read: starting again does not help."""

    exit_code = 42


class AuditError(TerminalError):
    """The dossier or statement is not what was signed, contradicts itself, or cannot be made: nothing follows."""

    exit_code = 45


class AuditDiffers(AuditError):
    """The evidence is whole and genuine, and comes to something else than what the collector stated."""

    exit_code = 46


class PublishError(TerminalError):
    """A bundle cannot be made, signed or published as asked; what is published stays as it was."""

    exit_code = 48


class MetricsError(TerminalError):
    """The numbers cannot be shown; the terminal does not start, so that it is not taken for a monitored one."""

    exit_code = 80


class BackupError(TerminalError):
    """The backup cannot be written, opened or believed; nothing was changed."""

    exit_code = 70


class RestoreRefused(BackupError):
    """Restoring here and now could repeat a sequence number; nothing was put in place."""

    exit_code = 71


class CollectorContradicts(CollectorError):
    """Journal and collector hold different rows under one number: to be examined before taps are trusted."""

    exit_code = 43
    usual_fault = SyncFault.CONTRADICTED


class ReceiptError(TerminalError):
    """A receipt request or a ticket could not be handed over; the sale itself stands in the journal."""

    exit_code = 61


class ProfileError(DocumentError):
    exit_code = 50


class StaffError(DocumentError):
    """The list of staff, or of office users, stays as it was."""

    exit_code = 51


class RosterError(DocumentError):
    """The roster or price list cannot be used; the one in force stays in force."""

    exit_code = 13


class OfficeRefused(TerminalError):
    """An office user may not do this, or not now; nothing was done. `code` is an `OfficeCode`."""

    exit_code = 44

    def __init__(self, code: str, advice: str) -> None:
        super().__init__(f"nothing was done: {code}", advice)
        self.code = code


class CanteenRefused(TerminalError):
    """What the canteen's staff asked for is not possible now; nothing was recorded. `code` is the effect's
    where a rule is against it, else a `CanteenFault`.
    """

    exit_code = 60

    def __init__(self, what: str, advice: str, code: str) -> None:
        super().__init__(what, advice)
        self.code = code


class ControlError(TerminalError):
    """The running terminal cannot be asked, with nothing done, or its answer was lost; the advice says which."""

    exit_code = 62


class FeedError(TerminalError):
    """The feed cannot be imported; what was imported before stays as it is."""

    exit_code = 14


class ClockRefused(TerminalError):
    """The clock cannot be accepted as it stands; the doubt goes on."""

    exit_code = 17


class ActiveSetError(TerminalError):
    """What decisions are made from cannot be used, and what lies beside it is older than what was in force."""

    exit_code = 18


class ConfigError(DocumentError):
    """The configuration cannot be used; nothing was started."""

    exit_code = 15
