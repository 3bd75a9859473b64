"""What a school's terminal knows of a pupil comes from roster, staff and records into its rows, while it serves.

A row says of a listed pupil only that a roster was asked (D-03). What else the roster said shows in the meal, in its
flags and in what the decision looked at: two pupils who differ in one fact alone, and rows that differ by it.
"""

from __future__ import annotations

import random
import resource
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import parse_claims
from cardproto.resident.records.event import parse_event
from sim.card.virtual import VirtualCard
from sim.image_file import load_image
from sim.phone import VirtualPhone
from terminal.canteen.documents import ListFile, PriceListDocument, RosterDocument, RosterPupil
from terminal.canteen.requests import (
    AnnulLast,
    CloseDay,
    CorrectAttendance,
    IssueMeals,
    LendCard,
    LoadPriceList,
    LoadRoster,
    MarkCard,
    SellProducts,
)
from terminal.journal.canteen_records import CardUse
from terminal.lab.world import pseudonym_on
from terminal.policy.load import DEMO_REGION
from terminal.trip.producers import FactSource
from tests.flows.live import DAY, STATE, LiveTerminal, collector, live_terminal, run, told_of
from tests.terminal.canteen.school import (
    CASHIER,
    PRICES,
    SCHOOL_TEXT,
    TEACHER,
    grant,
    order,
    roster_document,
)
from tests.terminal.screen.console.cab import KEYS

Fields = Mapping[str, Any]

PAYER: Final[Fields] = {"hot_minor": 20_000}
BUYER: Final[Fields] = {"buffet_minor": 20_000}
BROKE: Final[Fields] = {"hot_minor": -1}
TAPPED: Final[Mapping[str, tuple[Fields, Fields, str, object]]] = {
    "class_id": (PAYER, {**PAYER, "class_id": "7b"}, "class_id", "7b"),
    "grade": (
        {"grants": (grant(11),)},
        {"grants": (grant(11),), "grade": 7},
        "sources",
        {"regional": 7802},
    ),
    "shift": ({"grants": (grant(12),)}, {"grants": (grant(12),), "shift": 2}, "message", "meal_not_arranged"),
    "home_schooled": (PAYER, {**PAYER, "home_schooled": True}, "message", "not_on_site"),
    "grants": ({}, {"grants": (grant(11),)}, "message", "meal_ok"),
    "hot": ({}, PAYER, "message", "meal_ok"),
    "hot.balance_minor": (PAYER, BROKE, "m-36:below_credit", {"free_minor": -1}),
    "limits.day_minor": (PAYER, {**PAYER, "day_limit_minor": 5000}, "m-02:day_limit", {"limit_minor": 5000}),
    "orders": (BROKE, {**BROKE, "orders": (order("breakfast"),)}, "message", "meal_ok"),
    "cards_since": (PAYER, {**PAYER, "cards_since": DAY + timedelta(days=1)}, "message", "blocked"),
}
"""Fact of a pupil → the roster's entry without it and with it, and what the row of the tap then says."""
BOUGHT: Final[Mapping[str, tuple[Fields, Fields, str, object]]] = {
    "buffet": (BUYER, {}, "o-03:no_account", {}),
    "buffet.balance_minor": (BUYER, {"buffet_minor": 1000}, "m-36:no_credit", {"balance_minor": 1000}),
    "limits.buffet_minor": (
        BUYER,
        {**BUYER, "buffet_limit_minor": 1000},
        "m-02:buffet_limit",
        {"limit_minor": 1000},
    ),
    "forbidden": (BUYER, {**BUYER, "forbidden": ("nuts",)}, "m-02:excluded", {"product": "nut_bar"}),
}
"""The same, of a sale in the buffet."""
PUPIL: Final = "canteen.pupil"
CANTEEN: Final[Mapping[FactSource, frozenset[str]]] = {
    FactSource.ROSTER: frozenset({"canteen.school", "canteen.roster", PUPIL})
    | {f"{PUPIL}.{name}" for name in ("ref", "school", "listed", "age", *TAPPED, *BOUGHT)},
    FactSource.CANTEEN: frozenset(
        {
            "canteen.day_closed",
            "canteen.paid_stopped",
            "canteen.only_read",
            "canteen.lost_since",
            f"{PUPIL}.ref",
        }
    )
    | {
        f"{PUPIL}.{name}"
        for name in ("served", "annulled", "absent", "spent_hot_minor", "spent_buffet_minor")
    },
    FactSource.JOURNAL: frozenset({f"{PUPIL}.hot.uncertain", f"{PUPIL}.buffet.uncertain"}),
    FactSource.CONFIGURATION: frozenset({"canteen.serving", "profile", "terminal"}),
}
"""What this module shows of each source."""


class School:
    """A running canteen and its pupils, each with a card of his own; a card without concessions says nothing of him."""

    def __init__(self, terminal: LiveTerminal) -> None:
        self.terminal = terminal
        self.cards: dict[str, str] = {}

    def enrol(self, sequence: int, **pupils: Fields) -> None:
        """Put a roster with these pupils in force, by the way other windows do."""
        ordinary: dict[str, Any] = {"class_id": "3a", "grade": 3, "shift": 1}
        listed = [
            RosterPupil(ref=self.ref(name).hex(), **ordinary | fields) for name, fields in pupils.items()
        ]
        self.load(roster_document(*listed, sequence=sequence))

    def load(self, document: RosterDocument) -> None:
        self.terminal.ask(LoadRoster(ListFile("roster.json", msgspec.json.encode(document))))

    def sells(self) -> None:
        """Put the price list of the buffet in force."""
        document = PriceListDocument(header=PRICES.header, products=tuple(PRICES.products.values()))
        self.terminal.ask(LoadPriceList(ListFile("prices.json", msgspec.json.encode(document))))

    def card(self, name: str, profile: str = "adult_purse") -> str:
        if name not in self.cards:
            self.cards[name] = self.terminal.card(profile, name)
        return self.cards[name]

    def ref(self, name: str) -> bytes:
        """The pupil behind a card, as the canteen knows him."""
        image = load_image(self.terminal.folder / self.card(name), random.Random(0).randbytes)
        if isinstance(image, VirtualPhone):
            pseudonym: bytes | None = parse_claims(
                parse_sign1(image.memory.credential).payload or b""
            ).pseudonym
        else:
            assert isinstance(image, VirtualCard)
            pseudonym = pseudonym_on(image)
        assert pseudonym is not None
        return KEYS.token("school", pseudonym)

    def tap(self, name: str) -> dict[str, Any]:
        """What the row of his tap says."""
        return told_of(self.terminal.tap(self.card(name)))

    def buys(self, name: str, product: str = "bun") -> dict[str, Any]:
        """What the row of a sale to him says."""
        head = self.terminal.head()
        self.terminal.ask(SellProducts(self.ref(name), {product: 1}, CASHIER))
        return told_of(self.terminal.rows(head)[-1])


def canteen(folder: Path, **tables: Mapping[str, object]) -> dict[str, Mapping[str, object]]:
    """The tables of a canteen of the demonstration's region, with the rosters' school in it."""
    (folder / "region.toml").write_text(DEMO_REGION.read_text("utf-8") + SCHOOL_TEXT, "utf-8")
    own: dict[str, Mapping[str, object]] = {
        "terminal": {"profile": "canteen", "number": 7, "region": "region.toml"},
        "shift": {"operator": CASHIER},
    }
    return own | tables


def cases(table: Mapping[str, tuple[Fields, Fields, str, object]]) -> Iterable[tuple[str, Fields]]:
    """The pupils of a table: each fact's two."""
    for fact, (without, with_it, *_) in table.items():
        yield f"{fact}-", without
        yield f"{fact}+", with_it


def says(row: Mapping[str, Any], key: str, value: object) -> bool:
    """Whether the row says so; of what a decision looked at, at least what is wanted."""
    found = row.get(key)
    if isinstance(value, dict) and isinstance(found, dict) and ":" in key:
        return value.items() <= found.items()
    return bool(found == value)


def test_what_the_roster_says_of_a_pupil_is_in_the_row_of_the_tap(tmp_path: Path) -> None:
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        school = School(terminal)
        school.card("unlisted", "pupil_grade3")
        assert school.tap("unlisted")["school"] == ""
        school.enrol(7, **dict(cases(TAPPED)))
        school.sells()
        for fact, (_, _, key, value) in TAPPED.items():
            assert not says(school.tap(f"{fact}-"), key, value), fact
            row = school.tap(f"{fact}+")
            assert says(row, key, value), (fact, row)
            known = {"canteen.school": "school_12", PUPIL: True, "canteen.roster": 7}
            assert row["trip"] == known, "nothing else of a listed pupil"
            assert row.get("school", "school_12") == "school_12"
        assert school.tap("stranger")["trip"]["canteen.pupil.listed"] is False


def test_what_the_roster_says_of_a_buyer_is_in_the_row_of_the_sale(tmp_path: Path) -> None:
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        school = School(terminal)
        school.enrol(7, **dict(cases(BOUGHT)))
        school.sells()
        for fact, (_, _, key, value) in BOUGHT.items():
            product = "nut_bar" if fact == "forbidden" else "bun"
            assert not says(school.buys(f"{fact}-", product), key, value), fact
            assert says(school.buys(f"{fact}+", product), key, value), fact


def test_what_staff_do_is_in_the_row_of_the_next_tap(tmp_path: Path) -> None:
    limited = {**PAYER, **BUYER, "day_limit_minor": 10_000}
    free = {"grants": (grant(11),)}
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        school = School(terminal)
        school.card("unlisted", "pupil_grade3")
        school.enrol(
            7, eater=limited, buyer=limited, listed=free, absent=free, owner={**PAYER, "class_id": "7b"}
        )
        school.sells()
        terminal.ask(CorrectAttendance(TEACHER, absent=(school.ref("absent"),)))
        assert "was_absent" in school.tap("absent")["flags"]
        terminal.ask(
            IssueMeals(CASHIER, pupils=(school.ref("listed"),), serving="breakfast", confirmed_by=TEACHER)
        )
        assert school.tap("listed")["message"] == "meal_already"
        spare = school.tap("spare")
        terminal.ask(LendCard(bytes.fromhex(spare["card_ref"]), school.ref("owner"), CASHIER, TEACHER))
        assert school.tap("spare")["class_id"] == "7b"
        assert school.tap("unlisted")["message"] == "meal_ok"
        assert school.tap("unlisted")["trip"]["canteen.pupil.served"] == 1
        terminal.ask(AnnulLast(school.ref("unlisted"), CASHIER))
        assert school.tap("unlisted")["trip"]["canteen.pupil.annulled"] == 1
        assert school.buys("buyer")["lines"]
        assert says(school.tap("buyer"), "m-02:day_limit", {"spent_minor": 3500})
        assert school.tap("eater")["message"] == "meal_ok"
        terminal.hand.say("clock", set="2026-09-15T12:00:00+03:00")
        assert says(school.tap("eater"), "m-02:day_limit", {"spent_minor": 7802})
        lost = bytes.fromhex(school.tap("eater")["card_ref"])
        terminal.ask(MarkCard(lost, CardUse.LOST, CASHIER))
        assert school.tap("eater")["trip"]["canteen.lost_since"] == "2026-09-15"
        terminal.ask(CloseDay(CASHIER))
        assert school.tap("owner")["trip"]["canteen.day_closed"] is True
        terminal.hand.say("clock", set="2026-09-16T08:30:00+03:00")
        assert "stale_roster" in school.tap("listed")["flags"]


def test_what_is_served_and_whether_records_have_left_come_with_the_next_start(tmp_path: Path) -> None:
    """Accounts are uncertain once rows have left that may have moved them."""
    account = {**PAYER, **BUYER}
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        school = School(terminal)
        school.enrol(7, pupil=account)
        school.sells()
        before, sold = school.tap("pupil"), school.buys("pupil")
        assert (before["trip"].get("canteen.serving"), before["flags"], sold["flags"]) == (None, [], [])
    with collector(tmp_path) as url:
        run(tmp_path, "sync", "--collector", url, "--keep-hours", 0)
    with live_terminal(tmp_path, **canteen(tmp_path, canteen={"serving": "lunch"})) as terminal:
        school.terminal = terminal
        after, sold = school.tap("pupil"), school.buys("pupil")
        assert (after["trip"]["canteen.serving"], after["kind"]) == ("lunch", "lunch")
        assert ("balance_uncertain" in after["flags"], "balance_uncertain" in sold["flags"]) == (True, True)
        assert (after["profile"], parse_event(bytes.fromhex(after["event"])).terminal) == ("canteen", 7)


def test_o_06_a_journal_that_takes_no_more_is_in_the_answer_of_the_next_tap(tmp_path: Path) -> None:
    """The one fact that no row of its time can hold: the answer says it, and what was given comes in later."""
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        school = School(terminal)
        school.enrol(7, payer=PAYER, free={"grants": (grant(11),)})
        school.tap("stranger")
        log_bytes = (tmp_path / STATE / "journal.db-wal").stat().st_size
        no_more = (log_bytes, resource.RLIM_INFINITY)
        resource.prlimit(terminal.hand.process.pid, resource.RLIMIT_FSIZE, no_more)
        given = terminal.hand.tap(tmp_path / school.card("free"))
        refused = terminal.hand.tap(tmp_path / school.card("payer"))
    assert (given["message"], given["reasons"][-1]) == ("meal_ok", "o-06:in_spare_log")
    assert (refused["message"], refused["reasons"][-1]) == ("selling_stopped", "o-06:selling_stopped")
    with live_terminal(tmp_path, **canteen(tmp_path)) as terminal:
        (served,) = [row for row in terminal.rows() if row["kind"] == "MealServed"]
    assert "from_spare_log" in served["meal"][6]
