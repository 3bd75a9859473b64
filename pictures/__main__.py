"""`make screenshots`: every picture, or those named.

Each picture has a name here and nowhere else; the file is docs/pictures/NAME.png. Day, time, people and cards are the
same each time, so a picture changes only when the program does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pictures import of_bus, of_canteen, of_city, of_desk, of_setup, of_start
from pictures.studio import PICTURES, NoChromium, Shot, open_studio

SHOTS: Final[Mapping[str, Shot]] = {
    **{name: of_start.part(number) for number, name in enumerate(of_start.NAMES)},
    "display": of_bus.display,
    "display-touch": of_bus.touch,
    "console-driver": of_bus.shift,
    "console-canteen": of_canteen.serving,
    "desk": of_desk.desk,
    "desk-devices": of_desk.devices,
    "tariff": of_desk.tariff,
    "ru-tarify": of_desk.tariff_ru,
    "storm": of_desk.storm,
    "city": of_city.city,
    "ru-vhod": of_bus.pin,
    "ru-otkryt": of_bus.opening,
    "ru-smena": of_bus.shift_ru,
    "ru-prodazha": of_bus.sale,
    "ru-karty": of_bus.taps,
    "ru-vydacha": of_canteen.serving_ru,
    "ru-klass": of_canteen.whole_class,
    "ru-bufet": of_canteen.buffet,
    "ru-ispravit": of_canteen.putting_right,
    "ru-otchet": of_canteen.report,
    "ru-nastroyka-pitanie": of_setup.meals,
    "ru-nastroyka-kategorii": of_setup.categories,
}


def main(names: Sequence[str]) -> None:
    """Take the pictures `names`, or all."""
    unknown = [name for name in names if name not in SHOTS]
    if unknown:
        sys.exit(f"screenshots: no picture {', '.join(unknown)}; there are: {', '.join(SHOTS)}")
    try:
        with tempfile.TemporaryDirectory(prefix="pictures-") as work, open_studio(Path(work)) as studio:
            for name in names or SHOTS:
                SHOTS[name](studio)
                size = (PICTURES / f"{name}.png").stat().st_size
                print(f"screenshots: {name}.png, {size // 1024} kB", flush=True)
    except NoChromium as missing:
        sys.exit(f"screenshots: {missing}")


if __name__ == "__main__":
    main(sys.argv[1:])
