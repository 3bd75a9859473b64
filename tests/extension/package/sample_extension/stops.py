"""The stop at which the vehicle stands, as its on-board computer writes it into a file."""

from dataclasses import dataclass
from pathlib import Path

from terminal import ExtensionSetup, Place, PlaceSource, VehicleSource


@dataclass
class Stops:
    file: str

    def place(self) -> Place | None:
        number = Path(self.file).read_text()
        return Place(stop=int(number), source=PlaceSource.VEHICLE) if number else None


def open_source(setup: ExtensionSetup) -> VehicleSource:
    return setup.options_as(Stops)
