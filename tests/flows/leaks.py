"""Looking for secrets in bytes: every form in which somebody might write one down by mistake."""

from __future__ import annotations

import base64
import json
import tomllib
import urllib.parse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.profile import LAB_KEYS

LEAST_BYTES = 6
"""Shorter forms would be found by chance."""


@dataclass(frozen=True)
class Secret:
    """Something that must be nowhere, under a name that may be shown, in every form it is looked for."""

    name: str
    forms: Mapping[str, bytes]

    def found_in(self, data: bytes) -> list[str]:
        """In which forms it is there."""
        return [form for form, pattern in self.forms.items() if pattern in data]


def secret_bytes(name: str, value: bytes) -> Secret:
    """A key or a card number: raw, hex in both cases, with separators, base64, as Python and JSON show bytes."""
    digits = value.hex()
    pairs = [digits[i : i + 2] for i in range(0, len(digits), 2)]
    forms = {
        "raw": value,
        "raw, reversed": value[::-1],
        "hex": digits.encode(),
        "HEX": digits.upper().encode(),
        "hex, reversed": value[::-1].hex().encode(),
        "HEX, reversed": value[::-1].hex().upper().encode(),
        "UTF-16 hex": digits.encode("utf-16-le"),
        "UTF-16 HEX": digits.upper().encode("utf-16-le"),
        "Python": repr(value)[2:-1].encode(),
        "list": ", ".join(map(str, value)).encode(),
        "decimal": str(int.from_bytes(value, "big")).encode(),
    }
    for separator in (":", " ", "-", "\\x"):
        forms[f"hex with {separator}"] = separator.join(pairs).encode()
        forms[f"HEX with {separator}"] = separator.join(pairs).upper().encode()
    return Secret(name, _long(forms | _base64(value)))


def laboratory_secrets() -> list[Secret]:
    """Every key of the laboratory's key file, of every generation."""
    found = []
    for table, entries in tomllib.loads(LAB_KEYS.read_text("utf-8")).items():
        for name, value in entries.items() if isinstance(entries, dict) else ():
            versions = value if isinstance(value, dict) else None
            keys = {name: value} if versions is None else {f"{name}.{n}": key for n, key in versions.items()}
            found += [secret_bytes(f"{table}.{one}", bytes.fromhex(key)) for one, key in keys.items()]
    assert len(found) > 30, "the keys are where they were"
    return found


def secret_text(name: str, value: str) -> Secret:
    """A name of a person: in every encoding that Russian machines use, and as JSON, addresses and base64 hide it."""
    forms = {}
    for shape, text in (("", value), (", upper", value.upper()), (", lower", value.lower())):
        forms[f"UTF-8{shape}"] = text.encode()
        forms[f"UTF-16{shape}"] = text.encode("utf-16-le")
        forms[f"UTF-16 BE{shape}"] = text.encode("utf-16-be")
    for encoding in ("cp1251", "koi8-r", "cp866", "iso8859-5"):
        forms[encoding] = value.encode(encoding)
    forms["JSON"] = json.dumps(value)[1:-1].encode()
    forms["percent"] = urllib.parse.quote(value).encode()
    forms["hex"] = value.encode().hex().encode()
    forms["Python"] = repr(value.encode())[2:-1].encode()
    return Secret(name, _long(forms | _base64(value.encode())))


def card_number(name: str, digits: str) -> tuple[Secret, ...]:
    """A bank card's number: as text and packed as cards hold it, half-bytes changed over, in groups, and masked to its
    first six and last four digits, which beside a hash would be enough (D-04).
    """
    packed = digits[: len(digits) // 2 * 2]  # the filler behind an odd number is no digit of it
    swapped = "".join(packed[at + 1] + packed[at] for at in range(0, len(packed), 2))
    groups = [digits[at : at + 4] for at in range(0, len(digits), 4)]
    shown = {f"groups with {mark!r}": mark.join(groups).encode() for mark in " -."}
    hidden = len(digits) - 10
    shown |= {f"masked with {mark}": f"{digits[:6]}{mark * hidden}{digits[-4:]}".encode() for mark in "*xX#."}
    return (
        secret_text(name, digits),
        secret_bytes(f"{name}, packed", bytes.fromhex(packed)),
        secret_bytes(f"{name}, half-bytes changed over", bytes.fromhex(swapped)),
        Secret(f"{name}, for people", shown),
    )


def _base64(value: bytes) -> dict[str, bytes]:
    """The inside of base64 text, whatever stands before it: three ways to fall onto its groups of three bytes."""
    forms = {}
    for skipped in range(3):
        text = base64.b64encode(bytes(skipped) + value)
        inside = text[(skipped * 8 + 5) // 6 : (skipped + len(value)) * 8 // 6]
        forms[f"base64, {skipped}"] = inside
        forms[f"base64 for addresses, {skipped}"] = inside.translate(bytes.maketrans(b"+/", b"-_"))
    return forms


def _long(forms: Mapping[str, bytes]) -> dict[str, bytes]:
    return {form: pattern for form, pattern in forms.items() if len(pattern) >= LEAST_BYTES}


def leaks(secrets: Iterable[Secret], data: bytes, where: str) -> list[str]:
    """One line for each secret and form found; the secret itself is not in it."""
    return [f"{secret.name} as {form} in {where}" for secret in secrets for form in secret.found_in(data)]


def leaks_in_files(secrets: Iterable[Secret], folder: Path, allowed: Iterable[str] = ()) -> list[str]:
    """Through every file below `folder`, names of files included, but those whose name is `allowed`."""
    wanted, found = list(secrets), []
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        found += leaks(wanted, place.encode(), f"the name {place}")
        if path.is_file() and path.name not in set(allowed):
            found += leaks(wanted, path.read_bytes(), place)
    return found
