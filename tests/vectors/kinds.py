"""How each kind of vector is computed: by public functions, and for commands by the real terminal side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cardproto.channel import CardChannel
from cardproto.desfire import commands as ins
from cardproto.desfire.application import PartVersion
from cardproto.desfire.card import DesfireCard
from cardproto.desfire.creation import SettingsChange
from cardproto.desfire.crypto import ZERO_IV, AesKey, crc32, truncate_mac
from cardproto.desfire.diversify import an10922_aes128, cmac_subkeys
from cardproto.desfire.files import AccessRights, DataFileSettings, ValueFileSettings
from cardproto.desfire.messaging import (
    LABEL_ENC,
    LABEL_MAC,
    MAC_BYTES,
    CommMode,
    Session,
    session_vector,
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

Fields = Mapping[str, Any]
MODES = {"Plain": CommMode.PLAIN, "MAC": CommMode.MAC, "Full": CommMode.FULL}
MODE_NAMES = {mode: name for name, mode in MODES.items()}
PROBE = bytes(range(16))


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def text(data: bytes) -> str:
    return data.hex().upper()


def named(key: AesKey, expected: str) -> str:
    """The expected key's own text when `key` is that key: keys hide their bytes, but they act the same."""
    same = key.encrypt(ZERO_IV, PROBE) == AesKey(raw(expected)).encrypt(ZERO_IV, PROBE)
    return expected if same else "another key"


def aes_cmac(inputs: Fields, expected: Fields) -> Fields:
    cmac = AesKey(raw(inputs["key"])).cmac(raw(inputs["message"]))
    return {"cmac": text(cmac), "truncated_even_bytes": text(truncate_mac(cmac))}


def an10922(inputs: Fields, expected: Fields) -> Fields:
    master = AesKey(raw(inputs["master_key"]))
    first, second = cmac_subkeys(master)
    return {
        "diversified_key": text(an10922_aes128(master, raw(inputs["M"]))),
        "cmac_subkey1": text(first),
        "cmac_subkey2": text(second),
    }


def authentication(inputs: Fields, expected: Fields, *, first: bool) -> Fields:
    """Play the terminal's part against the recorded card; it must send exactly what was recorded."""
    script = ScriptedConnection([(inputs[f"c_apdu_{n}"], inputs[f"r_apdu_{n}"]) for n in (1, 2)])
    card = DesfireCard(CardChannel(script))
    key, rnd_a = AesKey(raw(inputs["key"])), raw(expected["RndA"])
    before = Session(key_no=0, ti=b"kept", counter=7, enc=key, mac=key)
    if first:
        card.authenticate_ev2_first(inputs["key_no"], key, rnd_a)
    else:
        card.session = before
        card.authenticate_ev2_non_first(inputs["key_no"], key, rnd_a)
    session = card.session
    assert script.finished()
    assert session is not None
    assert (session.counter, session.key_no) == (0 if first else 7, inputs["key_no"])
    assert first or session.ti == before.ti
    rnd_b = key.decrypt(ZERO_IV, raw(inputs["r_apdu_1"])[:-2])
    proof = key.decrypt(ZERO_IV, raw(inputs["r_apdu_2"])[:-2])
    return {
        "RndA": text(rnd_a),
        "RndB": text(rnd_b),
        "SV1": text(session_vector(LABEL_ENC, rnd_a, rnd_b)),
        "SV2": text(session_vector(LABEL_MAC, rnd_a, rnd_b)),
        "SesAuthENCKey": named(session.enc, expected["SesAuthENCKey"]),
        "SesAuthMACKey": named(session.mac, expected["SesAuthMACKey"]),
        "TI": text(session.ti),
        "PDcap2": text(proof[20:26]),
        "PCDcap2": text(proof[26:32]),
    }


def first_authentication(inputs: Fields, expected: Fields) -> Fields:
    return authentication(inputs, expected, first=True)


def non_first_authentication(inputs: Fields, expected: Fields) -> Fields:
    return authentication(inputs, expected, first=False)


def initialisation_vector(inputs: Fields, expected: Fields) -> Fields:
    session = session_of(inputs, counter=inputs["CmdCtr"])
    iv = session.command_iv() if inputs["direction"] == "command" else session.response_iv()
    return {"IV": text(iv)}


def session_of(inputs: Fields, *, counter: int) -> Session:
    enc = AesKey(raw(inputs["SesAuthENCKey"]))
    mac = AesKey(raw(inputs.get("SesAuthMACKey", "00" * 16)))
    return Session(key_no=0, ti=raw(inputs["TI"]), counter=counter, enc=enc, mac=mac)


def command(inputs: Fields, expected: Fields) -> Fields:
    """Give the command to the real terminal side; a scripted card checks what it sends and answers."""
    script = ScriptedConnection([(expected["c_apdu"], expected["r_apdu"])])
    card = DesfireCard(CardChannel(script))
    before, mode = inputs["CmdCtr_before"], MODES[inputs["mode"]]
    card.session = session = session_of(inputs, counter=before)
    answer = run_command(card, inputs, expected, mode)
    assert script.finished()
    assert card.session is None or session.counter == before + 1
    ours, code, header = session_of(inputs, counter=before), raw(inputs["cmd"])[0], raw(inputs["CmdHeader"])
    plain = raw(inputs["CmdData_plain"])
    sent = ours.encrypt_command(plain) if mode is CommMode.FULL else plain
    theirs = session_of(inputs, counter=before + 1)
    body = raw(expected["r_apdu"])[: -MAC_BYTES - 2 if "resp_mac" in expected else -2]
    mac = theirs.response_mac(body) if "resp_mac" in expected else b""
    return {
        "IV_cmd": text(ours.command_iv()),
        "CmdData_encrypted": text(sent),
        "cmd_mac": text(ours.command_mac(code, header, sent)),
        "c_apdu": text(script.sent[0]),
        "r_apdu": text(body + mac) + "9100",
        "RespData_plain": text(answer),
        "resp_mac": text(mac),
        "IV_resp": text(theirs.response_iv()),
    }


def run_command(card: DesfireCard, inputs: Fields, expected: Fields, mode: CommMode) -> bytes:
    """The method a caller would use for this code; the answer as plain bytes."""
    header, data = raw(inputs["CmdHeader"]), raw(inputs["CmdData_plain"])
    answer = raw(expected.get("RespData_plain", ""))
    numbers = [int.from_bytes(header[at : at + 3], "little") for at in range(1, len(header), 3)]
    match raw(inputs["cmd"])[0]:
        case ins.INS_SET_CONFIGURATION:
            card.set_configuration(header[0], data)
        case ins.INS_GET_CARD_UID:
            return card.get_card_uid()
        case ins.INS_CHANGE_FILE_SETTINGS:
            change = SettingsChange(CommMode(data[0] & 3), AccessRights.parse(data[1:3]))
            card.change_file_settings(header[0], change, mode)
        case ins.INS_WRITE_DATA:
            card.write_data(header[0], numbers[0], data, mode)
        case ins.INS_READ_DATA:
            return card.read_data(header[0], numbers[0], numbers[1], mode)
        case ins.INS_READ_RECORDS:
            return card.read_records(
                header[0], numbers[0], numbers[1], mode, len(answer) // (numbers[1] or 1)
            )
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


def transaction_keys(inputs: Fields, expected: Fields) -> Fields:
    tmk = AesKey(raw(inputs["app_transaction_mac_key"]))
    mac_key, enc_key = session_tm_keys(tmk, inputs["TMC_after_increment"], raw(inputs["uid"]))
    return {
        "SesTMMACKey": named(mac_key, expected["SesTMMACKey"]),
        "SesTMENCKey": named(enc_key, expected["SesTMENCKey"]),
    }


def reader_id(inputs: Fields, expected: Fields) -> Fields:
    enc_key, answer = AesKey(raw(inputs["SesTMENCKey"])), raw(inputs["EncTMRI"])
    previous = decrypt_reader_id(enc_key, answer)
    assert encrypt_reader_id(enc_key, previous) == answer
    return {"TMRIPrev": text(previous)}


def worked_transaction(inputs: Fields, expected: Fields) -> Fields:
    tmk, uid = AesKey(raw(inputs["app_transaction_mac_key"])), raw(inputs["uid"])
    counter = inputs["TMC_after_increment"]
    _, enc_key = session_tm_keys(tmk, counter, uid)
    enc_reader_id = encrypt_reader_id(enc_key, raw(inputs["TMRIPrev"]))
    reader = DataCommand(ins.INS_COMMIT_READER_ID, raw(inputs["TMRICur"]), enc_reader_id)
    covered = tmi([data_command(words) or reader for words in inputs["commands"]])
    return {
        **transaction_keys(inputs, expected),
        "EncTMRI": text(enc_reader_id),
        "TMI": text(covered),
        "TMV": text(transaction_mac_value(tmk, uid, counter, covered)),
    }


def data_command(words: str) -> DataCommand | None:
    """A command written in words; None is CommitReaderID, which the caller has."""
    if value := re.fullmatch(r"(GetValue|Debit|Credit) file (\d+) (?:-> )?(\d+)", words):
        code = {"GetValue": ins.INS_GET_VALUE, "Debit": ins.INS_DEBIT, "Credit": ins.INS_CREDIT}[value[1]]
        return DataCommand(code, bytes((int(value[2]),)), int(value[3]).to_bytes(4, "little"))
    pattern = r"WriteRecord file (\d+) offset (\d+) length (\d+) data ([0-9A-F]{2})\*(\d+)"
    if record := re.fullmatch(pattern, words):
        header = bytes((int(record[1]),)) + b"".join(int(record[n]).to_bytes(3, "little") for n in (2, 3))
        return DataCommand(ins.INS_WRITE_RECORD, header, raw(record[4]) * int(record[5]))
    assert words == "CommitReaderID (authenticated)", f"words nobody understands: {words!r}"
    return None


def checksum(inputs: Fields, expected: Fields) -> Fields:
    for message, crc in inputs["cases"]:
        assert text(crc32(raw(message))) == crc
    return {}


def plain_answer(inputs: Fields, expected: Fields) -> Fields:
    """An unauthenticated enquiry, through the terminal side as well."""
    connection = ScriptedConnection([(inputs["c_apdu"], inputs["r_apdu"])])
    card = DesfireCard(CardChannel(connection))
    code, parameters = raw(inputs["c_apdu"])[1], raw(inputs["c_apdu"])[5:-1]
    if code == ins.INS_GET_FILE_IDS:
        return {"FileIDs": list(card.get_file_ids())}
    if code == ins.INS_GET_VERSION:
        return version_fields(PartVersion.parse(card.channel.frame(code).data))
    settings = card.get_file_settings(parameters[0])
    assert isinstance(settings, DataFileSettings | ValueFileSettings)
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
    return fields | {
        "LowerLimit": settings.lower,
        "UpperLimit": settings.upper,
        "LimitedCreditValue": settings.limited_credit_value,
        "FreeGetValue": settings.free_get_value,
        "LimitedCreditEnabled": settings.limited_credit,
    }


def version_fields(part: PartVersion) -> Fields:
    return {
        "VendorID": part.vendor,
        "HWType": part.type,
        "HWSubType": part.subtype,
        "HWMajor": part.major,
        "HWMinor": part.minor,
        "StorageSize": part.storage,
        "Protocol": part.protocol,
    }


def originality(inputs: Fields, expected: Fields) -> Fields:
    """Both the arithmetic and Read_Sig, whose published success status is 9190."""
    card = DesfireCard(CardChannel(AnsweringConnection(inputs["signature"] + "9190")))
    return {"valid": verify_signature(raw(inputs["uid"]), card.read_signature(), raw(inputs["public_key"]))}


KINDS: Mapping[str, Callable[[Fields, Fields], Fields]] = {
    "aes_cmac": aes_cmac,
    "an10922_aes128": an10922,
    "ev2_first_auth": first_authentication,
    "ev2_nonfirst_auth": non_first_authentication,
    "ev2_iv": initialisation_vector,
    "ev2_command": command,
    "tmac_session_keys": transaction_keys,
    "tmac_reader_id": reader_id,
    "tmac_worked_example": worked_transaction,
    "crc32": checksum,
    "plain_parse": plain_answer,
    "originality_signature": originality,
}
