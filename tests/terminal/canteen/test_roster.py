"""Roster and price list: checked before they count, newer than what they replace, sealed where names are in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sim.profile import LAB_KEYS
from terminal.canteen.documents import ListFile, RosterDocument
from terminal.canteen.roster import Roster
from terminal.canteen.store import CanteenLists, PricesPart, RosterPart
from terminal.codes import SetKind, UpdateFault
from terminal.errors import ActiveSetError, KeyFileError, RosterError, TerminalError
from terminal.files import Sealer
from terminal.keys.file import load_file_keys
from terminal.keys.sealing import StorageKeys
from terminal.policy.load import DEMO_REGION
from terminal.trip.pupil import Age
from terminal.updates.active import ActiveSet
from terminal.updates.edition import Published
from terminal.updates.parts import RegionPart
from tests.terminal.canteen.school import (
    POLICY,
    PRICES,
    SCHOOL_TEXT,
    child,
    grant,
    local,
    order,
    ref,
    roster_document,
)

NOW = local("09:00")
NAME = "Тестов Иван"
REGION = (DEMO_REGION.read_text("utf-8") + SCHOOL_TEXT).encode()


class Shelf:
    """An active set with the region document in force, and its two lists."""

    def __init__(self, folder: Path, terminal: int, sealer: Sealer) -> None:
        self.folder = folder
        self.sealer = sealer
        parts = {
            SetKind.REGION: RegionPart(),
            SetKind.ROSTER: RosterPart(terminal, sealer),
            SetKind.PRICES: PricesPart(),
        }
        self.active = ActiveSet(folder, parts)
        self.active.offer(SetKind.REGION, Published("region.toml", REGION), NOW)
        self.active.activate(self.active.due(NOW), NOW, None)
        self.lists = CanteenLists(self.active)

    def load_roster(self) -> Roster | None:
        return self.lists.roster(POLICY)

    def install_roster(self, came: ListFile, now: datetime = NOW) -> Roster:
        assert self.lists.put(SetKind.ROSTER, came, now)
        roster = self.lists.roster(POLICY)
        assert roster is not None
        return roster

    def install_price_list(self, came: ListFile) -> None:
        assert self.lists.put(SetKind.PRICES, came, NOW)

    def kept(self, kind: SetKind) -> Path:
        """The newest slot's file."""
        slots = sorted((self.folder / "active" / kind).glob("*/*"), key=lambda path: int(path.parent.name))
        return slots[-1]

    def refused(self) -> TerminalError:
        """Why the roster that was in force cannot be used."""
        (found,) = (one.refused for one in self.active.status() if one.kind is SetKind.ROSTER)
        assert found is not None
        assert found.error is not None
        assert found.fault is UpdateFault.DAMAGED
        return found.error


@pytest.fixture
def store(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "state", 80001, load_file_keys(LAB_KEYS).sealer)


def written(folder: Path, document: object, name: str = "list.json") -> ListFile:
    path = folder / name
    path.write_bytes(msgspec.json.encode(document))
    return ListFile.read(path)


def test_a_roster_comes_back_from_its_seal(store: Shelf, tmp_path: Path) -> None:
    document = roster_document(child(1, 10, name=NAME), child(2, 11, class_id="7b", grade=7))
    assert store.load_roster() is None
    store.install_roster(written(tmp_path, document))
    roster = store.load_roster()
    assert roster is not None
    assert roster.document == document
    assert dict(roster.classes) == {"3a": (ref(1),), "7b": (ref(2),)}


def test_toml_says_the_same_as_json(store: Shelf, tmp_path: Path) -> None:
    (tmp_path / "roster.toml").write_text(
        """
[header]
kind = "roster"
schema = 1
school = "school_12"
region = 34
sequence = 7
issued_at = 2026-09-15T06:00:00+03:00
valid_from = 2026-09-01T00:00:00+03:00
valid_to = 2027-09-01T00:00:00+03:00
grades_on = 2026-09-01
through = { 80001 = 12 }

[[pupils]]
ref = "0000000000000001"
name = "Тестов Иван"
class_id = "3а"
grade = 3
shift = 1
grants = [{ code = 10, valid_from = 2026-09-01, valid_to = 2027-05-31, issued_on = 2026-09-01 }]
hot_minor = -500
orders = [{ day = 2026-09-15, kind = "lunch", placed_at = 2026-09-14T18:00:00 }]
""",
        encoding="utf-8",
    )
    roster = store.install_roster(ListFile.read(tmp_path / "roster.toml"))
    pupil = roster.pupils[ref(1)]
    assert (pupil.class_id, pupil.hot_minor, len(pupil.orders)) == ("3а", -500, 1)
    assert roster.header.through == {"80001": 12}


def test_d_02_no_name_no_ground_and_no_pupil_lies_on_the_disk_in_clear(store: Shelf, tmp_path: Path) -> None:
    store.install_roster(written(tmp_path, roster_document(child(1, 11, name=NAME))))
    kept = store.kept(SetKind.ROSTER).read_bytes()
    for secret in (NAME.encode(), ref(1), ref(1).hex().encode(), b"3a", b"school_12"):
        assert secret not in kept
    assert store.kept(SetKind.ROSTER).stat().st_mode & 0o077 == 0


def test_d_02_names_are_in_no_error_and_no_representation(store: Shelf, tmp_path: Path) -> None:
    roster = Roster.of(roster_document(child(1, name=NAME)), POLICY)
    for shown in (repr(roster), repr(roster.document), repr(roster.pupils[ref(1)])):
        assert "Тестов" not in shown
    broken = msgspec.json.encode(roster_document(child(1, name=NAME))).replace(
        b'"grade":3', b'"grade":"3 \xd0"'
    )
    for content in (broken, broken[:-9], broken.replace(b"\xd0", b"")):
        (tmp_path / "list.json").write_bytes(content)
        with pytest.raises(RosterError) as caught:
            store.install_roster(ListFile.read(tmp_path / "list.json"))
        assert "Тестов" not in str(caught.value)
        assert caught.value.__suppress_context__, "nor in what it came from"


def test_a_sealed_roster_opens_with_its_key_on_its_terminal_only(store: Shelf, tmp_path: Path) -> None:
    store.install_roster(written(tmp_path, roster_document(child(1))))
    for terminal, sealer in ((80002, store.sealer), (80001, StorageKeys({"roster": bytes(32)}))):
        assert "does not open with this key" in Shelf(store.folder, terminal, sealer).refused().what
    assert "no storage key 'roster'" in Shelf(store.folder, 80001, StorageKeys({})).refused().what
    sealed = bytearray(store.kept(SetKind.ROSTER).read_bytes())
    sealed[-1] ^= 1
    store.kept(SetKind.ROSTER).write_bytes(sealed)
    assert isinstance(Shelf(store.folder, 80001, store.sealer).refused(), KeyFileError)
    store.kept(SetKind.ROSTER).write_bytes(b"something else")
    assert "no sealed roster" in Shelf(store.folder, 80001, store.sealer).refused().what


@pytest.mark.parametrize("sequence", [6, 7])
def test_o_01_an_older_sequence_is_refused(store: Shelf, tmp_path: Path, sequence: int) -> None:
    store.install_roster(written(tmp_path, roster_document(child(1, 10))))
    older = written(tmp_path, roster_document(child(2), sequence=sequence))
    with pytest.raises(RosterError, match=f"sequence {sequence}, the one in force is 7"):
        store.install_roster(older)
    roster = store.load_roster()
    assert roster is not None
    assert set(roster.pupils) == {ref(1)}, "the one in force stays in force"
    assert store.install_roster(written(tmp_path, roster_document(sequence=8))).header.sequence == 8


HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"school": "school_13", "sequence": 8}, "made for school_13, this terminal stands in another school"),
    ({"region": 74}, "is of region 74, demo of region 34"),
    ({"sequence": 8, "valid_to": local("09:00")}, "header.valid_to: ended on"),
    ({"valid_from": local("10:00"), "valid_to": local("09:30")}, "the list is never valid"),
    ({"schema": 2}, "schema 2, this software knows 1"),
    ({"kind": "price_list"}, "header.kind"),
]


@pytest.mark.parametrize(("header", "problem"), HEADERS)
def test_o_01_a_roster_for_something_else_is_refused(
    store: Shelf, tmp_path: Path, header: dict[str, Any], problem: str
) -> None:
    store.install_roster(written(tmp_path, roster_document()))
    with pytest.raises(RosterError, match=problem):
        store.install_roster(written(tmp_path, roster_document(**header)))


PUPILS: list[tuple[Callable[[], RosterDocument], str]] = [
    (lambda: roster_document(child(1), child(1)), r"pupils\[1\]\.ref"),
    (lambda: roster_document(child(1, 99)), r"pupils\[0\]\.grants\[0\]\.code: unknown concession code 99"),
    (lambda: roster_document(child(1, grants=(grant(10), grant(10)))), r"pupils\[0\]\.grants\[1\]\.code"),
    (
        lambda: roster_document(child(1, grants=(grant(10, last=date(2026, 8, 1)),))),
        r"grants\[0\]\.valid_to: ends before",
    ),
    (lambda: roster_document(child(1, orders=(order("brunch"),))), r"orders\[0\]\.kind: unknown meal kind"),
    (lambda: roster_document(child(1, orders=(order("lunch"), order("lunch")))), r"orders\[1\]"),
    (lambda: roster_document(child(1, grade=12)), r"pupils\[0\]\.grade"),
    (lambda: roster_document(child(1, shift=3)), r"pupils\[0\]\.shift"),
    (lambda: roster_document(child(1, buffet_minor=-1)), r"pupils\[0\]\.buffet_minor"),
    (
        lambda: roster_document(child(1, orders=(order("lunch", placed="2026-09-14T10:00+03:00"),))),
        r"placed_at: a time with an offset",
    ),
]


@pytest.mark.parametrize(("made", "problem"), PUPILS)
def test_what_is_wrong_in_a_roster_is_named_with_its_place(
    store: Shelf, tmp_path: Path, made: Callable[[], RosterDocument], problem: str
) -> None:
    with pytest.raises(RosterError, match=problem):
        store.install_roster(written(tmp_path, made()))
    assert store.load_roster() is None


@pytest.mark.parametrize(
    ("since", "age"),
    [
        (timedelta(0), Age.FRESH),
        (timedelta(hours=24), Age.FRESH),
        (timedelta(hours=24, seconds=1), Age.STALE),
        (timedelta(hours=168), Age.STALE),
        (timedelta(hours=168, seconds=1), Age.EXPIRED),
    ],
)
def test_o_03_a_roster_ages_by_the_documents_limits(since: timedelta, age: Age) -> None:
    assert Roster.of(roster_document(issued_at=NOW - since), POLICY).age(NOW, POLICY) is age


def test_o_03_past_its_validity_a_roster_has_expired_and_still_lists_its_pupils() -> None:
    roster = Roster.of(roster_document(child(1), issued_at=NOW, valid_to=NOW), POLICY)
    assert roster.age(NOW, POLICY) is Age.EXPIRED
    assert ref(1) in roster.pupils


def test_a_price_list_is_checked_and_replaced_like_a_roster(store: Shelf, tmp_path: Path) -> None:
    document: dict[str, Any] = msgspec.to_builtins(
        {"header": PRICES.header, "products": list(PRICES.products.values())}
    )
    assert store.lists.price_list() is None
    store.install_price_list(written(tmp_path, document))
    assert store.lists.price_list() == PRICES
    store.install_price_list(written(tmp_path, document))  # the same again is in force already
    document["header"] = msgspec.structs.replace(PRICES.header, issued_at=NOW)
    with pytest.raises(RosterError, match="sequence 1, the one in force is 1"):
        store.install_price_list(written(tmp_path, document))
    document["header"] = msgspec.structs.replace(PRICES.header, sequence=2)
    document["products"].append(document["products"][0])
    with pytest.raises(RosterError, match=r"products\[3\]\.id"):
        store.install_price_list(written(tmp_path, document))
    document["products"][0]["price_minor"] = 0
    with pytest.raises(RosterError, match=r'products\[0\] "Булочка"\.price_minor'):
        store.install_price_list(written(tmp_path, document))


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ActiveSetError, match="cannot be written"):
        Shelf(tmp_path / "file" / "state", 80001, StorageKeys({"roster": bytes(32)}))


def test_a_roster_of_tomorrow_waits_for_its_day(store: Shelf, tmp_path: Path) -> None:
    store.install_roster(written(tmp_path, roster_document(child(1))))
    tomorrow = NOW + timedelta(days=1)
    later = written(tmp_path, roster_document(child(2), sequence=8, valid_from=tomorrow))
    assert not store.lists.put(SetKind.ROSTER, later, NOW)
    assert store.active.due(tomorrow - timedelta(seconds=1)) == ()
    assert store.active.due(None) == (), "a clock in doubt brings nothing into force"
    store.active.activate(store.active.due(tomorrow), tomorrow, None)
    roster = store.load_roster()
    assert roster is not None
    assert set(roster.pupils) == {ref(2)}


def test_the_roster_in_the_documentation_can_be_loaded(store: Shelf, tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "canteen.md").read_text(encoding="utf-8")
    examples = [block.split("```")[0] for block in text.split("```toml\n")[1:]]
    (example,) = [one for one in examples if 'kind = "roster"' in one]
    (tmp_path / "roster.toml").write_text(example, encoding="utf-8")
    roster = store.install_roster(ListFile.read(tmp_path / "roster.toml"))
    assert [len(pupil.orders) for pupil in roster.pupils.values()] == [1]
