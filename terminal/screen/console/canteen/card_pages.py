"""The pages «Cards»: a card that was held against the terminal becomes a pupil's, is lost, found or taken back (M-35).

A class at a time: the class is chosen, a card is tapped, the name is pressed. The card stands in the page's address, so
that another child's tap does not change whose card is being tied.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from msgspec import Struct

from terminal.canteen.card_book import HeldCard
from terminal.canteen.cards import mark_card, presented_owner, tie_card
from terminal.canteen.counter import CanteenCounter
from terminal.journal.canteen_records import CardUse
from terminal.screen.console.actions import Written
from terminal.screen.console.canteen.actions import counter_of, refusing
from terminal.screen.console.canteen.look import AT, NOT_LISTED, Look, looking, pupil_of
from terminal.screen.console.canteen.people import Person, classes, person, search
from terminal.screen.console.console import ActionRefused, TapsAre
from terminal.screen.console.roles import Role
from terminal.screen.console.visit import Action, ConsoleArea, FormFields, Page, View, Visit
from terminal.texts import N_

CARDS: Final = frozenset({Role.CASHIER, Role.MEAL_OFFICER})
NO_CARD: Final = N_("Hold the card against the terminal first.")


class CardShown(Struct, frozen=True):
    """The card that is being tied: its reference, and whose it is already."""

    ref: str
    person: Person | None
    lost_since: str = ""

    @property
    def tail(self) -> str:
        """Enough to tell two cards apart."""
        return self.ref[-4:]


class ClassCards(Struct, frozen=True):
    """How many pupils of a class have a card."""

    class_id: str
    have: int
    pupils: int


def cards_area() -> ConsoleArea:
    """For `console_app`."""
    return ConsoleArea(
        "canteen",
        pages=(
            Page(f"{AT}/cards", CARDS, looking(_cards), N_("Cards"), taps=TapsAre.WHO),
            Page(f"{AT}/pupil-cards", CARDS, looking(_pupil_cards), taps=TapsAre.WHO),
        ),
        actions=(
            Action(f"{AT}/tie", CARDS, _tie, _tied),
            Action(f"{AT}/card-mark", CARDS, _mark, _marked),
        ),
    )


def _cards(look: Look) -> View:
    query, counter = look.visit.query, look.counter
    class_id, words = query.text("id"), query.text("q")
    if class_id and class_id not in classes(counter):
        raise ActionRefused(NOT_LISTED)
    card = _card(look, query.text("card"))
    found = search(counter, words or class_id)
    have = _carded(counter)
    done = query.text("done")
    return look.view(
        "cards.html",
        card=card,
        class_id=class_id,
        q=words,
        found=[(one, one.pupil in have) for one in sorted(found, key=lambda one: one.pupil in have)],
        classes=[_class_cards(counter, name, have) for name in classes(counter)],
        have=len(have),
        pupils=0 if counter.roster is None else len(counter.roster.pupils),
        done=pupil_of(counter, done) if done else None,
    )


def _card(look: Look, ref: str) -> CardShown | None:
    """The card of the address, else the last one that was tapped."""
    counter = look.counter
    if not ref:
        last = next((tap for tap in reversed(look.visit.console.taps) if tap.card_ref is not None), None)
        ref = "" if last is None or last.card_ref is None else last.card_ref.hex()
    try:
        card = bytes.fromhex(ref)
    except ValueError:
        raise ActionRefused(NO_CARD) from None
    owner = presented_owner(counter, card)
    if not card or owner is None:
        return None
    holder = counter.ledger.cards.pupil_of(card, owner) or owner
    return CardShown(ref, person(counter, holder), counter.ledger.cards.lost_since(card))


def _carded(counter: CanteenCounter) -> frozenset[bytes]:
    """Pupils who have a card that is not lost, as far as this terminal saw it."""
    listed = frozenset() if counter.roster is None else frozenset(counter.roster.pupils)
    return (counter.ledger.cards.pupils() | counter.ledger.owners()) & listed


def _class_cards(counter: CanteenCounter, name: str, have: frozenset[bytes]) -> ClassCards:
    refs = () if counter.roster is None else counter.roster.classes.get(name, ())
    return ClassCards(name, sum(ref in have for ref in refs), len(refs))


def _pupil_cards(look: Look) -> View:
    one = look.person()
    cards = list(look.counter.ledger.cards.of(one.pupil))
    known = {card.card_ref for card in cards}
    seen = (ref for ref in look.counter.ledger.cards_of(one.pupil) if ref not in known)
    cards += [HeldCard(ref, one.pupil, one.pupil) for ref in seen]
    return look.view(
        "pupil_cards.html",
        person=one,
        cards=[(card.card_ref.hex(), card.lost_since, card.owner != card.pupil) for card in cards],
    )


def _tie(visit: Visit, form: FormFields, _written: Written) -> None:
    counter, one = counter_of(visit), pupil_of(counter_of(visit), form.text("ref"))
    now, replaces = visit.console.clock.now(), bool(form.text("replaces"))
    with refusing():
        tie_card(counter, _ref(form), one.pupil, visit.who.ref, now, replaces=replaces)


def _tied(_visit: Visit, form: FormFields, _written: Written) -> str:
    """Back to the class, for the next card."""
    return f"{AT}/cards?{urlencode({'id': form.text('class'), 'done': form.text('ref')})}"


def _mark(visit: Visit, form: FormFields, _written: Written) -> None:
    use = next(
        (use for use in (CardUse.LOST, CardUse.FOUND, CardUse.UNTIED) if use == form.text("use")), None
    )
    if use is None:
        raise ActionRefused(NO_CARD)
    with refusing():
        mark_card(counter_of(visit), _ref(form), use, visit.who.ref, visit.console.clock.now())


def _marked(_visit: Visit, form: FormFields, _written: Written) -> str:
    return f"{AT}/pupil-cards?{urlencode({'ref': form.text('ref')})}"


def _ref(form: FormFields) -> bytes:
    try:
        card = bytes.fromhex(form.text("card"))
    except ValueError:
        card = b""
    if not card:
        raise ActionRefused(NO_CARD)
    return card
