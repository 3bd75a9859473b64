"""All the pages there are; each console takes those that fit its terminal.

One page is every console's: the terminal's own condition, and taking it out of service (T-64).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from terminal.clock import from_unix_ms
from terminal.codes import SetKind, Trouble
from terminal.fault_texts import fault_text, set_kind_text
from terminal.journal.console_records import OrderDeclared
from terminal.policy.ends import bundles_trouble, trouble_of
from terminal.screen.console.actions import Written
from terminal.screen.console.bus.facts import newest_faults, unsent
from terminal.screen.console.bus.lists import FAULTS, fault_line
from terminal.screen.console.console import ActionRefused
from terminal.screen.console.roles import CREW, Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.screen.console.words import span
from terminal.texts import N_
from terminal.updates.held import KindStatus, status_of


def areas(profile: str) -> tuple[ConsoleArea, ...]:
    """For `console_app`, of a terminal of this kind; made anew for each console. Others are not loaded."""
    if profile == "canteen":
        from terminal.screen.console.canteen.actions import canteen_area  # noqa: PLC0415 40 modules
        from terminal.screen.console.canteen.card_pages import cards_area  # noqa: PLC0415 as above
        from terminal.screen.console.canteen.payment_pages import PaymentsPages  # noqa: PLC0415 as above
        from terminal.screen.console.canteen.price_pages import prices_area  # noqa: PLC0415 as above
        from terminal.screen.console.canteen.roster_pages import roster_area  # noqa: PLC0415 as above

        return canteen_area(), cards_area(), roster_area(), prices_area(), PaymentsPages().area(), STATE
    from terminal.screen.console.bus.pages import BUS  # noqa: PLC0415 not for a canteen
    from terminal.screen.console.inspector import INSPECTIONS  # noqa: PLC0415 as above

    return BUS, INSPECTIONS, STATE


LOOKS: Final = CREW | {Role.TECHNICIAN, Role.CASHIER, Role.MEAL_OFFICER}
DECLARES: Final = CREW | {Role.TECHNICIAN}
"""Who may take a terminal out of service: not a canteen's staff, where entitled meals go on whatever breaks (M-37)."""


def state_page(visit: Visit) -> View:
    """What the terminal is, what waits for the network, what went wrong."""
    console = visit.console
    journal, header = console.terminal.journal, console.policy.document.header
    waiting, active = unsent(journal, console.clock), console.terminal.active
    zone = console.policy.zone
    values = {
        "now": f"{console.clock.now().astimezone(zone):%H:%M}",
        "today": f"{console.clock.now().astimezone(zone):%Y-%m-%d}",
        "document": f"{header.id}, {header.version}",
        "document_note": _document_note(visit),
        "bundles_note": _bundles_note(visit),
        "not_taken": _not_taken(visit),
        "document_until": f"{header.valid_to.astimezone(zone):%Y-%m-%d}",
        "waiting": waiting,
        "waiting_age": span(waiting.age_s, visit.language),
        "rows": journal.held,
        "room": journal.capacity_rows,
        "full": journal.full,
        "active": [] if active is None else [_in_force(visit, one) for one in active.status()],
        "more": console.status,
        "out_of_order": journal.out_of_order,
        "faults": [fault_line(visit, fault) for fault in newest_faults(journal, FAULTS)],
        "may_declare": visit.who.role in DECLARES,
    }
    return View("console/state.html", values)


WAITS_FOR_CLOCK: Final = N_(
    "What waits does not come into force while the clock is in doubt: present a service card"
)


class KindLine(Struct, frozen=True):
    """One kind of the active set as staff read it; empty where there is nothing to say."""

    kind: str
    edition: str
    since: str
    pending: str
    begins: str
    refused: str


def _in_force(visit: Visit, one: KindStatus) -> KindLine:
    language = visit.language
    refused = "" if one.refused is None else fault_text(one.refused.fault, one.refused.inputs, language)
    return KindLine(
        set_kind_text(one.kind, language),
        "" if one.in_force is None else f"{one.in_force.id}, {one.in_force.version}",
        "" if one.in_force is None else _moment(visit, one.in_force.at_ms),
        "" if one.pending is None else f"{one.pending.id}, {one.pending.version}",
        "" if one.pending is None or not one.pending.at_ms else _moment(visit, one.pending.at_ms),
        refused,
    )


def _moment(visit: Visit, at_ms: int) -> str:
    return f"{from_unix_ms(at_ms).astimezone(visit.console.policy.zone):%d.%m. %H:%M}"


def _document_note(visit: Visit) -> str:
    """What staff have to know of the end of the rules; empty while it is far, and while the clock is in doubt."""
    console = visit.console
    if console.terminal.clock_watch.state.suspect:
        return ""
    active = console.terminal.active
    follows = None if active is None else status_of(active.status(), SetKind.REGION).follows
    trouble = trouble_of(console.policy.document, console.clock.now(), follows)
    return "" if trouble is None else fault_text(trouble.code, trouble.inputs, visit.language)


def _bundles_note(visit: Visit) -> str:
    """What staff have to know of the age of signed bundles; empty while they are fresh, and as `_document_note`."""
    console, terminal = visit.console, visit.console.terminal
    if terminal.clock_watch.state.suspect:
        return ""
    trouble = bundles_trouble(console.policy.document.ages, terminal.bundles_at, console.clock.now())
    return "" if trouble is None else fault_text(trouble.code, trouble.inputs, visit.language)


def _not_taken(visit: Visit) -> list[str]:
    """Why the terminal goes on with what it has although something newer is published, in words."""
    terminal = visit.console.terminal
    known = () if terminal.active is None else terminal.active.status()
    lists = [Trouble(one.refused.fault, one.refused.inputs) for one in known if one.refused is not None]
    said = [fault_text(one.code, one.inputs, visit.language) for one in (*lists, *terminal.bundles_refused)]
    if terminal.clock_watch.state.suspect and any(one.pending is not None for one in known):
        said.append(visit.text(WAITS_FOR_CLOCK))
    return list(dict.fromkeys(said))


def do_declare(visit: Visit, form: FormFields, _written: Written) -> None:
    """Out of service: every tap is refused until it is taken back."""
    if visit.console.terminal.profile == "canteen":
        raise ActionRefused(N_("A canteen's terminal stays in service: entitled meals go on."))
    in_order = form.number("in_order", 0, 1) == 1
    journal = visit.console.terminal.journal
    if in_order == (journal.out_of_order is None):
        return
    journal.append(OrderDeclared(visit.console.now_ms(), in_order, visit.who.ref))


def to_state(_visit: Visit, _form: FormFields, _written: Written) -> str:
    """The result is seen on the page of the terminal."""
    return "/state"


STATE: Final = ConsoleArea(
    "",
    pages=(Page("/state", LOOKS, state_page, N_("Terminal")),),
    actions=(Action("/state/order", DECLARES, do_declare, to_state),),
)
"""For every kind of terminal."""
