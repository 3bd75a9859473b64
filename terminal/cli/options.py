"""Options that several commands share, with the same words and defaults everywhere."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from program.output import shows_cyrillic
from terminal.texts import languages

DEFAULT_STATE: Final = Path("var/terminal")
DEFAULT_LANGUAGE: Final = "ru"
DEFAULT_SCREEN_PORT: Final = 8480
DEFAULT_CONSOLE_PORT: Final = 8481
DEFAULT_REGION: Final = "demo"
DEFAULT_COLLECTOR: Final = "http://127.0.0.1:8470"


class ProfileName(StrEnum):
    """What the terminal is."""

    BUS = "bus"
    CANTEEN = "canteen"


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


State = Annotated[
    Path,
    typer.Option("--state", help="Folder of this terminal: journal, identity key, collector's public key."),
]
Number = Annotated[
    int, typer.Option("--number", min=1, max=0xFFFFFF, help="Terminal number; stands in every record.")
]
Region = Annotated[
    str, typer.Option("--region", help="Region document: a TOML file, or the name of a bundled one.")
]
Keys = Annotated[
    Path | None,
    typer.Option(
        "--keys", help="Laboratory key file; without it the simulator's own laboratory keys are used."
    ),
]
DenyList = Annotated[
    Path | None, typer.Option("--deny-list", help="Deny list file; without it nobody is on it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
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
        help="Language of what is printed.",
        metavar=f"[{'|'.join(languages())}]",
        parser=known_language,
        callback=shown_language,
    ),
]
CollectorUrl = Annotated[str, typer.Option("--collector", help="Address of the collector.")]
SecondLanguage = Annotated[
    str,
    typer.Option(
        help="Another language on the display, smaller, under the first.",
        metavar=f"[{'|'.join(languages())}]",
        parser=lambda language: known_language(language) if language else "",
    ),
]
Screen = Annotated[
    bool, typer.Option("--screen", help="Serve the passenger display for a browser on this machine.")
]
ScreenPort = Annotated[
    int, typer.Option(min=0, max=0xFFFF, help="Where --screen is served on 127.0.0.1; 0 takes any free port.")
]
Pace = Annotated[
    float | None,
    typer.Option(
        min=0.2,
        help="Simulated reader: a card every so many seconds, in turn and again, until stopped or --taps.",
    ),
]
Console = Annotated[
    bool, typer.Option("--console", help="Serve the operator's console for a browser on this machine.")
]
ConsolePort = Annotated[
    int, typer.Option(min=0, max=0xFFFF, help="Where --console is served; 0 takes any free port.")
]
ConsoleHost = Annotated[
    str,
    typer.Option(
        help="Serve --console on this address instead of 127.0.0.1: only in a network nobody else is in."
    ),
]
TypedSignIn = Annotated[
    bool | None,
    typer.Option(
        "--typed-sign-in/--card-sign-in",
        help="Whether a staff number and PIN will do without the service card; default: in a canteen, not in a bus.",
    ),
]
ConsoleIdle = Annotated[
    int,
    typer.Option(
        min=1, max=24 * 60, help="Minutes without use after which --console asks for the PIN again."
    ),
]
Vehicle = Annotated[str, typer.Option(help="The vehicle as receipts name it (bus).")]
Receipts = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the stand-in for a fiscal adapter: tickets and requests; default: in --state."
    ),
]
TlsCa = Annotated[
    Path | None,
    typer.Option("--tls-ca", help="Trust collectors certified by this authority (PEM), and no others."),
]
TlsCert = Annotated[
    Path | None,
    typer.Option("--tls-cert", help="This terminal's TLS certificate (PEM), where one is asked for."),
]
TlsKey = Annotated[
    Path | None, typer.Option("--tls-key", help="Its private key (PEM), if not in the same file.")
]
