"""Region documents: the supplied one loads; what is wrong is named with its place and what to change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from terminal import messages
from terminal.decision.bus.cash import decide_cash
from terminal.decision.outcome import Message
from terminal.errors import RegionDocumentError
from terminal.policy import checks
from terminal.policy.base import FareMedium
from terminal.policy.fares.index import MEDIA
from terminal.policy.load import DEMO_REGION, load_region, parse_region, require_in_force
from terminal.policy.policy import Policy
from terminal.trip.facts import Trip
from tests.said import mistakes_at

BUS = Trip("bus", 7, 1, shift=1, route=5)
TEXT = DEMO_REGION.read_text(encoding="utf-8")
KINDS_END = "[[meals.entitlements]]"


def refused(text: str) -> RegionDocumentError:
    with pytest.raises(RegionDocumentError) as caught:
        parse_region(text, "region.toml")
    return caught.value


def changed(old: str, new: str) -> str:
    assert old in TEXT, f"{old!r} is not in the demo region"
    return TEXT.replace(old, new, 1)


def test_the_supplied_region_loads_by_name_and_by_path() -> None:
    assert load_region("demo") == load_region(DEMO_REGION) == load_region(str(DEMO_REGION))
    header = load_region("demo").header
    assert (header.id, header.region, header.time_zone) == ("demo", 34, "Europe/Volgograd")
    assert Policy.of(load_region("demo")).tariff == "demo:1"


def test_the_languages_a_document_may_name_are_those_with_texts() -> None:
    assert checks.LANGUAGES == messages.LANGUAGES


def test_t_01_fares_by_medium_as_published() -> None:
    fares = load_region("demo").fares.by_medium
    assert (fares.transport_card, fares.bank_card, fares.cash) == (2400, 3000, 3200)


def test_counters_lie_from_the_most_significant_of_56_bits() -> None:
    policy = Policy.of(load_region("demo"))
    assert [(c.name, c.shift, c.mask) for c in policy.counters] == [
        ("concession_month", 48, 0xFF),
        ("pack_a", 40, 0xFF),
        ("pack_b", 32, 0xFF),
    ]
    counter = policy.counters[1]
    full = 0x00_FF_FF_FF_FF_FF_FF
    assert counter.write(2**56 - 1, 0) == 0xFF_00_FF_FF_FF_FF_FF
    assert counter.read(counter.write(full, 17)) == 17
    assert counter.read(counter.write(0, 256)) == 255, "a counter stays at its largest value"


TYPE_ERRORS = [
    ("repeat_s = 2 ", "repaet_s = 2 ", "guards.repaet_s", "Did you mean `repeat_s`?"),
    ('kind = "free_window"', 'kind = "free_windw"', "transfers[0].kind", "Did you mean `free_window`?"),
    (
        'kind = "percent_of_base"',
        'kind = "formula"',
        "concessions[1].fare.kind",
        "amount_off, fixed_price, free, percent_of_base",
    ),
    (
        "pays_percent = 50",
        "pays_percnt = 50",
        "concessions[1].fare.pays_percnt",
        "Did you mean `pays_percent`?",
    ),
    ("pays_percent = 50", "pays_percent = 0", "concessions[1].fare.pays_percent", "At least 1."),
    ("trips = 45\n", "", "products[1]", "Add it: trips = 1"),
    ('"pack"]\nclock', '"pck"]\nclock', "guards.passback_rights[1]", "Did you mean `pack`?"),
    (
        'period = "service_month"',
        'period = "decade"',
        "counters.slots[0].period",
        "contract, half_year, journey, kept, service_day, service_month, service_week, year",
    ),
    (
        "transport_card = 2400",
        "transport_card = 24.00",
        "fares.by_medium.transport_card",
        "Write kopecks as a whole number: 2400",
    ),
    ("transport_card = 2400", "transport_card = 0", "fares.by_medium.transport_card", "At least 1."),
    ("transport_card = 2400", "", "fares.by_medium", "Add it: transport_card = 3500"),
    ("[ages]", "[agse]", "agse", "Did you mean `ages`?"),
    ("07:30:00", '"early"', "meals.kinds[0].served_from", "Write, for example: 07:30:00"),
]
MEANING_ERRORS = [
    ('currency = "RUB"', 'currency = "EURO"', "header.currency", "ISO 4217 such as RUB, EUR or KZT"),
    ("Europe/Volgograd", "Europe/Tsaritsyn", "header.time_zone", "IANA"),
    ("valid_to = 2036", "valid_to = 2024", "header.valid_to", "Put it after"),
    ('languages = ["ru", "en"]', 'languages = ["ru", "tt"]', "messages.languages[1]", "ru, en"),
    ('languages = ["ru", "en"]', "languages = []", "messages.languages", "at least one"),
    ("stale_h = 168", "stale_h = 23", "ages.stale_h", "fresh_h"),
    ('"concession", "purse"]', '"concession"]', "profiles.bus.rights", "Put `purse` last"),
    ('"transfer", "concession"', '"concession"', "transfers[0]", "Name `transfer`"),
    ('"transfer", "concession"', '"pass", "concession"', "profiles.bus.rights[2]", "Give each its own"),
    ('rights = ["concession"]', 'rights = ["concession", "purse"]', "profiles.canteen.rights", "concession"),
    ('media = ["transport_card"]\n#', 'media = ["bank_card"]\n#', "profiles.bus.media", "transport_card"),
    ('["pass", "pack"]\nclock', '["purse"]\nclock', "guards.passback_rights[0]", "T-34"),
    (
        '"concession_month", bits = 8',
        '"concession_month", bits = 5',
        "concessions[1].limits[0].counter",
        "at most 31, or give the counter 6 bits",
    ),
    ('contracts = ["pack_a", "pack_b"]', 'contracts = ["pack_a"]', "counters.contracts", "Name 2"),
    (
        'contracts = ["pack_a", "pack_b"]',
        'contracts = ["pack_a", "pack_c"]',
        "counters.contracts[1]",
        "pack_b",
    ),
    ('"pack_b", bits = 8', '"pack_b", bits = 7', "counters.contracts[1]", "8 bits"),
    ('"pack_b", bits = 8', '"pack_a", bits = 8', "counters.slots[2].name", "Give each its own"),
    (
        '{ name = "pack_b", bits = 8, period = "contract" }',
        '{ name = "pack_b", bits = 8, period = "service_day" }',
        "counters.contracts[1]",
        "contract",
    ),
    (
        'counter = "concession_month"',
        'counter = "pack_a"',
        "concessions[1].limits[0].counter",
        "service_month",
    ),
    (
        'counter = "concession_month"',
        'counter = "week"',
        "concessions[1].limits[0].counter",
        "concession_month",
    ),
    ("code = 2\n", "code = 1\n", "concessions[1].code", "Give each its own"),
    ("id = 145\n", "id = 100\n", "products[1].id", "Give each its own"),
    ("bit = 1\n", "bit = 0\n", "meals.kinds[1].bit", "Give each its own"),
    ('id = "lunch"', 'id = "breakfast"', "meals.kinds[1].id", "Give each its own"),
    (
        "served_until = 10:30:00",
        "served_until = 07:30:00",
        "meals.kinds[0].served_until",
        "after `served_from`",
    ),
    (
        "served_until = 10:30:00",
        "served_until = 11:30:01",
        "meals.kinds[1].served_from",
        "07:30:00 to 11:30:01",
    ),
    (
        "sum_minor = 4265 }",
        "sum_minor = 4264 }",
        "meals.entitlements[0].portions[0].funders",
        "by +1 or",
    ),
    (
        "sum_minor = 4265 }",
        "sum_minor = 4266 }",
        "meals.entitlements[0].portions[0].funders",
        "by -1 or",
    ),
    ("day_sum_minor = 15082", "day_sum_minor = 15083", "meals.entitlements[2].day_sum_minor", "Write 15082"),
    ('{ kind = "breakfast"', '{ kind = "brunch"', "meals.entitlements[0].portions[0].kind", "breakfast"),
    ("first = 5, last = 11", "first = 4, last = 11", "meals.entitlements[3]", "apart"),
    ("first = 5, last = 11", "first = 11, last = 5", "meals.entitlements[3].grades", "`first` before `last`"),
    ("shift = 2\nday", "shift = 1\nday", "meals.entitlements[1]", "apart"),
    ("code = 12\nname", "code = 13\nname", "meals.entitlements[4].code", "1, 2, 10, 11, 13"),
    ("loser = 10", "loser = 11", "meals.combine[0]", "different codes"),
    ("loser = 10", "loser = 1", "meals.combine[0]", "10, 11, 12"),
]


@pytest.mark.parametrize(("old", "new", "path", "advice"), TYPE_ERRORS + MEANING_ERRORS)
def test_what_is_wrong_is_named_with_its_place_and_a_way_out(
    old: str, new: str, path: str, advice: str
) -> None:
    error = refused(changed(old, new))
    assert advice in mistakes_at(error, path)
    assert all(mistake.file == "region.toml" and mistake.line for mistake in error.mistakes)
    assert "\n" not in str(error), "one line"
    assert error.exit_code == 10


def test_counters_that_do_not_fit_the_card_are_refused() -> None:
    wide = TEXT.replace("bits = 8", "bits = 16").replace(
        "slots = [", 'slots = [\n{ name = "x", bits = 16, period = "service_day" },'
    )
    error = refused(wide)
    assert "need 64 bits, the card has 56" in error.what
    assert error.advice == "Take 8 bits away."


ONE_MEDIUM = "bank_card = 3000\ncash = 3200\n"


def test_only_the_media_of_the_profile_need_a_price() -> None:
    policy = Policy.of(parse_region(changed(ONE_MEDIUM, ""), "region.toml"))
    assert policy.fares.media == {MEDIA.index(FareMedium.TRANSPORT_CARD)}
    now = datetime(2026, 9, 15, 6, tzinfo=UTC)
    refused_cash = decide_cash(policy, BUS, 1, now)
    assert (refused_cash.sum_minor, refused_cash.message) == (None, Message.FARE_UNKNOWN)
    assert decide_cash(Policy.of(load_region("demo")), BUS, 1, now).sum_minor == 3200


def test_a_medium_that_is_taken_or_priced_elsewhere_needs_a_price_everywhere() -> None:
    taken = changed(ONE_MEDIUM, "").replace('["transport_card"]\n#', '["transport_card", "bank_card"]\n#')
    assert "no price for `bank_card`" in mistakes_at(refused(taken), "fares.by_medium")
    rule = '[[fares.rules]]\nid = "x"\nkind = "flat"\nroutes = [7]\nby_medium = { transport_card = 1, cash = 2 }\n'
    error = refused(changed("[[transfers]]", f"{rule}[[transfers]]"))
    assert [(one.path, one.values) for one in error.mistakes] == [
        ("fares.rules[0].by_medium", {"medium": "bank_card"})
    ]
    zones = '[[zones]]\nnumber = 1\nname = "a"\n'
    table = '[[fares.rules]]\nid = "x"\nkind = "zone_table"\nzones = ["a"]\nbase = "cash"\n'
    table += "by_medium = { transport_card = [[5]] }\n"
    error = refused(changed("[[transfers]]", f"{zones}{table}[[transfers]]").replace(ONE_MEDIUM, ""))
    assert "which has no price" in mistakes_at(error, "fares.rules[0].base")


def test_a_limit_needs_a_fare_to_limit() -> None:
    fare = 'fare = { kind = "percent_of_base", pays_percent = 50 }'
    error = refused(changed(fare, ""))
    assert "`limits` of a concession without a fare" in mistakes_at(error, "concessions[1].limits")


def test_combinations_must_be_clear() -> None:
    twice = TEXT + '\n[[meals.combine]]\nkind = "max"\ncodes = [10, 11]\n'
    assert "a second rule for the codes 10 and 11" in mistakes_at(refused(twice), "meals.combine[1]")
    circle = TEXT + "".join(
        f'\n[[meals.combine]]\nkind = "replace"\nwinner = {winner}\nloser = {loser}\n'
        for winner, loser in ((10, 12), (12, 11))
    )
    assert "in a circle" in refused(circle).what


def test_several_problems_are_counted() -> None:
    text = changed('currency = "RUB"', 'currency = "EURO"').replace("Europe/Volgograd", "Nowhere")
    error = refused(text)
    assert 'unknown currency "EURO" (and 1 more)' in error.what
    assert [mistake.path for mistake in error.mistakes] == ["header.currency", "header.time_zone"]


def test_a_document_of_another_schema_is_refused_before_its_keys_are_looked_at() -> None:
    error = refused(changed("schema = 2", "schema = 3\nbrand_new_key = 7"))
    assert "schema 3, this software knows 2" in error.what
    assert "Update the software" in error.advice
    assert [mistake.path for mistake in error.mistakes] == ["header.schema"]


def test_text_that_is_not_toml_is_refused_with_its_line() -> None:
    assert refused("[header]\nid = \n").what.startswith("region.toml:2: ")


def test_files_that_are_missing_or_unreadable_are_named(tmp_path: Path) -> None:
    with pytest.raises(RegionDocumentError, match=r"no region document atlantis.*supplied regions: .*demo"):
        load_region("atlantis")
    with pytest.raises(RegionDocumentError, match=r"gone\.toml"):
        load_region(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RegionDocumentError, match=r"binary\.toml:1: this text is in UTF-16"):
        load_region(tmp_path / "binary.toml")
    with pytest.raises(RegionDocumentError, match="this is a folder"):
        load_region(tmp_path)


def test_a_document_is_in_force_from_its_first_instant_until_its_end() -> None:
    document = load_region("demo")
    start: datetime = document.header.valid_from
    end: datetime = document.header.valid_to
    require_in_force(document, start)
    require_in_force(document, end - timedelta(seconds=1))
    with pytest.raises(RegionDocumentError, match="not valid before"):
        require_in_force(document, start - timedelta(seconds=1))
    with pytest.raises(RegionDocumentError, match="ended on"):
        require_in_force(document, end)


def test_a_region_without_transfer_and_canteen_is_a_region() -> None:
    start, end = TEXT.index("[[transfers]]"), TEXT.index("[guards]")
    cut = TEXT[:start] + TEXT[end:]
    text = cut.replace('"transfer", ', "").replace('transfer = "once_in_60_min"\n', "")
    text = text[: text.index("[[meals.kinds]]")]
    policy = Policy.of(parse_region(text, "small.toml"))
    assert policy.meals.kinds == {}
    assert policy.transfers == ()
    assert "has no [[transfers]]" in refused(cut.replace('transfer = "once_in_60_min"\n', "")).what
