"""Which terminals may upload: one public key per terminal number, a file each, read anew when it changes."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from terminal.sync.identity import read_public_key, write_public_key


class Enrolment:
    """The keys in a directory: `7.pub` is terminal 7. Terminals come and go without a restart."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[int, tuple[int, Ed25519PublicKey]] = {}

    def key_of(self, terminal: int) -> Ed25519PublicKey | None:
        """The key of `terminal`, None when not enrolled. Raises `KeyFileError` when its file is no key."""
        path = self._path(terminal)
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            return None  # also when the directory cannot be read: nobody is trusted then
        known = self._known.get(terminal)
        if known is None or known[0] != changed_ns:
            known = self._known[terminal] = (changed_ns, read_public_key(path))
        return known[1]

    def enrol(self, terminal: int, key: Ed25519PublicKey) -> Path:
        """Let `terminal` upload with `key` and with no other; return its file. May raise `KeyFileError`."""
        write_public_key(self._path(terminal), key)
        return self._path(terminal)

    def _path(self, terminal: int) -> Path:
        return self.directory / f"{terminal}.pub"
