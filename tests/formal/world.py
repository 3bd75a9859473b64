"""One card, two terminals and the collector as a small world of values, every step of which may be the last.

The world decides nothing itself about money: whether a write is unresolved, and what becomes of it, is said by the
table (`terminal.media.resident.machine`) and by `settle`, the very ones the terminal runs; what the journals add up to
is said by the collector's own `reconcile`.

What is left out: amounts (a charge is one event), amounts of time (a presentation is either soon, within the
window in which trying again is no new ride, or late), reading errors before anything is on record (they change
nothing), and the collector's transport, which delivers any prefix of a journal at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from cardproto.resident.records.event import Event, EventKind
from terminal.codes import Admission
from terminal.collector.reconcile import Reconciliation, reconcile
from terminal.collector.registry import CardRegistry
from terminal.collector.store import StoredRecord
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    SettledBy,
    Unwritten,
    build_record,
)
from terminal.journal.taps import TapId
from terminal.media.resident.machine import SAID, Course, WriteState, WriteStep
from terminal.media.resident.settle import settle

CARD = b"card"
ISSUED: TapId = (0, 0)
SOME_TIME = datetime(2026, 9, 15, tzinfo=UTC)
KEPT_EVENTS = 3
"""A real card keeps at least six; fewer make it forget sooner, which is the hard case."""


class Row(NamedTuple):
    """A journal row: `kind` is "intent", "committed", "not_committed" or "refused"; `about` is the event found on the
    card, or the intent's sequence."""

    kind: str
    about: TapId


class Running(NamedTuple):
    """What a terminal has only in memory while a card is on it."""

    stage: str  # "opened", "served", "course", "tell", "tell then record", "record"
    soon: bool
    newest: TapId
    sequence: int = 0
    state: WriteState = WriteState.BEGUN


class World(NamedTuple):
    """`wish_*` is about the ride the passenger wants now: how often it was charged, and whether it was granted."""

    events: tuple[TapId, ...]  # all the card ever held, oldest first; it keeps the last KEPT_EVENTS
    journals: tuple[tuple[Row, ...], tuple[Row, ...]]
    running: tuple[Running | None, Running | None]
    wish_charges: int
    wish_events: tuple[TapId, ...]
    granted: int
    presentations: int
    crashes: int


class Broken(AssertionError):
    """A world that must not be."""


START = World((ISSUED,), ((), ()), (None, None), 0, (), 0, 0, 0)


class Rules(NamedTuple):
    """The order of two steps in the terminal; the tests turn it round to see that the checker notices."""

    intent_before_commit: bool = True
    tell_before_record: bool = True
    unknown_is_open: bool = True
    settle_before_serve: bool = True


def on_card(world: World) -> int | None:
    """Which terminal has the card."""
    return next((n for n in (0, 1) if world.running[n] is not None), None)


def open_intent(journal: tuple[Row, ...]) -> tuple[int, TapId] | None:
    """The newest intent without an end: what `Journal.unresolved` tells after any restart."""
    ended = {row.about[1] for row in journal if row.kind in ("committed", "not_committed")}
    for number in range(len(journal), 0, -1):
        if journal[number - 1].kind == "intent" and number not in ended:
            return number, journal[number - 1].about
    return None


def successors(world: World, rules: Rules, most: tuple[int, int]) -> Iterator[tuple[str, World]]:
    """Every next step, named: `most` is how many presentations and crashes there may be."""
    presentations, crashes = most
    at = on_card(world)
    if at is None:
        if world.presentations < presentations:
            for terminal in (0, 1):
                for soon in (True, False):
                    yield f"present {terminal} {'soon' if soon else 'late'}", _present(world, terminal, soon)
        return
    running = world.running[at]
    assert running is not None
    yield from _steps(world, at, running, rules)
    if world.crashes < crashes:
        if running.stage == "course":
            yield f"crash {at}", _crash(world, at, running)
        else:
            yield f"crash {at}", _idle(world, at)._replace(crashes=world.crashes + 1)


def _present(world: World, terminal: int, soon: bool) -> World:
    if not soon:  # what the passenger wanted before is over: a ride taken, or one never taken
        world = world._replace(wish_charges=0, wish_events=())
    world = _run(world, terminal, Running("opened", soon, world.events[-1]))
    return world._replace(presentations=world.presentations + 1)


def _steps(world: World, at: int, running: Running, rules: Rules) -> Iterator[tuple[str, World]]:
    match running.stage:
        case "opened":
            yield "card pulled before anything", _note(_idle(world, at), at, Row("refused", running.newest))
            yield from _settle(world, at, running, rules)
        case "served":
            yield from _serve(world, at, running, rules)
        case "record":
            yield "recorded", _idle(_note(world, at, _end_row(running)), at)
        case "tell":
            yield "told", _told(world, at, running)
        case "tell then record":
            yield "told", _run(_grant(world, running), at, running._replace(stage="record"))
        case "course":
            yield from _course(world, at, running, rules)


def _settle(world: World, at: int, running: Running, rules: Rules) -> Iterator[tuple[str, World]]:
    found = open_intent(world.journals[at])
    if found is None or not rules.settle_before_serve:
        yield "nothing to settle", _run(world, at, running._replace(stage="served"))
        return
    sequence, previous = found
    kept = [_event(tap) for tap in reversed(world.events[-KEPT_EVENTS:])]
    verdict = settle(kept[0], lambda: kept, (_number(at), sequence), previous)
    course = Course(WriteState.UNRESOLVED)
    state = course.take(SAID[verdict])
    if state is WriteState.UNRESOLVED:
        yield "cannot tell", _run(world, at, running._replace(stage="served"))
        return
    ended = running._replace(sequence=sequence, state=state)
    mine = running.newest == (_number(at), sequence)
    if state is WriteState.COMMITTED and mine and running.soon:
        if rules.tell_before_record:
            yield "settled: tell", _run(world, at, ended._replace(stage="tell then record"))
        else:
            yield "settled: record", _run(_note(world, at, _end_row(ended)), at, ended._replace(stage="tell"))
    else:
        yield "settled: serve", _run(_note(world, at, _end_row(ended)), at, running._replace(stage="served"))


def _serve(world: World, at: int, running: Running, rules: Rules) -> Iterator[tuple[str, World]]:
    elsewhere = running.newest in world.wish_events and running.newest[0] != _number(at)
    if running.soon and elsewhere:  # K-03: paid at the other validator of this bus a moment ago
        told = _grant(world, running)
        yield "already paid", _note(_idle(told, at), at, Row("refused", running.newest))
        return
    sequence = len(world.journals[at]) + 1
    yield (
        "begin",
        _run(world, at, running._replace(stage="course", sequence=sequence, state=WriteState.BEGUN)),
    )


def _course(world: World, at: int, running: Running, rules: Rules) -> Iterator[tuple[str, World]]:
    """The steps of one write: the table says where each leads."""
    match running.state:
        case WriteState.BEGUN if rules.intent_before_commit:
            yield "durable", _durable(world, at, running)
        case WriteState.BEGUN:  # the broken order: the card is written before anything is on record
            written = _write_card(world, (_number(at), running.sequence))
            yield "card executes first", _run(written, at, running._replace(state=WriteState.SENT))
        case WriteState.INTENDED:
            yield "card pulled", _to(world, at, running, WriteStep.CARD_LEFT, "record")
            yield "commit sent", _to(world, at, running, WriteStep.COMMIT_SENT, "course")
        case WriteState.SENT if not rules.intent_before_commit:
            yield (
                "durable at last",
                _run(
                    _note(world, at, Row("intent", running.newest)),
                    at,
                    running._replace(state=WriteState.COMMITTED, stage="tell then record"),
                ),
            )
        case WriteState.SENT:
            written = _write_card(world, (_number(at), running.sequence))
            yield "pulled before the commit ran", _no_proof(world, at, running, rules)
            yield "pulled before its answer", _no_proof(written, at, running, rules)
            yield "proven", _to(written, at, running, WriteStep.PROVEN, "tell then record")


def _no_proof(world: World, at: int, running: Running, rules: Rules) -> World:
    after = _to(world, at, running, WriteStep.NO_PROOF, "course")
    if rules.unknown_is_open:
        return _idle(after, at)  # the row that says "unresolved" ends nothing
    return _idle(_note(after, at, Row("not_committed", (0, running.sequence))), at)


def _durable(world: World, at: int, running: Running) -> World:
    return _to(
        _note(world, at, Row("intent", running.newest)), at, running, WriteStep.INTENT_DURABLE, "course"
    )


def _to(world: World, at: int, running: Running, step: WriteStep, stage: str) -> World:
    return _run(world, at, running._replace(state=Course(running.state).take(step), stage=stage))


def _crash(world: World, at: int, running: Running) -> World:
    Course(running.state).take(WriteStep.TERMINAL_LOST)
    return _idle(world, at)._replace(crashes=world.crashes + 1)


def _write_card(world: World, tap: TapId) -> World:
    charges = world.wish_charges + 1
    if charges > 1:
        raise Broken("one ride was charged twice")
    if tap in world.events:
        raise Broken("two writes carry one number")
    return world._replace(
        events=(*world.events, tap), wish_charges=charges, wish_events=(*world.wish_events, tap)
    )


def _told(world: World, at: int, running: Running) -> World:
    return _idle(_grant(world, running), at)


def _grant(world: World, running: Running) -> World:
    """The passenger hears "go". That ride is on the card and on record, and the next wish is another one."""
    terminal, number = ride = (world.events[-1][0], world.events[-1][1])
    if ride == ISSUED or world.journals[terminal - 1][number - 1].kind != "intent":
        raise Broken("a ride was granted without charge or record")
    return world._replace(granted=world.granted + 1, wish_charges=0)


def _end_row(running: Running) -> Row:
    kind = {WriteState.COMMITTED: "committed", WriteState.NOT_COMMITTED: "not_committed"}[running.state]
    return Row(kind, (0, running.sequence))


def _note(world: World, at: int, row: Row) -> World:
    journals = list(world.journals)
    journals[at] = (*journals[at], row)
    return world._replace(journals=(journals[0], journals[1]))


def _run(world: World, at: int, running: Running) -> World:
    both = list(world.running)
    both[at] = running
    return world._replace(running=(both[0], both[1]))


def _idle(world: World, at: int) -> World:
    both = list(world.running)
    both[at] = None
    return world._replace(running=(both[0], both[1]))


def _number(at: int) -> int:
    return at + 1


def _event(tap: TapId) -> Event:
    return Event(
        kind=EventKind.RIDE,
        at=SOME_TIME,
        terminal=tap[0],
        sequence=tap[1],
        balance_after_minor=0,
        amount_minor=0,
    )


def check_books(world: World, rows: tuple[int, int] | None = None) -> Reconciliation:
    """What the real collector makes of the first `rows` of each journal must be what the card holds.

    Every intent charges another power of two, so that the sum names the taps counted.
    """
    held = rows or (len(world.journals[0]), len(world.journals[1]))
    taps = [
        (at + 1, number)
        for at in (0, 1)
        for number, row in enumerate(world.journals[at][: held[at]], 1)
        if row.kind == "intent"
    ]
    price = {tap: 1 << place for place, tap in enumerate(taps)}
    found = reconcile(
        (
            StoredRecord(at + 1, number, build_record(_record(row, price.get((at + 1, number), 0))))
            for at in (0, 1)
            for number, row in enumerate(world.journals[at][: held[at]], 1)
        ),
        CardRegistry(),
    )
    counted = {tap for tap in taps if found.total.charged_minor & price[tap]}
    if found.findings or not counted <= set(world.events):
        raise Broken(f"the collector counts {counted}, the card holds {world.events}: {found.findings}")
    if found.total.not_committed + found.total.unresolved_open < len(set(taps) - set(world.events)):
        raise Broken("the collector counts a ride the card does not hold")
    if found.total.not_committed > len(set(taps) - set(world.events)):
        raise Broken("the collector forgets a ride the card holds")
    return found


def _record(row: Row, charge_minor: int) -> AnyRecord:
    prev_terminal, prev_sequence = row.about
    match row.kind:
        case "intent":
            return Intent(
                0, CARD, "bus", 0, 0, 0, 0, "ok_fare", charge_minor, 0, 0, 1, "", (),
                prev_terminal, prev_sequence, b"", (), {},
            )  # fmt: skip
        case "committed":
            return Committed(0, prev_sequence, None, b"", SettledBy.RECOVERED)
        case "not_committed":
            return NotCommitted(0, prev_sequence, SettledBy.RECOVERED)
        case _:
            return Unwritten(
                0, CARD, "bus", 0, "read_again", Admission.REFUSED, "", (), prev_terminal, prev_sequence
            )


def check_closing(world: World, rules: Rules) -> None:
    """Undisturbed from here, one late tap at each terminal, everything sent: nothing is open, and all agrees."""
    for terminal in (0, 1, 0):
        world = _present(world, terminal, soon=False)
        while on_card(world) is not None:
            steps = dict(successors(world, rules, (0, 0)))
            world = next(steps[name] for name in QUIET_STEPS if name in steps)
    found = check_books(world)
    if found.total.unresolved_open:
        raise Broken(f"{found.total.unresolved_open} taps stay open for ever")
    if found.total.accepted != len(set(world.events)) - 1:
        raise Broken("the collector does not count every ride the card holds")


QUIET_STEPS = (
    "settled: tell", "settled: record", "settled: serve", "cannot tell", "nothing to settle", "already paid",
    "begin", "durable", "commit sent", "proven", "card executes first", "durable at last", "told", "recorded",
)  # fmt: skip
"""What happens when nothing goes wrong, in a presentation's order."""
