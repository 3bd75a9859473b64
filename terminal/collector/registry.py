"""Which card stands behind a card reference, and the key that checks its proofs: the issuing point's file.

With it the collector recomputes a card's transaction MAC; no terminal has these keys. In the clear the file is for
the laboratory: it holds raw keys and refuses to be used for anything else. In production it is sealed under the storage
key `registry` of the region (`terminal keys seal-registry`): a line with the form's name, then what the key made of
the JSON, AES-256-GCM bound to that line.

    {"version": 1, "environment": "laboratory",
     "cards": [{"card_ref": "…hex…", "uid": "…7 bytes hex…", "transaction_mac_key": "…16 bytes hex…",
                "proves": true}]}

Without `version` it is of version 1. `proves` is false for a card without a transaction MAC (EV1); a card of which
nothing is said must prove its taps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

import msgspec
from msgspec import Meta

from cardproto.credential.keys import IssuerKeys
from cardproto.desfire.crypto import AesKey
from cardproto.desfire.transaction_mac import transaction_mac_value
from terminal.collector.issuers import KnownIssuers
from terminal.decoding import NewerVersion, decode_versioned, read_within
from terminal.errors import KeyFileError
from terminal.files import replace_file
from terminal.keys.file import FileKeys, load_file_keys, require_private
from terminal.keys.kept import credential_file
from terminal.keys.roles import REGISTRY
from terminal.keys.signed import PRODUCTION

MOST_BYTES: Final = 64 << 20
SEALED_BYTES: Final = 1024
"""How much longer a sealed file may be."""
LABORATORY: Final = "laboratory"
REGISTRY_VERSION: Final = 1
SEALED: Final = b"resident-card-registry-1\n"
"""The first line of a sealed file, to which its content is bound."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card_ref: Annotated[str, Meta(pattern="^([0-9a-f]{2})+$")]
    uid: Annotated[str, Meta(pattern="^[0-9a-f]{14}$")]
    transaction_mac_key: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    proves: bool = True


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    environment: Literal["laboratory", "production"]
    cards: list[_Entry]
    version: Annotated[int, Meta(ge=1, le=REGISTRY_VERSION)] = REGISTRY_VERSION


class ProvingCard(Protocol):
    """A card as far as it is known whether it gave a proof."""

    @property
    def proves(self) -> bool:
        """Whether it gives a transaction MAC at all."""
        ...

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:
        """Whether `tmv` is its MAC over the input `commands`, as its transaction `tmc`."""
        ...


class ProvingCards(Protocol):
    """Who says of cards what they proved: a registry, an auditor's session keys. Nothing is known without any."""

    def __bool__(self) -> bool: ...

    @property
    def issuers(self) -> IssuerKeys:
        """Whose credentials phones may show; none known: nothing of phones is proven."""
        ...

    def card(self, card_ref: bytes) -> ProvingCard | None:
        """The card of that reference; None for one that is not known."""
        ...


@dataclass(frozen=True, slots=True)
class CardSecret:
    """One card: its real UID and its diversified transaction MAC key. Neither is ever shown. `proves`: whether it gives
    a transaction MAC at all."""

    uid: bytes = field(repr=False)
    key: AesKey = field(repr=False)
    proves: bool = True

    def gave(self, tmc: int, commands: bytes, tmv: bytes) -> bool:
        return transaction_mac_value(self.key, self.uid, tmc, commands) == tmv


@dataclass(frozen=True, slots=True)
class RegisteredCard:
    """A card as its issuing point knows it: the reference of one purpose, the real UID, the transaction MAC key."""

    card_ref: bytes
    uid: bytes = field(repr=False)
    key: bytes = field(repr=False)
    proves: bool = True


class CardRegistry:
    """Cards by reference; one card may stand under several, one per purpose (D-01), and no two under one: two cards
    of one resident are two cards."""

    def __init__(
        self, cards: Mapping[bytes, CardSecret] | None = None, issuers: KnownIssuers | None = None
    ) -> None:
        self.known_issuers: Final = issuers or KnownIssuers()
        self._cards = dict(cards or {})
        names: dict[bytes, bytes] = {}
        for card_ref in sorted(self._cards, reverse=True):
            names[self._cards[card_ref].uid] = card_ref
        self._names = {card_ref: names[card.uid] for card_ref, card in self._cards.items()}

    @property
    def issuers(self) -> IssuerKeys:
        return self.known_issuers.in_force.keys

    def __len__(self) -> int:
        return len(self._cards)

    def __bool__(self) -> bool:
        return bool(self._cards)

    def card(self, card_ref: bytes) -> CardSecret | None:
        return self._cards.get(card_ref)

    def name(self, card_ref: bytes) -> bytes:
        """One reference for all of a card the registry knows; any other is taken for a card of its own."""
        return self._names.get(card_ref, card_ref)

    def others(self) -> dict[bytes, bytes]:
        """The name of each reference that is not its card's name itself."""
        return {card_ref: name for card_ref, name in self._names.items() if card_ref != name}

    def may_be_one(self, first: bytes, second: bytes) -> bool:
        """Whether two names can be of one card: the registry knows all references of the cards it has, and of any other
        card it cannot tell."""
        return first == second or (first not in self._cards and second not in self._cards)

    @classmethod
    def load(
        cls, path: Path, keys: FileKeys | None = None, issuers: KnownIssuers | None = None
    ) -> CardRegistry:
        """Raises `KeyFileError` when there is no such file, it is not exactly of the form above, or `keys` do not open
        it."""
        file = _read(path, keys)
        return cls(
            {
                bytes.fromhex(entry.card_ref): CardSecret(
                    bytes.fromhex(entry.uid), AesKey(bytes.fromhex(entry.transaction_mac_key)), entry.proves
                )
                for entry in file.cards
            },
            issuers,
        )


def open_registry(
    path: Path | None, keys: Path | None = None, issuers: KnownIssuers | None = None
) -> CardRegistry:
    """The registry at `path`, an empty one without it; a sealed one opens by the key file `keys`, or by what systemd
    handed over. `issuers`: whose phones are known. Raises as `CardRegistry.load`, and `KeyFileError`.
    """
    if path is None:
        return CardRegistry(issuers=issuers)
    source = keys or credential_file()
    if source is None:
        return CardRegistry.load(path, issuers=issuers)
    require_private(source)
    return CardRegistry.load(path, load_file_keys(source), issuers)


def write_registry(path: Path, cards: Iterable[RegisteredCard], keys: FileKeys | None = None) -> None:
    """Write the file, for its owner only: a laboratory's in the clear, a production's sealed under that of `keys`."""
    entries = [_Entry(card.card_ref.hex(), card.uid.hex(), card.key.hex(), card.proves) for card in cards]
    if keys is None or keys.environment == LABORATORY:
        replace_file(path, msgspec.json.format(msgspec.json.encode(_File(LABORATORY, entries))))
        return
    replace_file(path, _sealed(_File(PRODUCTION, entries), keys))


def register(path: Path, cards: Iterable[RegisteredCard], keys: FileKeys) -> None:
    """Add to the file at `path` the references it does not hold yet. Raises `KeyFileError`."""
    held = [
        RegisteredCard(
            bytes.fromhex(one.card_ref),
            bytes.fromhex(one.uid),
            bytes.fromhex(one.transaction_mac_key),
            one.proves,
        )
        for one in _read(path, keys).cards
    ]
    known = {one.card_ref for one in held}
    try:
        write_registry(path, [*held, *(one for one in cards if one.card_ref not in known)], keys)
    except OSError as error:
        what = f"card registry {path} cannot be written ({error.strerror})"
        raise KeyFileError(what, "Check the path and its rights.") from error


def seal_file(plain: Path, keys: FileKeys, out: Path) -> int:
    """Seal the registry that is in the clear at `plain`; how many references it holds. Raises `KeyFileError`."""
    content = _content(plain)
    if content.startswith(SEALED):
        raise KeyFileError(f"card registry {plain} is sealed already", "Use it as it is.")
    file = _decoded(plain, content)
    _require_environment(file, keys, plain)
    try:
        replace_file(out, _sealed(file, keys))
    except OSError as error:
        what = f"card registry {out} cannot be written ({error.strerror})"
        raise KeyFileError(what, "Name another folder.") from error
    return len(file.cards)


def _read(path: Path, keys: FileKeys | None) -> _File:
    content = _content(path)
    if not content.startswith(SEALED):
        file = _decoded(path, content)
        if file.environment != LABORATORY:
            raise KeyFileError(
                f"card registry {path} holds production keys in the clear",
                "Seal it (`terminal keys seal-registry`), and delete this file.",
            )
        return file
    if keys is None:
        raise KeyFileError(
            f"card registry {path} is sealed, and no keys are at hand",
            "Give --registry-keys, or the unit a credential terminal-keys.",
        )
    sealed = content.removeprefix(SEALED)
    keys.sealer.seal(REGISTRY, b"", b"")  # keys without the one for registries say so in their own words
    try:
        file = _decoded(path, keys.sealer.unseal(REGISTRY, sealed, SEALED))
    except KeyFileError as error:
        raise KeyFileError(
            f"card registry {path} is damaged, or sealed for another region",
            "Give the keys of its region, or have the issuing point write it anew.",
        ) from error
    _require_environment(file, keys, path)
    return file


def _content(path: Path) -> bytes:
    try:
        return read_within(path, MOST_BYTES + SEALED_BYTES)
    except OSError as error:
        raise KeyFileError(
            f"card registry {path}: {error.strerror}", "Check the path and its rights."
        ) from error


def _decoded(path: Path, content: bytes) -> _File:
    try:
        return decode_versioned(content, _File, REGISTRY_VERSION, MOST_BYTES)
    except NewerVersion as error:
        raise KeyFileError(
            f"card registry {path} has {error}", "Update the software, or have it written anew for this one."
        ) from error
    except msgspec.DecodeError as error:
        raise KeyFileError(
            f"card registry {path}: {error}", "Have the issuing point write it anew."
        ) from error


def _sealed(file: _File, keys: FileKeys) -> bytes:
    return SEALED + keys.sealer.seal(REGISTRY, msgspec.json.encode(file), SEALED)


def _require_environment(file: _File, keys: FileKeys, path: Path) -> None:
    if file.environment != keys.environment:
        raise KeyFileError(
            f"card registry {path} is of {file.environment} cards, the keys are {keys.environment} keys",
            "Use registry and keys of one region.",
        )
