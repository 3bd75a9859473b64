"""What a health check can find: codes with their words, and how bad each is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from msgspec import Struct, field

from terminal.clock import from_unix_ms
from terminal.devices import DeviceState
from terminal.fault_texts import ENGLISH, fault_text
from terminal.texts import N_, translator
from terminal.trip.facts import PlaceQuality


class HealthLevel(IntEnum):
    """How bad; the worst finding is the exit code."""

    OK = 0
    LOOK = 1
    OUT_OF_ORDER = 2


class HealthCode(StrEnum):
    """What can be found: the thing looked at, then what is said of it."""

    STOPPED = "process:stopped"
    DIED = "process:died"
    NO_CARDS = "process:no_cards"
    HANGS = "process:hangs"
    UP = "process:up"
    FILE_MISSING = "file:missing"
    FILE_DAMAGED = "file:damaged"
    FILE_UNUSABLE = "file:unusable"
    FILE_NOT_WRITABLE = "file:not_writable"
    FILE_OK = "file:ok"
    KEY_OPEN = "keys:open"
    KEYS_TPM = "keys:tpm"
    KEYS_HOST = "keys:host"
    KEYS_UNSEALED = "keys:unsealed"
    KEYS_UNKNOWN = "keys:unknown"
    KEYS_FILE = "keys:file"
    KEYS_LABORATORY = "keys:laboratory"
    KEYS_END = "keys:end"
    KEYS_ENDED = "keys:ended"
    NEVER_RAN = "terminal:never_ran"
    JOURNAL_FULL = "journal:full"
    JOURNAL_FILL = "journal:fill"
    ALL_SENT = "unsent:none"
    UNSENT = "unsent:rows"
    CLOCK_BEHIND = "clock:behind"
    CLOCK_SUSPECT = "clock:suspect"
    CLOCK_OFF = "clock:off"
    CLOCK_SIGNED = "clock:signed"
    CLOCK_OK = "clock:ok"
    NO_TAP = "last_tap:none"
    LAST_TAP = "last_tap:ago"
    READER_UNUSED = "reader:unused"
    READER_FAULT = "reader:fault"
    READER_OK = "reader:ok"
    TARIFF_ENDED = "policy:ended"
    TARIFF_GOES_ON = "policy:goes_on"
    TARIFF = "policy:holds"
    DENY_LIST = "deny_list:age"
    GRANTS = "grants:age"
    IN_FORCE = "in_force:since"
    ON_TRIAL = "trial:until"
    PENDING = "pending:from"
    PENDING_NOW = "pending:at_once"
    NOT_TAKEN = "update:refused"
    NO_COLLECTOR = "collector:none"
    SYNC_FAULT = "collector:fault"
    NOT_ASKED = "collector:not_asked"
    HEARD = "collector:heard"
    CERTIFICATE = "certificate:valid"
    NOT_RENEWED = "certificate:not_renewed"
    CERTIFICATE_ENDED = "certificate:ended"
    DISK_UNKNOWN = "disk:unknown"
    DISK = "disk:free"
    LABORATORY = "laboratory:public"
    BY_HAND = "laboratory:by_hand"
    EXTENSION = "extension:loaded"
    DEVICE_FAULT = "device:fault"
    DEVICES = "device:works"
    POWER_FAILING = "power:failing"
    TAMPERED = "housing:opened"
    VEHICLE_FAULT = "vehicle:fault"
    VEHICLE_SILENT = "vehicle:silent"
    VEHICLE_OLD = "vehicle:old"
    VEHICLE_HEARD = "vehicle:heard"
    RAZZIA = "razzia:on"
    PEER_SILENT = "peer:silent"
    PEER_HEARD = "peer:heard"
    LINK_REFUSED = "link:refused"
    BUNDLES = "bundles:age"
    BUNDLES_OLD = "bundles:old"
    BUNDLES_LIMITED = "bundles:limited"
    BUNDLES_STOPPED = "bundles:stopped"
    BUNDLES_NONE = "bundles:none"
    BANK_CA = "bank_ca:keys"
    BUNDLES_FAULT = "bundles:fault"
    SHADOW = "shadow:decides"
    SHADOW_FAULT = "shadow:fault"


TEXTS: Final[Mapping[HealthCode, str]] = MappingProxyType(
    {
        HealthCode.STOPPED: N_("not running"),
        HealthCode.DIED: N_("not running, and it did not stop in good order"),
        HealthCode.NO_CARDS: N_("process {process} uses the journal and serves no cards"),
        HealthCode.HANGS: N_("process {process} hangs: its loop was last heard of {silent_ms} ago"),
        HealthCode.UP: N_("process {process}, up for {up_ms}"),
        HealthCode.FILE_MISSING: N_("no journal at {path}"),
        HealthCode.FILE_DAMAGED: N_("the journal is damaged: {path}"),
        HealthCode.FILE_UNUSABLE: N_("{path} cannot be used, see exit code {exit_code}"),
        HealthCode.FILE_NOT_WRITABLE: N_("{path} cannot be written: rights, or a read-only disk"),
        HealthCode.FILE_OK: N_("{path} can be read and written"),
        HealthCode.KEY_OPEN: N_("other users may read {path}: chmod 600 {path}"),
        HealthCode.KEYS_TPM: N_("sealed to this machine's TPM"),
        HealthCode.KEYS_HOST: N_("sealed to this machine's key file: no TPM; who has the disk has both"),
        HealthCode.KEYS_UNSEALED: N_(
            "{path} is sealed to nothing: seal it anew with the machine's key or TPM"
        ),
        HealthCode.KEYS_UNKNOWN: N_("how {path} is sealed cannot be seen from here"),
        HealthCode.KEYS_FILE: N_("production keys in a plain file, sealed to nothing"),
        HealthCode.KEYS_LABORATORY: N_("laboratory keys on a real reader"),
        HealthCode.KEYS_END: N_("the keys are to be rolled within {left_ms}"),
        HealthCode.KEYS_ENDED: N_("the keys should have been rolled {ago_ms} ago; they go on"),
        HealthCode.NEVER_RAN: N_("it has not said anything yet: it never ran in this folder"),
        HealthCode.JOURNAL_FULL: N_("full: {rows} of {capacity_rows} rows; connect the network"),
        HealthCode.JOURNAL_FILL: N_("{rows} of {capacity_rows} rows"),
        HealthCode.ALL_SENT: N_("every row is at the collector"),
        HealthCode.UNSENT: N_("{rows} rows, the oldest {age_ms} old"),
        HealthCode.CLOCK_BEHIND: N_("the clock is {behind_ms} behind what is known to have passed"),
        HealthCode.CLOCK_SUSPECT: "{fault}",
        HealthCode.CLOCK_OFF: N_("the clock is {off_ms} off the collector's"),
        HealthCode.CLOCK_SIGNED: N_("agrees with the collector's"),
        HealthCode.CLOCK_OK: N_("no doubt; the collector has not signed a time lately"),
        HealthCode.NO_TAP: N_("none since the start"),
        HealthCode.LAST_TAP: N_("{ago_ms} ago"),
        HealthCode.READER_UNUSED: N_("{reader}, not in use"),
        HealthCode.READER_FAULT: "{reader}: {fault}",
        HealthCode.READER_OK: "{reader}, {loop}",
        HealthCode.TARIFF_ENDED: N_("{tariff} ended {ago_ms} ago"),
        HealthCode.TARIFF_GOES_ON: N_("{tariff} ended {ago_ms} ago and goes on for {left_ms} more"),
        HealthCode.TARIFF: N_("{tariff}, for {left_ms} more"),
        HealthCode.DENY_LIST: N_("{age_ms} old"),
        HealthCode.GRANTS: N_("{age_ms} old"),
        HealthCode.IN_FORCE: N_("{edition} since {since_at_ms}"),
        HealthCode.ON_TRIAL: N_("{edition} until {until_at_ms}: without a confirmation {before} comes back"),
        HealthCode.PENDING: N_("{edition} from {from_at_ms}"),
        HealthCode.PENDING_NOW: N_("{edition} between two taps"),
        HealthCode.NOT_TAKEN: "{fault}",
        HealthCode.NO_COLLECTOR: N_("none given: rows are sent with `terminal sync`"),
        HealthCode.SYNC_FAULT: "{fault}",
        HealthCode.NOT_ASKED: N_("{collector}: not asked yet"),
        HealthCode.HEARD: N_("heard {ago_ms} ago"),
        HealthCode.CERTIFICATE: N_("valid for {left_ms} more"),
        HealthCode.NOT_RENEWED: N_("valid for {left_ms} more and not renewed: {fault}"),
        HealthCode.CERTIFICATE_ENDED: N_(
            "ended {left_ms} ago: enrol this terminal again, or have it renewed"
        ),
        HealthCode.DISK_UNKNOWN: N_("{folder} cannot be examined (errno {errno})"),
        HealthCode.DISK: N_("{free_mb} MB free"),
        HealthCode.LABORATORY: N_("public {parts} on a real reader: anyone can make cards for this terminal"),
        HealthCode.BY_HAND: N_("a laboratory's terminal: {parts} moved by hand"),
        HealthCode.EXTENSION: "{distribution} {version}, sha256 {sha256}",
        HealthCode.DEVICE_FAULT: "{state}",
        HealthCode.DEVICES: N_("works"),
        HealthCode.POWER_FAILING: N_("the supply fails: no tap begins"),
        HealthCode.TAMPERED: N_(
            "the housing was opened: the journal key is wiped, and no tap begins any more"
        ),
        HealthCode.VEHICLE_FAULT: "{fault}",
        HealthCode.VEHICLE_SILENT: N_("{source}: nothing heard since the start"),
        HealthCode.VEHICLE_OLD: N_("{source}: its place is {age_ms} old"),
        HealthCode.VEHICLE_HEARD: N_("{source}: its place is {age_ms} old, {quality}"),
        HealthCode.RAZZIA: N_("the vehicle says that an inspection is under way"),
        HealthCode.PEER_SILENT: N_("not heard for half a minute; {waiting} marks wait for it"),
        HealthCode.PEER_HEARD: N_("heard"),
        HealthCode.LINK_REFUSED: N_("{count} datagrams or marks were not taken: see the metrics for why"),
        HealthCode.BUNDLES: N_("signed {age_ms} ago"),
        HealthCode.BUNDLES_OLD: N_("signed {age_ms} ago; a new one is published every day"),
        HealthCode.BUNDLES_LIMITED: N_(
            "signed {age_ms} ago: limits are lower; connect the network, or bring a stick"
        ),
        HealthCode.BUNDLES_STOPPED: N_(
            "signed {age_ms} ago: nothing is sold; connect the network, or bring a stick"
        ),
        HealthCode.BANK_CA: N_(
            "{keys} CA keys of bank cards ({environment}), {revoked} certificates revoked"
        ),
        HealthCode.BUNDLES_NONE: N_("none was accepted yet"),
        HealthCode.BUNDLES_FAULT: "{fault}",
        HealthCode.SHADOW: N_("{edition}, {taps} taps since the start, of {failed} nothing came"),
        HealthCode.SHADOW_FAULT: "{fault}",
    }
)
"""The one place of their words. Inputs in milliseconds are shown as durations, those that end in `_at_ms`
as moments, a code in its own words."""

VALUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "loop": {
            "stopped": N_("not running"),
            "wait_for_card": N_("waits for a card"),
            "processing": N_("a card is being served"),
            "wait_for_removal": N_("waits for the card to leave"),
            "out_of_order": N_("tries again after a pause"),
        },
        "state": {DeviceState.RAISES: N_("raises errors"), DeviceState.HANGS: N_("does not answer")},
        "quality": {
            PlaceQuality.EXACT: N_("exact"),
            PlaceQuality.ESTIMATED: N_("estimated"),
            PlaceQuality.CONTRADICTED: N_("contradicts the shift"),
            "": N_("not on the route"),
        },
        "parts": {"keys": N_("keys"), "region": N_("region document"), "issuers": N_("issuers")},
    }
)
"""By input: the words of its codes, of which there may be several with colons between."""

UNITS: Final = (
    (86_400, N_("{n} d"), 3_600, N_("{n} h")),
    (3_600, N_("{n} h"), 60, N_("{n} min")),
)


class HealthFinding(Struct, frozen=True):
    """One thing looked at. `value` in `unit`, where it is a number worth watching; `about` says which one it is, where
    there are several of a kind.
    """

    code: HealthCode
    level: HealthLevel
    inputs: Mapping[str, int | str] = field(default_factory=dict)
    value: float | None = None
    unit: str = ""
    about: str = ""

    @property
    def name(self) -> str:
        """Which thing it is, the same whatever was found."""
        kind = self.code.partition(":")[0]
        return f"{kind}:{self.about}" if self.about else kind

    def says(self, language: str = ENGLISH) -> str:
        """The finding in words."""
        words = translator(language).gettext(TEXTS[self.code])
        return words.format_map({name: self._shown(name, language) for name in self.inputs})

    def _shown(self, name: str, language: str) -> str:
        value = self.inputs[name]
        if name == FAULT:
            return fault_text(str(value), self.inputs, language)
        if name in VALUES:
            known, words = VALUES[name], translator(language)
            return ", ".join(words.gettext(known.get(code, code)) for code in str(value).split(":"))
        if name.endswith("_at_ms"):
            return f"{from_unix_ms(int(value)):%Y-%m-%d %H:%M} UTC"
        return _span(int(value), language) if name.endswith("_ms") else str(value)


FAULT: Final = "fault"
"""The input that is itself a code."""


class Health(Struct, frozen=True):
    """What was found, in the order in which to read it."""

    findings: tuple[HealthFinding, ...]

    @property
    def exit_code(self) -> int:
        return max(finding.level for finding in self.findings)


def _span(ms: int, language: str) -> str:
    """A duration as people say it: its largest unit, and the next."""
    seconds, words = ms // 1000, translator(language)
    for size, text, next_size, next_text in UNITS:
        if seconds >= size:
            first = words.gettext(text).format(n=seconds // size)
            return f"{first} {words.gettext(next_text).format(n=seconds % size // next_size)}"
    minutes = seconds >= 120
    unit = N_("{n} min") if minutes else N_("{n} s")
    return words.gettext(unit).format(n=seconds // 60 if minutes else seconds)
