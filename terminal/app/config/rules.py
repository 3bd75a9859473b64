"""What types cannot say of a `terminal.toml`: settings that contradict each other, and files that are not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from terminal.app.config.settings import (
    CANTEEN,
    DEFAULT_GPSD,
    EXTENSION_NAME,
    EXTENSIONS,
    GPSD,
    REPLAY,
    RESIDENT,
    SIM,
    VDV301,
    StationConfig,
)
from terminal.devices import ExtensionRole
from terminal.errors import ConfigError, ReaderError, TerminalError
from terminal.texts import languages

CARD_IMAGE: Final = ".json"
DNS_SD: Final = "dns-sd:"
"""Before the name by which an on-board computer announces itself."""

ALL_PARTS: Final = ("keys", "region", "issuers")
"""Of what a laboratory lends."""


class Complaint(NamedTuple):
    """`key` as table.key."""

    key: str
    what: str
    advice: str


def incomplete(config: StationConfig) -> Iterator[Complaint]:
    """What `terminal run` would refuse in `config`, and options may still bring."""
    for key, value in (("terminal.profile", config.terminal.profile), ("reader.name", config.reader.name)):
        if value is None:
            yield Complaint(key, "is not set, and no default would do", "Set it, or give it as an option.")
    yield from places_unknown(config)
    yield from _laboratory(config)


def contradictions(config: StationConfig) -> Iterator[Complaint]:
    """Everything in `config` that cannot be meant, in the order of the file's tables."""
    yield from _no_text(config)
    yield from _languages(config)
    yield from _reader(config)
    yield from _collector(config)
    yield from _host(config)
    yield from _ports(config)
    yield from _profile(config)
    yield from _extensions(config)
    yield from _by_hand(config)
    yield from _vehicle(config)
    if config.recording.file is None and not config.recording.masked:
        yield Complaint("recording.masked", "nothing is recorded", "Name the file under [recording], too.")


def _no_text(config: StationConfig) -> Iterator[Complaint]:
    """No path and no name holds a NUL."""
    for table in config.__struct_fields__:
        settings = getattr(config, table)
        for key in getattr(settings, "__struct_fields__", ()):
            if "\0" in str(getattr(settings, key)):
                yield Complaint(f"{table}.{key}", "holds a NUL character", "Write it without.")


def missing_files(config: StationConfig) -> Iterator[Complaint]:
    """Every file that the configuration names and that is not there."""
    region = config.terminal.region
    named: dict[str, Path | None] = {
        "terminal.region": Path(region) if region is not None and _is_file_name(region) else None,
        "keys.file": config.keys.file,
        "lists.deny": config.lists.deny,
        "lists.grants": config.lists.grants,
        "lists.routes": config.lists.routes,
        "lists.issuers": config.lists.issuers,
        "vehicle.replay": None if _is_pipe(config.vehicle.replay) else config.vehicle.replay,
        "collector.tls_ca": config.collector.tls_ca,
        "collector.tls_cert": config.collector.tls_cert,
        "collector.tls_key": config.collector.tls_key,
    }
    for key, path in named.items():
        if path is not None and not path.is_file():
            yield Complaint(key, f"there is no file {path}", "Put it there or name another.")


def unusable(config: StationConfig) -> Iterator[Complaint]:
    """What `terminal run` would refuse for what stands around the file: a document, cards, a folder, an address."""
    from terminal.app.simulated import require_residents
    from terminal.policy.load import load_region
    from terminal.policy.routes import load_routes
    from terminal.sync.address import parse_address

    if any(_no_text(config)):
        return
    yield from _refused("terminal.region", lambda: load_region(config.terminal.region_or_demo), config)
    if config.lists.routes is not None and config.lists.routes.is_file():
        yield from _refused("lists.routes", lambda: load_routes(config.lists.routes or Path()), config)
    reader = config.reader.name or ""
    if reader.startswith(SIM) and reader != SIM:
        yield from _refused(
            "reader.name", lambda: require_residents(reader.removeprefix(SIM).split(",")), config
        )
    yield from _not_installed(config)
    if config.collector.url is not None:
        yield from _refused("collector.url", lambda: parse_address(config.collector.url or ""), config)
    if config.terminal.state is not None and not _can_be_folder(config.terminal.state):
        yield Complaint("terminal.state", "is no folder, and none can be made there", "Name a folder.")
    file = config.recording.file
    if file is not None and not file.parent.is_dir():
        yield Complaint(
            "recording.file", f"there is no folder {file.parent}", "Make it or name another file."
        )


def _refused(key: str, attempt: Callable[[], object], config: StationConfig) -> Iterator[Complaint]:
    """The complaint about `key`, unless a plainer one was made before: a file that is not there."""
    if any(complaint.key == key for complaint in missing_files(config)):
        return
    try:
        attempt()
    except TerminalError as error:
        yield Complaint(key, error.what, error.advice)


def _can_be_folder(path: Path) -> bool:
    """Whether `path` is a folder or could be made one: the first thing that is there above it is a folder."""
    try:
        return next(place for place in (path, *path.absolute().parents) if place.exists()).is_dir()
    except OSError:
        return False


def _is_file_name(region: str) -> bool:
    return bool(Path(region).suffix) or Path(region).name != region


def _languages(config: StationConfig) -> Iterator[Complaint]:
    known, terminal = languages(), config.terminal
    if terminal.language not in known:
        yield Complaint(
            "terminal.language",
            f"there is no catalogue for {terminal.language!r}",
            f"Write one of {', '.join(known)}.",
        )
    if terminal.second_language == terminal.language:
        yield Complaint("terminal.second_language", "is the first language again", "Remove it.")
    elif terminal.second_language not in ("", *known):
        yield Complaint(
            "terminal.second_language",
            f"there is no catalogue for {terminal.second_language!r}",
            f"Write one of {', '.join(known)}.",
        )


def require_known_reader(name: str) -> None:
    """Raise `ReaderError` for a name that no reader has, of ours or of an extension, installed or not."""
    if name == SIM.rstrip(":") or not re.fullmatch(f"{EXTENSION_NAME}(:.*)?", name):
        advice = "Use sim:RESIDENT, pcsc or pcsc:NAME, or NAME:ADDRESS for the reader of an extension."
        raise ReaderError(f"unknown reader {name!r}", advice)


def extensions_named(config: StationConfig) -> Iterator[tuple[ExtensionRole, str, str]]:
    """Every extension that `config` names: its role, its name, and the key that names it."""
    if config.reader.extension:
        yield ExtensionRole.READER, config.reader.extension, "reader.name"
    for name in config.signals.names:
        yield ExtensionRole.SIGNAL, name, "signals.names"
    for name in config.media.order:
        if name != RESIDENT:
            yield ExtensionRole.MEDIUM, name, "media.order"
    if config.vehicle.source is not None and config.vehicle.own_source is None:
        yield ExtensionRole.VEHICLE_SOURCE, config.vehicle.source, "vehicle.source"


def _extensions(config: StationConfig) -> Iterator[Complaint]:
    """Options of an extension that is not used, and one that is named twice."""
    named = [name for _role, name, _key in extensions_named(config)]
    for name in config.extensions:
        if name not in named:
            what = "this extension is not named anywhere"
            yield Complaint(
                f"{EXTENSIONS}.{name}",
                what,
                "Name it under [reader], [signals], [media] or [vehicle], or remove its table.",
            )
    for key, names in (("signals.names", config.signals.names), ("media.order", config.media.order)):
        if len(set(names)) < len(names):
            yield Complaint(key, "names one twice", "Name each once.")
    if RESIDENT in config.media.order[1:]:
        what = "the resident card is asked first, so that no exchange of its taps is spent on others"
        yield Complaint("media.order", what, f"Write {RESIDENT} first.")


def _not_installed(config: StationConfig) -> Iterator[Complaint]:
    from terminal.app.entry_points import require_installed

    for role, name, key in dict.fromkeys(extensions_named(config)):
        yield from _refused(key, partial(require_installed, role, name), config)


def _reader(config: StationConfig) -> Iterator[Complaint]:
    name = config.reader.name
    if name is None:
        return
    try:
        require_known_reader(name)
    except ReaderError as error:
        yield Complaint("reader.name", error.what, error.advice)
    if config.reader.pace_s is not None and not name.startswith(SIM):
        yield Complaint("reader.pace_s", "only a simulated reader has a pace", "Remove it.")
    if config.reader.pace_s is not None and not isfinite(config.reader.pace_s):
        yield Complaint("reader.pace_s", "is no number of seconds", "Write how many seconds, such as 5.")


def _collector(config: StationConfig) -> Iterator[Complaint]:
    given = config.collector
    if given.tls_key is not None and given.tls_cert is None:
        yield Complaint("collector.tls_key", "a key without its certificate", "Set tls_cert, too.")
    url = given.url or ""
    if url.startswith("https://"):
        return
    for key in ("tls_ca", "tls_cert"):
        if getattr(given, key) is not None:
            yield Complaint(f"collector.{key}", "TLS needs an https:// address", 'Write url = "https://…".')


def _host(config: StationConfig) -> Iterator[Complaint]:
    host = config.console.host
    try:
        ip_address(host)
    except ValueError:
        if host != "localhost":
            what = f"{host!r} is no address of a machine"
            yield Complaint("console.host", what, "Write one such as 127.0.0.1.")


def _ports(config: StationConfig) -> Iterator[Complaint]:
    taken: dict[int, str] = {}
    wanted = {
        "screen.port": config.screen.port if config.screen.enabled else None,
        "console.port": config.console.port if config.console.enabled else None,
        "metrics.port": config.metrics.port,
    }
    for key, port in wanted.items():
        if port and port in taken:
            yield Complaint(key, f"port {port} is that of {taken[port]} already", "Write another port.")
        elif port:
            taken[port] = key


def _laboratory(config: StationConfig) -> Iterator[Complaint]:
    """A real reader without keys and documents of its own; `terminal run` would refuse it."""
    try:
        require_own(config, ALL_PARTS, real_reader=not config.reader.simulated)
    except ConfigError as error:
        yield Complaint("reader.name", error.what, error.advice)


def _profile(config: StationConfig) -> Iterator[Complaint]:
    shift = config.shift
    for key in ("route", "direction"):
        if shift.operator is None and getattr(shift, key):
            yield Complaint(f"shift.{key}", "no shift is opened without an operator", "Set operator, too.")
    if config.terminal.profile == CANTEEN and shift.route:
        yield Complaint("shift.route", "a canteen has no route", "Remove it.")
    if config.terminal.profile == "bus" and config.canteen.serving:
        yield Complaint(
            "canteen.serving", "a bus serves no meals", 'Remove it, or write profile = "canteen".'
        )


def _by_hand(config: StationConfig) -> Iterator[Complaint]:
    """What [laboratory] asks for is for software cards only, and its control for a reader without cards of its own."""
    asked, name = config.laboratory, config.reader.name
    for part in asked.parts if not config.reader.simulated else ():
        what = "a terminal on a real reader is not moved by hand"
        yield Complaint(f"laboratory.{part}", what, 'Remove it, or write name = "sim:" under [reader].')
    if asked.control is not None and config.reader.simulated and name not in (None, SIM):
        what = f"cards come to {name} by themselves"
        yield Complaint("laboratory.control", what, 'Write name = "sim:" under [reader]: no card but those.')
    if asked.starts_at is not None and not asked.clock:
        yield Complaint(
            "laboratory.starts_at", "the machine's clock starts nowhere", "Set clock = true, too."
        )
    if asked.starts_at is not None and not _is_moment(asked.starts_at):
        what = f"{asked.starts_at!r} is no moment with an offset"
        yield Complaint("laboratory.starts_at", what, "Write one such as 2026-09-15T08:00:00+03:00.")


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() is not None
    except ValueError:
        return False


def require_hands_off(config: StationConfig) -> None:
    """Raise `ConfigError` where options have made a terminal of `config` that [laboratory] may not move."""
    found = next(_by_hand(config), None)
    if found is not None:
        raise ConfigError(f"{found.key}: {found.what}", found.advice)


def _vehicle(config: StationConfig) -> Iterator[Complaint]:
    """What a source of ours lacks, cannot use, or would pass over."""
    vehicle = config.vehicle
    if vehicle.own_source is not None and config.terminal.profile == CANTEEN:
        yield Complaint("vehicle.source", "a canteen does not drive", "Remove it.")
    for source, keys in ((VDV301, ("publisher", "reply_host")), (REPLAY, ("replay",))):
        for key in keys:
            stated = getattr(vehicle, key) is not None
            if vehicle.source == source and not stated:
                yield Complaint(f"vehicle.{key}", f"{source} needs it", f"Set {key} under [vehicle].")
            elif vehicle.source is None and stated:
                advice = f'Write source = "{source}", or remove it.'
                yield Complaint(f"vehicle.{key}", "no source is named that would listen there", advice)
    if vehicle.source == VDV301:
        yield from _on_board_computer(vehicle.publisher, vehicle.reply_host)
    if vehicle.source == GPSD and not _answers(vehicle.gpsd):
        what = f"{vehicle.gpsd!r} is no ADDRESS:PORT, in numbers"
        yield Complaint("vehicle.gpsd", what, f'Write it like this one: "{DEFAULT_GPSD}".')


def _on_board_computer(publisher: str | None, reply_host: str | None) -> Iterator[Complaint]:
    """Addresses in numbers, both of one family: names are not looked up."""
    here = None if reply_host is None else _address(reply_host)
    if reply_host is not None and (here is None or here.is_unspecified):
        what = f"{reply_host!r} is no address of a machine in numbers"
        yield Complaint(
            "vehicle.reply_host", what, "Write ours in the vehicle's network, 192.168.10.7 perhaps."
        )
    if publisher is None:
        return
    if publisher.startswith(DNS_SD):
        instance, at_sign, host = publisher.removeprefix(DNS_SD).partition("@")
        there, right = _address(host), bool(instance) and (not at_sign or _address(host) is not None)
    else:
        there = _address(_splits(publisher)[0])
        right = there is not None
    if not right:
        what = f"{publisher!r} is neither ADDRESS:PORT, in numbers, nor {DNS_SD}INSTANCE or {DNS_SD}INSTANCE@ADDRESS"
        yield Complaint("vehicle.publisher", what, "Write it like one of these: 192.168.10.2:8081.")
    elif here is not None and there is not None and here.version != there.version:
        what = f"{here} and {there} are of two kinds, and cannot reach each other"
        yield Complaint("vehicle.reply_host", what, "Write both as IPv4, or both as IPv6.")


def _answers(text: str) -> bool:
    """Whether that is a place of gpsd: a name that has to be looked up might take longer than the source may."""
    host, _port = _splits(text)
    return host == "localhost" or _address(host) is not None


def _splits(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT, an IPv6 address in brackets; an empty host where it is none."""
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    right = port.isascii() and port.isdecimal() and len(port) < 6 and 0 < int(port) <= 0xFFFF
    if not right or not re.fullmatch(r"[0-9A-Za-z.:_-]+", bare) or (":" in bare) != (bare != host):
        return "", 0
    return bare, int(port)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def places_unknown(config: StationConfig) -> Iterator[Complaint]:
    """A source whose names of stops and zones mean nothing to this terminal."""
    if config.vehicle.own_source is not None and config.lists.routes is None:
        what = "without a routes document the vehicle says only whether an inspection is under way"
        yield Complaint("vehicle.source", what, "Name the routes document: routes under [lists].")


def _is_pipe(path: Path | None) -> bool:
    """A named pipe is played as it is written to."""
    return path is not None and path.is_fifo()


def laboratory_parts(config: StationConfig) -> tuple[str, ...]:
    """What this configuration does not name and so takes from the public laboratory: keys, region, issuers."""
    checks_grants = config.lists.verify_credential != "never"
    unset = {
        "keys": config.keys.file is None,
        "region": config.terminal.region is None,
        "issuers": checks_grants and config.lists.issuers is None,
    }
    return tuple(part for part, missing in unset.items() if missing)


def require_own(config: StationConfig, parts: Container[str], *, real_reader: bool) -> None:
    """Raise `ConfigError` where a real reader would get one of these `parts` from the laboratory unasked.

    Cards for the laboratory's keys can be made by anyone.
    """
    missing = [part for part in laboratory_parts(config) if part in parts]
    if not real_reader or config.terminal.laboratory or not missing:
        return
    if config.reader.extension:  # a mistyped name is no real reader, and says so first
        from terminal.app.entry_points import require_installed

        require_installed(ExtensionRole.READER, config.reader.extension)
    named = {
        "keys": "file under [keys]",
        "region": "region under [terminal]",
        "issuers": "issuers under [lists]",
    }
    raise ConfigError(
        f"a real reader, and no {', no '.join(missing)} of its own",
        f"Set {', '.join(named[part] for part in missing)} in terminal.toml (or give --keys, --region); laboratory = "
        "true under [terminal], or --laboratory-keys, accepts the public laboratory's.",
    )


def beside(folder: Path) -> Callable[[type, object], object]:
    """What decodes a path as relative to `folder`."""

    def decode(kind: type, value: object) -> object:
        if kind is Path and isinstance(value, str) and value:
            return folder / value
        raise TypeError("Expected a path")

    return decode


def with_paths(config: StationConfig, folder: Path) -> StationConfig:
    """`config` whose region and card images, if they are files, are beside the file, too."""
    region, reader = config.terminal.region, config.reader.name
    if region is not None and (Path(region).suffix or Path(region).name != region):
        terminal = msgspec.structs.replace(config.terminal, region=str(folder / region))
        config = msgspec.structs.replace(config, terminal=terminal)
    if reader is not None and reader.startswith(SIM):
        cards = (_card(name, folder) for name in reader.removeprefix(SIM).split(","))
        named = msgspec.structs.replace(config.reader, name=SIM + ",".join(cards))
        config = msgspec.structs.replace(config, reader=named)
    return config


def _card(name: str, folder: Path) -> str:
    return str(folder / name) if name.endswith(CARD_IMAGE) else name
