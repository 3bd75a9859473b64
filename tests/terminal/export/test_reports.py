"""T-66: day and shift reports add up to the kopeck, whatever happened."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cardproto.resident.records.event import PaidBy
from terminal.clock import unix_ms
from terminal.codes import Admission
from terminal.export.reports import TOTAL, RideReport, shift_report, shift_rows
from terminal.journal.records import AnyRecord, CashSale, ShiftClosed, ShiftOpened
from terminal.journal.taps import taps
from tests.terminal.export.recorded import (
    POLICY,
    TERMINAL,
    ZONE,
    at,
    committed,
    intent,
    not_committed,
    numbered,
    unwritten,
)

ENDS = st.sampled_from(("committed", "recovered", "not_committed", "open", *Admission))
TAPS = st.lists(
    st.tuples(ENDS, st.integers(0, 0xFFFF), st.integers(0, 30), st.sampled_from(PaidBy)), max_size=25
)


def minor(text: str) -> int:
    return round(float(text) * 100)


def journal(story: list[tuple[str, int, int, PaidBy]]) -> list[tuple[int, AnyRecord]]:
    """The rows of one shift in which taps ended so."""
    records: list[AnyRecord] = [ShiftOpened(unix_ms(at("06:00")), 1, "driver-7", "bus", 15)]
    for end, charge_minor, hour, paid_by in story:
        when = at(f"{hour % 24:02}:00", f"2026-09-{15 + hour // 24}")
        if end in list(Admission):
            admission = Admission(end)
            message = "no_funds" if admission is Admission.REFUSED else "already_paid"
            records.append(unwritten(when, message, admission))
            continue
        records.append(intent(when, charge_minor, paid_by))
        number = len(records)
        if end == "not_committed":
            records.append(not_committed(number))
        elif end != "open":
            records.append(committed(number, "recovered" if end == "recovered" else "answered"))
    records.append(ShiftClosed(unix_ms(at("23:00", "2026-09-16")), 1, {}))
    return numbered(*records)


@given(TAPS)
def test_t_66_the_day_report_adds_up(story: list[tuple[str, int, int, PaidBy]]) -> None:
    report = RideReport(POLICY)
    for tap in taps(TERMINAL, journal(story)):
        report.take(tap, POLICY)
    *lines, total = report.rows()
    charged = sum(charge for end, charge, _, _ in story if end in ("committed", "recovered"))
    assert minor(total["amount"]) == sum(minor(line["amount"]) for line in lines) == charged
    assert int(total["taps"]) == sum(int(line["taps"]) for line in lines) == len(story)
    rode = sum(end in ("committed", "recovered") for end, *_ in story)
    assert int(total["persons"]) == rode


@given(TAPS)
def test_t_66_the_shift_report_adds_up(story: list[tuple[str, int, int, PaidBy]]) -> None:
    (shift, total) = shift_rows(shift_report(TERMINAL, journal(story)), ZONE)
    counted = [int(shift[name]) for name in ("accepted", "inside", "refused", "not_committed", "unresolved")]
    assert sum(counted) == int(shift["taps"]) == len(story)
    assert minor(shift["amount"]) == sum(c for end, c, _, _ in story if end in ("committed", "recovered"))
    assert (total["terminal"], total["taps"], total["amount"]) == (TOTAL, shift["taps"], shift["amount"])
    assert (shift["operator"], shift["route"]) == ("driver-7", "15")


def test_refusals_are_told_by_reason() -> None:
    rows = journal(
        [(end, 0, 8, PaidBy.PURSE) for end in ("refused", "refused", "let_in", "inside", "inside", "inside")]
    )
    (shift, _) = shift_rows(shift_report(TERMINAL, rows), ZONE)
    assert (shift["refusals"], shift["refused"], shift["accepted"], shift["inside"]) == (
        "no_funds=2",
        "2",
        "1",
        "3",
    )


def test_a_shift_that_is_still_open_has_no_end() -> None:
    (shift, _) = shift_rows(shift_report(TERMINAL, journal([])[:-1]), ZONE)
    assert (shift["closed_at"], shift["taps"]) == ("", "0")


def test_t_14_the_day_of_a_report_is_the_service_day() -> None:
    report = RideReport(POLICY)
    for tap in taps(
        TERMINAL, journal([("committed", 100, 26, PaidBy.PURSE), ("committed", 200, 27, PaidBy.PURSE)])
    ):
        report.take(tap, POLICY)
    assert [(line["service_date"], line["amount"]) for line in report.rows()] == [
        ("2026-09-15", "1.00"),
        ("2026-09-16", "2.00"),
        (TOTAL, "3.00"),
    ]


def test_t_66_cash_is_counted_and_summed_apart() -> None:
    cash = CashSale(unix_ms(at("08:00")), 1, 0, 15, 0, 3, 9600, POLICY.tariff, currency="RUB")
    opened = ShiftOpened(unix_ms(at("06:00")), 1, "driver-7", "bus", 15)
    rows = numbered(opened, cash, intent(at("09:00")), committed(3))
    (shift, total) = shift_rows(shift_report(TERMINAL, rows), ZONE)
    for line in (shift, total):
        assert (line["taps"], line["cash_sales"], line["cash"], line["amount"]) == (
            "2",
            "1",
            "96.00",
            "120.00",
        )
    report = RideReport(POLICY)
    for tap in taps(TERMINAL, rows):
        report.take(tap, POLICY)
    columns = ("kind", "code", "product", "taps", "persons", "amount")
    assert [tuple(line[column] for column in columns) for line in report.rows()] == [
        ("cash", "", "Cash ticket", "1", "3", "96.00"),
        ("let_in", "purse", "Single ride", "1", "1", "24.00"),
        ("", "", "", "2", "4", "120.00"),
    ]


def test_a_line_of_a_day_is_its_codes_whatever_the_product_is_called() -> None:
    """Without the document a pass is known by its number alone; a name in it is no part of the grouping."""
    report = RideReport(POLICY)
    for tap in taps(
        TERMINAL, journal([("committed", 0, 8, PaidBy.CONTRACT_A), ("committed", 0, 9, PaidBy.PURSE)])
    ):
        report.take(tap, None)
        report.take(tap, POLICY)
    assert [(line["code"], line["taps"]) for line in report.rows()][:-1] == [
        ("contract", "2"),
        ("purse", "2"),
    ]
