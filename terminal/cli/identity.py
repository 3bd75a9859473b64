"""What a terminal is known by: `terminal enrol` for the first time, `terminal identity` afterwards."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from terminal.cli.options import CollectorUrl, Config, Json, Number, State, TlsCa, station_config

if TYPE_CHECKING:
    from terminal.app.config.settings import StationConfig
    from terminal.sync.credentials import TerminalKeys

MOST_CODE: Final = 200
"""Bytes read of a line that holds a code, whatever is pasted."""
_NO_CODE: Final = re.compile("[^A-Za-z0-9]")
"""The mark of a Windows editor, hyphens and spaces of any kind: what a code is not made of."""

_SHA256: Final = re.compile("[0-9A-Fa-f]{64}")

app = typer.Typer(help="This terminal's keys and certificate: show, renew.", no_args_is_help=True)


def enrol(
    config: Config = None,
    state: State = None,
    number: Number = None,
    collector: CollectorUrl = None,
    tls_ca: TlsCa = None,
    code_file: Annotated[
        Path | None,
        typer.Option(
            "--code-file",
            help="File with the one-time code of `terminal collector enrol`.",
            show_default="asked for, on standard input",
        ),
    ] = None,
) -> None:
    """Enrol this terminal at a collector with a one-time code: it gets a certificate, learns the collector's key, and
    trusts the root of signed bundles whose hash the code carries.

    The code is read from a file or from standard input, never from the command line, which every user can see.
    """
    from terminal.app.uplink import COLLECTOR_KEY_FILE, uplink_of
    from terminal.sync.address import TlsFiles
    from terminal.sync.enrolment import enrol as ask
    from terminal.sync.enrolment import split_code
    from terminal.sync.identity import write_public_key
    from terminal.sync.lineage import forget_lineage
    from terminal.sync.link import HttpLink
    from terminal.sync.renewal import OwnIdentity
    from terminal.sync.trust import fetch_root, pin_root, require_root

    at = station_config(config, state=state, number=number, collector=collector, tls_ca=tls_ca)
    uplink = uplink_of(at.terminal.state, at.collector)
    link = HttpLink(uplink.url, TlsFiles(uplink.tls.ca))
    code, digest = split_code(_code(code_file))
    try:
        root = b"" if digest is None else fetch_root(link, digest)
        if root:
            require_root(root, stand_alone=at.bundles.stand_alone)  # before the code is spent
        identity = OwnIdentity(uplink.identity)
        certified, collector_key = ask(link, at.terminal.number, identity.first_or_new(), code)
    finally:
        link.close()
    if digest is not None:
        pin_root(uplink.state, root, digest, stand_alone=at.bundles.stand_alone)
    write_public_key(uplink.state / COLLECTOR_KEY_FILE, collector_key)
    identity.adopt(certified)
    forget_lineage(uplink.identity.parent)
    print(
        f"terminal {at.terminal.number} is enrolled at {uplink.url}, its certificate is valid {_until(certified)}"
    )


def trust(
    file: Annotated[
        Path, typer.Argument(help="The root of signed bundles: metadata/1.root.json of the repository.")
    ],
    sha256: Annotated[str, typer.Option("--sha256", help="Its SHA-256, which came by another way.")],
    config: Config = None,
    state: State = None,
) -> None:
    """Trust the root that signed bundles begin with, where no enrolment code brought it."""
    from terminal.decoding import TooManyBytes, read_within
    from terminal.errors import KeyFileError
    from terminal.sync.trust import pin_root
    from terminal.updates.bundle.roles import ROOT_RULE

    at = station_config(config, state=state)
    if not _SHA256.fullmatch(sha256):
        raise KeyFileError("this is no SHA-256", "It has 64 digits: sha256sum 1.root.json.")
    try:
        content = read_within(file, ROOT_RULE.most_bytes)
    except (OSError, TooManyBytes) as error:
        raise KeyFileError(f"root {file} cannot be read: {error}", "Check the path.") from error
    pin_root(at.terminal.state, content, bytes.fromhex(sha256), stand_alone=at.bundles.stand_alone)
    print(f"terminal {at.terminal.number} trusts the root {sha256.lower()[:16]}…")


@app.command()
def show(config: Config = None, state: State = None, json: Json = False) -> None:
    """Show the public signing key and how long the certificate is valid."""
    from terminal.app.output import print_json
    from terminal.app.station import IDENTITY_FILE
    from terminal.clock import SystemClock, unix_ms
    from terminal.sync.credentials import load_keys
    from terminal.sync.renewal import is_due, validity

    keys = load_keys(station_config(config, state=state).terminal.state / IDENTITY_FILE)
    valid, due = validity(keys), is_due(keys, SystemClock().now())
    if json:
        moments = None if valid is None else [unix_ms(moment) for moment in valid]
        from_ms, until_ms = moments or (None, None)
        print_json({"key": keys.name.hex(), "from_ms": from_ms, "until_ms": until_ms, "due": due})
        return
    print(f"signing key {keys.name.hex()}")
    absent = "damaged" if keys.certificate else "none: enrol this terminal"
    print(f"certificate {absent if valid is None else f'valid {_until(keys)}'}")
    if due:
        print("it is time to renew: the running terminal does, and so does `terminal identity renew`")


@app.command()
def renew(
    config: Config = None,
    state: State = None,
    number: Number = None,
    collector: CollectorUrl = None,
    tls_ca: TlsCa = None,
) -> None:
    """Get new keys and a new certificate now. A running terminal does so by itself when 30 days are left."""
    from terminal.app.uplink import uplink_of
    from terminal.errors import KeyFileError
    from terminal.sync.renewal import CollectorAsk, OwnIdentity, renew_now

    at: StationConfig = station_config(config, state=state, number=number, collector=collector, tls_ca=tls_ca)
    uplink = uplink_of(at.terminal.state, at.collector)
    identity = OwnIdentity(uplink.identity)
    if not identity.keys.certificate:
        raise KeyFileError("this terminal has no certificate to renew", "Enrol it: `terminal enrol`.")
    renew_now(identity, CollectorAsk(uplink.url, uplink.tls.ca, at.terminal.number, uplink.collector_key()))
    print(f"terminal {at.terminal.number} has new keys, its certificate is valid {_until(identity.keys)}")


def _code(path: Path | None) -> str:
    """The code in the file, or the line that is typed."""
    from terminal.errors import KeyFileError

    if path is None:
        line = b"" if sys.stdin is None else _typed()
    else:
        try:
            with path.open("rb") as file:
                line = file.readline(MOST_CODE)
        except OSError as error:
            raise KeyFileError(
                f"code file {path}: {error.strerror}", "Give a file with the code in its first line."
            ) from error
    code = _NO_CODE.sub("", line.decode("ascii", "replace"))
    if not code:
        raise KeyFileError(
            "no code was given", "Type the code, or give --code-file with a file that holds it."
        )
    return code


def _typed() -> bytes:
    if sys.stdin.isatty():
        print("One-time code from `terminal collector enrol`: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.buffer.readline(MOST_CODE)


def _until(keys: TerminalKeys) -> str:
    from terminal.sync.renewal import validity

    valid = validity(keys)
    return "not at all" if valid is None else f"until {valid[1]:%Y-%m-%d %H:%M} UTC"
