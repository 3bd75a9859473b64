"""Options that several commands share, with the same words and defaults everywhere."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_STATE: Final = Path("var/terminal")
DEFAULT_REGION: Final = "demo"
DEFAULT_COLLECTOR: Final = "http://127.0.0.1:8470"


class ProfileName(StrEnum):
    """What the terminal is."""

    BUS = "bus"
    CANTEEN = "canteen"


class Language(StrEnum):
    """In which language the passenger reads."""

    RU = "ru"
    EN = "en"


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
Lang = Annotated[Language, typer.Option("--language", help="Language of the passenger's messages.")]
CollectorUrl = Annotated[str, typer.Option("--collector", help="Address of the collector.")]
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
