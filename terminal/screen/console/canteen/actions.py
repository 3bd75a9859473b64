"""What a canteen's console does: each form once, whatever happens to page, browser or terminal in between.

The rows carry the form's id (`terminal.journal.action`). A class is many rows: when the terminal died in the middle,
the same form goes on with those who have none yet.

`canteen_area` is the canteen's part of the console: these actions and its pages, for cashier, teacher and meal officer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlencode

from terminal.canteen import corrections
from terminal.canteen.buffet import sell
from terminal.canteen.closing import close_day
from terminal.canteen.counter import CanteenCounter
from terminal.canteen.issuing import How, ServingList, issue, issue_asked, require_whole
from terminal.canteen.ordering import next_school_day, order_meal
from terminal.decision.canteen.serving import ALL_ANSWERED
from terminal.decision.outcome import Message
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import (
    AttendanceCorrected,
    BuffetSale,
    IssueRefused,
    MealServed,
    NotCollected,
)
from terminal.journal.journal import Journal
from terminal.journal.records import parse_record
from terminal.policy.document.meals import BY_SHIFT
from terminal.screen.console.actions import PAGE_ROWS, Written
from terminal.screen.console.canteen.buffet import basket_of, products_of
from terminal.screen.console.canteen.counter import pupil_at, why
from terminal.screen.console.canteen.look import (
    AFTERWARDS,
    AT,
    ATTENDANCE,
    CANTEEN_STAFF,
    CASHIER,
    GROUP,
    REPORT,
    Look,
    pupil_of,
)
from terminal.screen.console.canteen.pages import CanteenPages, printed_waiting, pupil_again, ticks_again
from terminal.screen.console.canteen.record_pages import (
    annul_again,
    annul_list_again,
    list_rows,
    owner_of_row,
)
from terminal.screen.console.canteen.school_class import WAYS, IssueResult, answers_of, results_of, ticked_of
from terminal.screen.console.canteen.words import REFUSALS, WHYS, Words
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Visit
from terminal.texts import N_
from terminal.trip.shifts import close_shift, open_shift

NONE_TICKED: Final = N_("No pupil is ticked.")
EMPTY_BASKET: Final = N_("The basket is empty.")
NONE_WAITS: Final = N_("No printed code waits. Let it be shown again.")
NO_MEAL: Final = N_("Choose the meal first.")
KEEP_RESULTS: Final = 32


class CanteenActions:
    """All actions; remembers the newest results, so that they can be shown when the journal takes no rows (O-06)."""

    def __init__(self) -> None:
        self._results: OrderedDict[str, tuple[IssueResult, ...]] = OrderedDict()

    def actions(self) -> tuple[Action, ...]:
        """As the console's area lists them."""
        return (
            Action(
                f"{AT}/issue",
                GROUP,
                self._issue,
                _issued,
                resumes=True,
                first=second_person_if_given,
                again=ticks_again,
            ),
            Action(f"{AT}/answer", CASHIER, self._answer, _answered),
            Action(f"{AT}/printed", CASHIER, _check_printed, lambda _visit, _form, _written: f"{AT}/counter"),
            Action(f"{AT}/order", CASHIER, _order, _ordered, again=pupil_again),
            Action(f"{AT}/sell", CASHIER, _sell, _sold),
            Action(
                f"{AT}/annul", CASHIER, _annul, _annulled, first=second_person_if_given, again=annul_again
            ),
            Action(
                f"{AT}/annul-list",
                CASHIER,
                _annul_list,
                _annulled,
                resumes=True,
                first=second_person_if_given,
                again=annul_list_again,
            ),
            Action(f"{AT}/not-collected", AFTERWARDS, _mark, _marked),
            Action(f"{AT}/attendance", ATTENDANCE, _correct, _corrected, resumes=True),
            Action(
                f"{AT}/single", CASHIER, self._single, _single_result, first=second_person, again=pupil_again
            ),
            Action(f"{AT}/lend", CASHIER, _lend, _lent, first=second_person, again=pupil_again),
            Action(f"{AT}/shift-open", CASHIER, _open_shift, _to_shift),
            Action(f"{AT}/shift-close", CASHIER, _close_shift, _to_shift),
            Action(f"{AT}/close", REPORT, _close, lambda _visit, _form, _written: f"{AT}/report"),
        )

    def results(self, action: str) -> tuple[IssueResult, ...] | None:
        """What this run of the terminal remembers of a list; None: look at the rows."""
        return self._results.get(action)

    def _issue(self, visit: Visit, form: FormFields, written: Written) -> None:
        counter = counter_of(visit)
        kind, how = _kind(counter, form), _how(form)
        done = {record.pupil for _, record in written if isinstance(record, MealServed | IssueRefused)}
        done |= {one.person.pupil for one in self._results.get(form.text("action"), ())}
        refs = ticked_of(counter, form.text("class"), frozenset(form.all("ref")))
        if not refs:
            raise ActionRefused(NONE_TICKED)
        answered = answers_of(form.all("asked"))
        batch = ServingList(
            kind, how, visit.who.ref, visit.console.clock.now(), form.text("second"), answered
        )
        with refusing():
            if not done:
                require_whole(counter, refs, batch)
            issued = issue(counter, [ref for ref in refs if ref not in done], batch)
        self._remember(form.text("action"), results_of(counter, issued))

    def _single(self, visit: Visit, form: FormFields, _written: Written) -> None:
        counter, one = counter_of(visit), pupil_of(counter_of(visit), form.text("ref"))
        if form.text("action") in self._results:  # done while the journal took no rows
            return
        now = visit.console.clock.now()
        batch = ServingList(_kind(counter, form), How.FORGOTTEN_CARD, visit.who.ref, now, form.text("second"))
        with refusing():
            self._remember(form.text("action"), results_of(counter, issue(counter, [one.pupil], batch)))

    def _answer(self, visit: Visit, form: FormFields, _written: Written) -> None:
        """The cashier says yes to what a tap left to him."""
        counter, now = counter_of(visit), visit.console.clock.now()
        heard = next((one for one in visit.console.heard_taps if one.key == form.text("tap")), None)
        pupil = None if heard is None else pupil_at(counter, heard.report, now)
        if heard is None or pupil is None:
            raise ActionRefused(N_("Hold the card against the terminal again."))
        if form.text("action") in self._results:  # done while the journal took no rows
            return
        kind, asked = str(heard.report.outcome.values.get("meal", "")), ALL_ANSWERED
        batch = ServingList(kind, How.ASKED, visit.who.ref, now, "", {pupil.ref: asked})
        with refusing():
            issued = issue_asked(counter, pupil, batch)
        self._remember(form.text("action"), results_of(counter, [issued]))
        if not issued.outcome.accepted:
            raise not_given(visit, Message(issued.outcome.message), why(issued.facts))

    def _remember(self, action: str, results: tuple[IssueResult, ...]) -> None:
        self._results[action] = (*self._results.pop(action, ()), *results)
        while len(self._results) > KEEP_RESULTS:
            self._results.popitem(last=False)


def counter_of(visit: Visit) -> CanteenCounter:
    """The counter; actions are for a canteen's terminal."""
    counter = visit.console.terminal.canteen
    assert counter is not None, "the canteen's actions are for a canteen's terminal"
    return counter


def second_person_if_given(visit: Visit, form: FormFields) -> None:
    """As `second_person`, where the form names one. Raises `ActionRefused`."""
    if form.text("second") or form.text("second_pin"):
        second_person(visit, form)


def not_given(visit: Visit, message: Message, reason: str) -> ActionRefused:
    """Why a portion was not given after all."""
    words = Words(visit.language)
    details = {"message": words.message(message), "why": words.why(reason)}
    return ActionRefused(N_("Not handed out: {message}. {why}"), details)


def second_person(visit: Visit, form: FormFields) -> None:
    """M-35: another member of staff confirms, with number and PIN. Raises `ActionRefused`."""
    visit.console.confirm(visit.who, form.text("second"), form.text("second_pin"), CANTEEN_STAFF)


@contextmanager
def refusing() -> Iterator[None]:
    """A rule of the canteen that stands against it becomes a line for the operator."""
    try:
        yield
    except CanteenRefused as refused:
        raise ActionRefused(REFUSALS[refused.code]) from refused


def _check_printed(visit: Visit, form: FormFields, _written: Written) -> None:
    """M-35: the cashier saw that the pupil of the class list stands there, and the printed code is served."""
    look = Look(visit, counter_of(visit), visit.console.clock.now())
    one, codes = printed_waiting(look), visit.console.terminal.codes
    if one is None or codes is None or one.person is None or not codes.check(form.text("code"), look.now):
        raise ActionRefused(NONE_WAITS)


def _kind(counter: CanteenCounter, form: FormFields) -> str:
    kind = form.text("meal")
    if kind not in (*counter.policy.meals.kinds, BY_SHIFT):
        raise ActionRefused(NO_MEAL)
    return kind


def _how(form: FormFields) -> How:
    return next((way for way in WAYS if way == form.text("how")), How.CLASS_LIST)


def _issued(_visit: Visit, form: FormFields, _written: Written) -> str:
    return f"{AT}/class-done?{urlencode({'id': form.text('class'), 'action': form.text('action')})}"


def _sell(visit: Visit, form: FormFields, _written: Written) -> None:
    counter = counter_of(visit)
    buyer = pupil_of(counter, form.text("pupil"))
    counts = basket_of(form.text, products_of(counter))
    if not counts:
        raise ActionRefused(EMPTY_BASKET)
    with refusing():
        sell(counter, buyer.pupil, counts, visit.who.ref, visit.console.clock.now())


def _sold(visit: Visit, _form: FormFields, written: Written) -> str:
    row, record = written[0] if written else (0, None)
    if isinstance(record, BuffetSale):
        return f"{AT}/buffet?{urlencode({'sold': row, 'of': record.pupil.hex()})}"
    if not isinstance(record, IssueRefused):
        raise ActionRefused(WHYS["selling_stopped"])
    reason = why(record.reasons)
    words = Words(visit.language)
    details = {"message": words.message(Message(record.message)), "why": words.why(reason)}
    raise ActionRefused(N_("Not sold: {message}. {why}"), details)


def _annul(visit: Visit, form: FormFields, _written: Written) -> None:
    counter, of = counter_of(visit), form.number("row", 1, 1 << 40)
    pupil = owner_of_row(counter, of)
    now, second = visit.console.clock.now(), form.text("second")
    with refusing():
        corrections.annul(counter, pupil, visit.who.ref, now, of=of, confirmed_by=second)


def _annul_list(visit: Visit, form: FormFields, _written: Written) -> None:
    """What one form of a class wrote; one that was cut off goes on with the rest."""
    meals = list_rows(visit.console, form.text("list"))
    now, second = visit.console.clock.now(), form.text("second")
    with refusing():
        corrections.annul_list(counter_of(visit), meals, visit.who.ref, now, second)


def _order(visit: Visit, form: FormFields, _written: Written) -> None:
    """For the pupil's next school day; the same again takes it back."""
    counter, one = counter_of(visit), pupil_of(counter_of(visit), form.text("ref"))
    now, kind = visit.console.clock.now(), form.text("meal")
    day, cancelled = next_school_day(counter, one.pupil, now), form.text("cancel") == "1"
    with refusing():
        order_meal(counter, one.pupil, kind, day, visit.who.ref, now, cancelled=cancelled)


def _ordered(_visit: Visit, form: FormFields, _written: Written) -> str:
    return f"{AT}/pupil?{urlencode({'ref': form.text('ref'), 'done': 'ordered'})}"


def _answered(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/counter"


def _annulled(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/records"


def _mark(visit: Visit, form: FormFields, _written: Written) -> None:
    with refusing():
        now = visit.console.clock.now()
        corrections.mark_not_collected(counter_of(visit), form.text("meal"), visit.who.ref, now)


def _marked(_visit: Visit, _form: FormFields, written: Written) -> str:
    count = sum(isinstance(record, NotCollected) for _, record in written)
    return f"{AT}/records?{urlencode({'marked': count})}"


def _correct(visit: Visit, form: FormFields, written: Written) -> None:
    """Finishes what was cut off, unless the attendance was corrected since: then this form is old."""
    counter, class_id = counter_of(visit), form.text("class")
    if written and _corrected_after(visit.console.terminal.journal, written[-1][0]):
        return
    absent = ticked_of(counter, class_id, frozenset(form.all("ref")))
    present = set(ticked_of(counter, class_id, frozenset(form.all("listed")))) - set(absent)
    with refusing():
        now = visit.console.clock.now()
        corrections.correct_attendance(counter, absent, sorted(present), visit.who.ref, now)


def _corrected_after(journal: Journal, sequence: int) -> bool:
    while rows := journal.rows(sequence, PAGE_ROWS):
        if any(isinstance(parse_record(row.body), AttendanceCorrected) for row in rows):
            return True
        sequence = rows[-1].sequence
    return False


def _corrected(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/attendance"


def _single_result(_visit: Visit, form: FormFields, _written: Written) -> str:
    return f"{AT}/class-done?{urlencode({'one': form.text('ref'), 'action': form.text('action')})}"


def _lend(visit: Visit, form: FormFields, _written: Written) -> None:
    counter, one = counter_of(visit), pupil_of(counter_of(visit), form.text("ref"))
    try:
        card = bytes.fromhex(form.text("card"))
    except ValueError:
        raise ActionRefused(N_("Hold the spare card against the terminal first.")) from None
    now = visit.console.clock.now()
    with refusing():
        corrections.lend_card(counter, card, one.pupil, visit.who.ref, form.text("second"), now)


def _lent(_visit: Visit, form: FormFields, _written: Written) -> str:
    return f"{AT}/pupil?{urlencode({'ref': form.text('ref'), 'done': 'lent'})}"


def _open_shift(visit: Visit, _form: FormFields, _written: Written) -> None:
    """T-60: nothing is issued or sold before. One that is open stays open."""
    terminal = visit.console.terminal
    if terminal.journal.open_shift is None:
        open_shift(terminal.journal, visit.console.clock.now(), visit.who.ref, terminal.profile)


def _close_shift(visit: Visit, _form: FormFields, _written: Written) -> None:
    console = visit.console
    if console.terminal.journal.open_shift is not None:
        close_shift(console.terminal.journal, console.clock.now(), console.shift_count())


def _to_shift(_visit: Visit, _form: FormFields, _written: Written) -> str:
    return f"{AT}/shift"


def _close(visit: Visit, _form: FormFields, _written: Written) -> None:
    with refusing():
        close_day(counter_of(visit), visit.who.ref, visit.console.clock.now())


def canteen_area() -> ConsoleArea:
    """For `console_app`; one for each console."""
    canteen = CanteenActions()
    return ConsoleArea("canteen", CanteenPages(canteen.results).pages(), canteen.actions())
