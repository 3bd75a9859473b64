"""A stand-in for an acquirer: takes order files and answers them by rules that its user states. No bank is asked.

It remembers what it answered to each order by name, and answers the same however often it is asked: what an acquirer's
contract has to promise, too. What it remembers holds no number of a card.

    FOLDER/bank/acquirer/stand-in.json    {"approved": {"1f0c22aa-17": 4300}, …}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from terminal.collector.bank.acquirer import (
    MOST_BYTES,
    AcquirerFolder,
    AnswerFile,
    CardOrder,
    OrderAnswer,
    OrderFile,
    OrderResult,
)
from terminal.collector.bank.demands import DemandKind
from terminal.decoding import decode_json, read_within
from terminal.errors import CollectorError
from terminal.files import replace_file

MEMORY_FILE: Final = "stand-in.json"
DECLINED_CODE: Final = "51"
APPROVED_CODE: Final = "00"


class StandInRules(Struct, frozen=True):
    """Which orders are declined: those of cards whose number ends so, and those above a sum. `delay`: how often a file
    is passed over before it is answered; `silent`: nothing is answered, though it is remembered; `twice`: every answer
    is given in two files.
    """

    declines: tuple[str, ...] = ()
    most_minor: int | None = None
    delay: int = 0
    silent: bool = False
    twice: bool = False


class StandInMemory(Struct, frozen=True, kw_only=True):
    """What was answered, by an order's name, with its sum; and how often each file was seen."""

    approved: dict[str, Annotated[int, Meta(ge=0)]] = {}
    declined: dict[str, Annotated[int, Meta(ge=0)]] = {}
    refunded: dict[str, Annotated[int, Meta(ge=0)]] = {}
    seen: dict[str, int] = {}

    @property
    def taken_minor(self) -> int:
        """What cardholders have paid in all."""
        return sum(self.approved.values()) - sum(self.refunded.values())


class StandIn:
    """One stand-in over a collector's folder. Methods raise `CollectorError`."""

    def __init__(self, collector: Path) -> None:
        self._folder = AcquirerFolder(collector)
        self._path = self._folder.out.parent / MEMORY_FILE

    def memory(self) -> StandInMemory:
        """What it remembers."""
        try:
            return decode_json(read_within(self._path, MOST_BYTES), StandInMemory, MOST_BYTES)
        except FileNotFoundError:
            return StandInMemory()
        except (OSError, msgspec.DecodeError) as error:
            raise CollectorError(
                f"{self._path} is no memory of a stand-in: {error}", "Put a copy back."
            ) from error

    def work(self, rules: StandInRules) -> int:
        """Answer what lies there; return how many orders were answered. The answer is remembered before it is given."""
        memory, answered = self.memory(), 0
        for path in sorted(self._folder.out.glob("*.json")):
            seen = memory.seen.get(path.name, 0)
            memory.seen[path.name] = seen + 1
            if seen < rules.delay:
                continue
            orders = self._orders(path)
            answers = [_answer(memory, order, rules) for order in orders]
            self._keep(memory)
            if rules.silent:
                continue
            for copy in range(1 + rules.twice):
                content = msgspec.json.encode(AnswerFile(answers=answers))
                replace_file(self._folder.answers / f"{path.stem}-{copy + 1}.json", content)
            answered += len(answers)
        self._keep(memory)
        return answered

    def _orders(self, path: Path) -> list[CardOrder]:
        try:
            return decode_json(read_within(path, MOST_BYTES), OrderFile, MOST_BYTES).orders
        except (OSError, msgspec.DecodeError) as error:
            raise CollectorError(
                f"{path.name} is no file of orders", "Leave it for the back office."
            ) from error

    def _keep(self, memory: StandInMemory) -> None:
        replace_file(self._path, msgspec.json.encode(memory))


def _answer(memory: StandInMemory, order: CardOrder, rules: StandInRules) -> OrderAnswer:
    """The answer given before, or a new one."""
    known = {**memory.approved, **memory.declined, **memory.refunded}
    if order.id not in known:
        _decided(memory, order, rules)[order.id] = order.amount_minor
    approved = order.id not in memory.declined
    return OrderAnswer(
        id=order.id,
        amount_minor=order.amount_minor,
        result=OrderResult.APPROVED if approved else OrderResult.DECLINED,
        code=APPROVED_CODE if approved else DECLINED_CODE,
    )


def _decided(memory: StandInMemory, order: CardOrder, rules: StandInRules) -> dict[str, int]:
    if order.kind is DemandKind.REFUND:
        return memory.refunded
    above = rules.most_minor is not None and order.amount_minor > rules.most_minor
    declined = above or any(order.pan.endswith(digits) for digits in rules.declines)
    return memory.declined if declined else memory.approved
