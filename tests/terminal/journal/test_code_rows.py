"""The scan that tests over real journals share finds every kind of prose, and skips no field by mistake."""

from __future__ import annotations

import pytest

from terminal.journal import canteen_records, console_records, records
from terminal.journal.canteen_records import MealLine
from terminal.journal.records import AnyRecord, Fault, Started
from tests.journal_rows import FREE_TEXT, assert_codes, prose_in
from tests.terminal.journal.samples import intent


@pytest.mark.parametrize(
    ("record", "place"),
    [
        (Started(1, "resident-card-terminal 0.1.0"), "software"),
        (Fault(1, "reader: gone"), "code"),
        (Fault(1, "reader:gone", {"why": "Unplugged"}), "inputs.why"),
        (Fault(1, "reader:gone", {"Why": 1}), "inputs.key"),
        (intent(flags=("position=manual",)), "flags"),
        (intent(meal=MealLine("school", "3А", "Lunch", "2026-09-15", {}, "paid")), "meal.kind"),
        (intent(trip={"place": {"Stop": 1}}), "trip.place.key"),
    ],
    ids=str,
)
def test_prose_is_found_wherever_it_stands(record: AnyRecord, place: str) -> None:
    (found,) = prose_in(record)
    assert found.startswith(f"{type(record).__name__}.{place}: ")
    with pytest.raises(AssertionError):
        assert_codes([record])


def test_every_field_of_free_text_exists() -> None:
    rooms = (records, console_records, canteen_records)
    kinds = [one for room in rooms for one in vars(room).values() if hasattr(one, "__struct_fields__")]
    fields = {name for kind in kinds for name in kind.__struct_fields__}
    assert FREE_TEXT.keys() <= fields
