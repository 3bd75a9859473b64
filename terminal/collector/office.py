"""What office users do: each act for its role, with a row of who did it, and a second person where it is about money
or about what every terminal takes.

    operate   enrols and revokes terminals, acknowledges what is technical
    money     acknowledges alarms about money: one asks, another confirms
    money     closes months of settlement: one asks, another confirms
    money     has a lost card replaced, a ride paid back, later records settled or forgiven, what names a person erased:
              one asks, another confirms; an issuing point, or a command at the machine, carries it out
    publish   has terminals served what is staged: one asks, another confirms

Each reads what the work needs and no more (`terminal.collector.office_rights`); what was asked for and refused is on
record.

Page, programs and commands come through here. A refusal is a value; the store's failures are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from terminal.clock import SystemClock, unix_ms
from terminal.collector import alarms, approvals, issuing_orders
from terminal.collector.approvals import Act, Approval, Decided
from terminal.collector.bundles import DEFAULT_FOLDER, bundles_of, carried_code
from terminal.collector.denying import CardDenials
from terminal.collector.enrolment import Enrolment
from terminal.collector.issuing_orders import IssuingCode, IssuingOrder, IssuingSubject
from terminal.collector.office_rights import ROLE_OF, TECHNICAL, OfficeReading, readings_of
from terminal.collector.office_says import OfficeAnswer, OfficeCode
from terminal.collector.roll_out import STAGED_FOLDER, Staged, staged, take_over
from terminal.collector.settlement.carriers import CarriersError, put_carriers
from terminal.collector.settlement.periods import CarrierMonths, CarrierStatement
from terminal.collector.store import BY_MACHINE, CollectorStore, Operation, OperationCode, note
from terminal.collector.users import MACHINE, OfficeRole, Users, Who
from terminal.errors import CollectorError
from terminal.updates.bundle.roles import METADATA_FOLDER

DATABASE_FILE: Final = "collector.db"
TERMINALS_FOLDER: Final = "terminals"
MOST_COMMENT: Final = 500
REFUSED_EVERY_MS: Final = 600_000
"""A user who asks again and again for what is refused fills no table."""


class Office:
    """The acts of office users on one collector's folder. Its methods raise `CollectorError` or `StaffError`."""

    def __init__(
        self,
        folder: Path,
        store: CollectorStore,
        enrolment: Enrolment,
        bundles: Path | None,
        now_ms: Callable[[], int],
    ) -> None:
        self.users: Final = Users(folder)
        self.store: Final = store
        self.enrolment: Final = enrolment
        self._source = folder / STAGED_FOLDER
        self._served = bundles or folder / DEFAULT_FOLDER
        self.settlement: Final = CarrierMonths(folder, store)
        self._folder = folder
        self._now_ms = now_ms
        self._refused_at: dict[tuple[str, OfficeReading], int] = {}

    # reading

    def may_read(self, who: Who, reading: OfficeReading) -> bool:
        """Whether `who` may; a refusal is on record, once in a while for each user and thing."""
        if reading in readings_of(who):
            return True
        now_ms, key = self._now_ms(), (who.ref, reading)
        if now_ms - self._refused_at.get(key, -REFUSED_EVERY_MS) >= REFUSED_EVERY_MS:
            self._refused_at[key] = now_ms
            self.note(who.ref, OperationCode.READ_REFUSED, about=reading)
        return False

    @property
    def published(self) -> Path | None:
        """The repository that terminals are served, where there is one: codes carry its root."""
        return self._served if (self._served / METADATA_FOLDER).is_dir() else None

    # terminals

    def make_code(self, who: Who, terminal: int) -> OfficeAnswer:
        """A one-time code for `terminal`."""
        if OfficeRole.OPERATE not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        code = carried_code(self.enrolment, terminal, self._now_ms(), self.published)
        self.note(who.ref, OperationCode.CODE_MADE, terminal)
        return OfficeAnswer(OfficeCode.DONE, code=code)

    def revoke(self, who: Who, terminal: int) -> OfficeAnswer:
        """Let `terminal` upload no more. One person may: a stolen terminal waits for no second."""
        if OfficeRole.OPERATE not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        if not self.enrolment.revoke(terminal, self._now_ms()):
            return OfficeAnswer(OfficeCode.NOT_FOUND)
        self.note(who.ref, OperationCode.REVOKED, terminal)
        return OfficeAnswer(OfficeCode.DONE)

    # alarms

    def acknowledge(self, who: Who, number: int, comment: str) -> OfficeAnswer:
        """Note that `who` has dealt with alarm `number`; one about money waits for a second person."""
        with self.store.changing() as connection:
            alarm = alarms.alarm_of(connection, number)
            technical = alarm is not None and alarm.kind in TECHNICAL
            if (OfficeRole.OPERATE if technical else OfficeRole.MONEY) not in who.roles:
                return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
            if alarm is None:
                return OfficeAnswer(OfficeCode.NOT_FOUND)
            if technical or who.alone:
                self._acknowledge(connection, alarm, who.ref, comment)
                return OfficeAnswer(OfficeCode.DONE)
            return self._ask(connection, who, Act.ACKNOWLEDGE, f"{number}/{alarm.times}", comment)

    def _acknowledge(self, connection: Connection, alarm: alarms.SeenAlarm, by: str, comment: str) -> None:
        now_ms = self._now_ms()
        alarms.acknowledge(connection, alarm.id, by, comment, now_ms)
        note(connection, Operation(now_ms, alarm.terminal, OperationCode.ACKNOWLEDGED, str(alarm.id), by))

    # roll-out

    def staged(self) -> Staged | None:
        """What is staged and not served yet."""
        return staged(self._source, self._served)

    def roll_out(self, who: Who) -> OfficeAnswer:
        """Ask that terminals are served what is staged."""
        if OfficeRole.PUBLISH not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        found = self.staged()
        if found is None:
            return OfficeAnswer(OfficeCode.NOTHING_STAGED)
        if who.alone:
            return self._serve(found.digest, who.ref, 0)
        with self.store.changing() as connection:
            return self._ask(connection, who, Act.ROLL_OUT, found.digest, "; ".join(found.changes))

    def _serve(self, digest: str, by: str, number: int) -> OfficeAnswer:
        served = False
        try:
            served = take_over(self._source, self._served, digest)
        finally:
            self.note(
                by, OperationCode.ROLLED_OUT if served else OperationCode.ROLL_OUT_FAILED, 0, digest[:16]
            )
        return OfficeAnswer(OfficeCode.DONE if served else OfficeCode.CHANGED, number)

    # bank cards

    def refund(self, who: Who, subject: str, comment: str) -> OfficeAnswer:
        """Ask that a bank card is given back what `subject` says; the back office's next run asks the acquirer."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        with self.store.changing() as connection:
            return self._ordered(connection, who, Act.REFUND, subject, comment)

    def _ordered(
        self, connection: Connection, who: Who, what: Act, subject: str, comment: str
    ) -> OfficeAnswer:
        """Ask for what is carried out later; one who is alone confirms it at once."""
        asked = self._ask(connection, who, what, subject, comment)
        if asked.says is not OfficeCode.WAITS or not who.alone:
            return asked
        one = approvals.approval(connection, asked.number)
        refused = None if one is None else self._takes_effect(connection, one, who.ref)
        if refused is not None:
            return OfficeAnswer(refused)
        approvals.decide(connection, asked.number, Decided.CONFIRMED, who.ref, self._now_ms())
        return OfficeAnswer(OfficeCode.DONE, asked.number)

    # cards at the issuing point

    def deny_card(self, who: Who, card: bytes, reason: str, denials: CardDenials) -> OfficeAnswer:
        """Have a passenger's card refused at once. One person may, as for a stolen terminal."""
        if not {OfficeRole.OPERATE, OfficeRole.MONEY} & who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        if not denials.deny(card, reason, who.ref):
            return OfficeAnswer(OfficeCode.DENIED_ALREADY)
        self.note(who.ref, OperationCode.CARD_DENIED, about=f"{card.hex()}/{reason}")
        return OfficeAnswer(OfficeCode.DONE)

    def order(
        self, who: Who, what: Act, subject: IssuingSubject, comment: str, most_minor: int = 0
    ) -> OfficeAnswer:
        """Ask for a new card for a lost one, to pay back a ride, or to decide on a difference: of its charge, or of the
        difference, at most `most_minor` in all."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        with self.store.changing() as connection:
            refused = issuing_orders.hindrance(connection, what, subject, most_minor, self._now_ms())
            if refused is not None:
                return OfficeAnswer(OfficeCode(refused))
            return self._ordered(connection, who, what, str(subject), comment)

    def ask_erasure(self, who: Who, cards: str, comment: str) -> OfficeAnswer:
        """Ask that what names the holder of `cards` is erased (`terminal.collector.erasing` looks before)."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        with self.store.changing() as connection:
            return self._ordered(connection, who, Act.ERASE_PERSON, cards, comment)

    def now_ms(self) -> int:
        """The office's clock, in milliseconds since 1970."""
        return self._now_ms()

    def move_order(self, who: Who, number: int, comment: str) -> OfficeAnswer:
        """Ask that a begun order leaves its card, which broke; the next card is begun when that one is denied."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        with self.store.changing() as connection:
            found = issuing_orders.movable(connection, number)
            if isinstance(found, IssuingCode):
                return OfficeAnswer(OfficeCode(found))
            return self._ordered(connection, who, Act.MOVE_ORDER, f"{number}/{found.hex()}", comment)

    def drop_order(self, who: Who, number: int, comment: str) -> OfficeAnswer:
        """Ask that an order that was not begun is given up."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        with self.store.changing() as connection:
            refused = issuing_orders.droppable(connection, number)
            if refused is not None:
                return OfficeAnswer(OfficeCode(refused))
            return self._ordered(connection, who, Act.DROP_ORDER, str(number), comment)

    def orders(self) -> list[IssuingOrder]:
        """What was approved for cards, oldest first."""
        with self.store.changing() as connection:
            return list(issuing_orders.issuing_orders(connection).values())

    def begin_order(self, who: Who, number: int, onto: bytes) -> IssuingOrder | OfficeCode:
        """The order, from now on for the card `onto` alone: on disk before that card is touched."""
        if not {OfficeRole.OPERATE, OfficeRole.MONEY} & who.roles:
            return OfficeCode.NOT_FOR_ROLE
        with self.store.changing() as connection:
            begun = issuing_orders.begin(connection, number, onto, who.ref, self._now_ms())
        return OfficeCode(begun) if isinstance(begun, IssuingCode) else begun

    def finish_order(self, who: Who, order: IssuingOrder, balance_minor: int) -> None:
        """The card has it, and states this balance."""
        with self.store.changing() as connection:
            issuing_orders.finish(connection, order.number, balance_minor, who.ref, self._now_ms())

    # carriers

    def put_carriers(self, who: Who, content: bytes, name: str) -> OfficeCode:
        """Put a carriers document in force; `name` is the file in the `CarriersError` of one with mistakes."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeCode.NOT_FOR_ROLE
        book = put_carriers(self._folder, content, name)
        self.note(who.ref, OperationCode.CARRIERS_CHANGED, about=book.version)
        return OfficeCode.DONE

    def close_month(self, who: Who, month: str) -> OfficeAnswer:
        """Ask that a month's statement is fixed as it is now. Raises `CarriersError` as well."""
        if OfficeRole.MONEY not in who.roles:
            return OfficeAnswer(OfficeCode.NOT_FOR_ROLE)
        refused = self.settlement.hindrance(month, self._now_ms())
        if refused is not None:
            return OfficeAnswer(OfficeCode(refused))
        statement = self.settlement.month(month)
        if who.alone:
            return self._close(statement, who.ref)
        with self.store.changing() as connection:
            subject = f"{month}/{statement.digest.hex()}"
            return self._ask(connection, who, Act.CLOSE_MONTH, subject, "")

    def _close(self, statement: CarrierStatement, by: str, number: int = 0) -> OfficeAnswer:
        if not self.settlement.close(statement, by, self._now_ms()):
            return OfficeAnswer(OfficeCode.CLOSED_ALREADY, number)
        self.note(by, OperationCode.MONTH_CLOSED, about=statement.month)
        return OfficeAnswer(OfficeCode.DONE, number)

    def _confirmed_close(self, one: Approval, who: Who) -> OfficeAnswer:
        """Only what the first person saw: rows that came since make it another statement, to be asked for anew."""
        month, _, digest = one.subject.partition("/")
        statement = self.settlement.month(month)
        if statement.digest.hex() != digest:
            return OfficeAnswer(OfficeCode.CHANGED, one.id)
        return self._close(statement, f"{one.by}, {who.ref}", one.id)

    # the second person

    def waiting(self, who: Who = MACHINE) -> list[Approval]:
        """What waits for a second person, of that which `who` has to do with."""
        return [one for one in self.store.waiting(self._now_ms()) if ROLE_OF[one.what] in who.roles]

    def confirm(self, who: Who, number: int) -> OfficeAnswer:
        """Do what another user asked for."""
        with self.store.changing() as connection:
            one = approvals.approval(connection, number)
            refused = self._refused(one, who)
            if one is None or refused is not None:
                return OfficeAnswer(refused or OfficeCode.NOT_FOUND, number)
            if one.by == who.ref:
                return OfficeAnswer(OfficeCode.SAME_PERSON, number)
            asker = self.users.get(one.by)
            if asker is None or ROLE_OF[one.what] not in asker.who.roles:
                return OfficeAnswer(OfficeCode.ASKER_GONE, number)
            refused = self._takes_effect(connection, one, f"{one.by}, {who.ref}")
            if refused is not None:
                return OfficeAnswer(refused, number)
            self._decide(connection, one, Decided.CONFIRMED, who)
        if one.what in (Act.CLOSE_MONTH, Act.ROLL_OUT):
            return self._confirmed(one, who)
        return OfficeAnswer(OfficeCode.DONE, number)

    def _takes_effect(self, connection: Connection, one: Approval, by: str) -> OfficeCode | None:
        """Do what a confirmed request does at once, in its own transaction; why it cannot be done any more."""
        number, _, seen = one.subject.partition("/")
        if one.what is Act.ACKNOWLEDGE:
            alarm = alarms.alarm_of(connection, int(number))
            if alarm is None or seen != str(alarm.times):
                return OfficeCode.CHANGED
            self._acknowledge(connection, alarm, by, one.comment)
        elif one.what is Act.MOVE_ORDER:
            found = issuing_orders.movable(connection, int(number))
            if isinstance(found, IssuingCode) or found.hex() != seen:
                return OfficeCode.CHANGED
            note(connection, Operation(self._now_ms(), 0, OperationCode.ORDER_MOVED, one.subject, by))
        elif one.what is Act.DROP_ORDER:
            if issuing_orders.droppable(connection, int(number)) is not None:
                return OfficeCode.CHANGED
            note(connection, Operation(self._now_ms(), 0, OperationCode.ORDER_DROPPED, number, by))
        return None

    def _confirmed(self, one: Approval, who: Who) -> OfficeAnswer:
        """Decided first, so that it is done once; a disk that fails leaves the request waiting."""
        try:
            if one.what is Act.CLOSE_MONTH:
                return self._confirmed_close(one, who)
            return self._serve(one.subject, f"{one.by}, {who.ref}", one.id)
        except (CollectorError, CarriersError):
            with self.store.changing() as connection:
                approvals.decide(connection, one.id, Decided.WAITING, "", self._now_ms())
            raise

    def reject(self, who: Who, number: int) -> OfficeAnswer:
        """Refuse what was asked for, or take one's own request back."""
        with self.store.changing() as connection:
            one = approvals.approval(connection, number)
            refused = self._refused(one, who)
            if one is None or refused is not None:
                return OfficeAnswer(refused or OfficeCode.NOT_FOUND, number)
            self._decide(connection, one, Decided.REJECTED, who)
        return OfficeAnswer(OfficeCode.DONE, number)

    def _refused(self, one: Approval | None, who: Who) -> OfficeCode | None:
        """Why `who` cannot decide this request at all."""
        if one is None:
            return OfficeCode.NOT_FOUND
        if ROLE_OF[one.what] not in who.roles:
            return OfficeCode.NOT_FOR_ROLE
        if one.outcome is not Decided.WAITING:
            return OfficeCode.DECIDED
        return OfficeCode.EXPIRED if approvals.is_over(one, self._now_ms()) else None

    def _ask(self, connection: Connection, who: Who, what: Act, subject: str, comment: str) -> OfficeAnswer:
        now_ms = self._now_ms()
        number = approvals.ask(connection, what, subject, who.ref, comment, now_ms)
        if number is None:
            return OfficeAnswer(OfficeCode.TOO_MANY)
        note(connection, Operation(now_ms, 0, OperationCode.ASKED, str(number), who.ref))
        return OfficeAnswer(OfficeCode.WAITS, number)

    def _decide(self, connection: Connection, one: Approval, outcome: Decided, who: Who) -> None:
        now_ms = self._now_ms()
        approvals.decide(connection, one.id, outcome, who.ref, now_ms)
        done = OperationCode.CONFIRMED if outcome is Decided.CONFIRMED else OperationCode.REJECTED
        note(connection, Operation(now_ms, 0, done, str(one.id), who.ref))

    def note_at_machine(self, done: OperationCode, ref: str) -> None:
        """Keep what was done about user `ref`, who has no say in it."""
        self.note(BY_MACHINE, done, about=ref)

    def note(self, by: str, done: OperationCode, terminal: int = 0, about: str = "") -> None:
        """Keep what was done."""
        self.store.note(Operation(self._now_ms(), terminal, done, about, by))


@contextmanager
def office_at(folder: Path, bundles: Path | None = None, *, make: bool = False) -> Iterator[Office]:
    """The office in a collector's folder, for a command, whether the collector runs or not; `make`: it may be new.
    Raises `CollectorError`.
    """
    clock = SystemClock()
    if make:
        _make(folder)
    elif not (folder / DATABASE_FILE).exists():
        raise CollectorError(f"no collector has run in {folder}", "Give --folder.")
    with closing(CollectorStore(folder / DATABASE_FILE)) as store:
        yield Office(
            folder,
            store,
            Enrolment(folder / TERMINALS_FOLDER),
            bundles_of(folder, bundles),
            lambda: unix_ms(clock.now()),
        )


def _make(folder: Path) -> None:
    try:
        (folder / TERMINALS_FOLDER).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CollectorError(
            f"collector folder {folder} cannot be used: {error.strerror}", "Check its path and rights."
        ) from error
