"""Signed bundles of a running terminal: its link to the process that fetches them, when that looks, what staff hear.

What comes lies in the terminal's folder; the active set finds it there as it finds any other file (`sources_of`). None
of it stops a tap, and an expired set stops delivery only.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from subprocess import DEVNULL, PIPE
from time import monotonic
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

import cardcli
from terminal.app.config.settings import StationConfig
from terminal.app.media import believe_schemes, trust_issuers
from terminal.app.sealed import (
    signed_bank_ca,
    signed_bank_ca_file,
    signed_issuers_file,
    take_bank_ca,
    take_issuers,
    take_staff,
)
from terminal.app.station import IDENTITY_FILE, Station
from terminal.clock import SystemClock, from_unix_ms, unix_ms
from terminal.codes import BundleFault, FaultCode, SetKind, Trouble
from terminal.errors import ActiveSetError, TerminalError
from terminal.fault_texts import fault_text
from terminal.keys.file import load_issuers
from terminal.operations.status import BankCaStatus, BundleRoleStatus, BundleSourceStatus, BundleStatus
from terminal.policy.ends import bundles_trouble
from terminal.side_process import BrokenFrame, ProcessEnd, SideProcess, SideProgram, frame, module_command
from terminal.updates.bundle.kept import KeptBundles, origin_of
from terminal.updates.bundle.messages import (
    SILENT_S,
    BundleLook,
    BundleReport,
    BundleSettings,
    RoleEnd,
    UpMessage,
    up_frames,
)
from terminal.updates.bundle.roles import KINDS, METADATA_FOLDER, BundleRole
from terminal.updates.watch import FileMark, mark_of

if TYPE_CHECKING:
    from terminal.operations.vitals import Vitals
    from terminal.tap import Terminal

COMMAND: Final = module_command("terminal.updates.bundle")
COLLECTOR_PATH: Final = "/v1/bundles"
"""Below the collector's address."""
FIRST_S: Final = 300.0
"""For the first look, before there is anything to serve cards by."""
STICK_EVERY_S: Final = 1.0
AGE_EVERY_S: Final = 60.0
_READ_HERE: Final = (BundleRole.ASSIGN.value, BundleRole.STAFF.value, BundleRole.CA.value)
PASSING: Final = frozenset({BundleFault.UNREACHABLE, BundleFault.TOO_SLOW, BundleFault.BROKEN})
"""What a network does every day is shown, and is no row."""


def settings_of(config: StationConfig, kinds: Iterable[SetKind]) -> BundleSettings:
    """What the process is given: where to look, and what this terminal takes."""
    asked, present = config.bundles, set(kinds)
    own_issuers = (BundleRole.ISSUERS.value,) if config.lists.issuers is None else ()
    wanted = [role.value for role, kind in KINDS.items() if kind in present]
    return BundleSettings(
        state=str(config.terminal.state.absolute()),
        number=config.terminal.number,
        sources=_sources(config),
        stick="" if asked.stick is None else str(asked.stick.absolute()),
        tls_ca="" if config.collector.tls_ca is None else str(config.collector.tls_ca.absolute()),
        stand_alone=asked.stand_alone,
        wanted=(*wanted, *_READ_HERE, *own_issuers),
    )


def _sources(config: StationConfig) -> tuple[str, ...]:
    asked, collector = config.bundles, config.collector.url
    if asked.folder is not None:
        return (str(asked.folder.absolute()),)
    if asked.url is not None:
        return (asked.url.rstrip("/"),)
    return () if collector is None else (collector.rstrip("/") + COLLECTOR_PATH,)


class BundleWatch:
    """Sends the process to look, and says what came of it. `look` is called whenever the presence loop comes round, and
    starts the process at the first time.
    """

    def __init__(self, settings: BundleSettings, every_s: float, terminal: Terminal, vitals: Vitals) -> None:
        self._settings = settings
        self._every_s = every_s
        self._terminal = terminal
        self._vitals = vitals
        self._heard: SimpleQueue[BundleReport | tuple[ProcessEnd, str]] = SimpleQueue()
        program = SideProgram[UpMessage](COMMAND, settings, up_frames, SILENT_S)
        self._process = SideProcess("bundles", program, self._take, self._ended)
        self._started = False
        self._due_s = self._stick_due_s = self._age_due_s = 0.0
        self._rung: FaultCode | None = None
        self._issuers: FileMark | None = None
        self._bank_ca: FileMark | None = None
        self._stick: FileMark | None = None
        self._looks = 0
        self._asked = self._answered = 0
        self._state = self._known()
        self._noted: set[tuple[str, ...]] = set()
        self._process_id: int | None = None
        self.on_report: Callable[[], None] = lambda: None
        """What is delivered may have changed; set by the composition root, called on the process's thread."""
        vitals.bundles = lambda: self._state
        self._heard_of(self._state.issued_at_ms)
        self._trust()

    def look_now(self) -> None:
        """Look at once. Any thread and any signal handler."""
        self._asked += 1

    def look(self) -> None:
        if not self._started:
            self._started = True
            self._process.start()
        while not self._heard.empty():
            self._hear(self._heard.get())
        asked, before = self._asked, self._looks
        if asked != self._answered:
            self._due_s = self._stick_due_s = self._age_due_s = 0.0
            self._stick = None
        now_s, clock_s = monotonic(), self._terminal.clock.monotonic()
        if now_s >= self._stick_due_s and self._settings.stick:
            self._stick_due_s = now_s + STICK_EVERY_S
            self._look_at_stick()
        if now_s >= self._due_s and self._settings.sources:
            self._due_s = now_s + self._every_s
            self._send(stick=False)
        if asked != self._answered and self._looks == before:  # no stick is in, and there is no other source
            state = self._state
            self._state = replace(state, looks=state.looks + 1, without_source=state.without_source + 1)
            self._show()
        self._answered = asked
        if clock_s >= self._age_due_s:
            self._age_due_s = clock_s + AGE_EVERY_S
            self._look_at_age()
        if self._process.process_id != self._process_id:
            self._process_id = self._process.process_id
            self._show()

    def close(self) -> None:
        self._process.close()

    def _look_at_stick(self) -> None:
        """A stick that is put in, or written anew, is looked at once."""
        mark = mark_of(_timestamp(self._settings.stick))
        if mark is not None and mark != self._stick:
            self._send(stick=True)
        self._stick = mark

    def _look_at_age(self) -> None:
        """A source that is held back shows no fault of its own: it shows as age. Staff and the collector hear of each
        rung once, until something newer comes.
        """
        terminal = self._terminal
        if terminal.bundles_at is None or terminal.clock_watch.state.suspect:
            return
        ages = terminal.policy.document.ages
        trouble = bundles_trouble(ages, terminal.bundles_at, terminal.clock.now())
        code = None if trouble is None else trouble.code
        if trouble is not None and code != self._rung:
            self._vitals.bundle_is(trouble, "", record=True)
        self._rung = code
        rungs = {"limited_days": ages.bundles_limited_days, "stop_days": ages.bundles_stop_days}
        if rungs != {name: getattr(self._state, name) for name in rungs}:
            self._state = replace(self._state, **rungs)
            self._show()

    def _heard_of(self, issued_ms: int) -> None:
        """The next tap is decided by how old the newest set is."""
        self._terminal.bundles_at = from_unix_ms(issued_ms) if issued_ms else None

    def _trust(self) -> None:
        """Let issuers and CA keys that have come count from the next tap on. What was taken can be read."""
        state = Path(self._settings.state)
        issuers, bank_ca = mark_of(signed_issuers_file(state)), mark_of(signed_bank_ca_file(state))
        if issuers != self._issuers and BundleRole.ISSUERS in self._settings.wanted:
            with suppress(TerminalError):  # damaged on the disk: those that were loaded go on
                trusted = load_issuers(signed_issuers_file(state))
                trust_issuers(self._terminal.media, self._terminal.codes, trusted)
        if bank_ca != self._bank_ca:
            with suppress(TerminalError):
                found = signed_bank_ca(state)
                if found is not None:
                    if BundleRole.CA in self._settings.wanted:
                        believe_schemes(self._terminal.media, found.trust)
                    keys, revoked = len(found.trust.keys), len(found.trust.revoked)
                    shown = BankCaStatus(environment=found.environment, keys=keys, revoked=revoked)
                    self._state = replace(self._state, bank_ca=shown)
        self._issuers, self._bank_ca = issuers, bank_ca

    def _send(self, *, stick: bool) -> None:
        """A look that the process has not begun yet is replaced by the next."""
        self._looks += 1
        now_ms, floor_ms = unix_ms(self._terminal.clock.now()), self._terminal.clock_watch.floor_ms
        self._process.send(BundleLook(number=self._looks, now_ms=now_ms, floor_ms=floor_ms, stick=stick))

    # What is heard; the first two on the process's thread

    def _take(self, message: UpMessage) -> None:
        if isinstance(message, BundleReport):
            state = Path(self._settings.state)
            message = _judged(message, BundleRole.STAFF, take_staff(state, state / IDENTITY_FILE))
            message = _judged(message, BundleRole.CA, take_bank_ca(state))
            self._heard.put(_judged(message, BundleRole.ISSUERS, take_issuers(state)))
            self.on_report()

    def _ended(self, end: ProcessEnd, detail: str) -> None:
        self._heard.put((end, detail))

    def _hear(self, heard: BundleReport | tuple[ProcessEnd, str]) -> None:
        if isinstance(heard, tuple):
            end, detail = heard
            heard = BundleReport(
                number=self._looks,
                source=self._settings.sources[0] if self._settings.sources else self._settings.stick,
                fault=BundleFault.BROKEN,
                detail=f"{end.value}: {detail}",
                issued_ms=self._state.issued_at_ms,
            )
        self._say_source(heard)
        self._heard_of(self._state.issued_at_ms)
        self._trust()
        for role in heard.roles:
            self._say_role(heard.source, role)
        self._show()

    def _say_source(self, report: BundleReport) -> None:
        known = next((one for one in self._state.sources if one.source == report.source), None)
        fault, now_ms = report.fault or "", unix_ms(self._terminal.clock.now())
        before = "" if known is None else known.fault
        heard_ms = now_ms if not fault else None if known is None else known.heard_at_ms
        if fault != before:
            self._say(report.source, report.fault, report.inputs, report.detail)
        shown = BundleSourceStatus(
            source=report.source, looked_at_ms=now_ms, heard_at_ms=heard_ms, fault=fault, inputs=report.inputs
        )
        others = tuple(one for one in self._state.sources if one.source != report.source)
        self._state = replace(
            self._state,
            sources=(*others, shown),
            looks=self._state.looks + 1,
            issued_at_ms=max(report.issued_ms, self._state.issued_at_ms),
        )

    def _say_role(self, source: str, role: RoleEnd) -> None:
        known = next((one for one in self._state.roles if one.role == role.role), None)
        fault = role.fault or ""
        if fault != ("" if known is None else known.fault):
            self._say(source, role.fault, role.inputs)
        others = (one for one in self._state.roles if one.role != role.role)
        roles = sorted((*others, _shown(role)), key=lambda one: one.role)
        self._state = replace(self._state, roles=tuple(roles))

    def _say(
        self, source: str, fault: BundleFault | None, inputs: dict[str, int | str], detail: str = ""
    ) -> None:
        """A row for each kind of refusal, once since the start: a stranger's stick fills no journal."""
        if fault is None:
            self._vitals.bundle_is(None, source)
            return
        said = fault.value, str(inputs.get("role", ""))
        record = fault not in PASSING and said not in self._noted
        self._noted.add(said)
        self._vitals.bundle_is(Trouble(fault, inputs), source, detail, record=record)

    def _show(self) -> None:
        state = self._state
        faults = [(one.fault, one.inputs) for one in state.sources]
        faults += [(one.fault, one.inputs) for one in state.roles]
        said = [Trouble(BundleFault(fault), inputs) for fault, inputs in faults if fault]
        self._terminal.bundles_refused = tuple(one for one in said if one.code not in PASSING)
        self._state = replace(self._state, process=self._process.process_id, starts=self._process.starts)
        self._vitals.refresh()

    def _known(self) -> BundleStatus:
        """What lies there from before the start."""
        state = Path(self._settings.state)
        origins = (origin_of(state, role) for role in BundleRole)
        roles = tuple(
            BundleRoleStatus(role=one.role, name=one.name, version=one.version, issued_at_ms=one.issued_ms)
            for one in origins
            if one is not None
        )
        return BundleStatus(issued_at_ms=KeptBundles(state).kept.issued_ms, roles=roles)


def _judged(report: BundleReport, kind: BundleRole, error: TerminalError | None) -> BundleReport:
    """Staff lists, issuers and CA keys are read here; what cannot be is refused as its role."""
    role = next((one for one in report.roles if one.role == kind), None)
    if error is None or role is None or role.fault is not None:
        return report
    inputs = {"role": role.role, "version": role.version}
    refused = replace(role, fault=BundleFault.UNREADABLE, inputs=inputs)
    return replace(report, roles=(*(one for one in report.roles if one is not role), refused))


def _timestamp(stick: str) -> Path:
    return Path(stick) / METADATA_FOLDER / "timestamp.json"


def _shown(role: RoleEnd) -> BundleRoleStatus:
    return BundleRoleStatus(
        role=role.role,
        name=role.name,
        version=role.version,
        issued_at_ms=role.issued_ms,
        fault=role.fault or "",
        inputs=dict(role.inputs),
    )


def fetch_first(config: StationConfig, station: Station) -> None:
    """Before the first start of a terminal whose documents come with bundles: one look at every source. Raises
    `ActiveSetError` where no region document came; systemd tries again.
    """
    settings = settings_of(config, KINDS.values())
    look = BundleLook(number=1, now_ms=unix_ms(SystemClock().now()), floor_ms=unix_ms(cardcli.MADE_AT))
    sent = frame(settings) + frame(look) + frame(replace(look, stick=True))
    try:
        ended = subprocess.run(  # noqa: S603 our own interpreter and module
            COMMAND, input=sent, stdout=PIPE, stderr=DEVNULL, env={}, timeout=FIRST_S, check=False
        )
        heard = [one for one in up_frames().feed(ended.stdout) if isinstance(one, BundleReport)]
    except (OSError, subprocess.TimeoutExpired, BrokenFrame):
        heard = [BundleReport(number=1, fault=BundleFault.BROKEN)]
    take_issuers(config.terminal.state)
    if not station.lacks_region:
        return
    said = [
        (role.fault, role.inputs, one.source)
        for one in heard
        for role in one.roles
        if role.role == BundleRole.TARIFF
    ]
    said += [(one.fault, one.inputs, one.source) for one in heard]
    why = next(
        (
            f"{fault_text(fault, inputs)}" + (f", at {source}" if source else "")
            for fault, inputs, source in said
            if fault is not None
        ),
        "none is published",
    )
    raise ActiveSetError(
        f"no region document has come to this terminal yet: {why}",
        "It is looked for again at the next start. Or name one as region under [terminal].",
    )


@contextmanager
def bundle_watch(config: StationConfig, terminal: Terminal, vitals: Vitals) -> Iterator[BundleWatch]:
    """The watch of a terminal that takes bundles; its process ends with the block."""
    kinds = () if terminal.active is None else terminal.active.parts
    watch = BundleWatch(settings_of(config, kinds), 60 * config.bundles.every_min, terminal, vitals)
    try:
        yield watch
    finally:
        watch.close()
