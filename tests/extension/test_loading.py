"""Which code an extension is, and everything that can be wrong with one before it serves."""

from __future__ import annotations

import base64
import hashlib
import importlib
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sim.profile import LAB_KEYS
from terminal.app.config.settings import ReaderTable
from terminal.app.entry_points import GROUPS, KEYS, require_installed
from terminal.app.extensions import PLACE_S, ExtensionLoader, ExtensionSetup, GuardedVehicle, device_board
from terminal.app.serve import reader_for
from terminal.app.station import Station
from terminal.clock import SystemClock
from terminal.devices import DeviceState, ExtensionRole
from terminal.errors import ConfigError
from terminal.journal.journal import Journal
from terminal.journal.operation_records import ExtensionLoaded
from terminal.keys.file import load_file_keys
from terminal.media.port import MediumSetup
from terminal.operations.status import LoadedExtension
from terminal.policy.routes import NO_ROUTES

READER = """
class Reader:
    name = "a reader"
    def wait_for_card(self, timeout_s): return None
    def wait_for_removal(self, timeout_s): return True
    def release(self): pass
    def close(self): pass

def open_reader(setup):
    return Reader()
"""
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("acme", code)`: a package of one module and one entry point, as an installer leaves it behind."""
    before = {*sys.modules}

    def install_one(
        package: str,
        code: str,
        *,
        role: ExtensionRole = ExtensionRole.READER,
        name: str = "acme",
        listed: bool = True,
    ) -> Path:
        site = tmp_path / package
        notes = site / f"{package}-1.0.dist-info"
        notes.mkdir(parents=True)
        module = site / f"{package}.py"
        module.write_text(code)
        (notes / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0+Local\n")
        (notes / "entry_points.txt").write_text(f"[{GROUPS[role]}]\n{name} = {package}:open_reader\n")
        (notes / "INSTALLER").write_text("by hand\n")
        files = [
            notes / "METADATA",
            notes / "entry_points.txt",
            notes / "INSTALLER",
            *([module] if listed else []),
        ]
        lines = [f"{file.relative_to(site)},sha256={recorded(file)},{file.stat().st_size}" for file in files]
        (notes / "RECORD").write_text("\n".join([*lines, f"{notes.name}/RECORD,,"]) + "\n")
        monkeypatch.syspath_prepend(site)
        return module

    yield install_one
    for module in {*sys.modules} - before:
        del sys.modules[module]


def recorded(file: Path) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()


def opened() -> LoadedExtension:
    loader = ExtensionLoader({})
    loader.reader("acme", "")
    (loaded,) = loader.loaded
    return loaded


def refused(says: str, advice: str = "") -> None:
    with pytest.raises(ConfigError) as caught:
        opened()
    assert says in caught.value.what
    assert advice in caught.value.advice
    assert "\n" not in str(caught.value)


def test_each_role_has_its_group_and_its_key() -> None:
    assert {*GROUPS} == {*KEYS} == {*ExtensionRole}
    assert {*GROUPS.values()} == {
        f"resident_card_terminal.{group}" for group in ("media", "readers", "signals", "vehicle_sources")
    }


def test_it_is_named_as_records_may_hold_it(install: Install) -> None:
    install("acme_reader", READER)
    loaded = opened()
    assert (loaded.name, loaded.distribution, loaded.version) == ("acme", "acme-reader", "1.0.local")


def test_the_hash_follows_the_files_and_nothing_else(install: Install) -> None:
    module = install("acme_reader", READER)
    first = opened().sha256
    (module.parent / "acme_reader-1.0.dist-info" / "INSTALLER").write_text("another\n")
    assert opened().sha256 == first
    module.write_text(READER + "# one byte more\n")
    assert opened().sha256 != first
    assert len(first) == 64


def test_each_is_a_row_of_the_journal(install: Install, tmp_path: Path) -> None:
    install("acme_reader", READER)
    loader = ExtensionLoader({})
    loader.reader("acme", "")
    journal = Journal.open(tmp_path / "journal.db", 7)
    loader.record(journal, SystemClock())
    (row,) = [row.record for row in journal.rows(0, 10)]
    journal.close()
    assert isinstance(row, ExtensionLoaded)
    assert (row.role, row.extension, row.distribution) == (ExtensionRole.READER, "acme", "acme-reader")
    assert row.sha256.hex() == loader.loaded[0].sha256


def test_one_that_is_not_installed(install: Install) -> None:
    refused("no installed package brings the reader 'acme'", "correct reader.name")
    install("others", READER, name="other")
    refused("no installed package brings", "Installed are: other.")


def test_two_packages_of_one_name(install: Install) -> None:
    install("acme_one", READER)
    install("acme_two", READER)
    refused("more than one package brings the reader 'acme': acme_one, acme_two", "Uninstall all but one")


def test_a_signal_of_the_same_name_is_no_clash(install: Install) -> None:
    install("acme_one", READER)
    install("acme_two", READER, role=ExtensionRole.SIGNAL)
    assert opened().distribution == "acme-one"
    assert require_installed(ExtensionRole.SIGNAL, "acme").module == "acme_two"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "cannot be loaded (ModuleNotFoundError: No module named 'no_such_module')"),
        ("x = (", "cannot be loaded (SyntaxError"),
        ("raise SystemExit(3)", "cannot be loaded (SystemExit: 3)"),
        ("x = 3", "cannot be loaded (AttributeError"),
        (
            "def open_reader(setup): raise OSError('no\\nsuch device')",
            "does not start (OSError: no such device)",
        ),
        ("def open_reader(): pass", "does not start (TypeError"),
        ("open_reader = 3", "does not start (TypeError"),
        ("class Stop(BaseException): pass\nraise Stop('now')", "cannot be loaded (Stop: now)"),
        (READER.replace("return Reader()", "return Reader"), "has no name, wait_for_card"),
        (READER.replace("def close(self): pass", "close = None"), "has no close"),
        (
            READER.replace('"a reader"', "None"),
            "does not start (TypeError: a reader's name is text on one line)",
        ),
        (
            READER.replace('name = "a reader"', "name = property(lambda self: 1 / 0)"),
            "does not start (ZeroDiv",
        ),
        (
            "class Mute(Exception):\n    def __str__(self): return 1 / 0\ndef open_reader(setup): raise Mute",
            "does not start (Mute: it does not say what)",
        ),
        (
            "def open_reader(setup): return None",
            "has no name, wait_for_card, wait_for_removal, release, close",
        ),
    ],
)
def test_one_that_does_not_do(install: Install, code: str, says: str) -> None:
    install("acme_reader", code)
    refused(says, "or install another version of acme-reader")
    refused("the reader acme (acme-reader 1.0.local)")


def test_one_whose_code_the_hash_would_not_cover(install: Install) -> None:
    install("acme_reader", READER, listed=False)
    refused("not among the files of its package", "Install it as a wheel")


def test_one_without_a_list_of_its_files_runs_no_code(install: Install, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    module = install("acme_reader", f"open({str(ran)!r}, 'w').close()")
    (module.parent / "acme_reader-1.0.dist-info" / "RECORD").unlink()
    refused("has no list of its files (RECORD)", "Install it as a wheel")
    assert not ran.exists()


def test_one_that_does_not_say_what_it_is(install: Install) -> None:
    module = install("acme_reader", READER)
    (module.parent / "acme_reader-1.0.dist-info" / "METADATA").unlink()
    refused("has no name and version (METADATA)", "Install it as a wheel")


def test_another_package_that_is_damaged(install: Install) -> None:
    install("acme_reader", READER)
    other = install("others", READER, name="other")
    points = other.parent / "others-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"[{GROUPS[ExtensionRole.READER]}]\nno equals sign\n")
    refused("cannot be read", "damaged")


def test_what_it_prints_at_the_start_does_not_reach_programs(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("acme_reader", "print('hello')\n" + READER.replace("return", "print('again'); return"))
    opened()
    assert capsys.readouterr() == ("", "hello\nagain\n")


def test_an_option_may_be_a_path() -> None:
    @dataclass
    class Options:
        file: Path
        speed: float = 1.0

    assert ExtensionSetup("led", "", {"file": "/run/led", "speed": 2}).options_as(Options).file == Path(
        "/run/led"
    )
    with pytest.raises(ConfigError, match="Expected `Path`, got `int`"):
        ExtensionSetup("led", "", {"file": 3}).options_as(Options)


def test_one_with_a_file_missing(install: Install) -> None:
    install("acme_reader", READER).unlink()
    importlib.invalidate_caches()
    refused("a file of acme_reader cannot be read", "Install the package again")


def test_signals_that_were_opened_are_closed_when_a_later_one_fails(install: Install, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    code = f"""
class Lamp:
    def show(self, outcome): pass
    def close(self): open({str(closed)!r}, "w").close()
def open_reader(setup): return Lamp()
"""
    install("lamp", code, role=ExtensionRole.SIGNAL, name="lamp")
    with (
        pytest.raises(ConfigError, match="no installed package"),
        device_board(("lamp", "horn"), None, ExtensionLoader({}), SystemClock()),
    ):
        pass
    assert closed.exists()


def test_address_and_options_reach_the_extension(install: Install, tmp_path: Path) -> None:
    install(
        "acme_reader",
        READER.replace('name = "a reader"', "").replace("Reader()", "setup_into(Reader(), setup)")
        + """
def setup_into(reader, setup):
    reader.name = f"{setup.name} {setup.address} {dict(setup.options)}"
    return reader
""",
    )
    station = Station(number=1, profile="bus", state=tmp_path, region="demo")
    table = ReaderTable(name="acme:usb:1", taps=3)
    loader = ExtensionLoader({"acme": {"speed": 9600, "lines": (1, 2)}})
    source = reader_for(table, station, SystemClock(), loader)
    assert source.port.name == "acme usb:1 {'speed': 9600, 'lines': (1, 2)}"
    assert source.taps == 3
    assert [one.name for one in loader.loaded] == ["acme"]


def vehicle_of(install: Install, body: str, loader: ExtensionLoader) -> GuardedVehicle:
    code = f"""
from terminal import Place
class Gps:
    def place(self):
        {body}
def open_reader(setup): return Gps()
"""
    install("acme_gps", code, role=ExtensionRole.VEHICLE_SOURCE, name="gps")
    return loader.vehicle_source("gps")


def test_a_vehicle_source_says_where_the_vehicle_is(install: Install) -> None:
    place = vehicle_of(install, "return Place(stop=7)", ExtensionLoader({})).place_on(15, 0, NO_ROUTES)
    assert place is not None
    assert place.stop == 7


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("raise OSError('no fix')", "OSError: no fix"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("return 7", "TypeError: int is no place"),
        ("return Place(stop='7')", "ValidationError: Expected `int`, got `str` - at `$.stop`"),
        ("return Place(stop=1, source='gps')", "ValidationError: Invalid enum value 'gps' - at `$.source`"),
        (
            "return Place(stop=2**70)",
            "ValueError: a row cannot hold it: can't serialize ints < -2**63 or > 2**64 - 1",
        ),
    ],
)
def test_one_that_fails_is_reported_once_and_the_place_is_unknown(
    install: Install, body: str, detail: str
) -> None:
    loader = ExtensionLoader({})
    vehicle = vehicle_of(install, body, loader)
    heard: list[tuple[str, DeviceState, str]] = []
    loader.on_state = lambda *report: heard.append(report)
    assert vehicle.place_on(15, 0, NO_ROUTES) is None
    assert vehicle.place_on(15, 0, NO_ROUTES) is None
    assert heard == [("vehicle_source:gps", DeviceState.RAISES, detail)]


def test_a_source_that_hangs_costs_one_tap_half_a_second_and_the_others_nothing(install: Install) -> None:
    loader = ExtensionLoader({})
    vehicle = vehicle_of(
        install,
        "import time; time.sleep(PLACE_S * 3); return Place(stop=7)".replace("PLACE_S", str(PLACE_S)),
        loader,
    )
    heard: list[tuple[str, DeviceState, str]] = []
    loader.on_state = lambda *report: heard.append(report)
    begun_s = time.monotonic()
    assert [vehicle.place_on(15, 0, NO_ROUTES) for _ in range(20)] == [None] * 20
    assert time.monotonic() - begun_s < PLACE_S * 2
    assert heard == [("vehicle_source:gps", DeviceState.HANGS, "")]
    until_s = time.monotonic() + 30
    while len(heard) < 2 and time.monotonic() < until_s:
        time.sleep(0.02)
    assert heard[1:] == [("vehicle_source:gps", DeviceState.WORKS, "")]


MEDIUM = """
from terminal import Colour, MediumMessage
class Gym:
    name = {name!r}
    messages = (MediumMessage({code!r}, Colour.GREEN, {{"en": "Welcome"}}),)
    def select(self, channel): return False
    def open(self, channel, now): raise NotImplementedError
    def decide(self, snapshot, policy, trip, now): raise NotImplementedError
def open_reader(setup, lent): return Gym()
"""


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("pool", "pool.welcome", "does not start: it calls itself 'pool'"),
        ("gym", "pool.welcome", "message 'pool.welcome' of medium gym has another form"),
        ("gym", "ok_paid", "message 'ok_paid' of medium gym has another form"),
    ],
)
def test_a_medium_that_clashes_is_refused(install: Install, name: str, code: str, says: str) -> None:
    install("acme_gym", MEDIUM.format(name=name, code=code), role=ExtensionRole.MEDIUM, name="gym")
    lent = MediumSetup("bus", 34, load_file_keys(LAB_KEYS), random.randbytes)
    with pytest.raises(ConfigError, match=re.escape(says)):
        ExtensionLoader({}).medium("gym", lent)
