"""T-50 to T-53: what a sale leaves behind, and that asking twice is asking once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from terminal.errors import ReceiptError, RegionDocumentError
from terminal.policy.base import FareMedium
from terminal.policy.document.schema import Receipts, ReceiptWay, Vat
from terminal.policy.load import DEMO_REGION, load_region, parse_region
from terminal.receipt.folder import ReceiptFolder
from terminal.receipt.hand_over import hand_over
from terminal.receipt.request import Issue, Means, Paperwork, ReceiptRequest, ReceiptSale, paperwork
from terminal.receipt.sales import sales
from tests.terminal.export.recorded import at, committed, intent, not_committed, numbered

NOON = datetime(2026, 9, 15, 9, tzinfo=UTC)
RIDE = ReceiptSale(7, 31, NOON, FareMedium.TRANSPORT_CARD, 2400, "RUB", 15, 1, vehicle="А 123 ВС 34")
WAYS = tuple(ReceiptWay)
RECEIPTS = Receipts(vat=Vat.NONE, ways=WAYS, place="Depot 1", site="https://receipts.example")


def papers(sale: ReceiptSale = RIDE, receipts: Receipts = RECEIPTS, **means: bool) -> Paperwork:
    return paperwork(sale, receipts, Means(**means))


def only(*ways: ReceiptWay) -> Receipts:
    return Receipts(vat=Vat.VAT_10, ways=ways, place="Depot 1", site="https://receipts.example")


def test_t_51_the_request_says_place_vehicle_route_sum_vat_and_medium() -> None:
    request = papers(receipts=only(ReceiptWay.CONTROL_TICKET)).request
    assert request == ReceiptRequest(
        id="7-31",
        at=NOON,
        place="Depot 1",
        vehicle="А 123 ВС 34",
        route=15,
        sum_minor=2400,
        currency="RUB",
        vat=Vat.VAT_10,
        medium=FareMedium.TRANSPORT_CARD,
        way=ReceiptWay.CONTROL_TICKET,
    )


def test_t_51_ticket_and_request_have_one_name_and_say_nothing_of_the_rider() -> None:
    made = papers()
    assert made.request is not None
    assert made.ticket.id == made.request.id == "7-31"
    told = set(ReceiptRequest.__struct_fields__)
    said = {
        "id",
        "at",
        "place",
        "vehicle",
        "route",
        "sum_minor",
        "currency",
        "vat",
        "medium",
        "way",
        "refunds",
    }
    assert told == said


@pytest.mark.parametrize(
    ("means", "way"),
    [
        ({"printer": True, "display": True, "contact_known": True}, ReceiptWay.PAPER),
        ({"display": True, "contact_known": True}, ReceiptWay.ELECTRONIC),
        ({"display": True}, ReceiptWay.CONTROL_TICKET),
        ({}, ReceiptWay.CONTROL_TICKET),
    ],
)
def test_t_50_the_first_way_the_terminal_has_is_taken(means: dict[str, bool], way: ReceiptWay) -> None:
    request = papers(**means).request
    assert request is not None
    assert request.way is way


def test_t_50_the_control_ticket_says_where_the_receipt_is_found() -> None:
    assert papers().ticket.found_at == "https://receipts.example"
    assert papers(printer=True).ticket.found_at is None


def test_t_50_with_a_qr_on_the_display_there_is_no_paper() -> None:
    made = papers(receipts=only(ReceiptWay.QR, ReceiptWay.PAPER), display=True, printer=True)
    assert made.request is not None
    assert (made.request.way, made.ticket.issue) == (ReceiptWay.QR, Issue.RECORDED)


def test_t_50_a_terminal_without_any_of_the_ways_says_so() -> None:
    with pytest.raises(ReceiptError, match="none of the region's ways: paper, qr") as refused:
        papers(receipts=only(ReceiptWay.PAPER, ReceiptWay.QR))
    assert refused.value.exit_code == 61


@pytest.mark.parametrize("means", [{}, {"printer": True}, {"display": True}])
def test_t_52_a_free_concession_trip_is_a_zero_ticket_and_no_request(means: dict[str, bool]) -> None:
    made = papers(structs.replace(RIDE, sum_minor=0), **means)
    assert made.request is None
    assert (made.ticket.id, made.ticket.sum_minor) == ("7-31", 0)


@given(
    st.integers(0, 100_000),
    st.sampled_from(ReceiptWay),
    st.builds(Means, st.booleans(), st.booleans(), st.booleans()),
)
def test_t_53_a_cash_sale_always_puts_a_ticket_into_the_hand(
    sum_minor: int, way: ReceiptWay, means: Means
) -> None:
    cash = structs.replace(RIDE, medium=FareMedium.CASH, sum_minor=sum_minor)
    made = paperwork(cash, only(way, ReceiptWay.CONTROL_TICKET), means)
    assert made.ticket.issue is Issue.PRINTED
    assert (made.request is None) == (sum_minor == 0)


def test_t_53_a_card_prints_only_where_its_receipt_is_paper() -> None:
    assert papers(printer=True).ticket.issue is Issue.PRINTED
    assert papers().ticket.issue is Issue.RECORDED


def test_asking_again_is_the_same_request(tmp_path: Path) -> None:
    folder = ReceiptFolder(tmp_path)
    first, again = (hand_over(folder, RIDE, RECEIPTS, Means()) for _ in range(2))
    assert (first and first.new, again and again.new) == (True, False)
    assert len(list((tmp_path / "requests").iterdir())) == 1
    assert list((tmp_path / "tickets").iterdir()) == []


def test_the_first_way_stands_when_the_terminal_is_equipped_later(tmp_path: Path) -> None:
    folder = ReceiptFolder(tmp_path)
    hand_over(folder, RIDE, RECEIPTS, Means())
    before = (tmp_path / "requests" / "7-31.json").read_bytes()
    hand_over(folder, RIDE, RECEIPTS, Means(printer=True))
    assert (tmp_path / "requests" / "7-31.json").read_bytes() == before


def test_another_sale_under_the_same_number_is_refused(tmp_path: Path) -> None:
    folder = ReceiptFolder(tmp_path)
    hand_over(folder, RIDE, RECEIPTS, Means())
    with pytest.raises(ReceiptError, match="request 7-31 differs"):
        hand_over(folder, structs.replace(RIDE, sum_minor=2500), RECEIPTS, Means())


def test_a_folder_that_cannot_be_used_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReceiptError, match="cannot be used"):
        ReceiptFolder(tmp_path / "file")
    folder = ReceiptFolder(tmp_path / "good")
    (tmp_path / "good" / "requests" / "7-31.json").write_text("{")
    with pytest.raises(ReceiptError, match="is no receipt request"):
        hand_over(folder, RIDE, RECEIPTS, Means())


def test_what_was_not_committed_was_not_sold() -> None:
    ride, meal = intent(at("08:00")), intent(at("09:00"), 0, profile="canteen")
    rows = numbered(ride, ride, ride, meal, committed(1), not_committed(2), committed(4))
    assert [(sale.sequence, sale.sum_minor, sale.medium) for sale in sales(7, rows)] == [
        (1, 2400, FareMedium.TRANSPORT_CARD)
    ]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('site = "https://receipts.example"', "", "receipts.site: a control ticket must say"),
        ('ways = ["qr", "control_ticket"]', 'ways = ["control_ticket", "qr"]', "receipts.ways: no way after"),
        ('ways = ["qr", "control_ticket"]', 'ways = ["qr", "qr"]', "receipts.ways[1]: qr is already used"),
        ('vat = "none"', 'vat = "vat_18"', 'receipts.vat: unknown word "vat_18"'),
    ],
)
def test_receipts_of_a_region_are_checked(old: str, new: str, what: str) -> None:
    text = DEMO_REGION.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(RegionDocumentError) as refused:
        parse_region(text.replace(old, new), "r.toml")
    (mistake,) = refused.value.mistakes
    assert refused.value.what.startswith(f"r.toml:{mistake.line}: {what}")


def test_the_demo_region_tells_how_receipts_are_given() -> None:
    receipts = load_region("demo").receipts
    assert receipts is not None
    assert receipts.ways[-1] is ReceiptWay.CONTROL_TICKET


def test_a_sale_is_told_as_the_journal_has_it() -> None:
    (sale,) = sales(7, numbered(intent(at("08:00"), trip={"companions": 2}), committed(1)), "А 123 ВС 34")
    assert (sale.at, sale.persons, sale.vehicle) == (at("08:00"), 3, "А 123 ВС 34")
    assert (sale.route, sale.direction, sale.ticket_id) == (15, 1, "7-1")
    (alone,) = sales(7, numbered(intent(at("08:00")), committed(1)))
    assert (alone.persons, alone.vehicle) == (1, "")
