"""Faults in words: the one table from codes to texts, for consoles in every language and for operators in English."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from types import MappingProxyType
from typing import Final

from terminal.codes import (
    BankFault,
    BundleFault,
    ClockFault,
    ConsoleFault,
    DocumentFault,
    ExtensionFault,
    HeldFault,
    JournalFault,
    KeyFault,
    OutputFault,
    PeripheryFault,
    ReaderFault,
    SetKind,
    StartFault,
    SyncFault,
    UpdateFault,
    VehicleFault,
)
from terminal.texts import N_, translator

FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ReaderFault.GONE: N_("Card reader disconnected"),
        ReaderFault.SERVICE_GONE: N_("Card reader service stopped"),
        ReaderFault.IN_USE: N_("Card reader in use by another program"),
        ReaderFault.SHARED: N_("Card reader shared with another program: end that one"),
        ReaderFault.NO_UID: N_("Card reader does not say which card it is: taps take longer"),
        ReaderFault.FAILED: N_("Card reader failed"),
        ReaderFault.WORKS: N_("Card reader works again"),
        ClockFault.JUMPED: N_("Clock jumped by {jump_s} s"),
        ClockFault.BEHIND: N_("Clock is {behind_s} s behind what is known to have passed"),
        ClockFault.AHEAD: N_("Clock is {ahead_days} days after the last signed time"),
        ClockFault.DISAGREES: N_("Clock is {off_s} s off the collector's"),
        ClockFault.WORKS: N_("Clock is right again"),
        JournalFault.FILLING: N_("Journal {share_percent} % full"),
        JournalFault.NEARLY_FULL: N_("Journal nearly full: {share_percent} %"),
        JournalFault.FULL: N_("Journal full"),
        StartFault.JOURNAL_DAMAGED: N_("Does not start: journal damaged"),
        StartFault.JOURNAL_SEALED: N_("Does not start: the journal's key is not there"),
        StartFault.JOURNAL_OF_OTHER_SOFTWARE: N_("Does not start: journal of other software"),
        SyncFault.UNREACHABLE: N_("Collector not reachable"),
        SyncFault.NO_NAME: N_("Collector's name not found: check network and address"),
        SyncFault.NOT_LISTENING: N_(
            "Collector refuses the connection: it does not run, or the port is wrong"
        ),
        SyncFault.TOO_SLOW: N_("Connection to the collector too slow"),
        SyncFault.CUT: N_("Connection to the collector breaks off"),
        SyncFault.NOT_TRUSTED: N_("Collector not trusted: check its certificate and key"),
        SyncFault.CERTIFICATE_TIME: N_("Collector's certificate not valid at this time: check the clock"),
        SyncFault.OWN_CERTIFICATE: N_("Collector does not accept this terminal's certificate"),
        SyncFault.NOT_UNDERSTOOD: N_("Collector's answer not understood"),
        SyncFault.WEB_PAGE: N_("A web page answers in the collector's place: sign in to the network"),
        SyncFault.MOVED: N_("Collector's address leads elsewhere"),
        SyncFault.BUSY: N_("Collector busy"),
        SyncFault.TOO_LARGE: N_("Something before the collector lets no record pass"),
        SyncFault.REFUSED: N_("Records refused by the collector"),
        SyncFault.INCOMPLETE: N_("Records only partly confirmed by the collector"),
        SyncFault.CONTRADICTED: N_("Collector holds other records than this journal"),
        ConsoleFault.PIN_LOCKED: N_("PIN locked after too many attempts: {operator_ref}"),
        DocumentFault.ENDS: N_("Region document {document} ends in {days} d, and no successor is there"),
        DocumentFault.GOES_ON: N_("Region document {document} has ended; taps go on for {days} d, marked"),
        DocumentFault.ENDED: N_("Region document {document} ended {days} d ago: nothing is sold"),
        KeyFault.LIMIT: N_("Key limit reached ({use}), {opens_in_s} s to wait"),
        UpdateFault.OLDER: N_("Not taken: {kind} version {version}, version {known} was taken already"),
        UpdateFault.CHANGED: N_("Not taken: another content of {kind} under version {version}"),
        UpdateFault.OTHER_DOCUMENT: N_("Not taken: {kind} of another tariff or school"),
        UpdateFault.OTHER_REGION: N_("Not taken: {kind} of another region"),
        UpdateFault.OTHER_CURRENCY: N_("Not taken: {kind} version {version} is in another currency"),
        UpdateFault.ENDED: N_("Not taken: {kind} version {version} has ended"),
        UpdateFault.UNREADABLE: N_("Not taken: {kind} cannot be read"),
        UpdateFault.NEEDS_NEWER: N_(
            "Not taken: {kind} is written for a newer program; update the terminal's first"
        ),
        UpdateFault.TOO_LARGE: N_("Not taken: {kind} is too large"),
        UpdateFault.UNKNOWABLE: N_(
            "Not taken: {kind} version {version} needs what this terminal cannot know"
        ),
        UpdateFault.NO_MEAL: N_("Not taken: {kind} version {version} lacks the meal that this till serves"),
        UpdateFault.UNSOUND: N_("Not taken: {kind} version {version} does not fit the region document"),
        UpdateFault.NO_ROOM: N_("Not taken: no room on the disk for {kind}"),
        UpdateFault.DAMAGED: N_("Damaged on the disk: {kind} version {version}"),
        UpdateFault.TAKEN_BACK: N_(
            "Taken back: {kind} version {version} was on trial; the one before is in force again"
        ),
        UpdateFault.FLOOR_LOST: N_(
            "In force: {kind} version {version}; whether a newer one was before is lost"
        ),
        BundleFault.NO_ROOT: N_(
            "No signed bundles: no root is trusted yet; enrol the terminal, or `terminal trust FILE --sha256 HEX`"
        ),
        BundleFault.BAD_ROOT: N_(
            "Signed bundles: the trusted root cannot be used; give it anew with `terminal trust`"
        ),
        BundleFault.UNREACHABLE: N_("Signed bundles: source not reachable ({role})"),
        BundleFault.TOO_SLOW: N_("Signed bundles: source too slow ({role})"),
        BundleFault.TOO_LARGE: N_(
            "Signed bundles: {role} version {version} is too large; publish less in it"
        ),
        BundleFault.INCOMPLETE: N_(
            "Signed bundles: {role} version {version} is not complete; copy or publish all of it"
        ),
        BundleFault.UNSIGNED: N_(
            "Signed bundles: {role} version {version} lacks signatures that count; have it signed and publish again"
        ),
        BundleFault.WEAK: N_(
            "Signed bundles: {role} version {version} takes fewer keys than it must; delegate it to more"
        ),
        BundleFault.EXPIRED: N_(
            "Signed bundles: {role} version {version} has expired; check the clock, then sign it anew"
        ),
        BundleFault.OLDER: N_(
            "Signed bundles: {role} version {version} is older than {known}; publish a newer one"
        ),
        BundleFault.JUMP: N_(
            "Signed bundles: {role} version {version} is too far from {known}; see whether its key was stolen"
        ),
        BundleFault.MIXED: N_(
            "Signed bundles: a file of {role} version {version} is not the signed one; copy or publish it again"
        ),
        BundleFault.UNREADABLE: N_(
            "Signed bundles: {role} version {version} cannot be read; publish it again"
        ),
        BundleFault.UNSAFE: N_(
            "Signed bundles: {role} holds a link, a device or a name that leads elsewhere; copy plain files"
        ),
        BundleFault.NOT_ITS_FILE: N_(
            "Signed bundles: {role} version {version} brings a file that the role may not; publish it without that"
        ),
        BundleFault.STAND_ALONE: N_(
            "Signed bundles: the root is of the other kind than stand_alone under [bundles] says; set the right one"
        ),
        BundleFault.NOT_ASSIGNED: N_(
            "Signed bundles: nothing of {role} is assigned to this terminal; publish an assignment"
        ),
        BundleFault.NO_ROOM: N_("Signed bundles: no room on the disk for {role} version {version}"),
        BundleFault.STALE: N_(
            "Signed bundles: the newest is {days} d old; connect the network, or bring a stick"
        ),
        BundleFault.LIMITED: N_(
            "Signed bundles: the newest is {days} d old, and limits are lower; connect the network, or bring a stick"
        ),
        BundleFault.STOPPED: N_(
            "Signed bundles: the newest is {days} d old, and nothing is sold; connect the network, or bring a stick"
        ),
        BundleFault.BROKEN: N_("Signed bundles: the process that fetches them does not work"),
        BankFault.CLOSED: N_("No bank cards are taken: CA keys or the back office's key cannot be used"),
        HeldFault.BEGAN_ANEW: N_("States of phones could not be read: their limits begin anew here"),
        ExtensionFault.FAILED: N_("Extension failed: {extension}"),
        ExtensionFault.HANGS: N_("Extension does not respond: {extension}"),
        VehicleFault.OTHER_LINE: N_("Vehicle says line {heard}, the shift runs another"),
        VehicleFault.OTHER_DIRECTION: N_("Vehicle says the other direction"),
        VehicleFault.UNKNOWN_STOP: N_("Vehicle names a stop that is not on the route: {heard}"),
        VehicleFault.OTHER_ORDER: N_("Vehicle names stops in another order than the route: {heard}"),
        VehicleFault.UNKNOWN_ZONE: N_("Vehicle names a zone that the routes document does not have: {heard}"),
        VehicleFault.OTHER_ZONE: N_("Vehicle names a zone in which the stop does not lie: {heard}"),
        VehicleFault.UNREACHABLE: N_("Vehicle not reachable: {source}"),
        VehicleFault.REFUSED: N_("Vehicle does not give its place: {source}"),
        VehicleFault.ENDED: N_("Recording of the vehicle has ended"),
        VehicleFault.BROKEN: N_("Vehicle source cannot work: {source}"),
        VehicleFault.DIED: N_("Vehicle process ended: {source}"),
        VehicleFault.HANGS: N_("Vehicle process does not respond: {source}"),
        VehicleFault.FLOODS: N_("Vehicle process sends too much: {source}"),
        VehicleFault.NOT_UNDERSTOOD: N_("Vehicle process sends what is no message: {source}"),
        OutputFault.FAILED: N_("Output failed: {output}"),
        OutputFault.HANGS: N_("Output takes no more: {output}"),
        PeripheryFault.FAILED: N_("Device failed: {device}"),
        PeripheryFault.HANGS: N_("Device does not respond: {device}"),
        PeripheryFault.FORCED: N_("Barrier passed or open without a tap, {times} times since the start"),
        PeripheryFault.COUNTED: N_("Barrier: opened {opened}, passed {passed}, forced {forced}"),
        PeripheryFault.POWER_FAILING: N_("Supply fails: no tap begins"),
        PeripheryFault.POWER_BACK: N_("Supply is back"),
        PeripheryFault.TAMPERED: N_("Housing opened: journal key wiped, terminal out of service"),
    }
)
"""Every fault and its wording as the catalogues know it."""
SET_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        SetKind.REGION: N_("region document"),
        SetKind.ROUTES: N_("routes"),
        SetKind.DENY: N_("deny list"),
        SetKind.DENY_CHANGES: N_("changes of the deny list"),
        SetKind.GRANTS: N_("list of grants"),
        SetKind.ROSTER: N_("roster"),
        SetKind.PRICES: N_("price list"),
    }
)
"""What an active set consists of, in words."""
UNKNOWN: Final = "—"
"""Stands for an input that a row of other software does not have."""
ENGLISH: Final = "en"


def fault_text(code: str, inputs: Mapping[str, int | str], language: str = ENGLISH) -> str:
    """The fault in words. A code of newer software stands for itself."""
    template = FAULTS.get(code)
    if template is None:
        return code
    wording = translator(language).gettext(template)
    needed = {name for _, name, _, _ in Formatter().parse(wording) if name}
    given = {name: _shown(name, inputs.get(name, ""), language) for name in needed}
    return wording.format_map({name: UNKNOWN if value == "" else value for name, value in given.items()})


def set_kind_text(kind: str, language: str) -> str:
    """A `SetKind` in words; a code of newer software stands for itself."""
    return translator(language).gettext(SET_KINDS.get(kind, kind))


def _shown(name: str, value: int | str, language: str) -> int | str:
    return set_kind_text(str(value), language) if name == "kind" else value
