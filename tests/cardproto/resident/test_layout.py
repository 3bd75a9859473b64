"""The card map against the design's words, and everything derived from it against the map."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardproto.desfire.files import NEVER, AccessRights, FileType
from cardproto.desfire.messaging import CommMode
from cardproto.resident import layout
from cardproto.resident.document import render
from cardproto.resident.layout import FILES, KEYS, KeyNo
from tests.cardproto.cards import authenticated, resident_card

DOCUMENT = Path(__file__).parents[3] / "docs" / "card-layout.md"


def test_the_map_is_the_agreed_one() -> None:
    assert layout.AID.hex().upper() == "4B5A01"
    assert layout.DF_NAME.hex().upper() == "F04B5A484954454C01"
    table = [(f.number, f.settings.type, f.settings.mode) for f in FILES]
    assert table == [
        (0x01, FileType.BACKUP, CommMode.MAC),
        (0x02, FileType.CYCLIC, CommMode.MAC),
        (0x03, FileType.VALUE, CommMode.MAC),
        (0x04, FileType.BACKUP, CommMode.FULL),
        (0x05, FileType.BACKUP, CommMode.FULL),
        (0x0F, FileType.TRANSACTION_MAC, CommMode.MAC),
    ]
    assert [int(k.number) for k in KEYS] == list(range(8))


@pytest.mark.parametrize(
    ("number", "rights"),
    [
        (layout.FILE_RIGHTS, AccessRights(KeyNo.VALIDATE, KeyNo.ENTITLE, KeyNo.RELOAD, KeyNo.APPLICATION)),
        (layout.FILE_EVENTS, AccessRights(KeyNo.INSPECT, NEVER, KeyNo.VALIDATE, KeyNo.APPLICATION)),
        (layout.FILE_PURSE, AccessRights(KeyNo.VALIDATE, NEVER, KeyNo.RELOAD, KeyNo.APPLICATION)),
        (layout.FILE_CREDENTIAL, AccessRights(KeyNo.VALIDATE, KeyNo.ENTITLE, NEVER, KeyNo.APPLICATION)),
        (layout.FILE_DOCUMENTS, AccessRights(KeyNo.INSPECT, NEVER, KeyNo.ENTITLE, KeyNo.APPLICATION)),
        (layout.FILE_TRANSACTION_MAC, AccessRights(KeyNo.VALIDATE, NEVER, NEVER, KeyNo.APPLICATION)),
    ],
)
def test_who_may_do_what(number: int, rights: AccessRights) -> None:
    assert layout.file(number).settings.rights == rights


def test_file_numbers_are_unique_and_unknown_ones_are_refused() -> None:
    assert len({f.number for f in FILES}) == len(FILES)
    with pytest.raises(KeyError):
        layout.file(0x06)


def test_the_document_is_the_map() -> None:
    advice = "run: python -m cardproto.resident.document > docs/card-layout.md"
    assert DOCUMENT.read_text(encoding="utf-8") == render(), advice


def test_a_personalised_card_is_the_map() -> None:
    card = authenticated(resident_card())
    assert set(card.get_file_ids()) == {f.number for f in FILES}
    assert card.get_key_settings() == layout.key_settings(key_sets=True, random_uid=False)
    for line in FILES:
        told, wanted = card.get_file_settings(line.number), line.settings
        assert (told.type, told.mode, told.rights) == (wanted.type, wanted.mode, wanted.rights)
        for name in ("size", "record_bytes", "max_records", "lower", "upper", "additional", "key_version"):
            assert getattr(told, name, None) == getattr(wanted, name, None)
