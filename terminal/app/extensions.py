"""Other people's media, readers, signals and vehicle sources: Python entry points that `terminal.toml` names.

    [reader]                              [project.entry-points."resident_card_terminal.readers"]
    name = "tcp:127.0.0.1:4000"           tcp = "acme_tcp:open_reader"

An entry point is a function that takes an `ExtensionSetup` and returns what implements the port of its group. What
the file does not name is never imported. What is loaded is identified by the hash of its installed files first, so that
`terminal health` and the journal name exactly the code that served. Everything that is wrong with an extension refuses
the start with `ConfigError`, before the journal is touched.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import msgspec
from msgspec import Struct

from terminal.app.config.settings import EXTENSIONS, Extensions, Option
from terminal.app.entry_points import distribution_of, installed_as, require_installed
from terminal.clock import Clock, unix_ms
from terminal.decision.outcome import Outcome
from terminal.devices import (
    DeviceState,
    DeviceWatch,
    ExtensionRole,
    OnDeviceState,
    one_line,
    require_held,
    said_of,
)
from terminal.errors import ConfigError, TerminalError
from terminal.journal.journal import Journal
from terminal.journal.operation_records import ExtensionLoaded
from terminal.media.guard import GuardedMedium
from terminal.media.port import Medium, MediumSetup
from terminal.messages import register
from terminal.operations.status import LoadedExtension
from terminal.policy.routes import RouteBook
from terminal.reader.port import GuardedReader, ReaderPort
from terminal.signals import DeviceWorker, Signal
from terminal.trip.build import VehicleSource
from terminal.trip.facts import Place

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint, PackagePath

Shape = TypeVar("Shape")
Port = TypeVar("Port")

_INSTALLERS_OWN: Final = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})


class ExtensionSetup(Struct, frozen=True):
    """What `terminal.toml` says to one extension: its name there, what follows the colon of a reader's name, and the
    keys of its table [extensions.NAME] as they stand: text, numbers, true and false, lists of these.
    """

    name: str
    address: str
    options: Mapping[str, Option]

    def options_as(self, shape: type[Shape]) -> Shape:
        """The options as a dataclass of the extension's own; raises `ConfigError` for an unknown key, one that is
        missing, and a value of another type.
        """
        known = [field.name for field in fields(cast(Any, shape))]
        for key in self.options:
            if key not in known:
                raise ConfigError(f"[extensions.{self.name}] has no key {key}", _known(known))
        try:
            return msgspec.convert(dict(self.options), shape, dec_hook=_path)
        except msgspec.ValidationError as error:
            raise ConfigError(f"[extensions.{self.name}]: {error}", "Correct it in terminal.toml.") from error


def _path(kind: type, value: object) -> object:
    """For a field that is a `Path`."""
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")


class ExtensionLoader:
    """Opens what `terminal.toml` names, with the options it gives, and keeps which code that is."""

    def __init__(self, options: Extensions) -> None:
        self._options = options
        self._loaded: list[LoadedExtension] = []
        self.on_state: OnDeviceState = lambda _name, _state, _detail: None
        """Hears of media and vehicle sources that raise while they serve."""

    @property
    def loaded(self) -> tuple[LoadedExtension, ...]:
        """Every extension opened so far, in order."""
        return tuple(self._loaded)

    def reader(self, name: str, address: str) -> ReaderPort:
        """The reader of that name, guarded; raises `ConfigError`."""
        made, loaded = self._open(ExtensionRole.READER, name, ReaderPort, address)
        return cast(
            ReaderPort, _attempt(loaded, "does not start", lambda: GuardedReader(cast(ReaderPort, made)))
        )

    def signal(self, name: str) -> Signal:
        """The signal of that name; raises `ConfigError`."""
        return cast(Signal, self._open(ExtensionRole.SIGNAL, name, Signal)[0])

    def vehicle_source(self, name: str) -> GuardedVehicle:
        """The vehicle source of that name; raises `ConfigError`."""
        source, loaded = self._open(ExtensionRole.VEHICLE_SOURCE, name, VehicleSource)
        return GuardedVehicle(name, cast(VehicleSource, source), self._watch(loaded))

    def medium(self, name: str, lent: MediumSetup) -> Medium:
        """The medium of that name, guarded, its messages registered; raises `ConfigError`."""
        made, loaded = self._open(ExtensionRole.MEDIUM, name, Medium, "", lent)
        medium = cast(Medium, made)

        def registered() -> GuardedMedium:
            if medium.name != name:
                raise ConfigError(f"it calls itself {medium.name!r}", "Install a version that does not.")
            guarded = GuardedMedium(medium, self._watch(loaded))
            register(name, guarded.messages)
            return guarded

        return cast(Medium, _attempt(loaded, "does not start", registered))

    def _watch(self, loaded: LoadedExtension) -> DeviceWatch:
        return DeviceWatch(f"{loaded.role}:{loaded.name}", self._report)

    def _report(self, name: str, state: DeviceState, detail: str) -> None:
        self.on_state(name, state, detail)

    def _open(
        self, role: ExtensionRole, name: str, port: object, address: str = "", *lent: object
    ) -> tuple[object, LoadedExtension]:
        setup = ExtensionSetup(name, address, MappingProxyType(self._options.get(name, {})))
        made, loaded = _opened(role, port, setup, *lent)
        self._loaded.append(loaded)
        return made, loaded

    def record(self, journal: Journal, clock: Clock) -> None:
        """One row for each, so that the journal says whose code serves."""
        for one in self._loaded:
            journal.append(
                ExtensionLoaded(
                    at_ms=unix_ms(clock.now()),
                    role=one.role,
                    extension=one.name,
                    distribution=one.distribution,
                    version=one.version,
                    sha256=bytes.fromhex(one.sha256),
                )
            )


PLACE_S: Final = 0.5
"""How long a tap waits for the place, once: while a call does not return, the place is unknown at once."""


class _PlaceAsked:
    """One question to a vehicle source, and its answer when there is one."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.place: Place | None = None


class GuardedVehicle:
    """Another author's vehicle source: while it raises or hangs, the vehicle does not know where it is, and taps go on.
    It is asked on a daemon thread of its own.
    """

    razzia: Final = False
    """The port of other authors does not say it."""

    def __init__(self, name: str, source: VehicleSource, watch: DeviceWatch) -> None:
        self.name: Final = name
        self._source = source
        self._watch = watch
        self._asked = _PlaceAsked()
        self._asked.answered.set()
        self._questions: SimpleQueue[_PlaceAsked] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=watch.name, daemon=True)

    def place_on(self, _route: int, _direction: int, _routes: RouteBook) -> Place | None:
        """What the source says; it knows its way itself."""
        if not self._asked.answered.is_set():
            return None
        if self._thread.ident is None:
            self._thread.start()
        asked = self._asked = _PlaceAsked()
        self._questions.put(asked)
        if not asked.answered.wait(PLACE_S):
            self._watch.hangs()
            return None
        return asked.place

    def _run(self) -> None:
        while True:
            asked = self._questions.get()
            asked.place = self._answer()
            asked.answered.set()

    def _answer(self) -> Place | None:
        try:
            place: object = self._source.place()
            if place is not None and not isinstance(place, Place):
                raise TypeError(f"{type(place).__name__} is no place")
            require_held(place, Place | None)
            _require_possible(place)
        except BaseException as error:  # noqa: BLE001 other people's code: whatever it raises, taps go on
            self._watch.raised(error)
            return None
        self._watch.works()
        return place


def _require_possible(place: Place | None) -> None:
    """Raise `ValueError` for what no stop, zone, mark or age is: what is below 0 fits no counter of a card."""
    if place is None:
        return
    for spot in (place, place.coming, place.origin, place.terminus, place.destination):
        if min(spot.stop, spot.zone, spot.mark_m or 0, place.age_s) < 0:
            raise ValueError("a stop, a zone, a mark or an age below 0")


class DeviceBoard(Struct, frozen=True):
    """The signals and the vehicle source of a running terminal."""

    signals: tuple[DeviceWorker[Outcome], ...]
    vehicle: GuardedVehicle | None

    def outcome(self, outcome: Outcome) -> None:
        """Let every signal show it; none is waited for."""
        for worker in self.signals:
            worker.pass_on(outcome)

    def look(self) -> None:
        """Find out which signals hang; to be called now and then."""
        for worker in self.signals:
            worker.look()

    def start(self, on_state: OnDeviceState) -> None:
        """Let the signals show what was passed on; `on_state` hears of those that do not work."""
        for worker in self.signals:
            worker.start(on_state)


@contextmanager
def device_board(
    signals: Sequence[str], vehicle: str | None, loader: ExtensionLoader, clock: Clock
) -> Iterator[DeviceBoard]:
    """The named signals, closed at the end, and the named vehicle source; raises `ConfigError`."""
    workers: list[DeviceWorker[Outcome]] = []
    with ExitStack() as stack:
        for name in signals:
            signal = loader.signal(name)
            worker = DeviceWorker(f"{ExtensionRole.SIGNAL}:{name}", signal.show, signal.close, clock)
            stack.callback(worker.close)
            workers.append(worker)
        yield DeviceBoard(tuple(workers), None if vehicle is None else loader.vehicle_source(vehicle))


def _opened(
    role: ExtensionRole, port: object, setup: ExtensionSetup, *lent: object
) -> tuple[object, LoadedExtension]:
    """What the extension's factory returns, and which code that is."""
    point = require_installed(role, setup.name)
    distribution = distribution_of(point)
    package, version = installed_as(point)
    loaded = LoadedExtension(
        role=role,
        name=setup.name,
        distribution=re.sub(r"[-_.]+", "-", package).lower(),
        version=re.sub(r"[^a-z0-9_.-]", ".", version.lower()),
        sha256=fingerprint(distribution),
    )
    factory = cast(Callable[..., object], _attempt(loaded, "cannot be loaded", point.load))
    _require_own_file(point, distribution, loaded)
    made = _attempt(loaded, "does not start", lambda: factory(setup, *lent))
    missing = _attempt(loaded, "does not start", lambda: ", ".join(_missing(made, port)))
    if missing:
        raise ConfigError(f"the {loaded} has no {missing}", _ask_for(loaded))
    return made, loaded


def _missing(made: object, port: object) -> list[str]:
    """The members of `port` that `made` lacks, or has of another kind."""
    wanted = {name: of for name, of in vars(port).items() if not name.startswith("_")}
    lent = isinstance(made, type)  # a class in place of an object: its methods belong to nothing
    return [
        name
        for name, of in wanted.items()
        if lent or not hasattr(made, name) or (callable(of) and not callable(getattr(made, name)))
    ]


def _attempt(loaded: LoadedExtension, fails: str, work: Callable[[], object]) -> object:
    """What `work`, which is other people's code, returns; raises `ConfigError` whatever it raises. What it prints goes
    to stderr: stdout belongs to the programs that read our JSON.
    """
    try:
        with redirect_stdout(sys.stderr):
            return work()
    except KeyboardInterrupt:
        raise
    except TerminalError as error:
        what, advice = one_line(str(error.what)), one_line(str(error.advice))
        raise ConfigError(f"the {loaded} {fails}: {what}", advice) from error
    except BaseException as error:
        raise ConfigError(f"the {loaded} {fails} ({said_of(error)})", _ask_for(loaded)) from error


def fingerprint(distribution: Distribution) -> str:
    """SHA-256 over the installed files, in hex: of the lines `sha256sum` would print for them, sorted by path.

    The files are those of its RECORD, read anew, without byte code, the scripts made for this environment, and what
    the installer notes for itself; so the same wheel has the same hash everywhere. Raises `ConfigError`.
    """
    if not distribution.files:
        raise ConfigError(
            f"the package {distribution.name} has no list of its files (RECORD)",
            "Install it as a wheel: pip install PACKAGE.",
        )
    try:
        lines = [
            f"{sha256(Path(str(file.locate())).read_bytes()).hexdigest()}  {file}\n"
            for file in sorted(distribution.files, key=str)
            if _counts(file)
        ]
    except OSError as error:
        raise ConfigError(
            f"a file of {distribution.name} cannot be read ({error.filename}: {error.strerror})",
            "Install the package again.",
        ) from error
    return sha256("".join(lines).encode()).hexdigest()


def _counts(file: PackagePath) -> bool:
    own = file.parent.name.endswith(".dist-info") and file.name in _INSTALLERS_OWN
    return not (own or file.suffix == ".pyc" or file.parts[0] == "..")


def _require_own_file(point: EntryPoint, distribution: Distribution, loaded: LoadedExtension) -> None:
    """The module must be among the files that the hash covers."""
    source = getattr(sys.modules[point.module], "__file__", None)
    hashed = {Path(str(file.locate())).resolve() for file in distribution.files or () if _counts(file)}
    if source is None or Path(source).resolve() not in hashed:
        raise ConfigError(
            f"the {loaded} is not among the files of its package, as in an editable installation",
            "Install it as a wheel: pip install PACKAGE.",
        )


def _known(keys: list[str]) -> str:
    return f"It has: {', '.join(keys)}." if keys else "It has none."


def _ask_for(loaded: LoadedExtension) -> str:
    return f"Check [{EXTENSIONS}.{loaded.name}] in terminal.toml, or install another version of {loaded.distribution}."
