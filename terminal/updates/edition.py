"""What a published file says of itself, and the port through which a kind of file is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from terminal.codes import SetKind, UpdateFault
from terminal.errors import DocumentError, TerminalError
from terminal.mistakes.form import OtherSchema

CONTENT: Final = "content"
"""A slot's own file, where the kind gives it no other name."""
MOST_BESIDE_BYTES: Final = 64 << 20
"""Of a file that another one needs. The tables of the largest feeds at hand take a tenth of it."""
T_co = TypeVar("T_co", covariant=True)


class Edition(NamedTuple):
    """Which issue of what a file is, for which region, from when (None: at once) until when (None: always).

    `stated_end`: the end it states, where that is not yet the end of its use. `trial_days`: for so long it is on trial
    where it replaces another.
    """

    id: str
    version: int
    region: int
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    issued_at: datetime | None = None
    stated_end: datetime | None = None
    trial_days: int = 0


class SetRefusal(Struct, frozen=True):
    """Why what is published is not taken. `edition` is None where it could not be read; `known` is the newest version
    that was taken; `error` says it in words, where there are more than the fault's.
    """

    kind: SetKind
    fault: UpdateFault
    edition: Edition | None = None
    known: int = 0
    error: TerminalError | None = None

    @property
    def version(self) -> int:
        """0 where it could not be read."""
        return 0 if self.edition is None else self.edition.version

    @property
    def inputs(self) -> dict[str, int | str]:
        """As a fault's row and text have them."""
        return {"kind": self.kind.value, "version": self.version, "known": self.known}


def unreadable(kind: SetKind, error: TerminalError) -> SetRefusal:
    """The refusal of what cannot be read here: of what newer software can, it says so."""
    mistakes = error.mistakes if isinstance(error, DocumentError) else ()
    newer = any(
        one.code is OtherSchema.OTHER and int(one.values["schema"]) > int(one.values["known"])
        for one in mistakes
    )
    return SetRefusal(kind, UpdateFault.NEEDS_NEWER if newer else UpdateFault.UNREADABLE, error=error)


class LoadedEdition(Struct, Generic[T_co], frozen=True):
    """A checked file, ready for use: what it says of itself, the hash of what was published, and what it means."""

    edition: Edition
    sha256: bytes
    value: T_co


@dataclass(frozen=True, slots=True, repr=False)
class Published:
    """A file as it lies at its source, with the files it needs beside it. May hold personal data: it has no text.

    `name` is what errors call it; its ending may say how it is written.
    """

    name: str
    content: bytes
    beside: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


class Objection(NamedTuple):
    """Why a file is not taken, as a code and in words."""

    fault: UpdateFault
    error: TerminalError


class Newest(Protocol):
    """What waits of a kind, else what is in force, else `otherwise`."""

    def __call__(self, kind: SetKind, otherwise: Any, /) -> Any: ...


class PlainPart(ABC, Generic[T_co]):
    """What most kinds have in common: one file by itself, kept as it is, and checked whenever it is loaded."""

    file: ClassVar[str] = CONTENT

    def beside(self, content: bytes) -> tuple[str, ...]:  # noqa: ARG002 the port's argument
        return ()

    def slot_files(self, published: Published) -> Mapping[str, bytes]:
        return {self.file: published.content}

    def against(self, value: Any, newest: Newest) -> Objection | None:  # noqa: ARG002 the port's arguments
        return None

    @abstractmethod
    def load(self, slot: Path, called: str = "") -> LoadedEdition[T_co]: ...

    def load_again(self, slot: Path, sha256: bytes) -> LoadedEdition[T_co]:  # noqa: ARG002 the port's argument
        return self.load(slot)


class SetPart(Protocol[T_co]):
    """One kind of file. All methods may raise `TerminalError` for what they are given."""

    @property
    def kind(self) -> SetKind: ...

    @property
    def most_bytes(self) -> int:
        """A longer file is refused unread."""
        ...

    def beside(self, content: bytes) -> tuple[str, ...]:
        """The names of further files which `content` needs, in its own folder."""
        ...

    def slot_files(self, published: Published) -> Mapping[str, bytes]:
        """What a slot holds of it, by name: sealed, where it is personal."""
        ...

    def against(self, value: Any, newest: Newest) -> Objection | None:
        """Why a sound file does not fit to the `newest` of the other kinds, or to this terminal; None where it does."""
        ...

    def load(self, slot: Path, called: str = "") -> LoadedEdition[T_co]:
        """What lies in `slot`, checked as a whole. Errors name the slot's file, or what its source was `called`."""
        ...

    def load_again(self, slot: Path, sha256: bytes) -> LoadedEdition[T_co]:
        """As `load`, of what was checked before when it had this hash: what follows from the bytes alone need not be
        checked again where they are the same.
        """
        ...
