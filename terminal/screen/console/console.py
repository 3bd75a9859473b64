"""The operator's console of one terminal, without its pages: staff, who is signed in, what the reader brings.

It works in the terminal's own process. `lock` is the one between a tap and an action: its holder works at
the terminal. Actions hold it for one short deed; everything slow (PINs, looking things up, paper) happens outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cardproto.resident.snapshot import CardSnapshot
from terminal.access.attempts import LOCKED_FROM, Attempts, key_of, wait_after
from terminal.access.sessions import OperatorSession, Sessions
from terminal.clock import Clock, unix_ms
from terminal.codes import Admission, ConsoleFault, ReaderFault
from terminal.decision.outcome import Message, Outcome
from terminal.errors import JournalError, KeyLimitReached, StaffError
from terminal.journal.console_records import OperatorSeen, SignedIn, SignInWay
from terminal.journal.records import Fault
from terminal.policy.deny_list import denied
from terminal.policy.policy import Policy
from terminal.policy.routes import RouteBook
from terminal.receipt.adapter import ReceiptAdapter
from terminal.screen.console.actions import Actions, load_secret
from terminal.screen.console.pins import NO_MEMBERS_PIN, pin_fits
from terminal.screen.console.roles import Role
from terminal.screen.console.staff import Member, StaffList, card_reference, member_proof
from terminal.screen.feed import EventFeed
from terminal.tap import Terminal
from terminal.tap_report import TapReport
from terminal.texts import N_
from terminal.trip.shifts import ShiftCount

if TYPE_CHECKING:
    from terminal.periphery.ticket import CounterTickets

CONSOLE_FOLDER: Final = "console"
PIN_WITHIN: Final = timedelta(seconds=90)
"""How long after the service card the PIN may be typed."""
KEEP_TAPS: Final = 50
IN_USE_S: Final = 90.0
"""For how long a page that no longer asks for news counts as in use. An open one asks every half minute."""
KEEP_DONE: Final = 500

SECOND: Final = "second"
"""Another way to give a PIN besides those of `SignInWay`: as the second person (M-35)."""
UNLISTED: Final = "?"
"""Counts the attempts for numbers that are on no list."""

TAP: Final = "tap"
CARD: Final = "card"
CHANGED: Final = "changed"
"""What the feed says: a tap has ended, a service card was presented, an action was done. Nothing more: pages fetch
what they show."""


class Settings(Struct, frozen=True):
    """`typed`: the PIN may be given with a typed staff number instead of the card."""

    language: str = "ru"
    typed: bool = False
    idle_s: int = 30 * 60
    longest_s: int = 14 * 3600
    vehicle: str = ""
    """As receipts name it."""


class TapsAre(StrEnum):
    """What cards are presented for at a canteen's counter: it follows the page in use."""

    MEAL = "meal"
    BUYER = "buyer"
    """Who is buying in the buffet."""
    WHO = "who"
    """Whose card it is."""


class HeardTap(Struct, frozen=True):
    """A tap of this run, and the journal's newest row when it had ended."""

    report: TapReport
    row: int

    @property
    def key(self) -> str:
        """Names it in a form."""
        return f"{unix_ms(self.report.at)}-{self.row}"


class ActionRefused(Exception):
    """What the operator asked for is not done. `text` is a message id for his language, `values` fill it."""

    def __init__(self, text: str, values: Mapping[str, str | int] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.values = dict(values or {})


class MustWait(ActionRefused):
    """Too many PINs were wrong: in a while, with the service card, or with another member of staff."""


class Console:
    """What all pages of one terminal share."""

    def __init__(
        self,
        terminal: Terminal,
        state: Path,
        lock: Lock,
        settings: Settings,
        receipts: ReceiptAdapter | None = None,
    ) -> None:
        """Raises `StaffError` or OSError when the console's files cannot be used."""
        folder = state / CONSOLE_FOLDER
        self.terminal = terminal
        self.lock = lock
        self.settings = settings
        self.receipts = receipts
        self.staff = StaffList(state)
        self.staff.members()
        card_reference(terminal.keys, b"")  # a key provider without this purpose is noticed now, not by a tap
        self.attempts = Attempts(folder)
        self.missed: dict[str, int] = {}
        """Wrong PINs before the newest sign-in by staff number, until its first page has shown them."""
        self.sessions = Sessions(folder, idle_ms=settings.idle_s * 1000, longest_ms=settings.longest_s * 1000)
        self.actions = Actions(terminal.journal, load_secret(folder))
        if terminal.canteen is not None:
            terminal.canteen.only_read = self.only_read
        self.doing = Lock()
        """Held by one action at a time, so that a double click finds what the first one did."""
        self.done: deque[str] = deque(maxlen=KEEP_DONE)
        """The newest actions by their ids. What an action changed without a row is gone with this process, and so is
        this."""
        self.feed: EventFeed[str] = EventFeed()
        self.heard_taps: deque[HeardTap] = deque(maxlen=KEEP_TAPS)
        """The newest taps of this run; not to be shown as they are."""
        self.tap_count = 0
        """How many there were."""
        self._taps_are = (TapsAre.MEAL, 0.0, "")
        self.status: Mapping[str, str] = {}
        """What else the composition root can tell of the terminal, by name (message ids)."""
        self.offline: Callable[[], bool] = lambda: False
        """Whether records that should leave cannot; set by the composition root."""
        self.reader_fault: Callable[[], ReaderFault | None] = lambda: None
        """What is wrong with the reader; set by the composition root."""
        self.on_change: Callable[[], None] = lambda: None
        """Who else shows what staff change; set by the composition root. Returns at once."""
        self.tickets: CounterTickets | None = None
        """Prints tickets of sales, where there is a printer; set by the composition root."""
        self._count: ShiftCount | None = None
        self._presented: tuple[str, float] | None = None
        self._checking = Lock()

    # shorter names for what pages need most

    @property
    def clock(self) -> Clock:
        return self.terminal.clock

    @property
    def policy(self) -> Policy:
        return self.terminal.policy

    @property
    def routes(self) -> RouteBook:
        return self.terminal.routes

    def now_ms(self) -> int:
        return unix_ms(self.clock.now())

    def shift_count(self) -> ShiftCount | None:
        """The running totals of the open shift; None when none is open."""
        shift = self.terminal.journal.open_shift
        if shift is None:
            return None
        count = self._count
        if count is None or count.shift != shift.shift:
            count = self._count = ShiftCount(shift.shift)
        return count

    @property
    def taps(self) -> tuple[TapReport, ...]:
        """The newest taps of this run, oldest first."""
        return tuple(heard.report for heard in self.heard_taps)

    def staff_refs(self) -> tuple[str, ...]:
        """The staff numbers of the list."""
        return tuple(member.ref for member in self.staff.members())

    # what cards are presented for

    @property
    def taps_are(self) -> TapsAre:
        """By the page in use; a page that is not looked at any more has no say. Any thread, at once."""
        taps, seen, _ = self._taps_are
        return taps if self.clock.monotonic() - seen < IN_USE_S else TapsAre.MEAL

    def page_used(self, taps: TapsAre, who: str, *, serves: bool, opened: bool) -> None:
        """A page was opened by `who`, or looks on: what cards are presented for is what it says. Of those who do not
        serve, only who asked for something else than meals gives the taps back.
        """
        if taps is TapsAre.MEAL and not serves and self._taps_are[2] != who:
            return
        if opened or taps is self.taps_are:
            self._taps_are = taps, self.clock.monotonic(), who

    def only_read(self) -> bool:
        """Whether a tap says who stands there, and no more."""
        return self.taps_are is not TapsAre.MEAL

    # what the terminal's loop reports

    def heard(self, report: TapReport) -> None:
        """A tap has ended; any thread, returns at once."""
        self.heard_taps.append(HeardTap(report, self.terminal.journal.head.sequence))
        self.tap_count += 1
        if not report.of_staff:
            self.sessions.served(self.now_ms(), Role.CASHIER)
        self.feed.publish(TAP)

    def changed(self) -> None:
        """Something that pages show has changed."""
        self.feed.publish(CHANGED)
        self.on_change()

    def service_card(self, snapshot: object, now: datetime) -> Outcome | None:
        """For `Terminal.service_card`: whether this card is one of staff; if so its PIN may be typed for a while, and
        it confirms the time of a clock in doubt (O-05), which the display then shows.

        Only resident cards are. A blocked or listed card opens nothing; it goes the way of every other card, which
        says why.
        """
        if not isinstance(snapshot, CardSnapshot):
            return None
        rights = snapshot.rights
        member = self._holder(rights.pseudonym)
        if member is None or rights.blocked or rights.inactive:
            return None
        today = self.policy.service_date(now.astimezone(self.policy.zone))
        if not rights.valid_from <= today <= rights.valid_to:
            return None
        if denied(self.policy.deny_list, rights.pseudonym, snapshot.uid) is not None:
            return None
        self._note(OperatorSeen(unix_ms(now), member.ref))
        self._presented = (member.ref, self.clock.monotonic() + PIN_WITHIN.total_seconds())
        self.feed.publish(CARD)
        if self._confirms_clock(member):
            local = now.astimezone(self.policy.zone)
            values = {"date": f"{local:%Y-%m-%d}", "time": f"{local:%H:%M}"}
            return Outcome(Message.CLOCK_CONFIRMED, Admission.INSIDE, values=values)
        until = (now + PIN_WITHIN).astimezone(self.policy.zone)
        return Outcome(Message.STAFF_CARD, Admission.INSIDE, values={"time": f"{until:%H:%M}"})

    def _confirms_clock(self, member: Member) -> bool:
        """Only what is on record counts: a journal that takes no row confirms nothing."""
        try:
            return self.terminal.clock_watch.confirm(member.ref)
        except JournalError:
            self.changed()
            return False

    def _holder(self, resident: bytes) -> Member | None:
        try:
            return self.staff.by_card(card_reference(self.terminal.keys, resident))
        except (
            StaffError,
            KeyLimitReached,
        ):  # shown on every page, or soon over; passengers are served all the same
            return None

    @property
    def presented(self) -> Member | None:
        """Whose service card was presented a moment ago."""
        if self._presented is None:
            return None
        ref, until = self._presented
        return self.staff.get(ref) if self.clock.monotonic() < until else None

    def forget_card(self) -> None:
        """The sign-in that the presented card began is given up."""
        self._presented = None

    # signing in

    def sign_in(self, typed_ref: str, pin: str, by: str = "", by_pin: str = "") -> str:
        """Check the PIN of the presented card's holder, or of `typed_ref` where that is allowed; return a token. With
        `by`, another member who stands by with his own PIN, who typed his number need not wait.

        Raises `ActionRefused`. One at a time: tries in parallel gain nothing.
        """
        with self._checking:
            presented = None if typed_ref else self.presented
            if presented is None and not (typed_ref and self.settings.typed):
                raise ActionRefused(N_("Present your service card first."))
            member = presented or self.staff.get(typed_ref)
            how = SignInWay.CARD if presented else SignInWay.TYPED
            ref = member.ref if member else ""
            if by and how is SignInWay.TYPED:
                self._stand_by(key_of(how, ref or UNLISTED, pin), ref, by, by_pin)
            key = self._try(how, ref, pin, member)
            assert member is not None, "a PIN without a member never fits"
            token = self.sessions.begin(
                member.ref, how, member_proof(member), self.now_ms(), role=member.role
            )
            self._note(SignedIn(self.now_ms(), member.ref, member.role, how))
            self.missed[member.ref] = self.attempts.wrong_of(member.ref) - 1  # one is this try
            if presented:  # card and PIN: it is the owner, whatever others have typed
                self.attempts.unlock(member.ref)
            self.attempts.right(key)
            self._presented = None
        return token

    def _stand_by(self, key: str, ref: str, by: str, by_pin: str) -> None:
        """Let what is counted under `key` be tried at once. A colleague's PIN is counted as at his own sign-in, so no
        one has more tries of it here. Raises `ActionRefused`.
        """
        colleague = self.staff.get(by)
        if by == ref:
            raise MustWait(N_("The second person has to be another member of staff."))
        self.attempts.right(self._try(SignInWay.TYPED, colleague.ref if colleague else "", by_pin, colleague))
        if not self.attempts.lift(key):
            raise MustWait(
                N_("Colleagues have helped as often as they may. Wait, or present your service card.")
            )

    def confirm(self, who: OperatorSession, ref: str, pin: str, roles: frozenset[Role]) -> None:
        """A second person, with his own number and PIN, stands by what `who` does (M-35). Raises `ActionRefused`.

        He is not signed in by it. Wrong PINs are counted as at the sign-in, apart from it.
        """
        with self._checking:
            member = self.staff.get(ref)
            if ref == who.ref:
                raise ActionRefused(N_("The second person has to be another member of staff."))
            fit = member if member is not None and member.role in roles else None
            self.attempts.right(self._try(SECOND, member.ref if member else "", pin, fit))

    def _try(self, way: str, ref: str, pin: str, member: Member | None) -> str:
        """Check a PIN given for `ref`; return under what its attempts are counted. Raises `ActionRefused`."""
        key = key_of(way, ref or UNLISTED, pin)
        now_ms = self.now_ms()
        wait_s = self.attempts.wait_s(key, now_ms)
        if wait_s:
            raise MustWait(N_("Too many wrong PINs. Try again in {wait}."), {"wait": wait_s})
        count = self.attempts.begin(key, now_ms)
        hashed = member.pin if member and member.pin else NO_MEMBERS_PIN
        try:
            fits = pin_fits(pin, hashed, self.terminal.keys)
        except KeyLimitReached as limit:
            self.attempts.unchecked(key)
            wait = {"wait": ceil(limit.opens_in_s)}
            raise ActionRefused(N_("Too many wrong PINs. Try again in {wait}."), wait) from limit
        if fits:
            return key
        if count >= LOCKED_FROM:
            self._note(Fault(now_ms, ConsoleFault.PIN_LOCKED, {"way": way, "operator_ref": ref}))
        wait_s = wait_after(count, key)
        if wait_s:
            raise MustWait(N_("This PIN is wrong. Next try in {wait}."), {"wait": wait_s})
        raise ActionRefused(N_("This PIN is wrong."))

    def _note(self, record: OperatorSeen | SignedIn | Fault) -> None:
        """Into the journal, if it takes it: one that is full or broken must not keep out who comes to see to it, nor
        a canteen's staff, who go on with entitled meals (O-06)."""
        try:
            self.terminal.journal.append(record)
        except JournalError:
            self.changed()

    def session(self, token: str, *, used: bool = True) -> OperatorSession | None:
        """Who works at the browser with this token; None when he has to sign in (again)."""
        session = self.sessions.of(token, self.now_ms(), used=used)
        if session is None:
            return None
        try:
            member = self.staff.get(session.ref)
        except StaffError:
            return None
        return session if member is not None and member_proof(member) == session.proof else None

    def sign_out(self, token: str) -> None:
        """End this browser's session; inspecting ends with it."""
        session = self.session(token, used=False)
        self.sessions.end(token, self.now_ms())
        if session is not None and self.terminal.inspecting is not None:
            with self.lock:
                self.terminal.inspecting = None
