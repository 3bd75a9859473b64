"""The table of PC/SC return codes is complete and true to the binding."""

from __future__ import annotations

import pytest

from cardproto.errors import CardGone, ReaderGone, ReaderTaken, ServiceGone
from terminal.reader.scard import MEANINGS, error_for

ALIASES = {"SCARD_E_UNEXPECTED": "SCARD_E_UNSUPPORTED_FEATURE"}
"""pcsc-lite gives both the same number; other systems do not, but we build on pcsc-lite's."""


@pytest.mark.pcscd
def test_every_code_of_the_binding_is_in_the_table_under_its_name() -> None:
    scard = pytest.importorskip("smartcard.scard", reason="pyscard is not installed")
    prefixes = ("SCARD_E_", "SCARD_W_", "SCARD_F_", "SCARD_P_")
    named = {name: getattr(scard, name) & 0xFFFFFFFF for name in dir(scard) if name.startswith(prefixes)}
    assert len(named) > 50
    for name, code in named.items():
        assert MEANINGS[code].name == ALIASES.get(name, name)


def test_names_and_texts_are_there_once() -> None:
    names = [meaning.name for meaning in MEANINGS.values()]
    assert len(set(names)) == len(names)
    assert all(meaning.text and not meaning.text.endswith(".") for meaning in MEANINGS.values())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x80100069, CardGone),
        (0x80100068, CardGone),
        (0x80100016, CardGone),
        (0x80100009, ReaderGone),
        (0x8010002E, ReaderGone),
        (0x8010000B, ReaderTaken),
        (0x8010001D, ServiceGone),
        (0x8010001E, ServiceGone),
        (0x80100003, ServiceGone),
        (0x80100013, ServiceGone),
    ],
)
def test_codes_people_met_in_the_field(code: int, kind: type[Exception]) -> None:
    assert type(error_for(code, "here")) is kind


def test_an_error_names_place_constant_and_number() -> None:
    assert (
        str(error_for(0x80100069, "Reader 1"))
        == "Reader 1: the card was taken away (SCARD_W_REMOVED_CARD, 80100069)"
    )


def test_a_negative_code_is_the_same_code() -> None:
    assert str(error_for(0x80100069 - (1 << 32), "x")) == str(error_for(0x80100069, "x"))


def test_an_unknown_code_asks_for_a_new_context() -> None:
    assert isinstance(error_for(0x8010ABCD, "x"), ServiceGone)
