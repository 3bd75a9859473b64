"""M-40 and O-08 for any day: reports, month table and accounts equal the records, whatever they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from terminal.canteen.closing import report_of
from terminal.canteen.corrections import annul, correct_attendance, mark_not_collected
from terminal.canteen.facts import Known, hot_minor
from terminal.canteen.issuing import How, ServingList, issue
from terminal.canteen.ledger import Ledger
from terminal.canteen.month import month_table
from terminal.canteen.report import day_report
from terminal.canteen.roster import Roster
from terminal.cli.canteen_view import show_month
from terminal.collector.books import BOOKS_FILE, Books
from terminal.collector.days import By
from terminal.collector.registry import CardRegistry
from terminal.collector.store import CollectorStore
from terminal.decision.canteen.serving import ALL_ANSWERED
from terminal.errors import CanteenRefused
from terminal.journal.canteen_records import Annulment, BuffetSale, MealLine, MealServed, SaleLine
from terminal.journal.chain import Head, genesis, link
from terminal.journal.records import (
    AnyRecord,
    Committed,
    Intent,
    NotCommitted,
    SettledBy,
    build_record,
    parse_record,
)
from terminal.screen.console.canteen.report import report_page
from terminal.screen.console.canteen.sheets import MonthSource, month_page, report_file
from terminal.screen.console.canteen.words import Words
from terminal.sync import wire
from tests.properties import examples
from tests.terminal.canteen.school import (
    CASHIER,
    POLICY,
    SCHOOL,
    TEACHER,
    TODAY,
    child,
    open_canteen,
    order,
    ref,
    region_with,
    roster_document,
)
from tests.terminal.journal.samples import intent

DAYS = ("2026-09-15", "2026-09-16", "2026-09-30")
SOURCES = ("federal", "regional", "municipal", "parents")
BRIEF = examples(100)
Rows = list[tuple[tuple[int, int], AnyRecord]]

lines = st.builds(
    MealLine,
    school=st.just(SCHOOL),
    class_id=st.sampled_from(["3a", "7b"]),
    kind=st.sampled_from(["breakfast", "lunch"]),
    day=st.sampled_from(DAYS),
    sources=st.dictionaries(st.sampled_from(SOURCES), st.integers(1, 20_000), min_size=1),
    category=st.sampled_from(["10", "meals_2", "paid"]),
    flags=st.sampled_from([(), ("stale_roster",)]),
)
sales = st.lists(
    st.builds(SaleLine, st.sampled_from(["bun", "juice"]), st.integers(1, 9), st.integers(1, 9_000)),
    min_size=1,
    max_size=3,
)
steps = st.one_of(
    st.tuples(st.just("meal"), lines),
    st.tuples(st.just("tap"), st.tuples(lines, st.sampled_from(["committed", "not", "open"]))),
    st.tuples(st.just("sale"), sales),
    st.tuples(st.just("annul"), st.integers(0, 100)),
)
scripts = st.lists(
    st.tuples(st.sampled_from([80001, 80002]), st.integers(1, 4), st.integers(0, 3), steps), max_size=40
)


def written(script: Sequence[tuple[int, int, int, tuple[str, object]]]) -> Rows:
    """The rows two terminals would hold after this script, as they come back from their bytes."""
    rows: Rows = []
    next_row = Counter({80001: 0, 80002: 0})
    undoable: dict[int, list[tuple[int, bytes, str, int]]] = {80001: [], 80002: []}

    def write(terminal: int, record: AnyRecord) -> int:
        next_row[terminal] += 1
        rows.append(((terminal, next_row[terminal]), parse_record(build_record(record))))
        return next_row[terminal]

    for terminal, pupil, hour, (what, detail) in script:
        at_ms = hour * 3_600_000
        if what == "meal":
            row = write(
                terminal, MealServed(at_ms, ref(pupil), 1, "class_list", CASHIER, detail, "t", currency="RUB")
            )
            undoable[terminal].append((row, ref(pupil), detail.day, detail.sources.get("parents", 0)))
        elif what == "tap":
            line, end = detail
            card = ref(100 * terminal + pupil)  # a pupil taps with another card at each terminal
            tap = intent(
                at_ms=at_ms,
                card_ref=card,
                person_ref=ref(pupil),
                profile="canteen",
                meal=line,
                currency="RUB",
            )
            row = write(terminal, tap)
            if end == "committed":
                write(terminal, Committed(at_ms, row, 1, b"", SettledBy.ANSWERED))
                undoable[terminal].append((row, ref(pupil), line.day, line.sources.get("parents", 0)))
            elif end == "not":
                write(terminal, NotCommitted(at_ms, row, SettledBy.ANSWERED))
        elif what == "sale":
            sale = BuffetSale(
                at_ms, ref(pupil), 1, CASHIER, SCHOOL, "3a", DAYS[0], tuple(detail), "t", currency="RUB"
            )
            row = write(terminal, sale)
            undoable[terminal].append((row, ref(pupil), DAYS[0], sale.sum_minor))
        elif undoable[terminal]:
            row, who, day, back = undoable[terminal].pop(detail % len(undoable[terminal]))
            write(terminal, Annulment(at_ms, who, row, day, CASHIER, 1, back))
    return rows


def ledger_of(rows: Rows) -> Ledger:
    ledger = Ledger()
    for row, record in rows:
        ledger.apply(row, record)
    return ledger


def by_hand(rows: Rows, days: tuple[str, ...]) -> Counter[str]:
    """Kopecks by source, straight from the records: what stands, each portion of a pupil once a day."""
    committed = {(row[0], r.intent) for row, r in rows if isinstance(r, Committed)}
    gone = {(row[0], r.of) for row, r in rows if isinstance(r, Annulment)}
    meals = [(r.at_ms, row, r.pupil, r.meal) for row, r in rows if isinstance(r, MealServed)]
    meals += [
        (r.at_ms, row, r.person_ref, r.meal)
        for row, r in rows
        if isinstance(r, Intent) and r.meal is not None and row in committed
    ]
    sums: Counter[str] = Counter()
    portions = set()
    for _, row, pupil, meal in sorted(meals, key=lambda meal: meal[:2]):
        if row in gone or meal.day not in days or (pupil, meal.day, meal.kind) in portions:
            continue
        portions.add((pupil, meal.day, meal.kind))
        sums.update(meal.sources)
    return sums


@BRIEF
@given(scripts)
def test_m_40_a_days_report_equals_its_records(
    script: list[tuple[int, int, int, tuple[str, object]]],
) -> None:
    rows = written(script)
    ledger = ledger_of(rows)
    for day in DAYS:
        report = day_report(ledger, SCHOOL, date.fromisoformat(day), None, "RUB")
        assert report.control.difference_minor == 0
        assert Counter(report.sources) == by_hand(rows, (day,))
        assert sum(group.sum_minor for group in report.groups) == sum(report.sources.values())
        assert sum(product.sum_minor for product in report.products) == report.buffet_minor


@BRIEF
@given(scripts)
def test_m_40_the_days_of_a_month_add_up_to_its_table(
    script: list[tuple[int, int, int, tuple[str, object]]],
) -> None:
    rows = written(script)
    ledger = ledger_of(rows)
    reports = [day_report(ledger, SCHOOL, date.fromisoformat(d), None, "RUB") for d in DAYS]
    table = month_table(ledger, SCHOOL, TODAY, {}, "RUB")
    assert Counter(table.sources) == by_hand(rows, DAYS)
    assert sum(table.sources.values()) == sum(sum(report.sources.values()) for report in reports)
    assert sum(table.meals.values()) == sum(report.served for report in reports)
    assert sum(line.meals for line in table.pupils) == sum(table.meals.values())
    assert table.buffet_minor == sum(report.buffet_minor for report in reports)


@BRIEF
@given(scripts)
def test_m_40_it_does_not_matter_whose_rows_come_first(
    script: list[tuple[int, int, int, tuple[str, object]]],
) -> None:
    rows = written(script)
    one_after_the_other = sorted(rows, key=lambda row: row[0])
    for day in DAYS:
        reports = [
            day_report(ledger_of(order), SCHOOL, date.fromisoformat(day), None, "RUB")
            for order in (rows, one_after_the_other)
        ]
        assert (reports[0].groups, reports[0].sources, reports[0].duplicates) == (
            reports[1].groups,
            reports[1].sources,
            reports[1].duplicates,
        )


@BRIEF
@given(scripts)
def test_m_03_an_account_moves_by_what_stands_and_by_nothing_else(
    script: list[tuple[int, int, int, tuple[str, object]]],
) -> None:
    rows = [row for row in written(script) if row[0][0] == 80001]
    ledger = ledger_of(rows)
    for pupil in range(1, 5):
        own = [(row, r) for row, r in rows if _about(r, ref(pupil))]
        paid = by_hand([*own, *((row, r) for row, r in rows if isinstance(r, Committed))], DAYS)["parents"]
        assert hot_minor(50_000, ref(pupil), ledger, (80001, 0)) == 50_000 - paid


def _about(record: AnyRecord, pupil: bytes) -> bool:
    return pupil in (getattr(record, "pupil", None), getattr(record, "person_ref", None))


def test_o_08_a_pupil_served_at_two_terminals_offline(tmp_path: Path) -> None:
    """Both records stay, the later is marked, the parents are charged once, and the report lists it."""
    pupils = (child(1, 10), child(2, grade=7, class_id="7b", hot_minor=20_000))
    with open_canteen(tmp_path, *pupils) as one, open_canteen(tmp_path, *pupils, terminal=80002) as other:
        first = one.give(1, 2, serving="breakfast", at="09:00")
        later = other.give(1, 2, serving="breakfast", at="09:10")
        assert all(issued.outcome.accepted for issued in (*first, *later))
        school = Ledger()
        for canteen in (other, one):  # the later one's rows arrive first
            assert canteen.canteen.journal is not None
            school.follow(canteen.canteen.journal)
        roster = Roster.of(roster_document(*pupils), POLICY)
        report = day_report(school, SCHOOL, TODAY, Known(80001, POLICY, roster, school), "RUB")
    assert [(d.row[0], d.what, d.sum_minor) for d in report.duplicates] == [
        (80002, "duplicate_entitlement", 7109),
        (80002, "duplicate_entitlement", 7802),
    ]
    assert sum(report.sources.values()) == 7109 + 7802
    assert report.sources["parents"] == 7802
    assert (report.control.records, report.control.duplicates_minor) == (4, 7109 + 7802)
    assert report.control.difference_minor == 0
    assert [group.served for group in report.groups] == [1, 1]


def test_a_tap_of_unknown_end_is_listed_and_in_no_sum() -> None:
    line = MealLine(SCHOOL, "3a", "breakfast", "2026-09-15", {"federal": 7109}, "10")
    ledger = ledger_of([((80001, 5), intent(card_ref=ref(1), profile="canteen", meal=line, currency="RUB"))])
    report = day_report(ledger, SCHOOL, TODAY, None, "RUB")
    assert [(found.row, found.what, found.sum_minor) for found in report.uncertain] == [
        ((80001, 5), "unresolved_tap", 7109)
    ]
    assert (report.groups, report.control.records_minor) == ((), 0)


def test_a_month_table_has_the_days_of_its_month(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(14):
        month = date(2027 + number // 12, 1 + number % 12, 1)
        last = (date(month.year + month.month // 12, month.month % 12 + 1, 1) - timedelta(days=1)).day
        show_month(month_table(Ledger(), SCHOOL, month, {}, "RUB"), None, "en", json=False)
        head = capsys.readouterr().out.splitlines()[1].split()
        assert head == ["class", "pupil", *map(str, range(1, last + 1)), "total"], month


def test_the_month_table_lists_everybody_and_says_when_rows_have_left() -> None:
    line = MealLine(SCHOOL, "3a", "breakfast", "2026-09-15", {"federal": 7109}, "10")
    meal = MealServed(1, ref(1), 1, "class_list", CASHIER, line, "t", currency="RUB")
    ledger = ledger_of([((80001, 5), meal)])
    roster = Roster.of(roster_document(child(1, 10), child(2, 10)), POLICY)
    table = month_table(ledger, SCHOOL, TODAY, {80001: 4}, "RUB", roster)
    assert [(line.pupil, line.days, line.meals) for line in table.pupils] == [
        (ref(1).hex(), {15: ("breakfast",)}, 1),
        (ref(2).hex(), {}, 0),
    ]
    assert (table.complete, table.left) == (False, {80001: 4})
    assert month_table(ledger, SCHOOL, date(2026, 10, 1), {}, "RUB").pupils == ()


# The same through the staff's hands

hands = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.sampled_from(["breakfast", "lunch"]), st.integers(1, 6)),
        st.tuples(st.just("agree"), st.sampled_from(["breakfast", "lunch"]), st.integers(1, 6)),
        st.tuples(st.just("sell"), st.integers(1, 5), st.sampled_from(["bun", "juice", "nut_bar"])),
        st.tuples(st.just("annul"), st.integers(1, 5)),
        st.tuples(st.just("absent"), st.integers(1, 5)),
        st.tuples(st.just("not_collected"), st.sampled_from(["breakfast", "lunch"])),
    ),
    max_size=25,
)


ASKING = region_with(
    *(
        (f'{name} = "serve"', f'{name} = "ask"')
        for name in ("without_order", "other_entitlement", "not_listed")
    )
)


@examples(25)
@given(hands)
def test_m_40_whatever_the_staff_does_journal_report_accounts_file_and_collector_agree(
    script: list[tuple[str, ...]],
) -> None:
    pupils = (
        child(1, 10, hot_minor=8_000, buffet_minor=9_000),
        child(2, 10, 11, hot_minor=0, buffet_minor=9_000, forbidden=("nuts",)),
        child(3, 12, grade=7, class_id="7b", hot_minor=8_000, orders=(order("lunch"),)),
        child(4, grade=7, class_id="10b", hot_minor=17_000, buffet_minor=9_000, day_limit_minor=12_000),
        child(5, home_schooled=True, hot_minor=8_000, buffet_minor=9_000),
        child(6, grade=7, class_id="7b", hot_minor=16_000, orders=(order("breakfast"), order("lunch"))),
    )
    stated = sum(p.hot_minor or 0 for p in pupils), sum(p.buffet_minor or 0 for p in pupils)
    with TemporaryDirectory() as folder, open_canteen(Path(folder), *pupils, policy=ASKING) as school:
        for step in script:
            try:
                match step:
                    case ("give", kind, pupil):
                        school.give(pupil, serving=kind, at="08:30", how=How.CLASS_LIST)
                    case ("agree", kind, pupil):
                        answered = {ref(pupil): ALL_ANSWERED}
                        batch = ServingList(kind, How.ASKED, CASHIER, school.at("08:30"), "", answered)
                        issue(school.canteen, [ref(pupil)], batch)
                    case ("sell", pupil, product):
                        school.sell(pupil, at="08:31", **{product: 1})
                    case ("annul", pupil):
                        annul(school.canteen, ref(pupil), CASHIER, school.at("08:34"))
                    case ("absent", pupil):
                        correct_attendance(school.canteen, [ref(pupil)], [], TEACHER, school.at("08:00"))
                    case (_, kind):
                        mark_not_collected(school.canteen, kind, CASHIER, school.at("15:30"))
            except CanteenRefused:
                continue
        report = report_of(school.canteen, TODAY)
        accounts = [school.canteen.pupil(ref(n), school.at("16:00")) for n in range(1, 7)]
        page = report_page(school.canteen, school.at("16:00"))
        month = month_page(MonthSource.of(school.canteen, school.at("16:00")), "2026-09", "3a")
        assert school.canteen.journal is not None
        at_collector = booked(Path(folder), [row.body for row in school.canteen.journal.rows(limit=1_000)])
    hot = sum(known.hot.balance_minor for known in accounts if known and known.hot)
    buffet = sum(known.buffet.balance_minor for known in accounts if known and known.buffet)
    assert (stated[0] - hot, stated[1] - buffet) == (report.sources.get("parents", 0), report.buffet_minor)
    assert all(known.buffet.balance_minor >= 0 for known in accounts if known and known.buffet)
    assert report.control.difference_minor == 0
    assert not report.duplicates, "one counter serves nobody twice"
    assert all(group.adds_up for group in report.groups), "everyone it was for is accounted for"
    classes = [one.class_id for one in page.classes]
    assert classes == [name for name in ("3a", "7b", "10b") if name in classes], "as a school orders them"
    assert dict(month.table.sources) == report.sources
    with_buffet = Counter(report.sources) + Counter(buffet=report.buffet_minor)
    assert at_collector == with_buffet, "to the kopeck"
    assert excel_sum(report_file(page, Words("en"))) == sum(report.sources.values())


def booked(folder: Path, bodies: list[bytes]) -> Counter[str]:
    """What a collector's books count of these rows of terminal 80001, by who pays."""
    heads = [genesis(80001)]
    for body in bodies:
        heads.append(Head(heads[-1].sequence + 1, link(heads[-1].hash, body)))
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    batch = wire.build_batch(80001, heads[0], tuple(bodies), heads[-1], 1, key)
    with closing(CollectorStore(folder / "collector.db")) as store:
        store.receive(batch, wire.row_hashes(batch), 1)
        with closing(Books(folder / BOOKS_FILE, store, CardRegistry({}))) as books:
            while books.catch_up():
                pass
            sums = books.day(TODAY.isoformat(), By.FUNDER)
    return Counter({one.name: one.counted_minor for one in sums if one.counted_minor})


def excel_sum(content: bytes) -> int:
    """The kopecks at the end of the last row of the first sheet, as a spreadsheet program reads them."""
    with ZipFile(BytesIO(content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    last = re.findall(r"<v>([-0-9.]+)</v></c></row>", sheet)[-1]
    return int(last.replace(".", ""))
