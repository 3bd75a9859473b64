"""The pages of a canteen's console. Each reads the counter under the terminal's lock, briefly, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.structs import replace

from terminal.canteen.counter import CanteenCounter
from terminal.canteen.ordering import next_school_day
from terminal.clock import from_unix_ms
from terminal.decision.canteen.undo import against_attendance, against_order
from terminal.decision.outcome import Message
from terminal.journal.canteen_records import BuffetSale, IssueRefused, MealServed, ServedBy
from terminal.policy.document.meals import BY_SHIFT
from terminal.screen.console.actions import Written
from terminal.screen.console.canteen.buffet import COUNT, MOST_OF_ONE, basket_of, products_of, till
from terminal.screen.console.canteen.counter import (
    Expected,
    dishes_now,
    meal_now,
    why,
)
from terminal.screen.console.canteen.look import (
    AT,
    ATTENDANCE,
    CASHIER,
    GROUP,
    NO_RECORD,
    NOT_LISTED,
    Look,
    looking,
    pupil_of,
)
from terminal.screen.console.canteen.people import Person, classes, classmates, person, search
from terminal.screen.console.canteen.record_pages import record_pages
from terminal.screen.console.canteen.report import DoneLine, done_lines
from terminal.screen.console.canteen.report_pages import report_pages
from terminal.screen.console.canteen.school_class import WAYS, IssueResult, tick_list
from terminal.screen.console.console import ActionRefused, TapsAre
from terminal.screen.console.visit import FormFields, Page, View, Visit
from terminal.texts import N_

EARLIER: Final = 6
NOT_SERVED: Final = frozenset({Message.CARD_READ, Message.CODE_CHECK})
"""Taps that only say who stands there, or wait for the cashier."""


class CanteenPages:
    """All pages; keeps whom the meals of the day are for between two views."""

    def __init__(self, results: Callable[[str], tuple[IssueResult, ...] | None]) -> None:
        """`results`: what this run remembers of a list that was issued (`CanteenActions.results`)."""
        self._expected = Expected()
        self._results = results

    def pages(self) -> tuple[Page, ...]:
        """As the console's area lists them; the first page a role has is where it begins."""
        return (
            Page(f"{AT}/counter", CASHIER, looking(self._counter), N_("Serving")),
            Page(f"{AT}/printed", CASHIER, looking(_printed)),
            Page(f"{AT}/class", GROUP, looking(_class), N_("Class")),
            Page(f"{AT}/class-done", GROUP, self._class_done),
            Page(f"{AT}/buffet", CASHIER, _buffet, N_("Buffet"), f"{AT}/sell", TapsAre.BUYER),
            Page(f"{AT}/pupils", CASHIER, looking(_pupils), taps=TapsAre.WHO),
            Page(f"{AT}/pupil", CASHIER, looking(_pupil), taps=TapsAre.WHO),
            *record_pages(),
            Page(f"{AT}/attendance", ATTENDANCE, looking(_attendance), N_("Who is absent")),
            *report_pages(),
            Page(f"{AT}/shift", CASHIER, looking(_shift), N_("Shift")),
        )

    def _counter(self, look: Look) -> View:
        taps = [tap for tap in look.taps() if tap.message not in NOT_SERVED]
        return look.view(
            "counter.html",
            standing=taps[0] if taps else None,
            earlier=taps[1 : EARLIER + 1],
            meal=meal_now(look.counter, self._expected, look.now),
            dishes=dishes_now(look.counter, look.now),
            printed=printed_waiting(look),
        )

    def _class_done(self, visit: Visit) -> View:
        """The rows are looked up outside the lock: they are in the journal and do not change any more."""
        action, actions = visit.query.text("action"), visit.console.actions
        if not any(actions.genuine(action, visit.who.ref, f"{AT}/{form}") for form in ("issue", "single")):
            raise ActionRefused(NO_RECORD)
        written = actions.written(action)

        def show(look: Look) -> View:
            on_record = results_of(look.counter, written)
            refs = {one.person.ref for one in on_record}
            noted = (one for one in self._results(action) or () if one.person.ref not in refs)
            return _done(look, (*on_record, *noted))

        return looking(show)(visit)


class PrintedPupil(Struct, frozen=True):
    """A printed code that waits: its name in forms, and whose it is by the class list; None for one not in it."""

    key: str
    person: Person | None


def printed_waiting(look: Look) -> PrintedPupil | None:
    """What a pupil without card and phone has shown, and waits for the cashier's word (M-35)."""
    codes = look.visit.console.terminal.codes
    one = None if codes is None else codes.waiting(look.now)
    return None if one is None else PrintedPupil(one.key, person(look.counter, one.person or b""))


def _printed(look: Look) -> View:
    return look.view("printed.html", printed=printed_waiting(look))


def _class(look: Look) -> View:
    query, everywhere = look.visit.query, classes(look.counter)
    class_id = query.text("id")
    if not class_id:
        return look.view("classes.html", classes=everywhere)
    if class_id not in everywhere:
        raise ActionRefused(NOT_LISTED)
    meal = query.text("meal")
    kind = meal if meal in (*look.counter.policy.meals.kinds, BY_SHIFT) else ""
    listed = tick_list(look.counter, class_id, kind, look.now)
    return look.view("class.html", list=listed, ways=WAYS, second_asked=False)


def _buffet(visit: Visit) -> View:
    """What the deed of this address has written is looked up outside the lock: it does not change any more."""
    sold = any(isinstance(record, BuffetSale) for _, record in visit.console.actions.written(visit.once))
    return looking(lambda look: _shelf(look, done=sold))(visit)


def _shelf(look: Look, *, done: bool) -> View:
    """The buffet follows the card: with nothing in the basket the pupil whose card came last is the buyer."""
    query, console = look.visit.query, look.visit.console
    ref, seen = query.text("pupil"), query.number("seen", 0, 1 << 40, 0)
    last = look.last_person() if console.tap_count > seen else None
    counts = basket_of(query.text, products_of(look.counter))
    for name, step in (("add", 1), ("less", -1)):
        product = query.text(name)
        if product:
            counts[product] = min(counts.get(product, 0) + step, MOST_OF_ONE)
    words = query.text("find")
    follows = (last is not None and not ref) or (last is not None and not counts)
    buyer = last if follows else pupil_of(look.counter, ref) if ref else None
    shown = till(look.counter, buyer.pupil if buyer else None, counts, words, look.now)
    return look.view(
        "buffet.html",
        till=shown,
        find=words,
        keep=urlencode({COUNT + ware.id: ware.count for ware in shown.basket}),
        standing=last if last is not None and buyer is not None and last.ref != buyer.ref else None,
        sold=_sold(look),
        done=done,
        taps_seen=console.tap_count,
        follow=not shown.basket,
    )


def _sold(look: Look) -> DoneLine | None:
    """The sale the buyer's page comes back from."""
    row = look.visit.query.text("sold")
    ref = look.visit.query.text("of")
    if not row or not ref:
        return None
    lines = done_lines(look.counter, look.now, of=pupil_of(look.counter, ref).pupil)
    return next((line for line in lines if str(line.row) == row), None)


def _pupils(look: Look) -> View:
    query = look.visit.query
    words, target = query.text("q"), query.text("for")
    basket = basket_of(query.text, products_of(look.counter))
    kept = urlencode({COUNT + product: count for product, count in basket.items()})

    def address(one: Person) -> str:
        if target == ServedBy.BUFFET:
            seen = {"pupil": one.ref, "seen": look.visit.console.tap_count}
            if look.visit.once:
                seen["once"] = look.visit.once
            return f"{AT}/buffet?{urlencode(seen)}{'&' + kept if kept else ''}"
        return f"{AT}/pupil?{urlencode({'ref': one.ref})}"

    return look.view(
        "pupils.html",
        q=words,
        deed=look.visit.once,
        basket=basket,
        kept=f"&once={look.visit.once}&{kept}" if look.visit.once else "",
        target=ServedBy.BUFFET if target == ServedBy.BUFFET else "",
        found=search(look.counter, words),
        address=address,
        standing=look.last_person(),
        classes=classes(look.counter),
    )


def _pupil(look: Look) -> View:
    return _of_pupil(look, look.person())


def pupil_again(visit: Visit, form: FormFields) -> View:
    """The pupil's page again, when what was asked for him was refused."""
    return looking(lambda look: _of_pupil(look, pupil_of(look.counter, form.text("ref"))))(visit)


def _of_pupil(look: Look, one: Person) -> View:
    facts = look.counter.pupil(one.pupil, look.now)
    assert facts is not None, "the pupil was found in the list"
    kind = look.counter.policy.meals.kind_at(look.counter.time_of(look.now), look.counter.school)
    unknown = (tap.card for tap in look.taps() if tap.person is None and tap.card)
    return look.view(
        "pupil.html",
        person=one,
        without=tuple(sorted(facts.forbidden)),
        lines=done_lines(look.counter, look.now, of=one.pupil),
        kinds=tuple(look.counter.policy.meals.kinds),
        kind=look.counter.serving or ("" if kind is None else kind.id),
        spare=next(unknown, ""),
        orders=_orders_ahead(look, one),
        hot_minor=None if facts.hot is None else facts.hot.balance_minor,
        standing=look.last_person(),
        done=look.visit.query.text("done"),
    )


class OrdersAhead(Struct, frozen=True):
    """What is ordered for a pupil's next school day, by kind; `too_late` after the cut-off."""

    day: str
    kinds: tuple[tuple[str, bool], ...]
    too_late: bool


def _orders_ahead(look: Look, one: Person) -> OrdersAhead:
    counter = look.counter
    known, day = counter.known(), next_school_day(counter, one.pupil, look.now)
    assert known is not None, "the pupil was found in the list"
    ordered = known.orders(known.roster.pupils[one.pupil], day)
    placed = look.now.astimezone(counter.policy.zone)
    late = against_order(placed, day, counter.policy.meals, counter.school) is not None
    kinds = tuple((kind, kind in ordered) for kind in counter.policy.meals.kinds)
    return OrdersAhead(day.isoformat(), kinds, late)


def ticks_again(visit: Visit, form: FormFields) -> View:
    """The class's list again with its ticks, and with fields for the second person (M-35)."""
    ticked = frozenset(form.all("ref"))

    def show(look: Look) -> View:
        listed = tick_list(look.counter, form.text("class"), form.text("meal"), look.now)
        lines = tuple(replace(line, ticked=line.open and line.person.ref in ticked) for line in listed.lines)
        return look.view(
            "class.html", list=replace(listed, lines=lines), ways=WAYS, second_asked=bool(ticked)
        )

    return looking(show)(visit)


def _attendance(look: Look) -> View:
    class_id = look.visit.query.text("id")
    until = look.counter.policy.meals.document.attendance.until
    shared: dict[str, Any] = {"attendance_until": f"{until:%H:%M}", "attendance_open": _attendance_open(look)}
    if not class_id:
        counts = {name: _absent(look, name) for name in classes(look.counter)}
        return look.view("attendance_classes.html", classes=counts, **shared)
    if class_id not in classes(look.counter):
        raise ActionRefused(NOT_LISTED)
    return look.view("attendance.html", list=tick_list(look.counter, class_id, "", look.now), **shared)


def _absent(look: Look, class_id: str) -> int:
    day = look.counter.day_of(look.now).isoformat()
    return sum(look.counter.ledger.absent(one.pupil, day) for one in classmates(look.counter, class_id))


def _attendance_open(look: Look) -> bool:
    local = look.now.astimezone(look.counter.policy.zone)
    return against_attendance(local, look.counter.day_of(look.now), look.counter.policy.meals) is None


def _shift(look: Look) -> View:
    shift = look.visit.console.terminal.journal.open_shift
    opened = None if shift is None else from_unix_ms(shift.at_ms).astimezone(look.counter.policy.zone)
    return look.view("shift.html", shift=shift, opened="" if opened is None else f"{opened:%H:%M}")


def results_of(counter: CanteenCounter, written: Written) -> tuple[IssueResult, ...]:
    """What came of each pupil of a list, from the rows it was written down in."""
    found = []
    for _, record in written:
        if not isinstance(record, MealServed | IssueRefused):
            continue
        one = person(counter, record.pupil) or Person(record.pupil.hex(), "", "")
        if isinstance(record, MealServed):
            found.append(IssueResult(one, Message.MEAL_OK, served=True, why="", meal=record.meal.kind))
        else:
            reason = why(record.reasons)
            meal = next((str(step.inputs["meal"]) for step in record.reasons if "meal" in step.inputs), "")
            found.append(IssueResult(one, Message(record.message), served=False, why=reason, meal=meal))
    return tuple(found)


def _kind_of(results: tuple[IssueResult, ...]) -> str:
    """The meal, when all got the same."""
    kinds = {one.meal for one in results if one.meal}
    return kinds.pop() if len(kinds) == 1 else ""


def _done(look: Look, results: tuple[IssueResult, ...]) -> View:
    return look.view(
        "class_done.html",
        class_id=look.visit.query.text("id"),
        action=look.visit.query.text("action"),
        single=look.visit.query.text("one"),
        kind=_kind_of(results),
        served=sum(one.served for one in results),
        given=[one for one in results if one.served],
        refused=[one for one in results if not one.served],
    )
