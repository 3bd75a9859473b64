"""What types cannot say of a `terminal.toml`: settings that contradict each other, and files that are not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from datetime import datetime
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite
from pathlib import Path
from typing import Final

import msgspec

from terminal.app.config.codes import ConfigMistake
from terminal.app.config.periphery_rules import periphery_mistakes
from terminal.app.config.settings import (
    BANK,
    CANTEEN,
    DEFAULT_GPSD,
    EXTENSION_NAME,
    EXTENSIONS,
    GPSD,
    OWN_MEDIA,
    REPLAY,
    RESIDENT,
    SIM,
    VDV301,
    StationConfig,
)
from terminal.devices import ExtensionRole
from terminal.errors import ConfigError, DocumentError, Mistake, ReaderError, TerminalError
from terminal.keys.kept import handed_over
from terminal.mistakes.words import refusal
from terminal.texts import languages
from terminal.updates.bundle.roles import ROOT_FILE

CARD_IMAGE: Final = ".json"
DNS_SD: Final = "dns-sd:"
"""Before the name by which an on-board computer announces itself."""

ALL_PARTS: Final = ("keys", "region", "issuers", "bank")
"""Of what a laboratory lends."""


def incomplete(config: StationConfig) -> Iterator[Mistake]:
    """What `terminal run` would refuse in `config`, and options may still bring."""
    for key, value in (("terminal.profile", config.terminal.profile), ("reader.name", config.reader.name)):
        if value is None:
            yield Mistake(key, ConfigMistake.NOT_SET)
    yield from places_unknown(config)
    yield from _laboratory(config)


def contradictions(config: StationConfig) -> Iterator[Mistake]:
    """Everything in `config` that cannot be meant, in the order of the file's tables."""
    yield from _no_text(config)
    yield from _languages(config)
    yield from _reader(config)
    yield from _collector(config)
    if config.bundles.url is not None and config.bundles.folder is not None:
        yield Mistake("bundles.folder", ConfigMistake.TWO_SOURCES)
    yield from _host(config)
    yield from _ports(config)
    yield from _profile(config)
    yield from _extensions(config)
    yield from periphery_mistakes(config)
    yield from _by_hand(config)
    yield from _vehicle(config)
    file, credential = config.keys.file, config.keys.credential
    if file is not None and credential is not None and file != handed_over(credential):
        yield Mistake("keys.credential", ConfigMistake.TWO_KEYS)
    if config.recording.file is None and not config.recording.masked:
        yield Mistake("recording.masked", ConfigMistake.NOT_RECORDED)


def _no_text(config: StationConfig) -> Iterator[Mistake]:
    """No path and no name holds a NUL."""
    for table in config.__struct_fields__:
        settings = getattr(config, table)
        for key in getattr(settings, "__struct_fields__", ()):
            if "\0" in str(getattr(settings, key)):
                yield Mistake(f"{table}.{key}", ConfigMistake.NUL)


def missing_files(config: StationConfig) -> Iterator[Mistake]:
    """Every file that the configuration names and that is not there."""
    region = config.terminal.region
    named: dict[str, Path | None] = {
        "terminal.region": Path(region) if region is not None and _is_file_name(region) else None,
        "keys.file": None if config.keys.credential else config.keys.file,
        "keys.credential": config.keys.credential,
        "lists.deny": config.lists.deny,
        "lists.grants": config.lists.grants,
        "lists.routes": config.lists.routes,
        "lists.issuers": config.lists.issuers,
        "bank.ca": config.bank.ca,
        "bank.office": config.bank.office,
        "vehicle.replay": None if _is_pipe(config.vehicle.replay) else config.vehicle.replay,
        "collector.tls_ca": config.collector.tls_ca,
    }
    for key, path in named.items():
        if path is not None and not path.is_file():
            yield Mistake(key, ConfigMistake.NO_FILE, {"path": str(path)})


def unusable(config: StationConfig) -> Iterator[Mistake]:
    """What `terminal run` would refuse for what stands around the file: a document, cards, a folder, an address."""
    from terminal.app.simulated import require_residents
    from terminal.keys.bank_ca import load_bank_ca, load_office_key
    from terminal.keys.file import load_issuers
    from terminal.policy.load import load_region
    from terminal.policy.routes import load_routes
    from terminal.sync.address import parse_address

    if any(_no_text(config)):
        return
    if config.terminal.region is not None or not takes_bundles(config):
        yield from _refused("terminal.region", lambda: load_region(config.terminal.region_or_demo), config)
    if config.lists.routes is not None and config.lists.routes.is_file():
        yield from _refused("lists.routes", lambda: load_routes(config.lists.routes or Path()), config)
    if config.lists.issuers is not None and config.lists.issuers.is_file():
        yield from _refused("lists.issuers", lambda: load_issuers(config.lists.issuers or Path()), config)
    if config.bank.ca is not None and config.bank.ca.is_file():
        yield from _refused("bank.ca", lambda: load_bank_ca(config.bank.ca or Path()), config)
    if config.bank.office is not None and config.bank.office.is_file():
        yield from _refused("bank.office", lambda: load_office_key(config.bank.office or Path()), config)
    reader = config.reader.name or ""
    if reader.startswith(SIM) and reader != SIM:
        yield from _refused(
            "reader.name", lambda: require_residents(reader.removeprefix(SIM).split(",")), config
        )
    yield from _not_installed(config)
    if config.collector.url is not None:
        yield from _refused("collector.url", lambda: parse_address(config.collector.url or ""), config)
    if config.bundles.url is not None:
        yield from _refused("bundles.url", lambda: parse_address(config.bundles.url or ""), config)
    if config.terminal.state is not None and not _can_be_folder(config.terminal.state):
        yield Mistake("terminal.state", ConfigMistake.NO_STATE)
    file = config.recording.file
    if file is not None and not file.parent.is_dir():
        yield Mistake("recording.file", ConfigMistake.NO_FOLDER, {"folder": str(file.parent)})


def _refused(key: str, attempt: Callable[[], object], config: StationConfig) -> Iterator[Mistake]:
    """The complaint about `key`, unless a plainer one was made before: a file that is not there."""
    if any(mistake.path == key for mistake in missing_files(config)):
        return
    try:
        attempt()
    except DocumentError as error:
        yield from error.mistakes or [_said(key, error)]
    except TerminalError as error:
        yield _said(key, error)


def _said(key: str, error: TerminalError) -> Mistake:
    """What stands around the file and is refused for reasons of its own."""
    return Mistake(key, ConfigMistake.REFUSED, {"what": error.what, "advice": error.advice})


def _can_be_folder(path: Path) -> bool:
    """Whether `path` is a folder or could be made one: the first thing that is there above it is a folder."""
    try:
        return next(place for place in (path, *path.absolute().parents) if place.exists()).is_dir()
    except OSError:
        return False


def _is_file_name(region: str) -> bool:
    return bool(Path(region).suffix) or Path(region).name != region


def _languages(config: StationConfig) -> Iterator[Mistake]:
    known, terminal = languages(), config.terminal
    if terminal.language not in known:
        yield Mistake(
            "terminal.language",
            ConfigMistake.NO_CATALOGUE,
            {"language": terminal.language, "known": ", ".join(known)},
        )
    if terminal.second_language == terminal.language:
        yield Mistake("terminal.second_language", ConfigMistake.SAME_LANGUAGE)
    elif terminal.second_language not in ("", *known):
        yield Mistake(
            "terminal.second_language",
            ConfigMistake.NO_CATALOGUE,
            {"language": terminal.second_language, "known": ", ".join(known)},
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
        if name not in OWN_MEDIA:
            yield ExtensionRole.MEDIUM, name, "media.order"
    if config.vehicle.source is not None and config.vehicle.own_source is None:
        yield ExtensionRole.VEHICLE_SOURCE, config.vehicle.source, "vehicle.source"


def _extensions(config: StationConfig) -> Iterator[Mistake]:
    """Options of an extension that is not used, and one that is named twice."""
    named = [name for _role, name, _key in extensions_named(config)]
    for name in config.extensions:
        if name not in named:
            yield Mistake(f"{EXTENSIONS}.{name}", ConfigMistake.NOT_NAMED)
    for key, names in (("signals.names", config.signals.names), ("media.order", config.media.order)):
        if len(set(names)) < len(names):
            yield Mistake(key, ConfigMistake.NAMED_TWICE)
    if RESIDENT in config.media.order[1:]:
        yield Mistake("media.order", ConfigMistake.RESIDENT_FIRST, {"resident": RESIDENT})


def _not_installed(config: StationConfig) -> Iterator[Mistake]:
    from terminal.app.entry_points import require_installed

    for role, name, key in dict.fromkeys(extensions_named(config)):
        yield from _refused(key, partial(require_installed, role, name), config)


def _reader(config: StationConfig) -> Iterator[Mistake]:
    name = config.reader.name
    if name is None:
        return
    try:
        require_known_reader(name)
    except ReaderError as error:
        yield _said("reader.name", error)
    if config.reader.pace_s is not None and not name.startswith(SIM):
        yield Mistake("reader.pace_s", ConfigMistake.PACE)
    if config.reader.pace_s is not None and not isfinite(config.reader.pace_s):
        yield Mistake("reader.pace_s", ConfigMistake.NO_SECONDS)


def _collector(config: StationConfig) -> Iterator[Mistake]:
    given = config.collector
    url = given.url or ""
    if url.startswith("https://"):
        return
    if given.tls_ca is not None:
        yield Mistake("collector.tls_ca", ConfigMistake.NO_HTTPS)


def _host(config: StationConfig) -> Iterator[Mistake]:
    host = config.console.host
    try:
        ip_address(host)
    except ValueError:
        if host != "localhost":
            yield Mistake("console.host", ConfigMistake.NO_ADDRESS, {"host": host})


def _ports(config: StationConfig) -> Iterator[Mistake]:
    taken: dict[int, str] = {}
    wanted = {
        "screen.port": config.screen.port if config.screen.enabled else None,
        "console.port": config.console.port if config.console.enabled else None,
        "metrics.port": config.metrics.port,
    }
    for key, port in wanted.items():
        if port and port in taken:
            yield Mistake(key, ConfigMistake.PORT_TAKEN, {"port": port, "other": taken[port]})
        elif port:
            taken[port] = key


def _laboratory(config: StationConfig) -> Iterator[Mistake]:
    """A real reader without keys and documents of its own; `terminal run` would refuse it."""
    try:
        require_own(config, ALL_PARTS, real_reader=not config.reader.simulated)
    except ConfigError as error:
        yield _said("reader.name", error)


def _profile(config: StationConfig) -> Iterator[Mistake]:
    shift = config.shift
    for key in ("route", "direction"):
        if shift.operator is None and getattr(shift, key):
            yield Mistake(f"shift.{key}", ConfigMistake.NO_OPERATOR)
    if config.terminal.profile == CANTEEN and shift.route:
        yield Mistake("shift.route", ConfigMistake.CANTEEN_ROUTE)
    if config.terminal.profile == "bus" and config.canteen.serving:
        yield Mistake("canteen.serving", ConfigMistake.BUS_MEALS)


def _by_hand(config: StationConfig) -> Iterator[Mistake]:
    """What [laboratory] asks for is for software cards only, and its control for a reader without cards of its own."""
    asked, name = config.laboratory, config.reader.name
    for part in asked.parts if not config.reader.simulated else ():
        yield Mistake(f"laboratory.{part}", ConfigMistake.MOVED_BY_HAND)
    if asked.control is not None and config.reader.simulated and name not in (None, SIM):
        yield Mistake("laboratory.control", ConfigMistake.OWN_CARDS, {"reader": name or ""})
    if asked.starts_at is not None and not asked.clock:
        yield Mistake("laboratory.starts_at", ConfigMistake.CLOCK_OF_MACHINE)
    if asked.starts_at is not None and not _is_moment(asked.starts_at):
        yield Mistake("laboratory.starts_at", ConfigMistake.NO_MOMENT, {"moment": asked.starts_at})


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() is not None
    except ValueError:
        return False


def require_hands_off(config: StationConfig) -> None:
    """Raise `ConfigError` where options have made a terminal of `config` that [laboratory] may not move."""
    found = next(_by_hand(config), None)
    if found is not None:
        raise refusal(ConfigError, [found])


def _vehicle(config: StationConfig) -> Iterator[Mistake]:
    """What a source of ours lacks, cannot use, or would pass over."""
    vehicle = config.vehicle
    if vehicle.own_source is not None and config.terminal.profile == CANTEEN:
        yield Mistake("vehicle.source", ConfigMistake.CANTEEN_DRIVES)
    for source, keys in ((VDV301, ("publisher", "reply_host")), (REPLAY, ("replay",))):
        for key in keys:
            stated = getattr(vehicle, key) is not None
            if vehicle.source == source and not stated:
                yield Mistake(f"vehicle.{key}", ConfigMistake.SOURCE_NEEDS, {"source": source, "key": key})
            elif vehicle.source is None and stated:
                yield Mistake(f"vehicle.{key}", ConfigMistake.NO_SOURCE, {"source": source})
    if vehicle.source == VDV301:
        yield from _on_board_computer(vehicle.publisher, vehicle.reply_host)
    if vehicle.source == GPSD and not _answers(vehicle.gpsd):
        yield Mistake(
            "vehicle.gpsd", ConfigMistake.NO_GPSD, {"address": vehicle.gpsd, "example": DEFAULT_GPSD}
        )


def _on_board_computer(publisher: str | None, reply_host: str | None) -> Iterator[Mistake]:
    """Addresses in numbers, both of one family: names are not looked up."""
    here = None if reply_host is None else _address(reply_host)
    if reply_host is not None and (here is None or here.is_unspecified):
        yield Mistake("vehicle.reply_host", ConfigMistake.NO_REPLY_HOST, {"host": reply_host})
    if publisher is None:
        return
    if publisher.startswith(DNS_SD):
        instance, at_sign, host = publisher.removeprefix(DNS_SD).partition("@")
        there, right = _address(host), bool(instance) and (not at_sign or _address(host) is not None)
    else:
        there = _address(_splits(publisher)[0])
        right = there is not None
    if not right:
        yield Mistake("vehicle.publisher", ConfigMistake.NO_PUBLISHER, {"publisher": publisher})
    elif here is not None and there is not None and here.version != there.version:
        yield Mistake("vehicle.reply_host", ConfigMistake.TWO_KINDS, {"here": str(here), "there": str(there)})


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


def places_unknown(config: StationConfig) -> Iterator[Mistake]:
    """A source whose names of stops and zones mean nothing to this terminal."""
    if config.vehicle.own_source is not None and config.lists.routes is None:
        yield Mistake("vehicle.source", ConfigMistake.NO_ROUTES)


def _is_pipe(path: Path | None) -> bool:
    """A named pipe is played as it is written to."""
    return path is not None and path.is_fifo()


def takes_bundles(config: StationConfig) -> bool:
    """Whether signed bundles are asked for, or a collector is named and a root is trusted."""
    trusted = config.collector.url is not None and (config.terminal.state / ROOT_FILE).exists()
    return config.bundles.asked or trusted


def laboratory_parts(config: StationConfig) -> tuple[str, ...]:
    """What this configuration does not name and so takes from the public laboratory: keys, region, issuers, and of bank
    cards who proves them and to whom they are sealed.
    """
    checks_grants = config.lists.verify_credential != "never"
    unset = {
        "keys": config.keys.file is None,
        "region": config.terminal.region is None and not takes_bundles(config),
        "issuers": checks_grants and config.lists.issuers is None and not takes_bundles(config),
        "bank": BANK in config.media.order and None in (config.bank.ca, config.bank.office),
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
        "bank": "ca and office under [bank]",
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
    """`config` whose region and card images, if they are files, are beside the file, too, and whose key file is what
    systemd made of the sealed one."""
    region, reader = config.terminal.region, config.reader.name
    if region is not None and (Path(region).suffix or Path(region).name != region):
        terminal = msgspec.structs.replace(config.terminal, region=str(folder / region))
        config = msgspec.structs.replace(config, terminal=terminal)
    if reader is not None and reader.startswith(SIM):
        cards = (_card(name, folder) for name in reader.removeprefix(SIM).split(","))
        named = msgspec.structs.replace(config.reader, name=SIM + ",".join(cards))
        config = msgspec.structs.replace(config, reader=named)
    if config.keys.credential is not None:
        keys = msgspec.structs.replace(config.keys, file=handed_over(config.keys.credential))
        config = msgspec.structs.replace(config, keys=keys)
    return config


def _card(name: str, folder: Path) -> str:
    return str(folder / name) if name.endswith(CARD_IMAGE) else name
