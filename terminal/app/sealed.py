"""What signed bundles bring that is no part of the active set, and what comes sealed to this terminal: that is opened
with the third key of its identity, before it is offered.

The staff list that was opened last lies in the terminal's folder, where the console looks
(`terminal.screen.console.staff`); trusted issuers and CA keys of bank cards lie beside it, where the media look.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminal.errors import KeyFileError, RosterError, StaffError, TerminalError
from terminal.files import replace_file
from terminal.keys.file import load_issuers
from terminal.screen.console.staff import members_in, signed_staff_file
from terminal.sealed_box import MAGIC, NotSealedToUs, open_as_one
from terminal.sync.credentials import load_keys
from terminal.updates.bundle.kept import FOLDER, delivered_folder, origin_in
from terminal.updates.bundle.roles import BundleRole

if TYPE_CHECKING:
    from terminal.keys.bank_ca import BankCa

STAFF_NAME: Final = "staff.json"
ISSUERS_NAME: Final = "issuers.toml"
BANK_CA_NAME: Final = "bank-ca.json"
MOST_STAFF_BYTES: Final = 1 << 20
"""A thousand members have a fifth of it."""


def opener(identity: Path) -> Callable[[Path, bytes], bytes]:
    """What opens delivered files for the terminal whose keys lie in `identity`."""
    return partial(opened, identity)


def opened(identity: Path, path: Path, content: bytes) -> bytes:
    """The `content` of the delivered file `path`, opened where it is sealed. Raises `RosterError`, `KeyFileError`."""
    if not content.startswith(MAGIC):
        return content
    origin = origin_in(path.parent.resolve())
    bound_to = f"{'' if origin is None else origin.name}/{path.name}".encode()
    try:
        return open_as_one(load_keys(identity).sealing, content, bound_to)
    except NotSealedToUs as error:
        raise RosterError(
            f"{path} cannot be opened: {error}",
            "Seal it to this terminal's present keys, and publish it again.",
        ) from error


def signed_issuers_file(state: Path) -> Path:
    """The issuers that signed bundles brought, in a terminal's folder."""
    return state / FOLDER / ISSUERS_NAME


def signed_bank_ca_file(state: Path) -> Path:
    """The CA keys of bank cards that signed bundles brought, in a terminal's folder."""
    return state / FOLDER / BANK_CA_NAME


def signed_bank_ca(state: Path) -> BankCa | None:
    """What bank cards are held against; None where bundles have brought nothing. Raises `KeyFileError`."""
    from terminal.keys.bank_ca import load_bank_ca

    kept = signed_bank_ca_file(state)
    return load_bank_ca(kept) if kept.exists() else None


def take_issuers(state: Path) -> TerminalError | None:
    """Let the newest list of issuers that was delivered be the one in use. Returns why it is not taken: then the one
    before stays, as it does where none is published any more.
    """
    return _take(state, BundleRole.ISSUERS, signed_issuers_file(state), load_issuers)


def take_bank_ca(state: Path) -> TerminalError | None:
    """As `take_issuers`, of CA keys."""
    from terminal.keys.bank_ca import load_bank_ca

    return _take(state, BundleRole.CA, signed_bank_ca_file(state), load_bank_ca)


def _take(state: Path, role: BundleRole, kept: Path, load: Callable[[Path], object]) -> TerminalError | None:
    path = delivered_folder(state, role) / kept.name
    try:
        if not path.exists():
            return None
        content = path.read_bytes()
        if not kept.exists() or kept.read_bytes() != content:
            load(path)
            replace_file(kept, content)
    except OSError as error:
        return KeyFileError(
            f"{path} cannot be taken ({error.strerror})", "Check the folder's rights and room."
        )
    except TerminalError as error:
        return error
    return None


def take_staff(state: Path, identity: Path) -> TerminalError | None:
    """Let the newest staff list that was delivered be the one in use; where none is any more, the terminal's own is.
    Returns why it is not taken: then the one in use stays.
    """
    path, kept = delivered_folder(state, BundleRole.STAFF) / STAFF_NAME, signed_staff_file(state)
    try:
        if not path.exists():
            kept.unlink(missing_ok=True)
            return None
        with path.open("rb") as file:
            content = file.read(MOST_STAFF_BYTES + 1)
        if len(content) > MOST_STAFF_BYTES:
            return StaffError(f"{path} is longer than {MOST_STAFF_BYTES} bytes", "Publish a shorter list.")
        plain = opened(identity, path, content)
        members_in(plain, path)
        if not kept.exists() or kept.read_bytes() != plain:
            replace_file(kept, plain)
    except OSError as error:
        return StaffError(f"{path} cannot be taken ({error.strerror})", "Check the folder's rights and room.")
    except TerminalError as error:
        return error
    return None
