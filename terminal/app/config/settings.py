"""The tables of `terminal.toml`, key by key: types, limits, defaults and what each is for.

`terminal config init`, `show` and `schema`, docs/configuration.md and every message about a mistake are made from these
classes alone. A path in the file is relative to the folder of the file; `~` and variables stay as they are. None means
not set; the description says what holds then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from cardproto.resident.limits import LARGEST_ROUTE, LARGEST_TERMINAL
from terminal.app.config.periphery import PeripheryTables
from terminal.operations.log import Form, LevelName

DEFAULT_STATE: Final = Path("var/terminal")
DEFAULT_REGION: Final = "demo"
DEFAULT_IDENTITIES: Final = Path("peers")
MOST_PEERS: Final = 16
DEFAULT_LANGUAGE: Final = "ru"
DEFAULT_COLLECTOR: Final = "http://127.0.0.1:8470"
DEFAULT_SCREEN_PORT: Final = 8480
DEFAULT_CONSOLE_PORT: Final = 8481
SIM: Final = "sim:"
PCSC: Final = "pcsc"
CANTEEN: Final = "canteen"
CONFIG_SCHEMA: Final = 1
"""The form of the file; one that states none has form 1. After 1.0 forms are added, and every earlier one is read."""

Port = Annotated[int, Meta(ge=0, le=0xFFFF)]
Text = Annotated[str, Meta(min_length=1)]
_HOST_PORT: Final = r"[0-9A-Za-z.\-]{1,253}:[0-9]{1,5}"
_LINK_PORT: Final = rf"({_HOST_PORT}|\[[0-9A-Fa-f:.]{{2,45}}(%[0-9A-Za-z.\-]{{1,15}})?\]:[0-9]{{1,5}})"
LinkPort = Annotated[str, Meta(pattern=f"^{_LINK_PORT}$")]
"""An address and port, in brackets where the address is one of IPv6."""
PeerText = Annotated[str, Meta(pattern=f"^[1-9][0-9]{{0,6}}@{_LINK_PORT}$")]
Pace = Annotated[float, Meta(ge=0.2)]
Count = Annotated[int, Meta(ge=1)]
Profile = Literal["bus", "canteen"]
EXTENSION_NAME: Final = "[a-z][a-z0-9_]*"
Name = Annotated[str, Meta(pattern=f"^{EXTENSION_NAME}$")]
Option = bool | int | float | str | tuple[bool | int | float | str, ...]
"""What a key of an extension's own table may hold."""

EXTENSIONS: Final = "extensions"
RESIDENT: Final = "resident"
PHONE: Final = "phone"
BANK: Final = "bank"
OWN_MEDIA: Final = (RESIDENT, PHONE, BANK)
"""Media that need no extension."""
REPLAY: Final = "replay"
VDV301: Final = "vdv301"
GPSD: Final = "gpsd"
VEHICLE_SOURCES: Final = (VDV301, GPSD, REPLAY)
"""What a side process of ours can listen to; any other name is an extension's."""
DEFAULT_GPSD: Final = "127.0.0.1:2947"


class TerminalTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What this terminal is."""

    schema: Annotated[
        int,
        Meta(ge=1, le=CONFIG_SCHEMA, description="Version of this file's form.", examples=[CONFIG_SCHEMA]),
    ] = 1
    number: Annotated[
        int,
        Meta(
            ge=1,
            le=LARGEST_TERMINAL,
            description="Terminal number; stands in every record.",
            examples=[70001],
        ),
    ] = 1
    profile: Annotated[
        Profile | None,
        Meta(description="What the terminal is. Required by `terminal run`.", examples=["bus"]),
    ] = None
    state: Annotated[
        Path,
        Meta(
            description="Folder of this terminal: journal, identity key, collector's public key.",
            examples=["/var/lib/resident-terminal/70001"],
        ),
    ] = field(default_factory=lambda: DEFAULT_STATE)  # the JSON schema can show no default that is a Path
    region: Annotated[
        Text | None,
        Meta(
            description="Region document: a TOML file, or the name of a supplied one. "
            "Unset: the one that signed bundles bring; without them demo, with a simulated reader only.",
            examples=["region.toml"],
        ),
    ] = None
    language: Annotated[
        str, Meta(description="Language of passenger messages and of the console.", examples=["ru"])
    ] = DEFAULT_LANGUAGE
    second_language: Annotated[
        str, Meta(description="Another language on the display, smaller, under the first.", examples=["en"])
    ] = ""
    laboratory: Annotated[
        bool,
        Meta(
            description="Accept the public laboratory keys, demo region and laboratory issuers on a real reader. "
            "Never in service: such cards can be forged."
        ),
    ] = False

    @property
    def region_or_demo(self) -> str:
        return self.region or DEFAULT_REGION


class ReaderTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where cards are presented."""

    name: Annotated[
        Text | None,
        Meta(
            description="pcsc or pcsc:NAME for a real reader; sim:RESIDENT[,…] for software cards (or card image "
            "files), sim: for none; NAME or NAME:ADDRESS for the reader of an extension. Required by `terminal run`.",
            examples=["pcsc"],
        ),
    ] = None
    pace_s: Annotated[
        Pace | None,
        Meta(
            description="Simulated reader: a card every so many seconds, in turn and again, until stopped or `taps`.",
            examples=[5.0],
        ),
    ] = None
    taps: Annotated[
        Count | None,
        Meta(
            description="Stop after so many taps. Unset: never, or after the last simulated card.",
            examples=[10],
        ),
    ] = None

    @property
    def simulated(self) -> bool:
        """Whether software cards are served; so it is where no reader is named."""
        return self.name is None or self.name.startswith(SIM)

    @property
    def extension(self) -> str:
        """Which extension brings the reader; empty for one of ours."""
        name = (self.name or PCSC).partition(":")[0]
        return "" if name in (PCSC, SIM.rstrip(":")) else name


class SignalsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Lamps, sounds and barriers besides the passenger display."""

    names: Annotated[
        tuple[Name, ...],
        Meta(
            description="Extensions that show each result, each on a thread of its own.", examples=[["led"]]
        ),
    ] = ()


class MediaTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What passengers may present."""

    order: Annotated[
        tuple[Name, ...],
        Meta(
            min_length=1,
            description="Media in the order in which a card is asked: resident, phone, bank, and those of extensions.",
            examples=[["resident", "phone", "bank"]],
        ),
    ] = (RESIDENT,)
    codes: Annotated[
        bool,
        Meta(
            description="Take the codes that residents' phones show. Needs a scanner under [periphery.scanner]."
        ),
    ] = False
    proof: Annotated[
        bool,
        Meta(
            description="Ask resident cards for their proof of each tap. false for chips whose transaction MAC is not "
            "as published: taps are then settled by the card's newest event and its purse, and nothing is proved."
        ),
    ] = True


class BankTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Bank cards, where `[media] order` takes them. Not certified: see docs/bank-cards.md."""

    ca: Annotated[
        Path | None,
        Meta(
            description="The schemes' CA keys (JSON) that cards are proven with. Unset: the simulator's laboratory's, "
            "with a simulated reader only.",
            examples=["ca.json"],
        ),
    ] = None
    office: Annotated[
        Path | None,
        Meta(
            description="The back office's public key, to which taps are sealed: 64 hexadecimal digits in a file. "
            "Unset: the simulator's laboratory's, with a simulated reader only.",
            examples=["bank-office.pub"],
        ),
    ] = None
    applications: Annotated[
        tuple[Annotated[str, Meta(pattern="^([0-9A-Fa-f]{2}){5,16}$")], ...],
        Meta(
            min_length=1,
            description="Which applications are taken: how their names begin, in hexadecimal; five bytes are a scheme.",
            examples=[["A000000658"]],
        ),
    ] = ("A000000658",)
    country: Annotated[
        int, Meta(ge=1, le=999, description="Country of the terminal (ISO 3166, a number).")
    ] = 643
    currency: Annotated[
        int, Meta(ge=1, le=999, description="Currency that cards are shown (ISO 4217, a number).")
    ] = 643
    amount_minor: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="Sum that cards are shown, in minor units: 0, or what the scheme asks of a gate whose fare "
            "comes later.",
        ),
    ] = 0


class KeysTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What opens cards and seals files."""

    file: Annotated[
        Path | None,
        Meta(
            description="Key file. Unset: the simulator's public laboratory keys, with a simulated reader only.",
            examples=["keys.toml"],
        ),
    ] = None
    credential: Annotated[
        Path | None,
        Meta(
            description="In place of `file`: key file sealed by systemd-creds under the name terminal-keys, which "
            "the unit loads.",
            examples=["/etc/resident-terminal/70001.keys.cred"],
        ),
    ] = None


class ListsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Which cards to refuse, who has which concessions, what vehicles run, and which issuers to trust."""

    deny: Annotated[
        Path | None,
        Meta(
            description="Deny list file. Unset: no card is on it.",
            examples=["/var/lib/resident-terminal/deny-list"],
        ),
    ] = None
    grants: Annotated[
        Path | None,
        Meta(
            description="List of grants: concessions by holder, beside those on the card. Unset: the card's alone.",
            examples=["/var/lib/resident-terminal/grants-list"],
        ),
    ] = None
    routes: Annotated[
        Path | None,
        Meta(
            description="Routes document: modes, names and stops of what vehicles run.",
            examples=["/var/lib/resident-terminal/routes.toml"],
        ),
    ] = None
    verify_credential: Annotated[
        Literal["never", "when_unseen", "always"],
        Meta(description="When to verify the issuer's signature under concessions."),
    ] = "never"
    issuers: Annotated[
        Path | None,
        Meta(
            description="Trusted issuers (TOML), for `verify_credential`. "
            "Unset: those that signed bundles bring; without bundles the simulator's laboratory issuer, with a "
            "simulated reader only.",
            examples=["issuers.toml"],
        ),
    ] = None


class UpdatesTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where new documents and lists are published while the terminal runs."""

    folder: Annotated[
        Path | None,
        Meta(
            description="Folder that is looked into every second, besides the files named above and under [terminal]: "
            "region.toml, routes.toml, deny-list, deny-changes, grants-list, in a canteen roster.json and prices.json "
            "(or .toml).",
            examples=["/var/lib/resident-terminal/published"],
        ),
    ] = None


class BundlesTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Signed bundles of documents and lists, fetched and verified in a process of their own."""

    url: Annotated[
        Text | None,
        Meta(
            description="Address of the bundles. Unset: the collector's, once the terminal trusts a root "
            "(`terminal enrol`, `terminal trust`).",
            examples=["https://collector.example:8470/v1/bundles"],
        ),
    ] = None
    folder: Annotated[
        Path | None,
        Meta(
            description="In place of an address: a folder with metadata and targets.",
            examples=["/srv/bundles"],
        ),
    ] = None
    stick: Annotated[
        Path | None,
        Meta(
            description="Mount point that is looked at besides: a stick with bundles counts as soon as it is there.",
            examples=["/run/validator/stick"],
        ),
    ] = None
    every_min: Annotated[float, Meta(gt=0, le=1440, description="Minutes from one look to the next.")] = 5.0
    stand_alone: Annotated[
        bool,
        Meta(
            description="This terminal is no fleet's: it takes bundles that one school signs alone, and no others."
        ),
    ] = False

    @property
    def asked(self) -> bool:
        """Whether they are asked for here, and not by the trusted root alone."""
        return self.url is not None or self.folder is not None or self.stick is not None


class CollectorTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Where records go."""

    url: Annotated[
        Text | None,
        Meta(
            description="Address of the collector; a running terminal sends to it in the background. "
            f"Unset: nothing is sent while it runs, and `terminal sync` sends to {DEFAULT_COLLECTOR}.",
            examples=["https://collector.example:8470"],
        ),
    ] = None
    tls_ca: Annotated[
        Path | None,
        Meta(
            description="Trust collectors certified by this authority (PEM), and no others.",
            examples=["collector-ca.pem"],
        ),
    ] = None

    @property
    def url_or_default(self) -> str:
        return self.url or DEFAULT_COLLECTOR


class ScreenTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The passenger display, for a browser on this machine."""

    enabled: Annotated[bool, Meta(description="Serve it.")] = False
    port: Annotated[Port, Meta(description="Port on 127.0.0.1; 0 takes any free one.")] = DEFAULT_SCREEN_PORT


class ConsoleTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's console, for a browser on this machine."""

    enabled: Annotated[bool, Meta(description="Serve it.")] = False
    host: Annotated[
        str,
        Meta(description="Address to serve it on; another than 127.0.0.1 only in a network of its own."),
    ] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port; 0 takes any free one.")] = DEFAULT_CONSOLE_PORT
    idle_min: Annotated[
        int, Meta(ge=1, le=24 * 60, description="Minutes without use after which the PIN is asked for again.")
    ] = 30
    typed_sign_in: Annotated[
        bool | None,
        Meta(
            description="Whether a staff number and PIN will do without the service card. "
            "Unset: in a canteen, not in a bus.",
            examples=[True],
        ),
    ] = None


class ShiftTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The shift that is opened at the start when none is open."""

    operator: Annotated[
        Text | None,
        Meta(
            description="Reference of the service card, never a name. Unset: the service card opens the shift.",
            examples=["driver-7"],
        ),
    ] = None
    route: Annotated[int, Meta(ge=0, le=LARGEST_ROUTE, description="Route of that shift (bus).")] = 0
    direction: Annotated[int, Meta(ge=0, le=1, description="Direction of that shift (bus).")] = 0


class CanteenTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What a school canteen serves."""

    serving: Annotated[
        str,
        Meta(
            description="The meal taps are for, or by_shift for each pupil's own (M-30). Empty: the meal of the hour.",
            examples=["lunch"],
        ),
    ] = ""


class LinkTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Other terminals of this place, which hear at once who got what, and say it (docs/link.md)."""

    listen: Annotated[
        LinkPort | None,
        Meta(
            description="Address of this machine and UDP port to hear them on. Unset: no link.",
            examples=["192.168.1.11:8482"],
        ),
    ] = None
    peers: Annotated[
        tuple[PeerText, ...],
        Meta(
            max_length=MOST_PEERS,
            description="The others: NUMBER@ADDRESS:PORT, each as it stands in `listen` there.",
            examples=[["2@192.168.1.12:8482"]],
        ),
    ] = ()
    identities: Annotated[
        Path,
        Meta(
            description="Folder with the identity of each: NUMBER.pub, a copy of terminal.pub from its folder.",
            examples=["peers"],
        ),
    ] = field(default_factory=lambda: DEFAULT_IDENTITIES)


class VehicleTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The vehicle a bus terminal stands in."""

    name: Annotated[str, Meta(description="The vehicle as receipts name it.", examples=["A123BC34"])] = ""
    source: Annotated[
        Name | None,
        Meta(
            description="What says where it is: vdv301, gpsd or replay, in a side process, or an extension. "
            "Unset: only what the driver enters is known.",
            examples=["vdv301"],
        ),
    ] = None
    publisher: Annotated[
        Text | None,
        Meta(
            description="Address of the on-board computer whose TicketValidationService is heard (vdv301); "
            "no other is believed.",
            examples=["192.168.10.2:8081"],
        ),
    ] = None
    reply_host: Annotated[
        Text | None,
        Meta(
            description="Our address in the vehicle's network, where the on-board computer sends to (vdv301).",
            examples=["192.168.10.7"],
        ),
    ] = None
    reply_port: Annotated[
        Port, Meta(description="Port there; 0 takes any free one (vdv301).", examples=[8491])
    ] = 0
    gpsd: Annotated[Text, Meta(description="Address of gpsd (gpsd).")] = DEFAULT_GPSD
    replay: Annotated[
        Path | None,
        Meta(
            description="Recording to play (replay): JSON lines, see docs/vehicle.md.",
            examples=["line15.jsonl"],
        ),
    ] = None
    replay_speed: Annotated[
        float, Meta(gt=0, le=1000, description="How many times faster than it was recorded (replay).")
    ] = 1.0

    @property
    def own_source(self) -> str | None:
        """The source that works in the side process; None for an extension, and for none at all."""
        return self.source if self.source in VEHICLE_SOURCES else None


class ReceiptsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Tickets and receipt requests."""

    folder: Annotated[
        Path | None,
        Meta(
            description="Folder of the stand-in for a fiscal adapter. Unset: receipts, in the folder of the terminal.",
            examples=["receipts"],
        ),
    ] = None


class MetricsTable(Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers for Prometheus."""

    port: Annotated[
        Port | None,
        Meta(
            description="Answer GET /metrics on this loopback port; 0 takes any free one. Unset: no metrics.",
            examples=[9701],
        ),
    ] = None


class RecomputeTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The terminal decides its own rows again, beside the taps."""

    every_h: Annotated[
        float,
        Meta(
            ge=0,
            le=720,
            description="Hours from one time to the next; 0: only when `terminal journal recompute --record` asks.",
        ),
    ] = 24.0


class LogTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged to stderr."""

    format: Annotated[
        Form | None,
        Meta(
            description="Log every tap and upload, too, in this form. Unset: only what staff must know, as text.",
            examples=["json"],
        ),
    ] = None
    level: Annotated[
        LevelName | None,
        Meta(description="Minimum log level. Unset: info with `format`, else notice.", examples=["info"]),
    ] = None


class RecordingTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A transcript of what terminal and cards say."""

    file: Annotated[
        Path | None,
        Meta(
            description="New file to write it to; look at it with `sim transcript`. Unset: nothing is recorded.",
            examples=["taps.jsonl"],
        ),
    ] = None
    masked: Annotated[
        bool, Meta(description="Mask UIDs and secrets. Unmasked for laboratory cards only.")
    ] = True


class LaboratoryTable(Struct, frozen=True, forbid_unknown_fields=True):
    """What a laboratory moves by hand, with a simulated reader only."""

    control: Annotated[
        Path | None,
        Meta(
            description="Unix socket on which programs lay cards on the reader `sim:` and move the clock. Unset: none.",
            examples=["laboratory.sock"],
        ),
    ] = None
    clock: Annotated[
        bool,
        Meta(description="A clock that stands still until `control` moves it, in place of the machine's."),
    ] = False
    starts_at: Annotated[
        Text | None,
        Meta(
            description="When that clock starts, with an offset. Unset: at the machine's time.",
            examples=["2026-09-15T08:00:00+03:00"],
        ),
    ] = None

    @property
    def parts(self) -> tuple[str, ...]:
        """What of this terminal is moved by hand, as `health` names it."""
        return (*(("control",) if self.control else ()), *(("clock",) if self.clock else ()))


Extensions = dict[str, dict[str, Option]]
"""[extensions.NAME]: what an extension wants to know, by keys of its own."""


class StationConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a station is composed from: the content of a `terminal.toml`, or its defaults."""

    terminal: TerminalTable = field(default_factory=TerminalTable)
    reader: ReaderTable = field(default_factory=ReaderTable)
    signals: SignalsTable = field(default_factory=SignalsTable)
    periphery: PeripheryTables = field(default_factory=PeripheryTables)
    media: MediaTable = field(default_factory=MediaTable)
    bank: BankTable = field(default_factory=BankTable)
    keys: KeysTable = field(default_factory=KeysTable)
    lists: ListsTable = field(default_factory=ListsTable)
    updates: UpdatesTable = field(default_factory=UpdatesTable)
    bundles: BundlesTable = field(default_factory=BundlesTable)
    collector: CollectorTable = field(default_factory=CollectorTable)
    screen: ScreenTable = field(default_factory=ScreenTable)
    console: ConsoleTable = field(default_factory=ConsoleTable)
    shift: ShiftTable = field(default_factory=ShiftTable)
    canteen: CanteenTable = field(default_factory=CanteenTable)
    link: LinkTable = field(default_factory=LinkTable)
    vehicle: VehicleTable = field(default_factory=VehicleTable)
    receipts: ReceiptsTable = field(default_factory=ReceiptsTable)
    metrics: MetricsTable = field(default_factory=MetricsTable)
    recompute: RecomputeTable = field(default_factory=RecomputeTable)
    log: LogTable = field(default_factory=LogTable)
    recording: RecordingTable = field(default_factory=RecordingTable)
    laboratory: LaboratoryTable = field(default_factory=LaboratoryTable)
    extensions: Extensions = field(default_factory=dict)
