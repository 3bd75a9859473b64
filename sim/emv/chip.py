"""The bank application's commands, as a chip answers them: SELECT to the cryptogram, and status words for the rest.

    SELECT name ──▶ GET PROCESSING OPTIONS ──▶ INTERNAL AUTHENTICATE   any number of times
                       (counts ATC)        └─▶ GENERATE AC ──▶ GENERATE AC ──▶ 6985
    READ RECORD, GET DATA, GET CHALLENGE at any time after SELECT

How it differs from a real chip: no PIN, scripts, risk management or contactless limits; the cryptogram is a keyed hash
that no issuer checks; records may be read before GET PROCESSING OPTIONS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from cardproto.apdu import SW, CommandApdu
from cardproto.emv import tags
from cardproto.errors import FormatError, ProtocolError
from cardproto.tlv import Tlv, build_tlv, parse_tlv
from sim.card.state import RandomSource
from sim.emv.answers import (
    LANGUAGES,
    control,
    counter,
    cryptogram_head,
    cryptogram_of,
    directory_entry,
    file_control,
    options,
)
from sim.emv.chain import HASH_BYTES, dynamic_signature
from sim.emv.lab_rsa import lab_key
from sim.emv.memory import MOST_TRANSACTIONS, ChipApplication, ChipMemory, ChipMethod, dol_entries

CLA_BANK: Final = 0x80
SW_RECORD_NOT_FOUND: Final = 0x6A83
SW_NO_SUCH_DATA: Final = 0x6A88
SW_MORE: Final = 0x6100
SW_WRONG_LE: Final = 0x6C00
INS_GET_CHALLENGE: Final = 0x84
INS_GET_RESPONSE: Final = 0xC0
INS_GET_DATA: Final = 0xCA
TAG_DIRECTORY_SFI: Final = 0x88
TAG_PIN_TRIES: Final = 0x9F17
TAG_LAST_ONLINE: Final = 0x9F13
CHALLENGE_BYTES: Final = 8
DYNAMIC_NUMBER_BYTES: Final = 8
DIRECTORY_SFI: Final = 1
PIN_TRIES: Final = 3
LONGEST_ANSWER: Final = 256
TTQ_CHIP: Final = 0x20
TTQ_SIGN_ONLINE: Final = 0x01
ISSUER_DATA: Final = bytes.fromhex("06010A03A4A800")
CARD_QUALIFIERS: Final = bytes.fromhex("0080")


class ChipRefusal(Exception):
    """A command is refused with `sw`, and `data` where the chip says more (a blocked application's FCI)."""

    def __init__(self, sw: int, data: bytes = b"") -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw
        self.data = data


class ChipStage(Enum):
    """How far the transaction of the selected application has come."""

    SELECTED = auto()
    INITIATED = auto()
    FIRST_DONE = auto()
    DONE = auto()


@dataclass(slots=True)
class ChipConversation:
    """What the chip forgets without power. `at` is the selected application's place, None: the directory, if any."""

    at: int | None = None
    in_directory: bool = False
    found_by: bytes = b""
    stage: ChipStage = ChipStage.SELECTED
    asked: bytes = b""
    """PDOL and CDOL values as they came: the transaction data hash covers them."""
    waiting: bytes = b""
    """What GET RESPONSE fetches, status word included."""
    counted: bool = False


class BankChip:
    """The bank side of a card or a phone. Not thread-safe."""

    def __init__(self, memory: ChipMemory, rng: RandomSource) -> None:
        self.memory = memory
        self.contacts = memory.contacts
        """Which interface it is read through; a card for both has a directory for each."""
        self._rng: Final = rng
        self._now = ChipConversation()

    def power_on(self) -> None:
        """Nothing selected; a phone that was used shows its next token."""
        if self._now.counted and len(self.memory.wallets) > 1:
            self.memory = replace(self.memory, turn=self.memory.turn + 1)
        self._now = ChipConversation()

    @property
    def selected(self) -> bool:
        """Whether an application or the directory answers what comes next."""
        return self._now.at is not None or self._now.in_directory

    def deselect(self) -> None:
        """Another application of the same chip was selected."""
        self._now = ChipConversation(counted=self._now.counted)

    def knows(self, name: bytes) -> bool:
        """Whether SELECT by this name would find something here."""
        found = any(one.aid.startswith(name) for one in self.memory.wallet.applications)
        return name == self._directory_name() or (len(name) in tags.AID_BYTES and found)

    def answer(self, raw: bytes) -> bytes:
        """Answer any bytes whatsoever; never raises."""
        try:
            command = CommandApdu.parse(raw)
            data, sw = self._run(command), int(SW.OK)
        except ProtocolError:
            return _word(SW.WRONG_LENGTH)
        except ChipRefusal as refusal:
            return refusal.data + _word(refusal.sw)
        return self._returned(command, data + _word(sw))

    def _returned(self, command: CommandApdu, whole: bytes) -> bytes:
        """Through contacts (T=0) the length comes first: 61xx after data was sent, 6Cxx before data is read."""
        length = len(whole) - 2
        wanted = command.le
        waiting, self._now.waiting = self._now.waiting, b""
        if wanted is None and length and self.contacts:
            self._now.waiting = whole
            return _word(SW_MORE | length & 0xFF)
        if wanted == 0 and not command.data and self.contacts:
            fits = length == LONGEST_ANSWER
        else:
            fits = not wanted or wanted >= length
        if fits:
            return whole
        if command.ins == INS_GET_RESPONSE:
            self._now.waiting = waiting
        return _word(SW_WRONG_LE | length & 0xFF)

    def _run(self, command: CommandApdu) -> bytes:
        run = _COMMANDS.get((command.cla, command.ins))
        if run is None:
            known = any(ins == command.ins for _, ins in _COMMANDS)
            wrong_class = known or command.cla not in (0, CLA_BANK)
            raise ChipRefusal(SW.CLA_NOT_SUPPORTED if wrong_class else SW.INS_NOT_SUPPORTED)
        return run(self, command)

    def _select(self, command: CommandApdu) -> bytes:
        name, following = command.data, command.p2 == 0x02
        if command.p1 != 0x04 or command.p2 not in (0x00, 0x02):
            raise ChipRefusal(SW.FILE_NOT_FOUND if command.p1 == 0 else SW.WRONG_P1_P2)
        if name == self._directory_name() and not following:
            self._now = ChipConversation(in_directory=True, counted=self._now.counted)
            return self._directory()
        at = self._find(name, following)
        application = self.memory.wallet.applications[at]
        self._now = ChipConversation(at=at, found_by=name, counted=self._now.counted)
        if application.blocked:
            raise ChipRefusal(SW.SELECTED_LIMITED, file_control(application))
        return file_control(application)

    def _find(self, name: bytes, following: bool) -> int:
        """The place of the application by (the beginning of) its name; with `following`, after the selected one."""
        applications = self.memory.wallet.applications
        first = 0
        if following:
            if self._now.at is None or self._now.found_by != name:
                raise ChipRefusal(SW.FILE_NOT_FOUND)
            first = self._now.at + 1
        for at in range(first, len(applications)):
            if len(name) in tags.AID_BYTES and applications[at].aid.startswith(name):
                return at
        raise ChipRefusal(SW.FILE_NOT_FOUND)

    def _directory_name(self) -> bytes:
        return tags.PSE if self.contacts else tags.PPSE

    def _directory(self) -> bytes:
        proprietary: tuple[Tlv, ...]
        if self.contacts:
            proprietary = (Tlv(TAG_DIRECTORY_SFI, bytes((DIRECTORY_SFI,))), Tlv(tags.TAG_LANGUAGE, LANGUAGES))
        else:
            entries = build_tlv(map(directory_entry, self.memory.wallet.applications))
            proprietary = (Tlv(tags.TAG_FCI_ISSUER, entries),)
        return control(self._directory_name(), proprietary)

    def _read_record(self, command: CommandApdu) -> bytes:
        sfi, number = command.p2 >> 3, command.p1
        if command.p2 & 0x07 != 0x04 or not sfi or not number:
            raise ChipRefusal(SW.WRONG_P1_P2)
        if command.data:
            raise ChipRefusal(SW.WRONG_LENGTH)
        if self._now.in_directory:
            return self._directory_record(sfi, number)
        records = self._application().records
        if not any(place >> 8 == sfi for place in records):
            raise ChipRefusal(SW.FILE_NOT_FOUND)
        if sfi << 8 | number not in records:
            raise ChipRefusal(SW_RECORD_NOT_FOUND)
        return records[sfi << 8 | number]

    def _directory_record(self, sfi: int, number: int) -> bytes:
        applications = self.memory.wallet.applications
        if not self.contacts or sfi != DIRECTORY_SFI:
            raise ChipRefusal(SW.FILE_NOT_FOUND)
        if number > len(applications):
            raise ChipRefusal(SW_RECORD_NOT_FOUND)
        return Tlv(tags.TAG_RECORD, directory_entry(applications[number - 1]).to_bytes()).to_bytes()

    def _application(self) -> ChipApplication:
        if self._now.at is None:
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        return self.memory.wallet.applications[self._now.at]

    def _initiate(self, command: CommandApdu) -> bytes:
        """GET PROCESSING OPTIONS: once after each SELECT; the transaction counter goes on."""
        application = self._application()
        if command.p1 or command.p2:
            raise ChipRefusal(SW.WRONG_P1_P2)
        values = _template(command.data)
        asked = _dol_values(application.pdol, values)
        if self._now.stage is not ChipStage.SELECTED or application.blocked:
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        if application.atc >= MOST_TRANSACTIONS or not asked.get(tags.TAG_TTQ, b"\x20")[0] & TTQ_CHIP:
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        application = self._count(application)
        self._now.stage, self._now.asked = ChipStage.INITIATED, values
        if application.method is ChipMethod.FDDA:
            return self._signed_options(application, asked, values)
        if application.fields:
            return Tlv(tags.TAG_ANSWER_2, build_tlv(options(application))).to_bytes()
        return Tlv(tags.TAG_ANSWER_1, application.aip + application.afl).to_bytes()

    def _count(self, application: ChipApplication) -> ChipApplication:
        assert self._now.at is not None, "an application is selected"
        counted = replace(application, atc=application.atc + 1)
        self.memory = self.memory.with_wallet(self.memory.wallet.with_application(self._now.at, counted))
        self._now.counted = True
        return counted

    def _signed_options(self, application: ChipApplication, asked: dict[int, bytes], values: bytes) -> bytes:
        """fDDA: the answer brings a cryptogram, and a signature where the terminal asked for one."""
        objects = [
            *options(application),
            Tlv(tags.TAG_ATC, counter(application)),
            Tlv(tags.TAG_ISSUER_DATA, ISSUER_DATA),
            Tlv(tags.TAG_CRYPTOGRAM, cryptogram_of(application, values)),
            Tlv(tags.TAG_CRYPTOGRAM_KIND, bytes((tags.CRYPTOGRAM_ARQC,))),
            Tlv(tags.TAG_CARD_QUALIFIERS, CARD_QUALIFIERS),
        ]
        if asked[tags.TAG_TTQ][0] & TTQ_SIGN_ONLINE:
            related = b"\x01" + self._rng(4) + CARD_QUALIFIERS
            hashed = b"".join(
                asked[tag] for tag in (tags.TAG_UNPREDICTABLE, tags.TAG_AMOUNT, tags.TAG_CURRENCY)
            )
            dynamic = b"\x02" + counter(application)
            signature = dynamic_signature(lab_key(application.key), dynamic, hashed + related)
            objects.append(Tlv(tags.TAG_CARD_AUTHENTICATION_RELATED, related))
            objects.append(Tlv(tags.TAG_DYNAMIC_SIGNATURE, signature))
        return Tlv(tags.TAG_ANSWER_2, build_tlv(objects)).to_bytes()

    def _internal_authenticate(self, command: CommandApdu) -> bytes:
        application = self._application()
        if self._now.stage is not ChipStage.INITIATED or application.method is ChipMethod.STATIC:
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        if command.p1 or command.p2:
            raise ChipRefusal(SW.WRONG_P1_P2)
        _dol_values(application.ddol, command.data)
        number = bytes((DYNAMIC_NUMBER_BYTES,)) + self._rng(DYNAMIC_NUMBER_BYTES)
        signature = dynamic_signature(lab_key(application.key), number, command.data)
        if not application.fields:
            return Tlv(tags.TAG_ANSWER_1, signature).to_bytes()
        return Tlv(tags.TAG_ANSWER_2, Tlv(tags.TAG_DYNAMIC_SIGNATURE, signature).to_bytes()).to_bytes()

    def _generate(self, command: CommandApdu) -> bytes:
        """GENERATE AC: what was asked for, or less; with CDA its data are signed together with the cryptogram."""
        application = self._application()
        if self._now.stage not in (ChipStage.INITIATED, ChipStage.FIRST_DONE):
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        if command.p2 or command.p1 & ~(tags.CRYPTOGRAM_MASK | tags.P1_CDA):
            raise ChipRefusal(SW.WRONG_P1_P2)
        first = self._now.stage is ChipStage.INITIATED
        asked = _dol_values(application.cdol_1 if first else application.cdol_2, command.data)
        kind = command.p1 & tags.CRYPTOGRAM_MASK
        if kind == tags.CRYPTOGRAM_MASK:
            raise ChipRefusal(SW.WRONG_P1_P2)
        self._now.asked += command.data
        goes_on = first and kind == tags.CRYPTOGRAM_ARQC
        self._now.stage = ChipStage.FIRST_DONE if goes_on else ChipStage.DONE
        cryptogram = cryptogram_of(application, self._now.asked + bytes((kind,)))
        if command.p1 & tags.P1_CDA and kind and application.method is ChipMethod.CDA:
            return self._combined(application, kind, cryptogram, asked[tags.TAG_UNPREDICTABLE])
        head = bytes((kind,)) + counter(application)
        if not application.fields:
            return Tlv(tags.TAG_ANSWER_1, head + cryptogram + ISSUER_DATA).to_bytes()
        objects = [*cryptogram_head(application, kind), Tlv(tags.TAG_CRYPTOGRAM, cryptogram)]
        return Tlv(
            tags.TAG_ANSWER_2, build_tlv((*objects, Tlv(tags.TAG_ISSUER_DATA, ISSUER_DATA)))
        ).to_bytes()

    def _combined(self, application: ChipApplication, kind: int, cryptogram: bytes, random: bytes) -> bytes:
        before, after = cryptogram_head(application, kind), (Tlv(tags.TAG_ISSUER_DATA, ISSUER_DATA),)
        covered = self._now.asked + build_tlv((*before, *after))
        checked = hashlib.sha1(covered, usedforsecurity=False).digest()
        assert len(checked) == HASH_BYTES
        number = bytes((DYNAMIC_NUMBER_BYTES,)) + self._rng(DYNAMIC_NUMBER_BYTES)
        dynamic = number + bytes((kind,)) + cryptogram + checked
        signature = Tlv(
            tags.TAG_DYNAMIC_SIGNATURE, dynamic_signature(lab_key(application.key), dynamic, random)
        )
        return Tlv(tags.TAG_ANSWER_2, build_tlv((*before, signature, *after))).to_bytes()

    def _get_data(self, command: CommandApdu) -> bytes:
        application = self._application()
        found = {tags.TAG_ATC: counter(application)}
        if self.contacts:
            found |= {TAG_PIN_TRIES: bytes((PIN_TRIES,)), TAG_LAST_ONLINE: bytes(2)}
        tag = command.p1 << 8 | command.p2
        if tag not in found:
            raise ChipRefusal(SW_NO_SUCH_DATA)
        return Tlv(tag, found[tag]).to_bytes()

    def _get_challenge(self, command: CommandApdu) -> bytes:
        if command.p1 or command.p2:
            raise ChipRefusal(SW.WRONG_P1_P2)
        return self._rng(CHALLENGE_BYTES)

    def _get_response(self, command: CommandApdu) -> bytes:
        del command
        if not self._now.waiting:
            raise ChipRefusal(SW.CONDITIONS_OF_USE)
        return self._now.waiting[:-2]


_COMMANDS: Final[dict[tuple[int, int], Callable[[BankChip, CommandApdu], bytes]]] = {
    (0x00, tags.INS_SELECT): BankChip._select,
    (0x00, tags.INS_READ_RECORD): BankChip._read_record,
    (0x00, tags.INS_INTERNAL_AUTHENTICATE): BankChip._internal_authenticate,
    (0x00, INS_GET_CHALLENGE): BankChip._get_challenge,
    (0x00, INS_GET_RESPONSE): BankChip._get_response,
    (CLA_BANK, tags.INS_GET_PROCESSING_OPTIONS): BankChip._initiate,
    (CLA_BANK, tags.INS_GENERATE_AC): BankChip._generate,
    (CLA_BANK, INS_GET_DATA): BankChip._get_data,
}


def _template(data: bytes) -> bytes:
    """The values inside the command template."""
    try:
        (template,) = parse_tlv(data)
    except (FormatError, ValueError) as error:
        raise ChipRefusal(SW.WRONG_DATA) from error
    if template.tag != tags.TAG_DOL_VALUES:
        raise ChipRefusal(SW.WRONG_DATA)
    return template.value


def _dol_values(dol: bytes, values: bytes) -> dict[int, bytes]:
    """What was asked for by tag; refused unless it is exactly as long as the list says."""
    found, place = {}, 0
    for tag, length in dol_entries(dol):
        found[tag] = values[place : place + length]
        place += length
    if place != len(values):
        raise ChipRefusal(SW.WRONG_LENGTH)
    return found


def _word(sw: int) -> bytes:
    return sw.to_bytes(2, "big")
