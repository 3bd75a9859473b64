"""What one running terminal knows of its own health, gathered where it happens and given on request.

The presence loop calls `beat`, `tap`, `reader_failed` and `reader_works`; the sync thread calls `synced`. From that
come the log's lines, the word to systemd, the status file for `terminal health`, and the numbers for `/metrics`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, NamedTuple

from terminal.clock import Clock, unix_ms
from terminal.codes import (
    ClockFault,
    PeripheryFault,
    ReaderFault,
    SetKind,
    SyncFault,
    Trouble,
    UpdateFault,
)
from terminal.devices import DeviceState
from terminal.errors import JournalError, TerminalError
from terminal.fault_texts import fault_text
from terminal.journal.journal import Journal
from terminal.journal.records import Fault
from terminal.journal.room import ADVICE as ROOM_ADVICE
from terminal.operations.failing import FailingDevices
from terminal.operations.log import Log
from terminal.operations.notify import ServiceManager, Watchdog
from terminal.operations.status import (
    EVERY_S,
    BundleStatus,
    KindInForce,
    LoadedExtension,
    PeerLinkStatus,
    PeripheryStatus,
    ShadowStatus,
    TerminalStatus,
    VehicleStatus,
    write_status,
)
from terminal.operations.text_format import Histogram
from terminal.reader.presence import PresenceState
from terminal.tap_report import TapReport
from terminal.trip.clock_watch import ClockWatch
from terminal.trip.facts import TRUSTED_CLOCK, ClockState
from terminal.updates.edition import SetRefusal
from terminal.updates.held import HeldEdition, KindStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from terminal.policy.document.schema import RegionDocument
    from terminal.sync.client import SyncReport
    from terminal.sync.renewal import IdentityState

DAY_MS: Final = 24 * 3_600_000
TAP_BOUNDS_S: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0)

QUIET: Final = (PeripheryFault.COUNTED, PeripheryFault.POWER_BACK)
"""Of a contact, what calls for no action."""
WITHOUT_UID: Final = 3
"""So many cards in a row of which the reader did not say the UID: it is the reader, and not a card."""


class Identity(NamedTuple):
    """What does not change while the terminal runs. `collector` is an address, or empty."""

    terminal: int
    profile: str
    software: str
    folder: Path
    reader: str
    collector: str = ""
    real_reader: bool = False
    laboratory: tuple[str, ...] = ()
    """What a real reader takes from the public laboratory: keys, region, issuers. Of a simulated one: what is moved by
    hand."""
    extensions: tuple[LoadedExtension, ...] = ()
    keys_environment: str = ""
    """What the keys are marked as: production or laboratory."""
    keys_until_ms: int | None = None
    """By when the office wants them rolled."""
    keys_in_file: bool = False
    """Whether they came from a file, and not from what systemd handed over."""


class Tally:
    """Counts since the start of the process."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.exchanges = 0
        self.duration = Histogram(TAP_BOUNDS_S)
        self.outages = 0
        self.sync_failures = 0
        self.uploaded = 0


class Vitals:
    """One per process; made when the terminal is assembled."""

    def __init__(
        self,
        identity: Identity,
        journal: Journal,
        clock: Clock,
        clock_watch: ClockWatch,
        events: Log,
        manager: ServiceManager,
        active: Callable[[], tuple[KindStatus, ...]] = lambda: (),
    ) -> None:
        """`active` says what is in force, whenever it is asked."""
        self._active = active
        self.identity = identity
        self.journal = journal
        self.clock = clock
        self.clock_watch = clock_watch
        self.tally = Tally()
        self.started_at_ms = unix_ms(clock.now())
        self.last_tap_at_ms: int | None = None
        self.collector_heard_at_ms: int | None = None
        self.sync_fault: SyncFault | None = None
        self.certificate_until_ms: int | None = None
        self.renewal_fault: SyncFault | None = None
        self.reader_fault: ReaderFault | None = None
        self._without_uid = 0
        self._failing = FailingDevices()
        self.vehicle: Callable[[], VehicleStatus | None] = lambda: None
        """What the vehicle says, for the status."""
        self.link: Callable[[], PeerLinkStatus | None] = lambda: None
        """How the other terminals of the place are heard, for the status."""
        self.periphery: Callable[[], PeripheryStatus | None] = lambda: None
        """What the devices around the reader say, for the status."""
        self.bundles: Callable[[], BundleStatus | None] = lambda: None
        """How signed bundles come, for the status."""
        self.shadow: Callable[[], ShadowStatus | None] = lambda: None
        """What is in shadow, for the status."""
        self.document: Callable[[], RegionDocument] | None = None
        """The region document in force; set by who watches its end."""
        self.events = events
        self._manager = manager
        self._watchdog = Watchdog(manager, clock)
        self._loop = PresenceState.STOPPED
        self._due_s = 0.0
        self._clock_shown: tuple[ClockState, Trouble | None] = TRUSTED_CLOCK, None
        self._unwritable = False
        self._reader_changed: Callable[[], object] = lambda: None

    # What happens to the terminal

    def ready(self) -> None:
        """Cards can be served. The status says so before anybody hears of it and asks."""
        self._loop = PresenceState.WAIT_FOR_CARD
        self._look()
        what = f"terminal {self.identity.terminal} ({self.identity.profile}) on {self.identity.reader}"
        public = ", ".join(self.identity.laboratory)
        self._manager.ready(f"{what}, laboratory {public}" if public else what)
        self.events.notice(
            "ready",
            profile=self.identity.profile,
            reader=self.identity.reader,
            tariff=kind_in_force(self.known_of(SetKind.REGION)).edition,
            **({"laboratory": public} if public else {}),
        )

    def beat(self, state: PresenceState) -> None:
        """The presence loop came round and stands in `state`."""
        self._loop = state
        self._watchdog.beat()
        self._note_devices()
        self._look_at_clock()
        if self.clock.monotonic() >= self._due_s:
            self._look()

    def tap(self, report: TapReport, duration_s: float) -> None:
        """A tap has ended after `duration_s`, presentation to report."""
        tally = self.tally
        tally.outcomes[str(report.outcome.message)] += 1
        tally.ends[report.end.value] += 1
        tally.exchanges += report.exchanges
        tally.duration.observe(duration_s)
        self.last_tap_at_ms = unix_ms(report.at)
        self._note_uid(report.uid_by_reader)
        self.events.info(
            "tap",
            message=str(report.outcome.message),
            admission=report.outcome.admission.value,
            end=report.end.value,
            charge_minor=report.outcome.charge_minor,
            sequence=report.sequence,
            rule=report.reasons[-1].rule if report.reasons else None,
            exchanges=report.exchanges,
            apdu_bytes=report.apdu_bytes,
            duration_ms=round(duration_s * 1000, 1),
        )

    def _note_uid(self, by_reader: bool | None) -> None:
        """A reader that says of no card which UID it has is a fault of its own; taps go on."""
        if by_reader is None:
            return
        self._without_uid = 0 if by_reader else self._without_uid + 1
        if by_reader or self._without_uid >= WITHOUT_UID:
            self._reader_limps(ReaderFault.NO_UID, limps=not by_reader)

    def reader_shared(self, shared: bool) -> None:
        """Whether another program was found to share the reader when a card was served; taps go on."""
        self._reader_limps(ReaderFault.SHARED, limps=shared)

    def _reader_limps(self, fault: ReaderFault, *, limps: bool) -> None:
        """Say and record a fault with which cards are served all the same, and its end, each once."""
        if limps and self.reader_fault is None:
            self.reader_failed(fault, "")
            self.journal.append(Fault(unix_ms(self.clock.now()), fault))
        elif not limps and self.reader_fault is fault:
            self.reader_works()
            self.journal.append(Fault(unix_ms(self.clock.now()), ReaderFault.WORKS))

    def reader_failed(self, fault: ReaderFault, detail: str) -> None:
        """The reader or its service is out of order; `detail` goes to the log only."""
        self.tally.outages += 1
        self.reader_fault = fault
        text = fault_text(fault, {})
        self.events.error("reader", f"{text}: {detail}" if detail else text, code=fault)
        self._look()
        self._reader_changed()

    def reader_works(self) -> None:
        self.reader_fault = None
        self.events.notice("reader", "works again", code=ReaderFault.WORKS)
        self._look()
        self._reader_changed()

    def follow_reader(self, changed: Callable[[], object]) -> None:
        """Call `changed`, which returns at once, when the reader fails or works again."""
        self._reader_changed = changed

    def device_is(self, name: str, state: DeviceState, detail: str) -> None:
        """An extension works no longer, or works again. On any thread; status file and journal follow with a beat."""
        if state is DeviceState.WORKS:
            self.events.notice("device", "works again", device=name, state=state.value)
        else:
            self.events.warning("device", detail, device=name, state=state.value)
        self._failing.become(name, state)

    def _note_devices(self) -> None:
        if self._failing.note(unix_ms(self.clock.now()), self._append_if_it_can):
            self._look()

    def _append_if_it_can(self, fault: Fault) -> None:
        """A journal that is full or broken is on show by itself, and ends taps."""
        with suppress(JournalError):
            self.journal.append(fault)

    def vehicle_is(self, trouble: Trouble | None, source: str, detail: str = "") -> None:
        """What the vehicle says, or who listens to it, is wrong; None: no longer. On the presence loop."""
        if trouble is None:
            self.events.notice("vehicle", "works again", source=source)
        else:
            inputs = {"source": source, **trouble.inputs}
            text = fault_text(trouble.code, inputs)
            self.events.warning(
                "vehicle", f"{text}: {detail}" if detail else text, code=trouble.code, **inputs
            )
            self.journal.append(Fault(unix_ms(self.clock.now()), trouble.code, inputs))
        self._look()

    def bundle_is(
        self, trouble: Trouble | None, source: str, detail: str = "", *, record: bool = False
    ) -> None:
        """Signed bundles of `source`, or a role of them, are refused; None: no longer. On the presence loop."""
        if trouble is None:
            self.events.notice("bundles", "works again", source=source)
            return
        text = fault_text(trouble.code, trouble.inputs)
        self.events.warning(
            "bundles",
            f"{text}: {detail}" if detail else text,
            code=trouble.code,
            source=source,
            **trouble.inputs,
        )
        if record:
            self.journal.append(Fault(unix_ms(self.clock.now()), trouble.code, dict(trouble.inputs)))

    def periphery_says(self, trouble: Trouble) -> None:
        """A contact of a device around the reader has said something that staff must know. On the presence loop."""
        text = fault_text(trouble.code, trouble.inputs)
        say = self.events.notice if trouble.code in QUIET else self.events.warning
        say("periphery", text, code=trouble.code, **trouble.inputs)
        self._append_if_it_can(Fault(unix_ms(self.clock.now()), trouble.code, dict(trouble.inputs)))
        self._look()

    def refresh(self) -> None:
        """Something that the status file shows has changed. On the presence loop."""
        self._look()

    def synced(self, report: SyncReport) -> None:
        """One run of the background upload has ended; staff hear of a problem once, and when it is over."""
        problem = report.problem
        fault = None if problem is None else problem.fault
        self.tally.uploaded += report.uploaded
        if fault is not None:
            self.tally.sync_failures += 1
        else:
            self.collector_heard_at_ms = unix_ms(self.clock.now())
        if report.uploaded:
            self.events.info("sync", uploaded=report.uploaded, unsent=report.unsent)
        if fault is not self.sync_fault:
            self.sync_fault = fault
            self._due_s = 0.0  # the status shows it with the next beat
            if problem is None:
                self.events.notice("sync", "works again")
            else:
                self.events.warning("sync", str(problem), code=fault)

    def identified(self, state: IdentityState) -> None:
        """How long this terminal's certificate is valid, or why it could not be renewed, has changed."""
        renewed = self.certificate_until_ms is not None and state.until_ms != self.certificate_until_ms
        if renewed and state.until_ms is not None:
            self.events.notice("identity", "renewed", until_ms=state.until_ms)
        if state.fault is not None and state.fault is not self.renewal_fault:
            self.events.warning("identity", f"not renewed: {fault_text(state.fault, {})}", code=state.fault)
        self.certificate_until_ms, self.renewal_fault = state.until_ms, state.fault
        self._due_s = 0.0

    def activated(self, held: HeldEdition) -> None:
        """An edition has come into force."""
        self.events.notice("in_force", kind=held.kind.value, edition=held.edition)
        self._look()

    def confirmed(self, held: HeldEdition) -> None:
        """An edition on trial is in force for good."""
        self.events.notice("confirmed", kind=held.kind.value, edition=held.edition)
        self._look()

    def decision_failed(self, edition: str, error: Exception) -> None:
        """A decision by a document on trial ended in a mistake of the software; that is taken back."""
        self.events.error("trial", f"a decision failed ({type(error).__name__})", edition=edition)

    def shadow_is(self, state: ShadowStatus | None) -> None:
        """A document is in shadow from here on, or none is any more."""
        if state is None:
            self.events.notice("shadow", "nothing is in shadow any more")
        elif state.edition:
            self.events.notice("shadow", edition=state.edition)
        self._look()

    def shadow_failed(self, edition: str, error: Exception) -> None:
        """A decision in shadow ended in a mistake of the software, for the first time; the tap was over before."""
        self.events.error("shadow", f"a decision failed ({type(error).__name__})", edition=edition)

    def not_taken_back(self, edition: str, error: TerminalError) -> None:
        """A document on trial should be taken back, and that cannot be recorded now; it is tried again."""
        self.events.error("trial", str(error), edition=edition)

    def set_damaged(self, what: str) -> None:
        """The active set's rows could not be read and were put aside; what is published is in force anew."""
        self.events.warning("update", f"put aside, being damaged: {what}", code=UpdateFault.DAMAGED)

    def note_refusals(self, refusals: SimpleQueue[SetRefusal]) -> None:
        """What was published and is not taken: staff hear of each once, and the journal holds it."""
        while not refusals.empty():
            refused = refusals.get()
            text = fault_text(refused.fault, refused.inputs)
            why = "" if refused.error is None else f": {refused.error}"
            self.events.warning("update", f"{text}{why}", code=refused.fault, **refused.inputs)
            self._append_if_it_can(Fault(unix_ms(self.clock.now()), refused.fault, refused.inputs))
            self._look()

    def journal_fills(self, trouble: Trouble) -> None:
        """The journal has reached a level at which staff must do something."""
        text = fault_text(trouble.code, trouble.inputs)
        self.events.warning("journal", f"{text}. {ROOM_ADVICE}", code=trouble.code, **trouble.inputs)

    def stopping(self) -> None:
        """The loop has ended; what follows is closing files."""
        self._note_devices()
        self._loop = PresenceState.STOPPED
        self._manager.stopping()
        self.events.notice("stopping", taps=self.tally.outcomes.total())
        self._write(stopped=True)

    # What is reported

    @property
    def devices_failing(self) -> dict[str, DeviceState]:
        """By role and name."""
        return self._failing.states

    @property
    def reader_up(self) -> bool:
        return self.reader_fault is None

    def known_of(self, kind: SetKind) -> KindStatus:
        """What is in force of this kind, and what waits."""
        return status_of(self._active(), kind)

    def _oldest_unsent_at_ms(self) -> int | None:
        """When the oldest row was written that the collector has not confirmed."""
        if not self.journal.unsent:
            return None
        rows = self.journal.rows(self.journal.acknowledged_through, 1)
        return rows[0].record.at_ms if rows else None

    def _goes_on_ms(self) -> int:
        """How long the region document decides after its end."""
        return 0 if self.document is None else self.document().ended.go_on_days * DAY_MS

    def status(self, *, stopped: bool = False) -> TerminalStatus:
        identity, watch = self.identity, self.clock_watch
        doubt = watch.doubt
        return TerminalStatus(
            terminal=identity.terminal,
            profile=identity.profile,
            software=identity.software,
            process=os.getpid(),
            started_at_ms=self.started_at_ms,
            at_ms=unix_ms(self.clock.now()),
            stopped=stopped,
            loop=self._loop.name.lower(),
            reader=identity.reader,
            real_reader=identity.real_reader,
            laboratory=identity.laboratory,
            extensions=identity.extensions,
            keys_environment=identity.keys_environment,
            keys_until_ms=identity.keys_until_ms,
            keys_in_file=identity.keys_in_file,
            devices_failing=self._failing.states,
            reader_fault=self.reader_fault or "",
            shift_open=self.journal.open_shift is not None,
            taps=self.tally.outcomes.total(),
            last_tap_at_ms=self.last_tap_at_ms,
            unresolved=len(self.journal.open_intents()),
            active=tuple(kind_in_force(one) for one in self._active()),
            tariff_goes_on_ms=self._goes_on_ms(),
            clock_fault="" if doubt is None else doubt.code,
            clock_inputs={} if doubt is None else dict(doubt.inputs),
            clock_confirmed=watch.state.confirmed,
            clock_authenticated=watch.state.authenticated,
            clock_off_s=watch.off_s,
            clock_floor_ms=watch.floor_ms,
            rows=self.journal.held,
            capacity_rows=self.journal.capacity_rows,
            unsent=self.journal.unsent,
            oldest_unsent_at_ms=self._oldest_unsent_at_ms(),
            collector=identity.collector,
            collector_heard_at_ms=self.collector_heard_at_ms,
            sync_fault=self.sync_fault or "",
            certificate_until_ms=self.certificate_until_ms,
            renewal_fault=self.renewal_fault or "",
            vehicle=self.vehicle(),
            link=self.link(),
            bundles=self.bundles(),
            shadow=self.shadow(),
            periphery=self.periphery(),
        )

    # Now and then

    def _look(self) -> None:
        self._due_s = self.clock.monotonic() + EVERY_S
        self._write()
        taps = f"{self._loop.value}; {self.tally.outcomes.total()} taps"
        self._manager.status(self._trouble_text() or taps)

    def _trouble_text(self) -> str:
        """The worst that is wrong at present, in words; empty for nothing."""
        if self.reader_fault is not None:
            return fault_text(self.reader_fault, {})
        doubt = self.clock_watch.doubt
        if doubt is not None:
            return fault_text(doubt.code, doubt.inputs)
        return "" if self.sync_fault is None else fault_text(self.sync_fault, {})

    def _look_at_clock(self) -> None:
        """A tap may have found it out before: what is new since the last beat is said once, and shown at once."""
        state, doubt = self.clock_watch.look(), self.clock_watch.doubt
        (state_before, doubt_before), self._clock_shown = self._clock_shown, (state, doubt)
        if (state, doubt) == (state_before, doubt_before):
            return
        if doubt is None and doubt_before is not None:
            self.events.notice("clock", "in no doubt any more", code=ClockFault.WORKS)
        elif doubt is not None and doubt != doubt_before:
            text = fault_text(doubt.code, doubt.inputs)
            self.events.warning("clock", text, code=doubt.code, **doubt.inputs)
        self._look()

    def _write(self, *, stopped: bool = False) -> None:
        """A status that cannot be written must not stop taps; the journal speaks for itself when the disk is full."""
        try:
            write_status(self.identity.folder, self.status(stopped=stopped))
        except OSError as error:
            if not self._unwritable:
                self.events.warning("status", f"cannot be written: {error.strerror}")
            self._unwritable = True
        else:
            self._unwritable = False


def kind_in_force(known: KindStatus) -> KindInForce:
    """For the status file."""
    held, pending, refused = known.in_force, known.pending, known.refused
    return KindInForce(
        kind=known.kind,
        edition="" if held is None else held.edition,
        since_ms=0 if held is None else held.at_ms,
        until_ms=None if known.until is None else unix_ms(known.until),
        issued_at_ms=None if known.issued_at is None else unix_ms(known.issued_at),
        pending="" if pending is None else pending.edition,
        pending_from_ms=0 if pending is None else pending.at_ms,
        refused="" if refused is None else refused.fault.value,
        refused_version=0 if refused is None else refused.version,
        floor=known.floor,
        trial_until_ms=None if known.trial is None else known.trial.until_ms,
        trial_before="" if known.trial is None else known.trial.before.edition,
    )
