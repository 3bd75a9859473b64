"""What a bank chip's answers are made of."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cardproto.emv import tags
from cardproto.tlv import Tlv, build_tlv
from sim.emv.lab_rsa import PUBLIC_SEED
from sim.emv.memory import ChipApplication

CRYPTOGRAM_BYTES: Final = 8
LANGUAGES: Final = b"ruen"


def directory_entry(application: ChipApplication) -> Tlv:
    """One application as the directory lists it."""
    objects = (
        Tlv(tags.TAG_AID, application.aid),
        Tlv(tags.TAG_LABEL, application.label.encode()),
        Tlv(tags.TAG_PRIORITY, bytes((application.priority,))),
    )
    return Tlv(tags.TAG_DIRECTORY_ENTRY, build_tlv(objects))


def file_control(application: ChipApplication) -> bytes:
    """What SELECT of an application answers."""
    objects = [
        Tlv(tags.TAG_LABEL, application.label.encode()),
        Tlv(tags.TAG_PRIORITY, bytes((application.priority,))),
    ]
    if application.pdol:
        objects.append(Tlv(tags.TAG_PDOL, application.pdol))
    return control(application.aid, (*objects, Tlv(tags.TAG_LANGUAGE, LANGUAGES)))


def control(name: bytes, proprietary: tuple[Tlv, ...]) -> bytes:
    """File control information of a name."""
    inside = Tlv(tags.TAG_FCI_PROPRIETARY, build_tlv(proprietary))
    return Tlv(tags.TAG_FCI, build_tlv((Tlv(tags.TAG_DF_NAME, name), inside))).to_bytes()


def options(application: ChipApplication) -> tuple[Tlv, Tlv]:
    """Profile and file locator."""
    return Tlv(tags.TAG_AIP, application.aip), Tlv(tags.TAG_AFL, application.afl)


def cryptogram_head(application: ChipApplication, kind: int) -> tuple[Tlv, Tlv]:
    """Kind of the cryptogram and the transaction's number."""
    return Tlv(tags.TAG_CRYPTOGRAM_KIND, bytes((kind,))), Tlv(tags.TAG_ATC, counter(application))


def counter(application: ChipApplication) -> bytes:
    """The number of the transaction, 2 bytes."""
    return application.atc.to_bytes(2, "big")


def cryptogram_of(application: ChipApplication, covered: bytes) -> bytes:
    """A keyed hash in the cryptogram's place: the laboratory seed is public, and no issuer is there to check it."""
    key = hashlib.sha256(PUBLIC_SEED + application.pan.encode() + bytes((application.sequence,))).digest()
    return hmac.digest(key, counter(application) + covered, "sha256")[:CRYPTOGRAM_BYTES]
