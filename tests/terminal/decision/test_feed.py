"""A region whose fares come from a GTFS feed: the same taps, cards and check-in, with the feed's prices."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from cardproto.resident.records.event import EventKind
from cardproto.resident.records.rights import Concession, Contract
from terminal.decision.bus.bank import BankSnapshot
from terminal.decision.decide import decide
from terminal.decision.outcome import Decision
from terminal.errors import RegionDocumentError
from terminal.mistakes.words import said
from terminal.policy.load import parse_region
from terminal.policy.policy import Policy
from terminal.updates.parts import REGION_FILE, RegionPart
from tests.terminal.decision.region import text_of
from tests.terminal.decision.rider import FIRST, LAST, Rider, local, rules, trip_at
from tests.terminal.policy.gtfs.feeds import imported

NOW = local("10:00")
MIN = timedelta(minutes=1)
FEED_FARES = '[fares]\nbase_minor = 3000\nsource = "gtfs"\n'
FEED = {
    "agency": "agency_id,agency_name,agency_timezone\n1,City,Europe/Volgograd\n",
    "routes": "route_id,route_type\n5,3\n6,3\n9,0\n",
    "stops": "stop_id,stop_name\n1,One\n2,Two\n3,Three\n",
    "networks": "network_id\nbuses\ntrams\n",
    "route_networks": "network_id,route_id\nbuses,5\nbuses,6\ntrams,9\n",
    "rider_categories": """
        rider_category_id,rider_category_name,is_default_fare_category
        adult,Adult,1
        pupil,Pupil,0
    """,
}
FLAT = {
    "fare_products": """
        fare_product_id,rider_category_id,amount,currency
        ride,adult,30.00,RUB
        ride,pupil,10.00,RUB
        tram,,40.00,RUB
    """,
    "fare_leg_rules": "leg_group_id,network_id,fare_product_id\nbus,buses,ride\ntram,trams,tram\n",
    "fare_transfer_rules": """
        from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type
        bus,bus,-1,3600,1,0
    """,
}
ZONED = {
    "areas": "area_id\n1\n2\n3\n",
    "stop_areas": "area_id,stop_id\n1,1\n2,2\n3,3\n",
    "fare_products": "fare_product_id,amount,currency\nz1,20.00,RUB\nz2,30.00,RUB\nz3,45.00,RUB\n",
    "fare_leg_rules": """
        leg_group_id,from_area_id,to_area_id,fare_product_id
        zone,1,1,z1
        zone,1,2,z2
        zone,1,3,z3
        zone,2,1,z2
    """,
}
SECTION = """
[gtfs]
destination = "{destination}"
file = "feed.json"
sha256 = "{digest}"
ordinary_category = "adult"
concessions = [{{ concession = 7, rider_category = "pupil" }}]
{more}
"""
CHECK_IN = '[checkin]\nscope = []\nlongest_s = 7200\nreserve = "held"\n'
HELD = '{ name = "held", bits = 13, period = "kept" },'
PASS = '[[products]]\nkind = "pass"\nid = 100\nname = "pass"\n'


def section(folder: Path, tables: dict[str, str], destination: str = "not_used", more: str = "") -> str:
    """The feed beside the document, and the document's section for it."""
    content = msgspec.json.encode(imported(folder, **FEED | tables).tables)
    (folder / "feed.json").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return SECTION.format(destination=destination, digest=digest, more=more)


def region(
    folder: Path, tables: dict[str, str], *parts: str, destination: str = "not_used", slots: str = ""
) -> Policy:
    """As a terminal loads it: of the feed only the index is left."""
    text = text_of(section(folder, tables, destination), *parts, fares=FEED_FARES, slots=slots)
    (folder / REGION_FILE).write_text(text, "utf-8")
    policy = RegionPart().load(folder).value
    assert policy.document.gtfs is not None
    assert policy.document.gtfs.tables is None
    return policy


def told(decision: Decision) -> tuple[str, int]:
    return decision.outcome.message.value, decision.outcome.charge_minor


def test_the_purse_pays_the_feed_s_price_and_the_card_remembers_the_journey(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, FLAT))
    first = rider.tap(NOW, route=5, stop=1)
    assert (told(first), rules(first)) == (("ok_paid", 3000), ["G-01"])
    second = rider.tap(NOW + 60 * MIN, route=6, stop=2)
    assert told(second) == ("ok_transfer", 0), "A + AB with a free transfer"
    assert second.outcome.values == {"time": "11:00"}
    assert (rider.newest.transfers, rider.newest.journey_age_s) == (1, 3600)
    assert told(rider.tap(NOW + 61 * MIN, route=5, stop=2)) == ("ok_paid", 3000)
    assert told(rider.tap(NOW + 70 * MIN, route=9, stop=2)) == ("ok_paid", 4000)


def test_a_concession_is_a_rider_category(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, FLAT), concessions=(Concession(7, 0, FIRST, LAST),))
    assert told(rider.tap(NOW, stop=1)) == ("ok_paid", 1000)
    expired = Rider(policy=rider.policy, concessions=(Concession(7, 0, FIRST, FIRST),))
    assert told(expired.tap(NOW, stop=1)) == ("ok_paid", 3000)


def test_a_route_the_feed_does_not_have_is_refused(tmp_path: Path) -> None:
    decision = Rider(policy=region(tmp_path, FLAT)).tap(NOW, route=77, stop=1)
    assert (told(decision), decision.write_plan) == (("fare_unknown", 0), None)
    assert rules(decision) == ["G-07", "T-01"]


def test_a_bank_card_pays_a_single_ride(tmp_path: Path) -> None:
    policy = region(tmp_path, FLAT)
    trip = trip_at("bus", 7, 1, route=9, stop=1)
    assert decide(BankSnapshot(b"t", LAST), policy, trip, NOW).outcome.charge_minor == 4000


def test_companions_pay_a_single_ride_each(tmp_path: Path) -> None:
    assert told(Rider(policy=region(tmp_path, FLAT)).tap(NOW, stop=1, companions=1)) == ("ok_paid", 6000)


def test_a_reload_in_between_ends_no_journey(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, FLAT))
    rider.tap(NOW, route=5, stop=1)
    rider.event = rider.newest._replace(kind=EventKind.RELOAD, at=NOW + 10 * MIN, journey_age_s=600, route=0)
    assert told(rider.tap(NOW + 30 * MIN, route=6, stop=2)) == ("ok_transfer", 0)


def test_a_pass_takes_the_ride_out_of_the_journey(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, FLAT, PASS))
    rider.tap(NOW, route=5, stop=1)
    rider.contracts = (Contract(100, FIRST, LAST, 0),)
    assert told(rider.tap(NOW + 10 * MIN, route=6, stop=1)) == ("ok_pass", 0)
    rider.contracts = ()
    assert told(rider.tap(NOW + 20 * MIN, route=5, stop=1)) == ("ok_paid", 3000)


def test_t_07_the_dearest_is_held_and_the_ride_is_charged(tmp_path: Path) -> None:
    policy = region(tmp_path, ZONED, CHECK_IN, destination="dearest", slots=HELD)
    rider = Rider(policy=policy)
    checked_in = rider.tap(NOW, stop=1)
    assert (told(checked_in), checked_in.outcome.values) == (("ok_checkin", 0), {"held_minor": 4500})
    assert told(rider.tap(NOW + 20 * MIN, stop=2)) == ("ok_checkout", 3000)
    assert rider.newest.balance_after_minor == 7000


def test_t_07_a_free_transfer_is_tapped_off_as_well(tmp_path: Path) -> None:
    """However late: the exit is no boarding, and what holds for the next ride is where this one ended."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    tables = ZONED | {"fare_transfer_rules": f"{head}\nzone,zone,-1,3600,1,0\n"}
    rider = Rider(policy=region(tmp_path, tables, CHECK_IN, destination="dearest", slots=HELD))
    rider.tap(NOW, route=5, stop=1)
    assert told(rider.tap(NOW + 10 * MIN, route=5, stop=2)) == ("ok_checkout", 3000)
    second = rider.tap(NOW + 20 * MIN, route=6, stop=2)
    assert (told(second), second.outcome.values) == (("ok_checkin", 0), {"held_minor": 0})
    late = rider.tap(NOW + 75 * MIN, route=6, stop=1)
    assert (told(late), rules(late)) == (("ok_checkout", 0), ["G-01", "G-02", "G-05", "T-07"])
    assert rider.newest.balance_after_minor == 7000


def test_t_07_a_forgotten_check_out_costs_what_was_held(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, ZONED, CHECK_IN, destination="dearest", slots=HELD))
    rider.tap(NOW, stop=1)
    decision = rider.tap(NOW + 200 * MIN, stop=2, route=6)
    assert told(decision) == ("ok_checkin", 4500)
    assert decision.outcome.values == {"held_minor": 3000}


def test_who_says_how_far_he_goes_pays_that_at_once(tmp_path: Path) -> None:
    rider = Rider(policy=region(tmp_path, ZONED, CHECK_IN, destination="dearest", slots=HELD))
    assert told(rider.tap(NOW, stop=1, to_stop=2)) == ("ok_checkin", 3000)
    assert told(rider.tap(NOW + 20 * MIN, stop=3)) == ("ok_checkout", 0)


HALF = '[[concessions]]\ncode = 8\nname = "half"\nfare = { kind = "percent_of_base", pays_percent = 50 }\n'


def checked_in_region(folder: Path, transfers: bool = False) -> Policy:
    """Zones with tap-off, a pass and a concession of the document's own; on request free changes within the hour."""
    head = "from_leg_group_id,to_leg_group_id,transfer_count,duration_limit,duration_limit_type,fare_transfer_type"
    more = {"fare_transfer_rules": f"{head}\nzone,zone,-1,3600,1,0\n"} if transfers else {}
    slots = HELD.replace("bits = 13", "bits = 14")
    return region(folder, ZONED | more, CHECK_IN, PASS, HALF, destination="dearest", slots=slots)


@pytest.mark.parametrize(
    ("rights", "companions", "held_minor", "charge_minor"),
    [
        ((), 1, 9000, 6000),
        ((Contract(100, FIRST, LAST, 0),), 0, 0, 0),
        ((Contract(100, FIRST, LAST, 0),), 1, 4500, 3000),
        ((Concession(8, 0, FIRST, LAST),), 0, 2250, 1500),
        ((Concession(8, 0, FIRST, LAST),), 1, 6750, 4500),
    ],
)
def test_t_07_each_right_is_tapped_off_and_charged_by_the_ride(
    tmp_path: Path,
    rights: tuple[Contract | Concession, ...],
    companions: int,
    held_minor: int,
    charge_minor: int,
) -> None:
    rider = Rider(policy=checked_in_region(tmp_path))
    rider.contracts = tuple(right for right in rights if isinstance(right, Contract))
    rider.concessions = tuple(right for right in rights if isinstance(right, Concession))
    checked_in = rider.tap(NOW, stop=1, companions=companions)
    assert (told(checked_in), checked_in.outcome.values["held_minor"]) == (("ok_checkin", 0), held_minor)
    assert rider.newest.inside == 1 + companions
    assert told(rider.tap(NOW + 20 * MIN, stop=2)) == ("ok_checkout", charge_minor)
    assert (rider.newest.inside, rider.newest.balance_after_minor) == (0, 10_000 - charge_minor)


@pytest.mark.parametrize("stop", [0, 77])
def test_t_07_a_tap_off_at_a_stop_that_is_not_known_costs_the_cheapest_ride(
    tmp_path: Path, stop: int
) -> None:
    rider = Rider(policy=checked_in_region(tmp_path))
    rider.tap(NOW, stop=1, companions=1)
    left = rider.tap(NOW + 20 * MIN, stop=stop)
    assert (told(left), left.flags) == (("ok_checkout", 4000), ("place_unknown",))
    assert rules(left) == ["G-01", "G-05", "T-07", "T-07"]


def test_t_07_where_every_ride_costs_the_same_a_tap_off_needs_no_stop(tmp_path: Path) -> None:
    policy = region(tmp_path, FLAT, CHECK_IN, destination="dearest", slots=HELD)
    rider = Rider(policy=policy)
    rider.tap(NOW, route=5, stop=1)
    left = rider.tap(NOW + 20 * MIN, route=5, stop=0)
    assert (told(left), left.flags, rules(left)) == (("ok_checkout", 3000), (), ["G-01", "G-05", "T-07"])


def test_t_34_with_companions_the_journey_is_the_holder_s_alone(tmp_path: Path) -> None:
    """He changes free, whether the first ride was tapped off or not; the companion pays for each ride."""
    for tapped_off in (True, False):
        rider = Rider(policy=checked_in_region(tmp_path, transfers=True), balance_minor=20_000)
        rider.tap(NOW, route=5, stop=1, companions=1)
        paid = told(rider.tap(NOW + 10 * MIN, route=5, stop=2))[1] if tapped_off else 0
        second = rider.tap(NOW + 20 * MIN, route=6, stop=2, companions=1)
        assert (paid, second.outcome.charge_minor) == ((6000, 0) if tapped_off else (0, 9000))
        assert second.outcome.values["held_minor"] == 3000
        assert told(rider.tap(NOW + 30 * MIN, route=6, stop=1)) == ("ok_checkout", 3000)


def test_t_07_a_ride_of_a_pass_is_of_no_journey_whether_it_was_tapped_off_or_not(tmp_path: Path) -> None:
    for tapped_off in (True, False):
        rider = Rider(policy=checked_in_region(tmp_path, transfers=True))
        rider.contracts = (Contract(100, FIRST, LAST, 0),)
        rider.tap(NOW, route=5, stop=1)
        if tapped_off:
            rider.tap(NOW + 10 * MIN, route=5, stop=2)
        rider.contracts = ()
        assert rider.tap(NOW + 20 * MIN, route=6, stop=2).outcome.values["held_minor"] == 3000


def refused(folder: Path, text: str) -> str:
    with pytest.raises(RegionDocumentError) as caught:
        parse_region(text, str(folder / "region.toml"))
    return "\n".join(
        [str(caught.value), *(f"{each.path}: {said(each)[0]}" for each in caught.value.mistakes)]
    )


def test_a_document_and_its_feed_have_to_agree(tmp_path: Path) -> None:
    flat = section(tmp_path, FLAT)
    assert "fares.source: the document has no [gtfs]" in refused(tmp_path, text_of(fares=FEED_FARES))
    assert "gtfs: no fare is looked up in it" in refused(tmp_path, text_of(flat))
    both = FEED_FARES + "by_medium = { transport_card = 1, bank_card = 1, cash = 1 }\n"
    assert "both state fares" in refused(tmp_path, text_of(flat, fares=both))
    full = "".join(f'{{ name = "c{n}", bits = 13, period = "year" }},' for n in range(3))
    assert "bits on the card" in refused(tmp_path, text_of(flat, fares=FEED_FARES, slots=full))
    tap_off = flat.replace("not_used", "dearest")
    assert "gtfs.destination: riders tap off" in refused(tmp_path, text_of(tap_off, fares=FEED_FARES))
    (tmp_path / "feed.json").write_bytes(b"{}")
    assert "gtfs.sha256: feed.json is not the file" in refused(tmp_path, text_of(flat, fares=FEED_FARES))
