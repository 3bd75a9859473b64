"""What an on-board computer says, as values: every dialect, and every way to say nothing."""

from __future__ import annotations

import pytest

from sim.vehicle.telegrams import OPERATIONS, Dialect, VehicleNow, telegram, trip_telegram
from sim.vehicle.trip import planned_trip
from terminal.trip.vehicle_report import RunStop, VehicleRun
from terminal.vehicle.elements import (
    DEEPEST,
    MOST_BYTES,
    MOST_ELEMENTS,
    XmlFault,
    XmlRefused,
    parse_elements,
)
from terminal.vehicle.vdv_messages import (
    LineSaid,
    OtherSaid,
    RazziaSaid,
    RefusedSaid,
    Said,
    StopSaid,
    SubscriptionSaid,
    TariffStopSaid,
    TripSaid,
    VehicleSaid,
    read_message,
)
from terminal.vehicle.vdv_state import SaidSoFar, stop_order
from tests.terminal.vehicle import messages
from tests.vehicle_run import routes_file

REF = "de:08111:1502"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            messages.STOP_V22,
            TariffStopSaid(StopSaid(7, REF, ("2203", "2204"), ("kvb-15", "15")), "4711"),
        ),
        (messages.STOP_V24, TariffStopSaid(StopSaid(7, REF, ("2203",)))),
        (messages.STOP_BEFORE_V22, TariffStopSaid(StopSaid(1, "a"))),
        (messages.STOP_CZ, TariffStopSaid(StopSaid(2, "", ("IDOL:2203", "PID:3"), ("225607", "607")))),
        (messages.RAZZIA, RazziaSaid(True)),
        (messages.RAZZIA.replace(b">razzia<", b">norazzia<"), RazziaSaid(False)),
        (messages.RAZZIA.replace(b">razzia<", b">perhaps<"), RazziaSaid(None)),
        (messages.LINE, LineSaid(("kvb-15", "15"))),
        (messages.VEHICLE, VehicleSaid(off_route=True, doors_open=True)),
        (messages.VEHICLE.replace(b"offroute", b"unknown"), VehicleSaid(None, doors_open=True)),
        (messages.VEHICLE.replace(b"SingleDoorOpen", b"SingleDoorClosed"), VehicleSaid(True, None)),
        (messages.TRIP, TripSaid("4711", (StopSaid(1, "a"), StopSaid(2, "b"), StopSaid(3, "c")))),
        (messages.SUBSCRIBED, SubscriptionSaid(True, 60.0)),
        (messages.FAILED, RefusedSaid("CurrentTariffStop")),
        (
            b"<CustomerInformationService.GetAllDataResponse/>",
            OtherSaid("CustomerInformationService.GetAllDataResponse"),
        ),
    ],
)
def test_a_message_is_read_by_the_names_of_its_elements(body: bytes, said: Said) -> None:
    assert read_message(body) == said


@pytest.mark.parametrize(
    ("inside", "stop"),
    [
        ("<Value>a</Value><ErrorCode>DataEstimated</ErrorCode>", StopSaid(1, "a", estimated=True)),
        ("<Value>a</Value><ErrorCode>DataNotValid</ErrorCode>", StopSaid(1, "")),
        ("<Value>a</Value><ErrorCode>FaultData</ErrorCode>", StopSaid(1, "")),
        ("<Value>a</Value><ErrorCode>NewInV26</ErrorCode>", StopSaid(1, "")),
        ("<Value></Value>", StopSaid(1, "")),
        ("a", StopSaid(1, "a")),
        (f"<Value>{'a' * 101}</Value>", StopSaid(1, "")),
        ("<Value>a\x85b</Value>", StopSaid(1, "")),
    ],
)
def test_an_error_code_makes_a_value_an_estimate_or_none(inside: str, stop: StopSaid) -> None:
    before = messages.STOP_BEFORE_V22.decode().replace("<Value>a</Value>", inside)
    assert read_message(before.encode()) == TariffStopSaid(stop)


def test_names_that_fit_into_no_report_are_left_out() -> None:
    long = messages.STOP_CZ.replace(b">PID<", b">" + b"P" * 99 + b"<")
    said = read_message(long.replace(b"<Value>2</Value>", b"<Value>10001</Value>"))
    assert said == TariffStopSaid(None), "no reference, and no such stop"
    said = read_message(long)
    assert isinstance(said, TariffStopSaid)
    assert said.stop is not None
    assert said.stop.zones == ("IDOL:2203",)


def test_a_stop_with_neither_index_nor_reference_is_none() -> None:
    body = messages.STOP_BEFORE_V22.replace(b"<Value>a</Value>", b"").replace(
        b"<Value>1</Value>", b"<Value>-1</Value>"
    )
    assert read_message(body) == TariffStopSaid(None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT60S", 60.0),
        ("PT1M30S", 90.0),
        ("PT0.5S", 0.5),
        ("PT1H", 3600.0),
        ("30", 30.0),
        ("PT0S", None),
        ("PT", None),
        ("", None),
        ("P1D", None),
        ("PT-5S", None),
        ("PT99999999S", None),
        ("x", None),
    ],
)
def test_heartbeats(text: str, seconds: float | None) -> None:
    body = messages.SUBSCRIBED.replace(b"PT60S", text.encode())
    assert read_message(body) == SubscriptionSaid(True, seconds)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><x>&l9;</x>'.encode(), XmlFault.DOCUMENT_TYPE),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', XmlFault.DOCUMENT_TYPE),
        (b"<x>&undefined;</x>", XmlFault.NOT_XML),
        (b"<a>" * (DEEPEST + 1) + b"</a>" * (DEEPEST + 1), XmlFault.TOO_DEEP),
        (b"<a>" * 300_000, XmlFault.TOO_DEEP),
        (b"<x>" + b"<a/>" * MOST_ELEMENTS + b"</x>", XmlFault.TOO_MANY_ELEMENTS),
        (b"<x>" + b" " * MOST_BYTES + b"</x>", XmlFault.TOO_LARGE),
        (messages.STOP_V22[:-20], XmlFault.NOT_XML),
        (b"", XmlFault.NOT_XML),
        (b"\x00\x01\x02", XmlFault.NOT_XML),
        (b"<x>\xff\xfe</x>", XmlFault.NOT_XML),
        (b'<?xml version="1.0" encoding="no-such"?><x/>', XmlFault.NOT_XML),
        (b'<?xml version="1.0" encoding="zlib"?><x/>', XmlFault.NOT_XML),
        (b"<x/><y/>", XmlFault.NOT_XML),
        (b'{"json": true}', XmlFault.NOT_XML),
    ],
)
def test_hostile_xml_is_refused_before_it_costs_anything(body: bytes, fault: XmlFault) -> None:
    with pytest.raises(XmlRefused) as refused:
        parse_elements(body)
    assert refused.value.fault is fault


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-2", "windows-1250"])
def test_other_encodings_are_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + messages.STOP_CZ.decode()
    assert read_message(text.encode(encoding)) == read_message(messages.STOP_CZ)


def test_huge_attributes_and_texts_are_cut() -> None:
    root = parse_elements(b'<x a="' + b"y" * 500_000 + b'"><v>' + b"z" * 400_000 + b"</v></x>")
    assert len(root.children[0].text) <= 101


def run(*refs: str) -> VehicleRun:
    return VehicleRun(route=15, lines=("15",), stops=tuple(RunStop((ref,), 1, None, None) for ref in refs))


def trip(*refs: str) -> TripSaid:
    return TripSaid("t", tuple(StopSaid(at, ref) for at, ref in enumerate(refs, 1)))


@pytest.mark.parametrize(
    ("stops", "order"),
    [
        (trip("a", "b", "c", "d"), (0, 1, 2, 3)),
        (trip("b", "c"), (1, 2)),
        (trip("a", "d"), (0, 3)),
        (trip("d", "c", "b", "a"), ()),
        (trip("a", "x"), ()),
        (trip("a", "a"), ()),
        (trip("a"), None),
        (trip("a", ""), None),
        (trip(), None),
    ],
)
def test_the_order_of_stops_is_compared_with_the_run(stops: TripSaid, order: tuple[int, ...] | None) -> None:
    assert stop_order(stops, run("a", "b", "c", "d")) == order
    assert stop_order(stops, VehicleRun()) is None


def test_a_trip_that_begins_on_the_way_counts_its_own_stops() -> None:
    said = SaidSoFar().after(TariffStopSaid(StopSaid(1, "b"), "t"), 5.0).after(trip("b", "c"), 6.0)
    report = said.report(run("a", "b", "c", "d"))
    assert (report.stop_ref, report.stop_index, report.coming_ref, report.off_order) == ("b", 1, "c", False)
    assert report.heard_s == 5.0, "the order of stops is no news of the place"


def test_stops_in_another_order_are_said_to_be() -> None:
    said = SaidSoFar().after(TariffStopSaid(StopSaid(1, "b"), "t"), 5.0).after(trip("d", "b"), 6.0)
    assert said.report(run("a", "b", "c", "d")).off_order
    other = said.after(TariffStopSaid(StopSaid(1, "b"), "another trip"), 7.0)
    assert not other.report(run("a", "b", "c", "d")).off_order, "of another trip nothing is known yet"


def test_a_stop_passed_twice_is_told_apart_by_its_index() -> None:
    loop = trip("a", "b", "a", "c")
    said = SaidSoFar().after(loop, 1.0).after(TariffStopSaid(StopSaid(3, "a"), "t"), 5.0)
    assert said.report(run("a", "b", "a", "c")).stop_index == 2
    unsure = said.after(TariffStopSaid(StopSaid(9, "a"), "t"), 5.0)
    assert unsure.report(run("a", "b", "a", "c")).stop_index is None


def test_the_line_is_named_as_the_terminal_knows_it() -> None:
    said = SaidSoFar().after(LineSaid(("kvb-15", "15")), 1.0)
    assert said.report(run("a", "b")).line == "15"
    assert said.report(VehicleRun()).line == "kvb-15"
    without = SaidSoFar().after(TariffStopSaid(StopSaid(1, "a", line=("607",))), 1.0)
    assert without.report(run("a", "b")).line == "607"


def test_an_operation_that_fails_ends_the_stop_and_silence_ends_the_inspection() -> None:
    said = SaidSoFar().after(TariffStopSaid(StopSaid(1, "a")), 5.0).after(RazziaSaid(True), 6.0)
    assert said.after(RefusedSaid("Razzia"), 7.0) == said
    gone = said.silent().report(run("a", "b"))
    assert (gone.stop_ref, gone.heard_s, gone.razzia) == ("a", 5.0, None)
    none = said.after(RefusedSaid("CurrentTariffStop"), 7.0).report(run("a", "b"))
    assert (none.stop_ref, none.heard_s, none.razzia) == ("", 7.0, True)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_the_simulated_computer_is_understood(
    tmp_path_factory: pytest.TempPathFactory, dialect: Dialect
) -> None:
    planned = planned_trip(routes_file(tmp_path_factory.mktemp("trip")), 15, 0, seed=1)
    for moment in planned.moments():
        now = VehicleNow(planned, moment)
        said = {name: read_message(telegram(name, now, dialect)) for name in OPERATIONS[dialect]}
        stop = said["CurrentTariffStop"]
        assert isinstance(stop, TariffStopSaid)
        assert stop.stop is not None
        assert stop.stop.index == moment.stop + 1
        assert stop.stop.ref == ("" if dialect is Dialect.CZ else planned.stops[moment.stop].ref)
        assert stop.stop.zones == (planned.stops[moment.stop].zone,)
    whole = read_message(trip_telegram(now, dialect))
    assert isinstance(whole, TripSaid)
    assert len(whole.stops) == 4
