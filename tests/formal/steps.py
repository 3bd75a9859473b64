"""Every step of the model's world, named: a card presented, what a terminal does with it, and what may go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

from cardproto.resident.records.event import Event, EventKind
from terminal.decision.outcome import Message
from terminal.media.resident.machine import SAID, Course, WriteState, WriteStep
from terminal.media.resident.settle import settle, tap_of
from tests.formal.claims import begins, check_exit, check_marks, check_period, check_ride
from tests.formal.rides import (
    CLOCKS,
    DAY_S,
    RIDES_A_MONTH,
    SIGHTINGS,
    STOP_M,
    Asked,
    Broken,
    Decided,
    Rules,
    decided,
    month,
    second_of,
    today,
    uses,
)
from tests.formal.world import (
    EVENTS,
    KEPT_EVENTS,
    Bounds,
    Card,
    Presentation,
    Row,
    Running,
    World,
    number_of,
)

SOON_S: Final = 5
ON_S: Final = 600
HOUR_S: Final = 3600
SAME_WISH_S: Final = 60


def open_intent(journal: tuple[Row, ...], card: int | None) -> tuple[int, Row] | None:
    """The card's newest intent without an end: what `Journal.unresolved` says after any restart."""
    ended = {row.about[1] for row in journal if row.kind in ("committed", "not_committed")}
    for number in range(len(journal), 0, -1):
        row = journal[number - 1]
        if row.kind == "intent" and card in (row.card, None) and number not in ended:
            return number, row
    return None


def successors(world: World, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """Every next step, named. While a card is on a terminal, the undisturbed one comes first."""
    running = world.running
    if running is None:
        yield from _moves(world, bounds)
        return
    quiet_from_here = world.crashes >= bounds.crashes and world.pulls >= bounds.pulls
    if quiet_from_here:
        yield "undisturbed", undisturbed(world, rules, bounds)
        return
    yield from _steps(world, running, rules, bounds)
    if world.crashes < bounds.crashes:
        yield f"crash {running.shown.terminal}", _crash(world, running)


def undisturbed(world: World, rules: Rules, bounds: Bounds) -> World:
    """What becomes of the card on the terminal when nothing goes wrong."""
    while world.running is not None:
        _, world = next(_steps(world, world.running, rules, bounds))
    return world


def _moves(world: World, bounds: Bounds) -> Iterator[tuple[str, World]]:
    if world.presentations >= bounds.presentations:
        return
    if bounds.denial and not world.denied:
        yield "the first card is denied", world._replace(denied=True)
    for move in bounds.moves if world.presentations else bounds.moves[-1:]:  # the first one follows nothing
        for card in range(len(world.cards)):
            for terminal in range(bounds.terminals if world.presentations else 1):  # the terminals are alike
                for clock, sighting in product(bounds.clocks, bounds.sightings):
                    name = f"{move}: card {card} at {terminal}, clock {clock}, place {sighting}"
                    yield name, present(world, move, card, terminal, clock, sighting)


def present(
    world: World, move: str, card: int, terminal: int, clock: str = "right", sighting: str = "exact"
) -> World:
    """The rider's next move, as the module describes."""
    now_s, trip, mark_m = world.now_s, world.trip, world.mark_m
    hour_s = (3 * (1 + world.presentations)) % 15 * HOUR_S + SOON_S * world.presentations
    match move:
        case "soon":
            now_s += SOON_S
        case "on":
            now_s, mark_m = now_s + ON_S, min(mark_m + STOP_M, 3 * STOP_M)
        case "late":
            now_s, trip, mark_m = max(now_s // DAY_S * DAY_S + hour_s, now_s + HOUR_S), 1 - trip, 0
        case "tomorrow":
            now_s, trip, mark_m = (now_s // DAY_S + 1) * DAY_S + hour_s, 1 - trip, 0
        case "months later":
            now_s, trip, mark_m = (now_s // DAY_S + 70) * DAY_S + hour_s, 1 - trip, 0
    shown = Presentation(card, terminal, clock, now_s + CLOCKS[clock].days * DAY_S, trip, mark_m, sighting)
    held = world.cards[card]
    if held.wish is None or trip != held.wish[1] or now_s - held.wish[0] > SAME_WISH_S:
        held = held._replace(wish=(now_s, trip), wish_events=(), told=False)
    world = world._replace(now_s=now_s, trip=trip, mark_m=mark_m, presentations=world.presentations + 1)
    return _run(_card(world, card, held), Running("opened", shown, tap_of(held.newest)))


def _steps(world: World, running: Running, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """What may happen next but for a crash, the undisturbed step first."""
    match running.stage:
        case "opened":
            yield _settle(world, running, rules)
            row = Row("refused", running.shown.card, running.newest)
            yield "card pulled before anything", _pulled(_note(_idle(world), running, row))
        case "served":
            yield _serve(world, running, rules, bounds)
        case "record":
            yield "recorded", _idle(_note(world, running, _end_row(running)))
        case "tell":
            yield "told", _idle(_grant(world, running))
        case "tell then record":
            yield "told", _run(_grant(world, running), running._replace(stage="record"))
        case "course":
            yield from _course(world, running, rules)


def _settle(world: World, running: Running, rules: Rules) -> tuple[str, World]:
    shown, journal = running.shown, world.journals[running.shown.terminal]
    found = open_intent(journal, shown.card if rules.settle_by_card else None)
    if found is None or not rules.settle_before_serve:
        return "nothing to settle", _run(world, running._replace(stage="served"))
    sequence, row = found
    held = world.cards[shown.card]
    kept = [EVENTS[number] for number in reversed(held.events[-KEPT_EVENTS:])]
    intended = (shown.terminal + 1, sequence)
    verdict = settle(kept[0], lambda: kept, intended, row.about)
    state = Course(WriteState.UNRESOLVED).take(SAID[verdict])
    if state is WriteState.UNRESOLVED:
        return "cannot tell", _run(world, running._replace(stage="served"))
    if row.card != shown.card:
        raise Broken("the write of one card was settled by another")
    ended = running._replace(sequence=sequence, state=state, recovered=True)
    if state is WriteState.COMMITTED and running.newest == intended and _just_now(held.newest, running):
        if rules.tell_before_record:
            return "settled: tell", _run(world, ended._replace(stage="tell then record"))
        noted = _note(world, running, _end_row(ended))
        return "settled: record", _run(noted, ended._replace(stage="tell"))
    served = running._replace(stage="served", recovered=state is WriteState.COMMITTED)
    return "settled: serve", _run(_note(world, running, _end_row(ended)), served)


def _just_now(newest: Event, running: Running) -> bool:
    """Whether the newest event was written so soon before, by this terminal's clock, that this is the same wish."""
    return abs(running.shown.at_s - second_of(newest)) <= SAME_WISH_S


def _serve(world: World, running: Running, rules: Rules, bounds: Bounds) -> tuple[str, World]:
    shown = running.shown
    journal, held = world.journals[shown.terminal], world.cards[shown.card]
    other = next((card.events[-1] for n, card in enumerate(world.cards) if n != shown.card), -1)
    denied = world.denied and shown.card == 0
    sequence = len(journal) + 1
    found = _decided(
        shown, held.events[-1], other, world.denied, sequence, bounds.check_in, running.recovered, rules
    )
    if (found.message is Message.BLOCKED) != denied:
        raise Broken("the deny list refused another card, or not the one that is on it")
    asked = _asked(shown, held.newest, denied=denied)
    check_exit(held.inside if bounds.check_in else None, found, asked, shown.trip)
    check_marks(found, asked)
    if found.written is not None:
        begun = running._replace(
            stage="course", sequence=sequence, state=WriteState.BEGUN, planned=number_of(found.written)
        )
        return "begin", _run(world, begun)
    refused = _note(_idle(world), running, Row("refused", shown.card, running.newest))
    if not found.let_in:
        return "refused", refused
    return "already paid", _grant(refused, running)


@cache
def _decided(
    shown: Presentation,
    event: int,
    other: int,
    denied: bool,
    sequence: int,
    check_in: bool,
    recovered: bool,
    rules: Rules,
) -> Decided:
    asked = _asked(
        shown, EVENTS[event], EVENTS[other] if other >= 0 else None, denied, sequence, check_in, recovered
    )
    return decided(asked, rules)


def _asked(
    shown: Presentation,
    event: Event,
    other: Event | None = None,
    denied: bool = False,
    sequence: int = 0,
    check_in: bool = False,
    recovered: bool = False,
) -> Asked:
    """The presentation as the decision sees it; on every other trip somebody rides along."""
    companions = shown.trip if shown.mark_m == 0 else 0
    return Asked(
        card=shown.card,
        event=event,
        other_event=other,
        denied=denied,
        terminal=shown.terminal + 1,
        sequence=sequence,
        at_s=shown.at_s,
        clock=CLOCKS[shown.clock],
        direction=shown.trip,
        mark_m=shown.mark_m,
        companions=companions,
        check_in=check_in,
        recovered=recovered,
        sighting=SIGHTINGS[shown.sighting],
    )


def _course(world: World, running: Running, rules: Rules) -> Iterator[tuple[str, World]]:
    """The steps of one write: the table says where each leads."""
    match running.state:
        case WriteState.BEGUN if rules.intent_before_commit:
            yield "durable", _durable(world, running)
        case WriteState.BEGUN:  # the broken order: the card is written before anything is on record
            written = _write_card(world, running)
            yield "card executes first", _run(written, running._replace(state=WriteState.SENT))
        case WriteState.INTENDED:
            yield "commit sent", _to(world, running, WriteStep.COMMIT_SENT, "course")
            yield "card pulled", _pulled(_to(world, running, WriteStep.CARD_LEFT, "record"))
        case WriteState.SENT if not rules.intent_before_commit:
            ended = running._replace(state=WriteState.COMMITTED, stage="tell then record")
            yield "durable at last", _run(_note(world, running, _intent_row(running)), ended)
        case WriteState.SENT:
            written = _write_card(world, running)
            yield "proven", _to(written, running, WriteStep.PROVEN, "tell then record")
            yield "pulled before the commit ran", _pulled(_no_proof(world, running, rules))
            yield "pulled before its answer", _pulled(_no_proof(written, running, rules))


def _no_proof(world: World, running: Running, rules: Rules) -> World:
    after = _to(world, running, WriteStep.NO_PROOF, "course")
    if rules.unknown_is_open:
        return _idle(after)  # the row that says "unresolved" ends nothing
    return _idle(_note(after, running, Row("not_committed", running.shown.card, (0, running.sequence))))


def _durable(world: World, running: Running) -> World:
    return _to(_note(world, running, _intent_row(running)), running, WriteStep.INTENT_DURABLE, "course")


def _to(world: World, running: Running, step: WriteStep, stage: str) -> World:
    return _run(world, running._replace(state=Course(running.state).take(step), stage=stage))


def _crash(world: World, running: Running) -> World:
    if running.stage == "course":
        Course(running.state).take(WriteStep.TERMINAL_LOST)
    return _idle(world)._replace(crashes=world.crashes + 1)


def _write_card(world: World, running: Running) -> World:
    """The card executes the commit: here it is seen whether that may be."""
    shown, held, after = running.shown, world.cards[running.shown.card], EVENTS[running.planned]
    days = CLOCKS[shown.clock].days
    again = (
        bool(held.wish_events) and held.wish_events[-1][1] == days
    )  # clocks that disagree forgive no second tap
    if again and not (held.told and after.kind is EventKind.RIDE):
        raise Broken("one ride was charged twice")
    if any(tap_of(after) in card.held for card in world.cards):
        raise Broken("two writes carry one number")
    asked = _asked(shown, held.newest)
    inside = check_ride(held.inside, after, asked, shown.trip)
    check_period(held.newest, after, asked)
    used, begun = held.used + uses(after), held.begun + begins(held.newest, after, asked)
    misled = held.misled or bool(asked.clock.days and not asked.clock.suspect)
    if used > RIDES_A_MONTH * (1 + begun):
        raise Broken(f"{used} free rides in {1 + begun} months")
    if not misled and used > RIDES_A_MONTH * _months(world.now_s):
        raise Broken(f"{used} free rides in {_months(world.now_s)} months, and no clock to blame")
    return _card(
        world,
        shown.card,
        held._replace(
            events=(*held.events, running.planned),
            wish_events=(*held.wish_events, (tap_of(after), days)),
            inside=inside,
            told=False,
            used=used,
            begun=begun,
            misled=misled,
        ),
    )


@cache
def _months(now_s: int) -> int:
    """How many months the true time has seen since the start, the first included."""
    (year, first), (later_year, last) = month(today(0)), month(today(now_s))
    return 12 * (later_year - year) + last - first + 1


def _grant(world: World, running: Running) -> World:
    """The passenger hears "go": the ride is on the card and on record, and it is the one wished for."""
    held = world.cards[running.shown.card]
    terminal, number = ride = tap_of(held.newest)
    if terminal == 0 or world.journals[terminal - 1][number - 1].kind != "intent":
        raise Broken("a ride was granted without charge or record")
    if ride not in (tap for tap, _ in held.wish_events):
        raise Broken("a ride was granted for what was charged before")
    return _card(world, running.shown.card, held._replace(told=True))


def _intent_row(running: Running) -> Row:
    return Row("intent", running.shown.card, running.newest)


def _end_row(running: Running) -> Row:
    kind = {WriteState.COMMITTED: "committed", WriteState.NOT_COMMITTED: "not_committed"}[running.state]
    return Row(kind, running.shown.card, (0, running.sequence))


def _note(world: World, running: Running, row: Row) -> World:
    journals = list(world.journals)
    journals[running.shown.terminal] = (*journals[running.shown.terminal], row)
    return world._replace(journals=(journals[0], journals[1]))


def _card(world: World, number: int, card: Card) -> World:
    return world._replace(cards=(*world.cards[:number], card, *world.cards[number + 1 :]))


def _run(world: World, running: Running) -> World:
    return world._replace(running=running)


def _idle(world: World) -> World:
    return world._replace(running=None)


def _pulled(world: World) -> World:
    return world._replace(pulls=world.pulls + 1)
