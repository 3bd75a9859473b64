"""What is wrong with fares, rights, journeys and counters is refused when the document is built, with a way out."""

from __future__ import annotations

import pytest

from terminal.errors import RegionDocumentError
from terminal.mistakes.words import said
from terminal.policy.load import DEMO_REGION, parse_region
from terminal.policy.mistakes import SchemaMistake
from tests.said import mistakes_at
from tests.terminal.decision.region import text_of

ZONES = '[[zones]]\nnumber = 1\nname = "a"\n[[zones]]\nnumber = 2\nname = "b"\n'
PRICES = "{ transport_card = 3000, bank_card = 3000, cash = 3000 }"
MATRIX = "{ transport_card = [[1, 2], [3, 4]], bank_card = [[1, 2], [3, 4]], cash = [[1, 2], [3, 4]] }"
MONTH = '{ name = "month", bits = 4, period = "service_month" },'
KEPT = '{ name = "kept", bits = 2, period = "kept" }, { name = "held", bits = 14, period = "kept" },'
DAY = (
    '{ name = "day", bits = 8, period = "service_day" }, { name = "tier", bits = 1, period = "service_day" },'
)
WINDOW = 'window_s = 3600\ntransfers = "unlimited"\nmedia = ["transport_card"]\n'
OPENS = 'transfer = "t"'


def flat(name: str, more: str = "") -> str:
    return f'[[fares.rules]]\nid = "{name}"\nkind = "flat"\nby_medium = {PRICES}\n{more}\n'


def zoned(name: str, more: str = "", zones: str = '["a", "b"]', matrix: str = MATRIX) -> str:
    return (
        f'[[fares.rules]]\nid = "{name}"\nkind = "zone_table"\nbase = "cash"\nzones = {zones}\n'
        f"by_medium = {matrix}\n{more}\n"
    )


def timeframe(name: str, starts: str = "07:00:00", ends: str = "09:00:00", days: str = '["mon"]') -> str:
    return (
        f'[[timeframes]]\nid = "{name}"\nwindows = [{{ days = {days}, starts = {starts}, ends = {ends} }}]\n'
    )


def concession(more: str, fare: str = 'fare = { kind = "free" }', code: int = 1) -> str:
    return f'[[concessions]]\ncode = {code}\nname = "c"\n{fare}\n{more}\n'


def transfer(more: str = "", kind: str = "free_window", name: str = "t", window: str = WINDOW) -> str:
    return f'[[transfers]]\nid = "{name}"\nkind = "{kind}"\n{window}{more}\n'


def cap(more: str) -> str:
    return f'[[caps]]\nkind = "amount_cap"\nid = "cap"\nspent = "day"\n{more}\n'


def calendar(months: str) -> str:
    limit = 'limits = [{ kind = "calendar_trips", calendar = "c", trips_per_day = 2, counter = "month" }]'
    return concession(limit) + f'[[trip_calendars]]\nid = "c"\nmonths = {months}\n'


def refused(text: str) -> RegionDocumentError:
    with pytest.raises(RegionDocumentError) as caught:
        parse_region(text, "region.toml")
    return caught.value


NO_DEFAULT = "[fares]\nbase_minor = 4000\n"

FARES = [
    ((zoned("z"),), {}, "fares.rules[0].zones[0]", "Known: none in this document."),
    ((ZONES, zoned("z", zones='["a", "a"]')), {}, "fares.rules[0].zones[1]", "Give each its own"),
    ((ZONES, zoned("z", zones='["a"]')), {}, "fares.rules[0].by_medium.transport_card", "each zone left in"),
    ((ZONES.replace("= 2", "= 1"),), {}, "zones[1].number", "Give each its own"),
    ((ZONES.replace('"b"', '"a"'),), {}, "zones[1].name", "Give each its own"),
    ((flat("x"), flat("x", "modes = ['tram']")), {}, "fares.rules[1].id", "Give each its own"),
    ((flat("x"), flat("y")), {}, "fares.rules[1]", "Keep their modes, routes, zones or times apart."),
    ((flat("x", "routes = [5]"), flat("y", "modes = ['bus']")), {}, "fares.rules[1]", "apart"),
    ((flat("x", "routes = [5, 6]"), flat("y", "routes = [6]")), {}, "fares.rules[1]", "apart"),
    ((ZONES, zoned("x"), flat("y")), {}, "fares.rules[1]", "apart"),
    ((ZONES, zoned("x"), zoned("y", "modes = ['tram']")), {}, "fares.rules[1]", "apart"),
    (
        (
            timeframe("p"),
            timeframe("q", "08:59:59", "10:00:00"),
            flat("x", "when = 'p'"),
            flat("y", "when = 'q'"),
        ),
        {},
        "fares.rules[1]",
        "apart",
    ),
    ((flat("x", "when = 'peak'"),), {}, "fares.rules[0].when", "Known: none"),
    (
        (timeframe("p"), flat("x", "when = 'p'\nexcept_when = 'p'")),
        {},
        "fares.rules[0]",
        "Take one of them out",
    ),
    ((timeframe("p"),), {}, "timeframes[0]", "or remove it"),
    ((timeframe("p", days="[]"),), {}, "timeframes[0].windows[0].days", "day of the week"),
    ((timeframe("p", ends="07:00:00"),), {}, "timeframes[0].windows[0].ends", "split it at midnight"),
    (('[[timeframes]]\nid = "p"\nwindows = []\n',), {}, "timeframes[0].windows", "Add a window"),
    ((), {"fares": NO_DEFAULT}, "fares.rules", "Add `by_medium`"),
    ((flat("x", "modes = ['tram']"),), {"fares": NO_DEFAULT}, "fares.rules", "a rule that fills the gap"),
    ((flat("x", "routes = [1]"),), {"fares": NO_DEFAULT}, "fares.rules", "Add `by_medium`"),
    (
        (timeframe("p"), flat("x", "except_when = 'p'")),
        {"fares": NO_DEFAULT},
        "fares.rules",
        "Add `by_medium`",
    ),
    (
        (ZONES, zoned("z", zones='["a", "b"]', matrix=MATRIX), flat("x", "modes=['tram']")),
        {},
        "fares.rules[1]",
        "apart",
    ),
    (
        ("[[fares.steps]]\nvalid_from = 2024-12-31\nbase_minor = 1\nby_medium = " + PRICES,),
        {},
        "fares.steps[0].valid_from",
        "Put it after 2025-01-01",
    ),
    (
        ("[[fares.steps]]\nvalid_from = 2030-01-01\nbase_minor = 1\nby_medium = " + PRICES,),
        {},
        "fares.steps[0].valid_from",
        "Remove the step",
    ),
    (
        ("[[fares.steps]]\nvalid_from = 2026-01-01\nbase_minor = 1\n",),
        {},
        "fares.steps[0].rules",
        "Add `by_medium`",
    ),
]
RIGHTS = [
    (
        (concession("season = { first = '02-30', last = '05-31' }"),),
        {},
        "concessions[0].season.first",
        "02-29",
    ),
    (
        (concession("season = { first = '13-01', last = '05-31' }"),),
        {},
        "concessions[0].season.first",
        "13-01",
    ),
    ((concession("scope = [{}]"),), {}, "concessions[0].scope[0]", "or remove it"),
    ((concession("scope = [{ zones = ['x'] }]"),), {}, "concessions[0].scope[0].zones[0]", "Known: none"),
    ((concession("scope = [{ modes = ['ship'] }]"),), {}, "concessions[0].scope[0].modes[0]", "ferry"),
    (
        (concession("season = { first = '01-01', last = '05-31' }", fare=""),),
        {},
        "concessions[0].season",
        "Add `fare`",
    ),
    (
        (concession("", "fare = { kind = 'amount_off', amount_minor = 3500 }"),),
        {},
        "concessions[0].fare.amount_minor",
        'kind = "free"',
    ),
    (
        (concession("limits = [{ kind = 'trips', trips = 16, counter = 'month' }]"),),
        {"slots": MONTH},
        "concessions[0].limits[0].counter",
        "5 bits",
    ),
    (
        (concession("limits = [{ kind = 'trips', trips = 1, counter = 'kept' }]"),),
        {"slots": KEPT},
        "concessions[0].limits[0].counter",
        "service_day, service_week",
    ),
    (
        (concession("limits = [" + 2 * "{ kind = 'trips', trips = 1, counter = 'month' }," + "]"),),
        {"slots": MONTH},
        "concessions[0].limits[1].counter",
        "Give each its own",
    ),
    (
        (concession("companions = { most = 1, counter = 'month' }"),),
        {"slots": MONTH},
        "concessions[0].companions.counter",
        "service_day, kept",
    ),
    ((calendar("[]"),), {"slots": MONTH}, "trip_calendars[0].months", "from 2025-01-01 to 2029-12-31"),
    (
        (calendar("[{ month = '2025-01', days = 1 }, { month = '2025-03', days = 1 }]"),),
        {"slots": MONTH},
        "trip_calendars[0].months",
        "Add its eligible days",
    ),
    (
        ("[[trip_calendars]]\nid = 'c'\nmonths = []\n",),
        {},
        "trip_calendars[0]",
        "Name it in a limit or remove it.",
    ),
    (
        (
            concession(
                "limits = [{ kind = 'calendar_trips', calendar = 'x', trips_per_day = 1, counter = 'month' }]"
            ),
        ),
        {"slots": MONTH},
        "concessions[0].limits[0].calendar",
        "Known: none",
    ),
    (
        ("[[products]]\nkind = 'timed_pass'\nid = 1\nname = 'n'\nlength_s = 86400\n",),
        {},
        "counters.contracts[0]",
        "Give it 16 bits",
    ),
    (
        (
            "[[products]]\nkind = 'trip_pack'\nid = 1\nname = 'n'\ntrips = 9\nmost_trips = 8\nlapses = 'monthly'\n",
        ),
        {},
        "products[0].most_trips",
        "at least 9",
    ),
    (
        ("[[products]]\nkind = 'plan'\nid = 1\nname = 'n'\nfare_minor = 9\ntransfer = 't'\n",),
        {},
        "products[0].transfer",
        "Known: none",
    ),
    (
        ("[[products]]\nkind = 'pass'\nid = 1\nname = 'n'\nsold = { opens_day = 20, closes_day = 5 }\n",),
        {},
        "products[0].sold.closes_day",
        "month_before = true",
    ),
]
GRACE = (
    "[grace]\nconcessions = {}\nseason = {{ first = '11-01', last = '03-31' }}\nscope = []\n"
    "trips = {}\ncounter = 'kept'\n"
)
JOURNEYS = [
    ((GRACE.format("[1]", 3),), {"slots": KEPT}, "grace.concessions[0]", "Known: none"),
    ((GRACE.format("[]", 3),), {"slots": KEPT}, "grace.concessions", "Name a concession"),
    ((concession(""), GRACE.format("[1]", 4)), {"slots": KEPT}, "grace.counter", "3 bits"),
    ((transfer(),), {}, "transfers[0]", "Name it in `fares.transfer`"),
    ((), {"opens": OPENS}, "fares.transfer", "Known: none"),
    ((transfer(), transfer()), {"opens": OPENS}, "transfers[1].id", "Give each its own"),
    (
        (
            transfer(),
            transfer(name="u"),
            "[[products]]\nkind = 'plan'\nid = 1\nname = 'n'\nfare_minor = 9\ntransfer = 'u'\n",
        ),
        {"opens": OPENS},
        "counters",
        'period "journey" with 2 bits',
    ),
    (
        (transfer("counted_from = 'previous_ride'"),),
        {"opens": OPENS},
        "transfers[0].counted_from",
        "Give `transfers` a number",
    ),
    (
        (transfer("price_minor = 3500", "reduced_window"),),
        {"opens": OPENS},
        "transfers[0].price_minor",
        "Lower it",
    ),
    (
        (transfer("once = ['metro']\ncounter = 'month'", "mixed_window"),),
        {"opens": OPENS, "slots": MONTH},
        "transfers[0].counter",
        "period journey",
    ),
    (
        (transfer("once = ['metro']\nmodes = ['bus']\ncounter = 'j'", "mixed_window"),),
        {"opens": OPENS, "slots": '{ name = "j", bits = 1, period = "journey" },'},
        "transfers[0].once",
        "changed to",
    ),
    (
        ("[checkin]\nscope = []\nlongest_s = 3600\nreserve = 'held'\n",),
        {"slots": KEPT},
        "checkin",
        "by zone or distance",
    ),
    (
        (ZONES, zoned("z"), "[checkin]\nscope = []\nlongest_s = 3600\nreserve = 'held'\n"),
        {"slots": KEPT},
        "checkin",
        "in `zone`",
    ),
    (
        (ZONES, zoned("z"), "[checkin]\nscope = []\nlongest_s = 3600\nreserve = 'kept'\nzone = 'held'\n"),
        {"slots": KEPT},
        "checkin.reserve",
        "12 bits",
    ),
    (
        (ZONES, zoned("z"), "[checkin]\nscope = []\nlongest_s = 3600\nreserve = 'kept'\nzone = 'held'\n"),
        {"slots": KEPT.replace("bits = 2", "bits = 12, unit_minor = 200", 1)},
        "checkin.reserve",
        "may have to be held",
    ),
    (
        (
            ZONES,
            zoned("z", matrix=MATRIX.replace("[[1, 2], [3, 4]]", "[[100, 200], [300, 400]]")),
            "[checkin]\nscope = []\nlongest_s = 3600\nreserve = 'kept'\nzone = 'held'\n",
            cap("tiers = [{ amount_minor = 250 }]"),
        ),
        {"slots": KEPT.replace("bits = 2", "bits = 12, unit_minor = 100", 1) + DAY},
        "checkin.reserve",
        "250 may have to be held",
    ),
    ((cap("tiers = []"),), {"slots": DAY}, "caps[0].tiers", "Add a tier"),
    ((cap("tiers = [{ amount_minor = 256 }]"),), {"slots": DAY}, "caps[0].spent", "9 bits"),
    (
        (cap("tiers = [{ amount_minor = 20 }, { amount_minor = 30 }]\nlevel = 'tier'"),),
        {"slots": DAY},
        "caps[0].tiers[1]",
        "`scope`",
    ),
    (
        (
            cap(
                "tiers = [{ amount_minor = 30, scope = [{ modes = ['bus'] }] }, { amount_minor = 20 }]\nlevel = 'tier'"
            ),
        ),
        {"slots": DAY},
        "caps[0].tiers[1]",
        "from the cheapest",
    ),
    (
        (cap("tiers = [{ amount_minor = 20, scope = [{ modes = ['bus'] }] }, { amount_minor = 30 }]"),),
        {"slots": DAY},
        "caps[0]",
        "in `level`",
    ),
    (
        (cap("tiers = [{ amount_minor = 7000 }]"),),
        {"slots": DAY.replace("bits = 8", "bits = 8, unit_minor = 1000", 1)},
        "caps[0].spent",
        "smaller `unit_minor`",
    ),
    (
        (cap("tiers = [{ amount_minor = 20 }]\nconcessions = [9]"),),
        {"slots": DAY},
        "caps[0].concessions[0]",
        "Known",
    ),
]
COUNTERS = [
    (
        (
            cap("tiers = [{ amount_minor = 20 }]"),
            cap("tiers = [{ amount_minor = 20 }]").replace('"cap"', '"cap2"'),
        ),
        {"slots": DAY},
        "caps[1].spent",
        "its own counter",
    ),
    (
        (
            concession("limits = [{ kind = 'trips', trips = 9, counter = 'day' }]"),
            cap("tiers = [{ amount_minor = 20 }]"),
        ),
        {"slots": DAY},
        "caps[0].spent",
        "its own counter",
    ),
    ((), {"counters": 'journey = "pack_a"'}, "counters.journey", "period journey"),
]


PAID = '{ name = "paid", bits = 12, period = "journey" },'
TOP_UP = transfer("paid = 'paid'", "top_up_window")
DEAR = flat("dear", "routes = [9]")


def way_back(
    more: str = "routes = [5]\npercent_off = 50", kind: str = "opposite_direction", name: str = "back"
) -> str:
    return f"[[returns]]\nid = '{name}'\nkind = '{kind}'\noutward = '{name}'\n{more}\n"


DAILY = '{ name = "back", bits = 4, period = "service_day" }, { name = "since", bits = 8, period = "service_day" },'
TODAY = "same_service_day = true\n"
WITHIN = "window_s = 3600\nbegan = 'since'\n"
PAIR = "zones = ['a', 'b']\n"
BETWEEN_RIDES = [
    ((flat("x", "transfer = 'u'"),), {}, "fares.rules[0].transfer", "Known: none"),
    ((transfer(name="none"),), {"opens": 'transfer = "none"'}, "transfers[0].id", "another id"),
    ((TOP_UP, DEAR), {"opens": OPENS}, "transfers[0].paid", "Known: pack_a, pack_b"),
    ((TOP_UP, DEAR), {"opens": OPENS, "slots": PAID.replace("12", "11")}, "transfers[0].paid", "12 bits"),
    (
        (TOP_UP, DEAR),
        {"opens": OPENS, "slots": PAID.replace("journey", "kept")},
        "transfers[0].paid",
        "period journey",
    ),
    (
        (TOP_UP, DEAR),
        {"opens": OPENS, "slots": PAID.replace('"journey"', '"journey", unit_minor = 200')},
        "transfers[0].paid",
        "smaller `unit_minor`",
    ),
    (
        (TOP_UP.replace('"transport_card"', '"transport_card", "bank_card"'), DEAR),
        {"opens": OPENS, "slots": PAID},
        "transfers[0].media[1]",
        'media = ["transport_card"]',
    ),
    ((TOP_UP,), {"opens": OPENS, "slots": PAID}, "transfers[0]", 'kind = "free_window"'),
    (
        (TOP_UP.replace("3600", "3600\ncounted_from = 'previous_ride'"), DEAR),
        {"opens": OPENS, "slots": PAID},
        "transfers[0].counted_from",
        "Give `transfers` a number",
    ),
]
RETURNS = [
    (way_back(), "returns[0]", "same_service_day = true, or both"),
    (way_back(TODAY), "returns[0]", "Write one of `percent_off`"),
    (way_back(f"{TODAY}percent_off = 50\nprice_minor = 100"), "returns[0]", "Write one of `percent_off`"),
    (way_back(f"{TODAY}routes = [5]\nprice_minor = 3500"), "returns[0].price_minor", "Lower it"),
    (
        way_back(f"{TODAY}routes = [5]\namount_off_minor = 3500"),
        "returns[0].amount_off_minor",
        "Take less off",
    ),
    (way_back(f"{TODAY}percent_off = 50"), "returns[0].outward", "16 bits"),
    (way_back(f"{TODAY}routes = [8]\npercent_off = 50"), "returns[0].outward", "5 bits"),
    (
        way_back(f"{TODAY}routes = [5]\npercent_off = 50\nbegan = 'since'"),
        "returns[0].began",
        "take `began` out",
    ),
    (way_back(f"{TODAY}window_s = 60\nroutes = [5]\npercent_off = 50"), "returns[0]", "a counter in `began`"),
    (way_back(f"{WITHIN}routes = [5]\npercent_off = 50"), "returns[0].outward", "period kept"),
    (
        way_back(f"{TODAY}{WITHIN}step_s = 1\nroutes = [5]\npercent_off = 50"),
        "returns[0].began",
        "17 bits, a longer `step_s`",
    ),
    (
        way_back(f"{TODAY}zones = ['a', 'x']\npercent_off = 50", "zone_pair"),
        "returns[0].zones[1]",
        "Known: a, b",
    ),
    (
        way_back(f"{TODAY}zones = ['a', 'a']\npercent_off = 50", "zone_pair"),
        "returns[0].zones",
        "two different",
    ),
    (way_back(f"{TODAY}zones = ['a']\npercent_off = 50", "zone_pair"), "returns[0].zones", "Name two zones"),
    (
        way_back(f"{TODAY}routes = [5, 6]\npercent_off = 50")
        + way_back(f"{TODAY}routes = [6]\npercent_off = 40", name="since"),
        "returns[1]",
        "apart",
    ),
    (
        way_back(f"{TODAY}{PAIR}percent_off = 50", "zone_pair")
        + way_back(f"{TODAY}zones = ['b', 'a']\npercent_off = 40", "zone_pair", "since"),
        "returns[1]",
        "apart",
    ),
    (
        way_back(f"{TODAY}{PAIR}percent_off = 50", "zone_pair")
        + way_back(f"{TODAY}{PAIR}routes = [5]\npercent_off = 40", "zone_pair", "since").replace(
            "outward = 'since'", "outward = 'back'"
        ),
        "returns[1].outward",
        "its own counter",
    ),
]


@pytest.mark.parametrize(("rule", "path", "advice"), RETURNS)
def test_what_is_wrong_with_a_return_is_named(rule: str, path: str, advice: str) -> None:
    text = text_of(ZONES, rule, slots=DAILY)
    assert advice in mistakes_at(refused(text), path)


@pytest.mark.parametrize(("step_s", "fits"), [(595, False), (596, True)])
def test_a_week_of_other_writers_and_the_window_are_kept_apart(step_s: int, fits: bool) -> None:
    """Seven days, the hour of the return and half a minute between clocks are 1025 steps of 595 s with those that
    rounding takes, 1023 of 596 s; ten bits hold 1024.
    """
    kept = DAILY.replace("service_day", "kept").replace("bits = 8", "bits = 10")
    text = text_of(ZONES, way_back(f"{WITHIN}step_s = {step_s}\nroutes = [5]\npercent_off = 50"), slots=kept)
    if fits:
        parse_region(text, "region.toml")
    else:
        assert "11 bits" in mistakes_at(refused(text), "returns[0].began")


def test_a_return_that_no_profile_asks_for_is_refused() -> None:
    text = text_of(way_back(f"{TODAY}routes = [5]\npercent_off = 9"), slots=DAILY).replace('"return", ', "")
    assert "Name `return` in profiles.bus.rights" in mistakes_at(refused(text), "returns[0]")


@pytest.mark.parametrize("right", ["transfer", "return"])
def test_a_pass_comes_before_what_asks_the_purse(right: str) -> None:
    text = text_of(
        TOP_UP, DEAR, way_back(f"{TODAY}routes = [5]\npercent_off = 50"), opens=OPENS, slots=PAID + DAILY
    )
    order = {
        "transfer": '["transfer", "pass", "return", "purse"]',
        "return": '["return", "pass", "transfer", "purse"]',
    }
    text = text.replace("rights = [", f"rights = {order[right]} # [", 1)
    assert f"Put `pass` before `{right}`" in mistakes_at(refused(text), "profiles.bus.rights")


@pytest.mark.parametrize(
    ("parts", "options", "path", "advice"), FARES + RIGHTS + JOURNEYS + COUNTERS + BETWEEN_RIDES
)
def test_what_is_wrong_is_named_with_its_place_and_a_way_out(
    parts: tuple[str, ...], options: dict[str, str], path: str, advice: str
) -> None:
    error = refused(text_of(*parts, **options))
    assert advice in mistakes_at(error, path), error
    assert "\n" not in str(error)


def test_a_season_the_document_never_sees_is_refused() -> None:
    summer = text_of(concession("season = { first = '09-01', last = '05-31' }"))
    summer = summer.replace("valid_from = 2025-01-01", "valid_from = 2026-06-02")
    error = refused(summer.replace("valid_to = 2030-01-01", "valid_to = 2026-08-31"))
    assert "no day from 2026-06-02 to 2026-08-31" in mistakes_at(error, "concessions[0].season")


def test_a_gap_is_named_with_its_first_hour() -> None:
    text = text_of(timeframe("p"), flat("x", "except_when = 'p'"), fares=NO_DEFAULT)
    assert "no fare for mode bus, route 0 (0: any not named), zones *, time mon 07:00" in str(refused(text))


def test_a_gap_between_zones_is_named() -> None:
    table = "{ transport_card = [[1]], bank_card = [[1]], cash = [[1]] }"
    parts = (zoned("x", zones='["a"]', matrix=table), zoned("y", zones='["b"]', matrix=table))
    assert "no fare for mode bus, route 0 (0: any not named), zones a - b" in str(
        refused(text_of(ZONES, *parts, fares=NO_DEFAULT))
    )


def test_rules_that_share_nothing_do_not_overlap() -> None:
    parts = (
        timeframe("p"),
        flat("a", "modes = ['tram']"),
        flat("b", "modes = ['bus']\nroutes = [1]\nwhen = 'p'"),
        flat("c", "modes = ['bus']\nroutes = [1]\nexcept_when = 'p'"),
        flat("d", "modes = ['bus']\nroutes = [2]"),
    )
    assert len(parse_region(text_of(*parts), "region.toml").fares.rules) == 4


SCHEMA_1 = [
    ("schema = 2", "schema = 1"),
    ('transfer = "once_in_60_min"\n', ""),
    ("[[transfers]]", "[transfer]"),
    ('id = "once_in_60_min"\n', ""),
    (
        'limits = [{ kind = "trips", trips = 50, counter = "concession_month" }]',
        'limit = { kind = "monthly_trips", trips = 50, counter = "concession_month", over_limit = "ordinary_fare" }',
    ),
]


def of_schema_1() -> str:
    text = DEMO_REGION.read_text(encoding="utf-8")
    for new, old in SCHEMA_1:
        assert new in text
        text = text.replace(new, old)
    return text


def test_a_document_of_schema_1_is_refused_with_what_that_means_now() -> None:
    (mistake,) = refused(of_schema_1()).mistakes
    assert (mistake.code, mistake.path) == (SchemaMistake.ONE, "header.schema")
    assert "Write schema = 2; it has: [[transfers]]" in said(mistake)[1]


def test_schema_1_with_content_of_schema_2_is_refused_by_name() -> None:
    text = DEMO_REGION.read_text(encoding="utf-8").replace("schema = 2", "schema = 1")
    (mistake,) = refused(text).mistakes
    assert mistake.code is SchemaMistake.ONE_WITH_TWO
    assert said(mistake)[0] == "schema = 1, but schema = 2 has: transfers, concessions.limits"
    assert mistake.line == 1 + text[: text.index("schema = 1")].count("\n")


@pytest.mark.parametrize("schema", [0, 3])
def test_schemas_this_terminal_does_not_know_are_refused(schema: int) -> None:
    error = refused(of_schema_1().replace("schema = 1", f"schema = {schema}"))
    assert f"schema {schema}, this software knows 2" in error.what
