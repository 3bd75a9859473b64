"""What a running terminal leaves in its folder for those who look from outside: one small file, replaced whole.

The presence loop writes it, at every change and every `EVERY_S` seconds; so a file that is much older means a loop that
hangs or a process that is gone. It is not flushed: after a power cut the journal holds what counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from terminal.codes import SetKind
from terminal.decoding import DOCUMENT_BYTES, decode_json, read_within
from terminal.devices import DeviceState, ExtensionRole
from terminal.files import SHARED, replace_file

STATUS_FILE: Final = "status.json"
SCHEMA: Final = 1
EVERY_S: Final = 15.0
"""About 6 000 small writes a day, which the page cache gathers."""


class LoadedExtension(msgspec.Struct, frozen=True):
    """Code of another author in this terminal: its name in `terminal.toml`, and which installed files that is."""

    role: ExtensionRole
    name: str
    distribution: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.role.replace('_', ' ')} {self.name} ({self.distribution} {self.version})"


class KindInForce(msgspec.Struct, frozen=True, kw_only=True):
    """What of the active set is in force of one kind, what waits, and why what was published is not taken.

    `edition` is "id:version", empty for none. `until_ms` is None without an end. `refused` is a
    `terminal.codes.UpdateFault`, empty where the newest that was published is taken or waits.
    """

    kind: SetKind
    edition: str = ""
    since_ms: int = 0
    until_ms: int | None = None
    issued_at_ms: int | None = None
    pending: str = ""
    pending_from_ms: int = 0
    refused: str = ""
    refused_version: int = 0
    floor: int = 0
    trial_until_ms: int | None = None
    """Until when it is on trial, where it is."""
    trial_before: str = ""
    """What comes back where it is not confirmed."""

    @property
    def version(self) -> str:
        """Without the id."""
        return self.edition.rpartition(":")[2]

    @property
    def followed(self) -> bool:
        """Whether what waits comes into force before this ends."""
        return bool(self.pending) and self.until_ms is not None and self.pending_from_ms <= self.until_ms

    @property
    def not_taken_inputs(self) -> dict[str, int | str]:
        """What the words for `refused` are filled with."""
        return {"kind": self.kind.value, "version": self.refused_version, "known": self.floor}

    def age_ms(self, now_ms: int) -> int:
        """Since it was issued."""
        return max(0, now_ms - (self.issued_at_ms or self.since_ms))


class VehicleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the vehicle says, and how the side process does that listens to it (ADR 31).

    `process` None: none runs now; `starts` counts them. `heard_at_ms`: when the newest place was heard, None before the
    first. `stop` and `quality` are those of the run under way, `fault` is a `terminal.codes.VehicleFault` or empty.
    """

    source: str
    process: int | None = None
    starts: int = 0
    heard_at_ms: int | None = None
    stop: int = 0
    quality: str = ""
    razzia: bool = False
    fault: str = ""
    inputs: dict[str, int | str] = msgspec.field(default_factory=dict)


class BundleRoleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What of a role of signed bundles was delivered last, and why nothing newer was. `fault` is a
    `terminal.codes.BundleFault` or empty.
    """

    role: str
    name: str = ""
    version: int = 0
    issued_at_ms: int = 0
    fault: str = ""
    inputs: dict[str, int | str] = msgspec.field(default_factory=dict)


class BundleSourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A source of signed bundles: when it was looked at last, when that went well, and what was wrong."""

    source: str
    looked_at_ms: int = 0
    heard_at_ms: int | None = None
    fault: str = ""
    inputs: dict[str, int | str] = msgspec.field(default_factory=dict)


class BankCaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The CA keys of bank cards that bundles have brought: whose they are, and how many of what."""

    environment: str
    keys: int
    revoked: int


class BundleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Signed bundles and the process that fetches them. `issued_at_ms`: when the newest accepted set was signed, 0 for
    none; `looks` counts those that ended, `without_source` of them those for which nothing was there to look at. After
    `limited_days` limits are lower, after `stop_days` a bus sells nothing (O-14).
    """

    process: int | None = None
    starts: int = 0
    looks: int = 0
    without_source: int = 0
    issued_at_ms: int = 0
    sources: tuple[BundleSourceStatus, ...] = ()
    roles: tuple[BundleRoleStatus, ...] = ()
    limited_days: int = 14
    stop_days: int | None = None
    bank_ca: BankCaStatus | None = None


class ShadowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A region document in shadow (O-13): how many taps were decided by it once more since the start, and of how many
    nothing came. `fault` is a `terminal.codes.BundleFault`, empty where it can be used.
    """

    edition: str = ""
    taps: int = 0
    failed: int = 0
    fault: str = ""


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Another terminal of the place: when it was heard last, None for not since the start; how many marks of ours it
    does not have yet.
    """

    terminal: int
    address: str = ""
    heard_at_ms: int | None = None
    waiting: int = 0


class PeerLinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The link to the other terminals of the place. `refused` counts what was not taken since the start, by reason
    (`terminal.link.frames.LinkRefusal`); `marks` are held of others.
    """

    peers: tuple[PeerStatus, ...] = ()
    marks: int = 0
    refused: dict[str, int] = {}


class PeripheryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The devices around the reader: which there are, and what they have counted since the start, by closed names.

    Which of them do not work is in `devices_failing`.
    """

    devices: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    waiting_tickets: int = 0
    power_failing: bool = False
    tampered: bool = False


class TerminalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Times are milliseconds since 1970 UTC; None or an empty text where there is nothing to tell.

    A `*_fault` is one of `terminal.codes.FaultCode`. `stopped` is set by the last
    words of a process that ended in good order. `clock_off_s`: how far the clock is ahead of the time the collector
    signed; before `clock_floor_ms` it cannot be (`terminal.trip.clock_watch`). `tariff_goes_on_ms`: for how long the
    region document decides after its end.
    """

    schema: int = SCHEMA
    terminal: int
    profile: str
    software: str
    process: int
    started_at_ms: int
    at_ms: int
    stopped: bool = False
    loop: str = ""
    reader: str = ""
    real_reader: bool = False
    laboratory: tuple[str, ...] = ()
    extensions: tuple[LoadedExtension, ...] = ()
    keys_environment: str = ""
    keys_until_ms: int | None = None
    keys_in_file: bool = False
    devices_failing: dict[str, DeviceState] = {}
    reader_fault: str = ""
    shift_open: bool = False
    taps: int = 0
    last_tap_at_ms: int | None = None
    unresolved: int = 0
    active: tuple[KindInForce, ...] = ()
    tariff_goes_on_ms: int = 0
    clock_fault: str = ""
    clock_inputs: dict[str, int | str] = msgspec.field(default_factory=dict)
    clock_confirmed: bool = False
    clock_authenticated: bool = False
    clock_off_s: int | None = None
    clock_floor_ms: int = 0
    rows: int = 0
    capacity_rows: int = 0
    unsent: int = 0
    oldest_unsent_at_ms: int | None = None
    collector: str = ""
    collector_heard_at_ms: int | None = None
    sync_fault: str = ""
    certificate_until_ms: int | None = None
    renewal_fault: str = ""
    vehicle: VehicleStatus | None = None
    link: PeerLinkStatus | None = None
    periphery: PeripheryStatus | None = None
    bundles: BundleStatus | None = None
    shadow: ShadowStatus | None = None

    def of_kind(self, kind: SetKind) -> KindInForce:
        """What is known of this kind of the active set."""
        return next((one for one in self.active if one.kind is kind), KindInForce(kind=kind))


def write_status(folder: Path, status: TerminalStatus) -> None:
    """May raise OSError."""
    # Written anew every few seconds: to flush it each time would only wear the flash memory.
    replace_file(folder / STATUS_FILE, msgspec.json.encode(status), SHARED, durable=False)


def read_status(folder: Path) -> TerminalStatus | None:
    """What the terminal said last; None when it said nothing that can be read."""
    try:
        return decode_json(read_within(folder / STATUS_FILE, DOCUMENT_BYTES), TerminalStatus)
    except (OSError, msgspec.DecodeError):
        return None


def say_uploaded(
    folder: Path, *, rows: int, unsent: int, oldest_unsent_at_ms: int | None, heard_at_ms: int
) -> None:
    """`terminal sync` uploaded for a terminal that does not run: what that terminal said last is out of date.

    May raise OSError. A terminal that never ran said nothing, and that stays so.
    """
    said = read_status(folder)
    if said is None:
        return
    write_status(
        folder,
        msgspec.structs.replace(
            said,
            rows=rows,
            unsent=unsent,
            oldest_unsent_at_ms=oldest_unsent_at_ms,
            collector_heard_at_ms=heard_at_ms,
            sync_fault="",
        ),
    )


def say_clock_accepted(folder: Path, floor_ms: int) -> None:
    """An operator accepted the clock of a terminal that does not run: the doubt it spoke of last is over.

    May raise OSError. A terminal that never ran said nothing, and that stays so.
    """
    said = read_status(folder)
    if said is None:
        return
    accepted = msgspec.structs.replace(
        said,
        clock_fault="",
        clock_inputs={},
        clock_confirmed=False,
        clock_authenticated=False,
        clock_off_s=None,
        clock_floor_ms=floor_ms,
    )
    write_status(folder, accepted)
