"""Options that several commands share, with the same words everywhere, and the station they are about.

What an option does not say, `terminal.toml` says (`station_config`), and what that does not say has a default.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, get_type_hints

import typer

from cardcli.output import shows_cyrillic
from cardproto.resident.limits import LARGEST_TERMINAL
from terminal.app.config.read import VARIABLE, configured
from terminal.app.config.rules import require_known_reader, require_own
from terminal.app.config.settings import (
    DEFAULT_COLLECTOR,
    DEFAULT_LANGUAGE,
    DEFAULT_REGION,
    DEFAULT_STATE,
    StationConfig,
)
from terminal.texts import languages

if TYPE_CHECKING:
    from terminal.app.station import Station
    from terminal.collector.tls import ServerTls

__all__ = ["DEFAULT_COLLECTOR", "DEFAULT_LANGUAGE", "DEFAULT_REGION", "DEFAULT_STATE"]

LABORATORY: Final = "laboratory"
"""For `--keys`: the public laboratory keys, by name."""
MAX_REFERENCE: Final = 32
_PLACES: Final = {
    "state": ("terminal", "state"),
    "number": ("terminal", "number"),
    "profile": ("terminal", "profile"),
    "region": ("terminal", "region"),
    "language": ("terminal", "language"),
    "laboratory": ("terminal", "laboratory"),
    "reader": ("reader", "name"),
    "taps": ("reader", "taps"),
    "pace": ("reader", "pace_s"),
    "keys": ("keys", "file"),
    "collector": ("collector", "url"),
    "tls_ca": ("collector", "tls_ca"),
}
"""Where each option stands in `terminal.toml`."""


def with_groups(work: Callable[..., None]) -> Callable[..., None]:
    """Makes a command of `work`: a parameter that is a named tuple stands for the options that are its fields, which
    come in its place in the command's help.
    """
    hints = get_type_hints(work, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hasattr(hint, "_fields")}
    shown: list[Parameter] = []
    for one in signature(work).parameters.values():
        if one.name in groups:
            shown += _options_of(groups[one.name])
        else:
            shown.append(one.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[one.name]))

    def command(**given: Any) -> None:
        made = {name: kind(*(given.pop(field) for field in kind._fields)) for name, kind in groups.items()}
        work(**given, **made)

    command.__name__, command.__doc__ = work.__name__, work.__doc__
    command.__signature__ = Signature(shown)  # type: ignore[attr-defined]  # typer reads it
    return command


def _options_of(kind: Any) -> Iterator[Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    for one in signature(kind).parameters.values():
        yield Parameter(one.name, Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])


class ProfileName(StrEnum):
    """What the terminal is."""

    BUS = "bus"
    CANTEEN = "canteen"


def station_config(config: Path | None, **given: object) -> StationConfig:
    """The station a command is about: its options by their names here, else `terminal.toml`, else the defaults.

    A command that names `keys` or `region` needs them: they are demanded where a real reader serves (`require_own`).
    Raises `ConfigError`.
    """
    found = configured(config, options_of(**given)).config
    if found.reader.name is not None:
        require_known_reader(found.reader.name)
    parts = tuple(part for part in ("keys", "region") if part in given)
    if parts:
        require_own(found, parts, real_reader=_real_reader(found, given.get("reader")))
    return found


def options_of(**given: object) -> dict[str, dict[str, object]]:
    """The options that were given, by table and key of the file and in its types."""
    options: dict[str, dict[str, object]] = {}
    for name, value in _named(given).items():
        table, key = _PLACES[name]
        options.setdefault(table, {})[key] = value
    return options


def _named(given: dict[str, object]) -> dict[str, object]:
    named = {name: value for name, value in given.items() if value not in (None, False)}
    if named.get("keys") == Path(LABORATORY):
        named |= {"keys": None, "laboratory": True}
    return named


def _real_reader(config: StationConfig, asked: object) -> bool:
    """Whether a real reader is asked for, configured, or was used in the terminal's folder."""
    if asked is not None or not config.reader.simulated:
        return not config.reader.simulated
    from terminal.operations.status import read_status

    said = read_status(config.terminal.state)
    return said is not None and said.real_reader


def known_language(language: str) -> str:
    """`language` if there is a catalogue for it, else the command ends with the languages there are."""
    if language not in languages():
        raise typer.BadParameter(f"there is no catalogue for {language!r}; use {', '.join(languages())}")
    return language


def shown_language(context: typer.Context, language: str) -> str:
    """English where Russian was not asked for and standard output cannot show it; said in a line on stderr."""
    source = context.get_parameter_source("language")
    asked = source is not None and source.name != "DEFAULT"
    if asked or context.params.get("json") or language != DEFAULT_LANGUAGE or shows_cyrillic():
        return language
    print(
        f"terminal: {sys.stdout.encoding} shows no Cyrillic: English is used; --language ru spells Russian in Latin",
        file=sys.stderr,
    )
    return "en"


def _else(default: object) -> str:
    return f"from terminal.toml, else {default}"


def staff_reference(text: str) -> str:
    """What may stand in a record as the person responsible for it; anything else ends the command."""
    if not text.strip() or not text.isprintable() or len(text) > MAX_REFERENCE:
        raise typer.BadParameter(f"give the reference of a service card: 1 to {MAX_REFERENCE} characters")
    return text


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Configuration file of the terminal.",
        show_default=f"${VARIABLE}, ./terminal.toml, /etc/resident-terminal/terminal.toml",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        help="Terminal folder: journal, identity key, collector's public key.",
        show_default=_else(DEFAULT_STATE),
    ),
]
Number = Annotated[
    int | None,
    typer.Option(
        "--number",
        min=1,
        max=LARGEST_TERMINAL,
        help="Terminal number, part of every record.",
        show_default=_else(1),
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        help="Region document: a TOML file, or the name of a supplied one.",
        show_default=_else(DEFAULT_REGION),
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys",
        help="Key file, or `laboratory` for the simulator's public keys (real readers: only with --laboratory-keys).",
        show_default=_else("the laboratory's"),
    ),
]
RegistryKeys = Annotated[
    Path | None,
    typer.Option(
        "--registry-keys",
        help="Key file that opens a sealed card registry (role collector or audit).",
        show_default="systemd's credential terminal-keys",
    ),
]
Issuers = Annotated[
    Path | None,
    typer.Option(
        "--issuers", help="Issuers' public keys (issuers.toml), for checking the proofs of residents' phones."
    ),
]
Operator = Annotated[
    str,
    typer.Option(
        "--operator",
        help="Staff reference (service card), not a name.",
        parser=staff_reference,
        metavar="REFERENCE",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Lang = Annotated[
    str,
    typer.Option(
        "--language",
        help="Language of the passenger's messages.",
        metavar=f"[{'|'.join(languages())}]",
        parser=known_language,
    ),
]
ShownLang = Annotated[
    str,
    typer.Option(
        "--language",
        help="Output language.",
        metavar=f"[{'|'.join(languages())}]",
        parser=known_language,
        callback=shown_language,
    ),
]
CollectorUrl = Annotated[
    str | None,
    typer.Option("--collector", help="Address of the collector.", show_default=_else(DEFAULT_COLLECTOR)),
]
TlsCa = Annotated[
    Path | None,
    typer.Option(
        "--tls-ca",
        help="CA certificate (PEM); only collectors certified by it are trusted.",
        show_default=_else("the system's list"),
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="Client certificate (PEM), if the service requires one."),
]
TlsKey = Annotated[
    Path | None,
    typer.Option("--tls-key", help="Private key of the client certificate (PEM), if in another file."),
]
ServedCert = Annotated[
    Path | None, typer.Option("--tls-cert", help="Serve HTTPS with this certificate (PEM).")
]
ServedKey = Annotated[Path | None, typer.Option("--tls-key", help="The key of that certificate (PEM).")]
Proxy = Annotated[
    list[str] | None,
    typer.Option(
        "--proxy",
        help="Address or network of a proxy whose X-Forwarded-For is believed; repeat for each. No other's is.",
    ),
]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for a card.")]
Zone = Annotated[str, typer.Option(help="Time zone of the service days; a change rebuilds the books.")]
DayEndsAt = Annotated[
    int, typer.Option(min=0, max=12, help="Hour after midnight at which a service day ends.")
]
UnknownCards = Annotated[
    int,
    typer.Option(min=0, help="Taps of unregistered cards a terminal may have on a day without an alarm."),
]
Ev1Share = Annotated[
    int,
    typer.Option(
        min=0, max=100, help="Percent of a terminal's taps of a day by cards without a proof (EV1)."
    ),
]
ReplacedShare = Annotated[
    int,
    typer.Option(
        min=0, max=100, help="Percent of a terminal's taps of a day with a proof that was replaced."
    ),
]
COLLECTOR_VARIABLE: Final = "RESIDENT_COLLECTOR"
"""The collector's folder, where an installation sets it once for every command."""
CollectorFolder = Annotated[
    Path, typer.Option("--folder", envvar=COLLECTOR_VARIABLE, help="The collector's folder.")
]
Bundles = Annotated[
    Path | None,
    typer.Option(
        help="Repository of signed bundles (`terminal publish`): served to terminals, its root in enrolment codes.",
        show_default="bundles in the collector's folder, where there is one",
    ),
]
DEFAULT_COLLECTOR_FOLDER: Final = Path("var/collector")


def server_tls(certificate: Path | None, key: Path | None, clients: Path | None = None) -> ServerTls | None:
    """What HTTPS is served with: certificate and key together. With `clients` only holders of a certificate of that
    authority are served. Raises `CollectorError`.
    """
    from terminal.collector.tls import ServerTls
    from terminal.errors import CollectorError

    if certificate and key:
        return ServerTls(certificate, key, clients, required=clients is not None)
    if certificate or key or clients:
        raise CollectorError("TLS needs certificate and key", "Give both --tls-cert and --tls-key.")
    return None


def known_zone(name: str) -> str:
    """`name`, when it is a time zone. Raises `CollectorError`."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from terminal.errors import CollectorError

    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CollectorError(f"unknown time zone {name}", "Give one like Europe/Volgograd.") from error


class CanteenOptions(NamedTuple):
    """The canteen terminal that a canteen command is about."""

    config: Config = None
    state: State = None
    number: Number = None
    region: Region = None
    keys: Keys = None

    def station(self) -> Station:
        """Raises as `station_config`."""
        from terminal.app.station import station_of

        return station_of(station_config(profile=ProfileName.CANTEEN.value, **self._asdict()))
