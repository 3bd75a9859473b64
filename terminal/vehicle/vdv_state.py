"""What an on-board computer has said so far, and what that is as a report: pure, message by message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from terminal.trip.vehicle_report import VehicleReport, VehicleRun
from terminal.vehicle.vdv_messages import (
    LineSaid,
    RazziaSaid,
    RefusedSaid,
    Said,
    StopSaid,
    TariffStopSaid,
    TripSaid,
    VehicleSaid,
)

NAME: Final = "vdv301"
TARIFF_STOP: Final = "CurrentTariffStop"
RAZZIA: Final = "Razzia"
LINE: Final = "CurrentLine"
VEHICLE_DATA: Final = "VehicleData"

NO_VEHICLE: Final = VehicleSaid(None, None)
NO_TRIP: Final = TripSaid("", ())


@dataclass(frozen=True, slots=True)
class SaidSoFar:
    """Everything the on-board computer has said so far. `stop_s`: when it named the stop."""

    stop_s: float = 0.0
    stop: StopSaid | None = None
    trip: str = ""
    line: tuple[str, ...] = ()
    razzia: bool | None = None
    vehicle: VehicleSaid = NO_VEHICLE
    stops: TripSaid = NO_TRIP
    """Of the trip it was asked for last."""

    def after(self, said: Said, now_s: float) -> SaidSoFar:
        """With what a message adds."""
        known = self
        match said:
            case TariffStopSaid():
                known = replace(self, stop_s=now_s, stop=said.stop, trip=said.trip)
            case LineSaid():
                known = replace(self, line=said.names)
            case RazziaSaid():
                known = replace(self, razzia=said.razzia)
            case VehicleSaid():
                known = replace(self, vehicle=said)
            case TripSaid():
                known = replace(self, stops=said)
            case RefusedSaid(about) if about == TARIFF_STOP:
                known = replace(self, stop_s=now_s, stop=None)
        return known

    def silent(self) -> SaidSoFar:
        """After the on-board computer has gone: its last stop grows old, what it said of the moment is over."""
        return replace(self, razzia=None, vehicle=NO_VEHICLE)

    def silent_on(self, operation: str) -> SaidSoFar:
        """After the on-board computer says no more of one operation: what that said of the moment is over."""
        known = self
        if operation == RAZZIA:
            known = replace(self, razzia=None)
        elif operation == VEHICLE_DATA:
            known = replace(self, vehicle=NO_VEHICLE)
        return known

    def report(self, run: VehicleRun) -> VehicleReport:
        """As the terminal hears of it, which runs `run`."""
        stop = self.stop or StopSaid(None, "")
        order = stop_order(self.stops, run) if self.stops.trip == self.trip and self.trip else None
        index, coming = _place(stop, self.stops.stops, order)
        names = self.line or stop.line
        return VehicleReport(
            heard_s=self.stop_s,
            source=NAME,
            line=next((name for name in names if name in run.lines), names[0] if names else ""),
            trip=self.trip,
            direction=run.direction if stop.index is not None and not stop.ref else None,
            stop_ref=stop.ref,
            stop_index=index,
            zones=stop.zones,
            coming_ref=coming,
            doors_open=self.vehicle.doors_open,
            off_route=bool(self.vehicle.off_route),
            estimated=stop.estimated,
            off_order=order is not None and not order,
            razzia=self.razzia,
        )


NOTHING_SAID: Final = SaidSoFar()


def operation_of(said: Said) -> str:
    """To which operation a message belongs; empty for none of ours."""
    match said:
        case TariffStopSaid():
            operation = TARIFF_STOP
        case RazziaSaid():
            operation = RAZZIA
        case LineSaid():
            operation = LINE
        case VehicleSaid():
            operation = VEHICLE_DATA
        case RefusedSaid(about):
            operation = VEHICLE_DATA if about == "Vehicle" else about
        case _:
            operation = ""
    return operation


def stop_order(trip: TripSaid, run: VehicleRun) -> tuple[int, ...] | None:
    """Where the stops of a trip stand on the route that is run; empty when they come in another order or are not on
    it, None where nothing can be compared.
    """
    refs = [stop.ref for stop in trip.stops if stop.ref]
    if len(refs) < 2 or len(refs) < len(trip.stops) or not any(stop.refs for stop in run.stops):
        return None
    found: list[int] = []
    for ref in refs:
        after = found[-1] + 1 if found else 0
        place = next((at for at in range(after, len(run.stops)) if ref in run.stops[at].refs), None)
        if place is None:
            return ()
        found.append(place)
    return tuple(found)


def _place(
    stop: StopSaid, stops: tuple[StopSaid, ...], order: tuple[int, ...] | None
) -> tuple[int | None, str]:
    """Where the stop stands on the route, as far as that is certain, and the reference of the one after it."""
    if not stop.ref:
        return (None if stop.index is None or stop.index < 1 else stop.index - 1), ""
    if not order:
        return None, ""
    alike = [at for at, one in enumerate(stops) if one.ref == stop.ref]
    at = next((at for at in alike if stops[at].index == stop.index), alike[0] if len(alike) == 1 else None)
    if at is None:
        return None, ""
    return order[at], stops[at + 1].ref if at + 1 < len(stops) else ""
