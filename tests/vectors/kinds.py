"""How each kind of vector is computed: by public functions, and for commands by the real terminal side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cardproto.apdu import CommandApdu, ResponseApdu
from cardproto.desfire import commands as ins
from cardproto.desfire.application import PartVersion
from cardproto.desfire.authentication import (
    LABEL_ENC,
    LABEL_MAC,
    MAC_BYTES,
    AesAuthentication,
    Ev2Cipher,
    session_vector,
)
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.channel import DesfireChannel
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import ZERO_IV, AesKey, crc32, truncate_mac
from cardproto.desfire.diversify import an10922_aes128, cmac_subkeys
from cardproto.desfire.files import (
    KEY_OPTION_AES,
    AccessRights,
    DataFileSettings,
    RecordFileSettings,
    TransactionMacSettings,
)
from cardproto.desfire.messaging import (
    CommMode,
    Session,
)
from cardproto.desfire.originality import verify_signature
from cardproto.desfire.transaction_mac import (
    DataCommand,
    decrypt_reader_id,
    encrypt_reader_id,
    session_tm_keys,
    tmi,
    transaction_mac_value,
)
from tests.cardproto.scripted import AnsweringConnection, ScriptedConnection
from tests.vectors import legacy
from tests.vectors.fields import Fields, keys_in, named, number, raw, text
from tests.vectors.transaction import transaction

Computed = Mapping[str, Any]
MODE_NAMES = {CommMode.PLAIN: "Plain", CommMode.MAC: "MAC", CommMode.FULL: "Full"}


def aes_cmac(inputs: Fields, expected: Fields) -> Computed:
    cmac = AesKey(raw(inputs["key"])).cmac(raw(inputs["message"]))
    return {"cmac": text(cmac), "truncated_even_bytes": text(truncate_mac(cmac))}


def an10922(inputs: Fields, expected: Fields) -> Computed:
    master = AesKey(raw(inputs["master_key"]))
    first, second = cmac_subkeys(master)
    return {
        "diversified_key": text(an10922_aes128(master, raw(inputs["M"]))),
        "cmac_subkey1": text(first),
        "cmac_subkey2": text(second),
    }


def authentication(inputs: Fields, expected: Fields, *, first: bool) -> Computed:
    """Play the terminal's part against the recorded card; it must send exactly what was recorded."""
    commands = [CommandApdu.parse(raw(inputs[f"c_apdu_{n}"])) for n in (1, 2)]
    answers = [ResponseApdu.parse(raw(inputs[f"r_apdu_{n}"])) for n in (1, 2)]
    script = ScriptedConnection([(inputs[f"c_apdu_{n}"], inputs[f"r_apdu_{n}"]) for n in (1, 2)])
    card, key, key_no = (
        DesfireCard(DesfireChannel(script)),
        AesKey(raw(inputs["key"])),
        number(inputs["key_no"]),
    )
    rnd_a = key.decrypt(ZERO_IV, commands[1].data)[:16]
    before = Session(key_no=0, ti=b"kept", counter=7, cipher=Ev2Cipher(key, key))
    if first:
        card.authenticate_ev2_first(key_no, AesAuthentication(key, rnd_a), commands[0].data[2:])
    else:
        card.session = before
        card.authenticate_ev2_non_first(key_no, AesAuthentication(key, rnd_a))
    session = card.session
    assert script.finished()
    assert isinstance(session, Session)
    assert (session.counter, session.key_no) == (0 if first else 7, key_no)
    assert first or session.ti == before.ti
    rnd_b, proof = key.decrypt(ZERO_IV, answers[0].data), key.decrypt(ZERO_IV, answers[1].data)
    return {
        "RndA": text(rnd_a),
        "RndB": text(rnd_b),
        **session_keys_of(session, expected),
        "SV1": text(session_vector(LABEL_ENC, rnd_a, rnd_b)),
        "SV2": text(session_vector(LABEL_MAC, rnd_a, rnd_b)),
        **(
            {"TI": text(session.ti), "PDcap2": text(proof[20:26]), "PCDcap2": text(proof[26:32])}
            if first
            else {}
        ),
    }


def session_keys_of(session: Session, expected: Fields) -> Computed:
    enc, mac = keys_in(session)
    return {
        "SesAuthENCKey": named(enc, expected.get("SesAuthENCKey")),
        "SesAuthMACKey": named(mac, expected.get("SesAuthMACKey")),
    }


def session_keys(inputs: Fields, expected: Fields) -> Computed:
    """From both random numbers, without an exchange."""
    key, rnd_a, rnd_b = AesKey(raw(inputs["key"])), raw(inputs["RndA"]), raw(inputs["RndB"])
    return {
        **session_keys_of(Session.derive(key, 0, rnd_a, rnd_b, bytes(4)), expected),
        "SV1": text(session_vector(LABEL_ENC, rnd_a, rnd_b)),
        "SV2": text(session_vector(LABEL_MAC, rnd_a, rnd_b)),
    }


def first_authentication(inputs: Fields, expected: Fields) -> Computed:
    return authentication(inputs, expected, first=True)


def non_first_authentication(inputs: Fields, expected: Fields) -> Computed:
    return authentication(inputs, expected, first=False)


def initialisation_vector(inputs: Fields, expected: Fields) -> Computed:
    session = session_of(inputs, counter=number(inputs["CmdCtr"]))
    ways = {"command": session.command_nonce, "response": session.response_nonce}
    return {"IV": vector(session, ways[inputs["direction"].lower()]())}


def vector(session: Session, nonce: bytes) -> str:
    """The initialisation vector that belongs to a nonce."""
    return text(keys_in(session)[0].encrypt(ZERO_IV, nonce))


def session_of(inputs: Fields, *, counter: int) -> Session:
    enc = AesKey(raw(inputs["SesAuthENCKey"]))
    mac = AesKey(raw(inputs.get("SesAuthMACKey", "00" * 16)))
    return Session(key_no=0, ti=raw(inputs["TI"]), counter=counter, cipher=Ev2Cipher(enc, mac))


def command(inputs: Fields, expected: Fields) -> Computed:
    """Give the command to the real terminal side; a scripted card checks what it sends and answers."""
    before, mode = number(inputs["CmdCtr_before"]), CommMode[inputs["mode"].upper()]
    code, header, plain = raw(inputs["cmd"])[0], raw(inputs["CmdHeader"]), raw(inputs["CmdData_plain"])
    ours, theirs = session_of(inputs, counter=before), session_of(inputs, counter=before + 1)
    sent = ours.encrypt_command(plain) if mode is CommMode.FULL else plain
    mac = b"" if mode is CommMode.PLAIN else ours.command_mac(code, header, sent)
    message = header + sent + mac
    c_apdu = CommandApdu(0x90, code, data=message, le=0).to_bytes()
    r_apdu = raw(expected["r_apdu"]) if "r_apdu" in expected else answered(theirs, expected, mode)
    script = ScriptedConnection([(expected.get("c_apdu", text(c_apdu)), r_apdu)])
    card = DesfireCard(DesfireChannel(script))
    card.session = session = session_of(inputs, counter=before)
    bare = code == ins.INS_CHANGE_KEY and len(r_apdu) == 2
    if bare:
        card.execute_last(code, header, plain)
        answer = b""
    else:
        answer = run_command(card, code, header, plain, expected, mode)
        assert session.counter == before + 1
    assert script.finished()
    body = r_apdu[:-2] if mode is CommMode.PLAIN or bare else r_apdu[: -MAC_BYTES - 2]
    proof = b"" if mode is CommMode.PLAIN or bare else theirs.response_mac(body, r_apdu[-1])
    return {
        "IV_cmd": vector(ours, ours.command_nonce()),
        "CmdData_encrypted": text(sent),
        "cmd_mac": text(mac),
        "c_apdu": text(script.sent[0]),
        "r_apdu": text(body + proof + r_apdu[-2:]),
        "RespData_plain": text(answer),
        "resp_mac": text(proof),
        "IV_resp": vector(theirs, theirs.response_nonce()),
    }


def answered(session: Session, expected: Fields, mode: CommMode) -> bytes:
    """The card's answer where the entry leaves it out."""
    plain = raw(expected.get("RespData_plain", ""))
    body = session.encrypt_response(plain) if mode is CommMode.FULL else plain
    return body + (b"" if mode is CommMode.PLAIN else session.response_mac(body)) + b"\x91\0"


def run_command(
    card: DesfireCard, code: int, header: bytes, data: bytes, expected: Fields, mode: CommMode
) -> bytes:
    """The method a caller would use for this code; the answer as plain bytes."""
    answer = raw(expected.get("RespData_plain", ""))
    numbers = [int.from_bytes(header[at : at + 3], "little") for at in range(1, len(header), 3)]
    match code:
        case ins.INS_SET_CONFIGURATION:
            card.set_configuration(header[0], data)
        case ins.INS_GET_CARD_UID:
            return card.get_card_uid()
        case ins.INS_CHANGE_FILE_SETTINGS if len(data) == 3 and not data[0] & ~3:
            change = SettingsChange(CommMode(data[0] & 3), AccessRights.parse(data[1:3]))
            card.change_file_settings(header[0], change, mode)
        case ins.INS_WRITE_DATA:
            card.write_data(header[0], numbers[0], data, mode)
        case ins.INS_READ_DATA:
            return card.read_data(header[0], numbers[0], numbers[1], mode)
        case ins.INS_READ_RECORDS if numbers[1]:
            return card.read_records(header[0], numbers[0], numbers[1], mode, len(answer) // numbers[1])
        case ins.INS_GET_VALUE:
            return card.get_value(header[0], mode).to_bytes(4, "little", signed=True)
        case ins.INS_CREDIT:
            card.credit(header[0], int.from_bytes(data, "little"), mode)
        case ins.INS_CHANGE_KEY if data[17:] == crc32(data[:16]):
            # The checksum fits what is sent: the old key was all zero.
            card.change_key(header[0], data[:16], data[16], old_key=bytes(16))
        case ins.INS_DELETE_FILE:
            card.delete_file(header[0])
        case other:
            return card.execute(other, header, data, mode, len(answer))
    return b""


def transaction_keys(inputs: Fields, expected: Fields) -> Computed:
    tmk = AesKey(raw(inputs["app_transaction_mac_key"]))
    mac_key, enc_key = session_tm_keys(tmk, number(inputs["TMC_after_increment"]), raw(inputs["uid"]))
    return {
        "SesTMMACKey": named(mac_key, expected.get("SesTMMACKey")),
        "SesTMENCKey": named(enc_key, expected.get("SesTMENCKey")),
    }


def reader_id(inputs: Fields, expected: Fields) -> Computed:
    enc_key, answer = AesKey(raw(inputs["SesTMENCKey"])), raw(inputs["EncTMRI"])
    previous = decrypt_reader_id(enc_key, answer)
    assert encrypt_reader_id(enc_key, previous) == answer
    return {"TMRIPrev": text(previous)}


def worked_transaction(inputs: Fields, expected: Fields) -> Computed:
    tmk, uid = AesKey(raw(inputs["app_transaction_mac_key"])), raw(inputs["uid"])
    counter = number(inputs["TMC_after_increment"])
    _, enc_key = session_tm_keys(tmk, counter, uid)
    enc_reader_id = encrypt_reader_id(enc_key, raw(inputs.get("TMRIPrev", "00" * 16)))
    reader = DataCommand(ins.INS_COMMIT_READER_ID, raw(inputs.get("TMRICur", "")), enc_reader_id)
    covered = tmi([data_command(words) or reader for words in inputs["commands"]])
    return {
        **transaction_keys(inputs, expected),
        "EncTMRI": text(enc_reader_id),
        "TMI": text(covered),
        "TMV": text(transaction_mac_value(tmk, uid, counter, covered)),
    }


def data_command(words: str) -> DataCommand | None:
    """A command written in words; None is CommitReaderID, which the caller has."""
    if value := re.fullmatch(r"(GetValue|Debit|Credit|LimitedCredit) file (\d+) (?:-> )?(\d+)", words):
        return DataCommand(
            VALUE_CODES[value[1]], bytes((int(value[2]),)), int(value[3]).to_bytes(4, "little")
        )
    pattern = r"(\w+) file (\d+) offset (\d+) length (\d+) (?:data|->) ([0-9A-F]+)(?:\*(\d+))?"
    if content := re.fullmatch(pattern, words):
        header = bytes((int(content[2]),)) + b"".join(int(content[n]).to_bytes(3, "little") for n in (3, 4))
        return DataCommand(CONTENT_CODES[content[1]], header, raw(content[5]) * int(content[6] or 1))
    assert words == "CommitReaderID (authenticated)", f"words nobody understands: {words!r}"
    return None


VALUE_CODES = {
    "GetValue": ins.INS_GET_VALUE,
    "Debit": ins.INS_DEBIT,
    "Credit": ins.INS_CREDIT,
    "LimitedCredit": ins.INS_LIMITED_CREDIT,
}
CONTENT_CODES = {
    "ReadData": ins.INS_READ_DATA,
    "WriteData": ins.INS_WRITE_DATA,
    "WriteRecord": ins.INS_WRITE_RECORD,
}


def checksum(inputs: Fields, expected: Fields) -> Computed:
    for message, crc in inputs["cases"]:
        assert crc32(raw(message)) == raw(crc)
    return {}


def plain_answer(inputs: Fields, expected: Fields) -> Computed:
    """An unauthenticated enquiry, through the terminal side as well."""
    connection = ScriptedConnection([(inputs["c_apdu"], inputs["r_apdu"])])
    card = DesfireCard(DesfireChannel(connection))
    code, parameters = raw(inputs["c_apdu"])[1], raw(inputs["c_apdu"])[5:-1]
    if code == ins.INS_GET_FILE_IDS:
        return {"FileIDs": list(card.get_file_ids())}
    if code == ins.INS_GET_VERSION:
        return version_fields(PartVersion.parse(card.channel.frame(code).data))
    settings = card.get_file_settings(parameters[0])
    rights = settings.rights
    fields: dict[str, Any] = {
        "FileType": int(settings.type),
        "CommMode": MODE_NAMES[settings.mode],
        "Read": rights.read,
        "Write": rights.write,
        "ReadWrite": rights.read_write,
        "Change": rights.change,
    }
    if isinstance(settings, DataFileSettings):
        return fields | {"FileSize": settings.size}
    if isinstance(settings, RecordFileSettings):
        sizes = settings.record_bytes, settings.max_records, settings.current_records
        return fields | dict(zip(("RecordSize", "MaxRecords", "CurrentRecords"), sizes, strict=True))
    if isinstance(settings, TransactionMacSettings):
        return fields | {"KeyOption": KEY_OPTION_AES, "KeyVersion": settings.key_version}
    return fields | {
        "LowerLimit": settings.lower,
        "UpperLimit": settings.upper,
        "LimitedCreditValue": settings.limited_credit_value,
        "FreeGetValue": settings.free_get_value,
        "LimitedCreditEnabled": settings.limited_credit,
    }


def version_fields(part: PartVersion) -> Computed:
    return {
        "VendorID": part.vendor,
        "HWType": part.type,
        "HWSubType": part.subtype,
        "HWMajor": part.major,
        "HWMinor": part.minor,
        "StorageSize": part.storage,
        "Protocol": part.protocol,
    }


def originality(inputs: Fields, expected: Fields) -> Computed:
    """Both the arithmetic and Read_Sig, whose published success status is 9190."""
    card = DesfireCard(DesfireChannel(AnsweringConnection(inputs["signature"] + "9190")))
    return {"valid": verify_signature(raw(inputs["uid"]), card.read_signature(), raw(inputs["public_key"]))}


KINDS: Mapping[str, Callable[[Fields, Fields], Computed]] = {
    "aes_cmac": aes_cmac,
    "an10922_aes128": an10922,
    "ev2_first_auth": first_authentication,
    "ev2_nonfirst_auth": non_first_authentication,
    "ev2_session_keys": session_keys,
    "ev2_iv": initialisation_vector,
    "ev2_command": command,
    "tmac_session_keys": transaction_keys,
    "tmac_reader_id": reader_id,
    "tmac_worked_example": worked_transaction,
    "ev2_transaction_with_tmac": transaction,
    "ev1_aes_auth": legacy.aes_authentication,
    "ev1_iso_des_auth": legacy.iso_authentication,
    "d40_send_cbc": legacy.d40_sending,
    "crc32": checksum,
    "plain_parse": plain_answer,
    "originality_signature": originality,
}
