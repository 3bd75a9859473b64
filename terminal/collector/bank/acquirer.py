"""What goes to an acquirer and what comes back, as files in the back office's folder: no network, no scheme's protocol.

    FOLDER/bank/acquirer/out/000001.json   orders, for the acquirer; it goes once everything in it has an answer
    FOLDER/bank/acquirer/in/*.json         answers, from the acquirer; each goes once it was taken in

An order file has the numbers of cards in clear, for its owner alone (0600): the one place outside a sealed record.
Orders are named by ledger and number ("1f0c22aa-17"). The same name is always the same order: who is asked twice
answers twice the same, and nothing is charged twice.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from terminal.bank_record import BankRecord
from terminal.collector.bank.charging import HOUR_MS, waits
from terminal.collector.bank.demands import Demand, DemandKind, DemandState
from terminal.collector.bank.ledger import BANK_FOLDER, BankLedger
from terminal.decoding import decode_json, read_within
from terminal.errors import CollectorError
from terminal.files import replace_file, sync_path

ACQUIRER_FOLDER: Final = "acquirer"
OUT, IN = "out", "in"
MOST_BYTES: Final = 64 << 20
MOST_ANSWERS: Final = 100_000
MOST_DIGITS: Final = 18
"""Of a demand's number, which a database can hold."""
AT_ONCE: Final = 1_000
"""Orders in one file."""
Sum = Annotated[int, Meta(ge=0, lt=10**12)]


class CardOrder(Struct, frozen=True, kw_only=True):
    """One order. `of` names the order that is asked for again or refunded; a refund needs no card. Of the card: its
    number, expiry (YYYYMMDD), sequence number, track 2 and the cryptogram's objects in hexadecimal by EMV tag.
    """

    id: str
    kind: DemandKind
    amount_minor: int
    currency: str
    day: str
    of: str = ""
    pan: str = ""
    expires_on: int = 0
    sequence: int | None = None
    track_2: str = ""
    objects: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"CardOrder({self.id}, {self.kind}, {self.amount_minor})"


class OrderFile(Struct, frozen=True, kw_only=True):
    """A file of orders."""

    form: Literal["bank-orders-1"] = "bank-orders-1"
    number: int
    orders: list[CardOrder]


class OrderResult(StrEnum):
    """What an acquirer says."""

    APPROVED = "approved"
    DECLINED = "declined"


class OrderAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to one order. `code` is the acquirer's own, for people."""

    id: Annotated[str, Meta(max_length=40)]
    amount_minor: Sum
    result: OrderResult
    code: Annotated[str, Meta(max_length=20, pattern="^[0-9A-Za-z_.-]*$")] = ""


class AnswerFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of answers."""

    form: Literal["bank-answers-1"] = "bank-answers-1"
    answers: Annotated[list[OrderAnswer], Meta(max_length=MOST_ANSWERS)]


class AnswerDoubt(StrEnum):
    """Why an answer fits nothing. The ledger stays as it is; a person asks the acquirer."""

    UNKNOWN = "unknown"
    """No order of this ledger has this name."""
    OTHER_AMOUNT = "other_amount"
    CONTRADICTS = "contradicts"
    """It was answered before, otherwise."""
    NO_RECORD = "no_record"
    """The record of its card cannot be opened here: the order cannot be made."""


class AcquirerFolder:
    """The two folders; where they are gone they are made anew. Methods raise `CollectorError`."""

    def __init__(self, collector: Path) -> None:
        self._folder = collector / BANK_FOLDER / ACQUIRER_FOLDER
        self.out: Final = self._folder / OUT
        self.answers: Final = self._folder / IN
        self.make()

    def make(self) -> None:
        """The folders, where they are not there."""
        with self.reported():
            for folder in (self.out, self.answers):
                folder.mkdir(0o700, parents=True, exist_ok=True)

    def order_file(self, number: int) -> Path:
        return self.out / f"{number:06d}.json"

    def incoming(self) -> list[Path]:
        """What may be files of answers, by name."""
        with self.reported():
            return sorted(self.answers.glob("*.json"))

    def clear(self, needed: Collection[Path]) -> None:
        """Let go whatever lies there for the acquirer, drafts of killed processes too, but for `needed`."""
        with self.reported():
            for path in self.out.glob("*.json*"):
                if path not in needed:
                    path.unlink(missing_ok=True)
                    sync_path(self.out)

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Failures of the disk within it are `CollectorError`."""
        try:
            yield
        except OSError as error:
            raise CollectorError(
                f"the acquirer's folder {self._folder} cannot be used: {error.strerror}",
                "Check its path, room and rights. Nothing is lost: the next run goes on.",
            ) from error


def send_orders(
    ledger: BankLedger,
    folder: AcquirerFolder,
    record_of: Callable[[Demand], BankRecord | None],
    again_h: int,
    now_ms: int,
) -> int:
    """Write what is asked and in no file, and once more what has had no answer for `again_h` hours; return how many
    orders that are. A file is numbered first: after a kill it is written with the same orders.
    """
    while unsent := ledger.demands.unsent(AT_ONCE):
        with ledger.changing():
            ledger.demands.put_in_file(unsent)
    sent = 0
    for number in ledger.demands.open_files():
        open_demands = [one for one in ledger.demands.in_file(number) if one.state is DemandState.ASKED]
        newest_ms = max(one.sent_ms for one in open_demands)
        if newest_ms and waits(newest_ms, again_h * HOUR_MS, now_ms):
            continue
        orders = [one for demand in open_demands if (one := _order(ledger, demand, record_of, now_ms))]
        content = msgspec.json.format(msgspec.json.encode(OrderFile(number=number, orders=orders)))
        with folder.reported():
            replace_file(folder.order_file(number), content)
        with ledger.changing():
            ledger.demands.note_written(number, now_ms)
        sent += len(orders)
    return sent


def order_name(ledger: BankLedger, number: int) -> str:
    """What the acquirer calls a demand."""
    return f"{ledger.name}-{number}" if number else ""


def _order(
    ledger: BankLedger, demand: Demand, record_of: Callable[[Demand], BankRecord | None], now_ms: int
) -> CardOrder | None:
    record = None if demand.kind is DemandKind.REFUND else record_of(demand)
    if record is None and demand.kind is not DemandKind.REFUND:
        with ledger.changing():
            ledger.demands.doubt(now_ms, demand.id, AnswerDoubt.NO_RECORD)
        return None
    plain = CardOrder(
        id=order_name(ledger, demand.id),
        kind=demand.kind,
        amount_minor=demand.amount_minor,
        currency=demand.currency,
        day=demand.day,
        of=order_name(ledger, demand.of),
    )
    return plain if record is None else _with_card(plain, record)


def _with_card(order: CardOrder, record: BankRecord) -> CardOrder:
    objects = {f"{tag:X}": value.hex() for tag, value in sorted(record.given.items())}
    for tag, value in (("9F26", record.cryptogram), ("9F36", record.counter), ("9F10", record.issuer_data)):
        objects |= {tag: value.hex()} if value else {}
    if record.cryptogram_kind is not None:
        objects["9F27"] = f"{record.cryptogram_kind:02x}"
    return msgspec.structs.replace(
        order,
        pan=record.pan,
        expires_on=record.expires_on,
        sequence=record.sequence,
        track_2=record.track_2.hex(),
        objects=objects,
    )


def take_answers(ledger: BankLedger, folder: AcquirerFolder, now_ms: int) -> Iterator[str]:
    """Take in every file of answers, each as one transaction, and let it go; what an answer fits nothing is kept as a
    doubt. Yields the name of each file that is none, or is not whole yet: it stays where it is.
    """
    folder.make()
    for path in folder.incoming():
        seen = _look(path)
        file = None if seen is None else _answers(path)
        if file is None:
            yield path.name
            continue
        with ledger.changing():
            for one in file.answers:
                _take(ledger, one, now_ms)
        with folder.reported():
            if _look(path) == seen:  # else another file has this name now
                path.unlink(missing_ok=True)
            sync_path(folder.answers)
    folder.clear({folder.order_file(number) for number in ledger.demands.open_files()})


def _look(path: Path) -> tuple[int, int, int] | None:
    """Which file has this name; None where none has that can be read to an end."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _answers(path: Path) -> AnswerFile | None:
    try:
        return decode_json(read_within(path, MOST_BYTES), AnswerFile, MOST_BYTES)
    except (OSError, msgspec.DecodeError):
        return None


def _take(ledger: BankLedger, answer: OrderAnswer, now_ms: int) -> None:
    number = _number_in(answer.id, ledger.name)
    demand, state = ledger.demands.get(number), DemandState(answer.result)
    if demand is None or not demand.file:
        ledger.demands.doubt(now_ms, number, AnswerDoubt.UNKNOWN)
    elif answer.amount_minor != demand.amount_minor:
        ledger.demands.doubt(now_ms, number, AnswerDoubt.OTHER_AMOUNT)
    elif demand.state not in (DemandState.ASKED, state):
        ledger.demands.doubt(now_ms, number, AnswerDoubt.CONTRADICTS)
    elif demand.state is DemandState.ASKED:
        ledger.demands.answer(number, state, now_ms, answer.code)
        if state is DemandState.APPROVED and demand.kind is not DemandKind.REFUND:
            ledger.cards.note_authorised(demand.card, now_ms)


def _number_in(order: str, ledger: str) -> int:
    """The demand that an order of this ledger is for, by the one name it has; 0 for another name."""
    name, _, written = order.rpartition("-")
    known = name == ledger and written.isascii() and written.isdecimal() and len(written) <= MOST_DIGITS
    return int(written) if known and not written.startswith("0") else 0
