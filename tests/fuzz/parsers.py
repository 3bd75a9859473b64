"""One function for each parser: any bytes either mean something, exactly, or raise the parser's own error."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cardproto.apdu import CommandApdu, ResponseApdu
from cardproto.atr import parse_atr
from cardproto.credential.code import CodeWindow, ShownCode, code_text, verify_code
from cardproto.credential.cose import parse_sign1
from cardproto.credential.grant import (
    RejectedCredential,
    build_claims,
    credential_in_file,
    parse_claims,
    verify_credential,
)
from cardproto.credential.phone import PhoneRefused, parse_selected
from cardproto.desfire.files import parse_file_settings
from cardproto.errors import CardError, FormatError, ProtocolError
from cardproto.resident.records.documented import parse_event_with_schema, parse_rights_with_schema
from cardproto.resident.records.event import build_event, parse_event
from cardproto.resident.records.rights import build_rights, parse_rights
from cardproto.tlv import build_tlv, parse_tlv
from sim.image_file import ImageFault, load_card
from sim.lab_issuer import lab_issuers
from sim.transcript import Exchange, HeaderLine, TranscribedTap, TranscriptFault, lines_of, parse_transcript
from sim.transcript_mask import Masker
from sim.transcript_view import read_tap
from terminal.canteen.answers import parse_answer
from terminal.canteen.control import SentRequest
from terminal.collector.fleet.stream import AlarmNote
from terminal.collector.operator_routes import Acknowledgement
from terminal.collector.registry import CardRegistry
from terminal.collector.strangers import StrangerCount
from terminal.decoding import decode_json, decode_msgpack
from terminal.errors import (
    BackupError,
    FeedError,
    KeyFileError,
    ProfileError,
    PublishError,
    RegionDocumentError,
)
from terminal.journal.records import UnreadableRecord, build_record, parse_record
from terminal.keys.sealing import StorageKeys
from terminal.lab.issuing import read_orders
from terminal.operations.archive import read_archive
from terminal.policy.deny_list import load_deny_list, read_denied
from terminal.policy.grants import load_grants, read_grants
from terminal.policy.gtfs.files import FileRefused, open_feed
from terminal.policy.keyed_file import HASH_BYTES, HEADER
from terminal.policy.load import parse_region
from terminal.publish.ceremony import SignatureFile, read_request, words
from terminal.screen.console.visit import FormFields
from terminal.sealed_box import NotSealedToUs, open_as_one
from terminal.side_process import BrokenFrame, frame
from terminal.sync.enrolment import EnrolmentRequest
from terminal.sync.trust import require_root
from terminal.sync.wire import Malformed, Refusal, encode, parse_ack, parse_batch, row_hashes
from terminal.trip.vehicle_report import NO_RUN, SourceSays, VehicleReport, up_frames
from terminal.updates.bundle import messages as bundle_messages
from terminal.updates.bundle.assignment import AssignmentError, read_assignment
from terminal.updates.bundle.kept import KeptBundles
from terminal.vehicle.elements import XmlRefused
from terminal.vehicle.gpsd import read_fix
from terminal.vehicle.vdv_messages import read_message
from terminal.vehicle.vdv_state import SaidSoFar

BACKUPS = StorageKeys({"backup": bytes(range(1, 33))})
NOW = datetime(2026, 9, 15, 6, 40, tzinfo=UTC)
LIST_KEY = b"k" * 32
ISSUERS = lab_issuers(34)


def apdu(data: bytes) -> None:
    try:
        command = CommandApdu.parse(data)
        assert CommandApdu.parse(command.to_bytes()) == command
    except ProtocolError:
        pass
    try:
        assert ResponseApdu.parse(data).to_bytes() == data
    except ProtocolError:
        assert len(data) < 2


def tlv(data: bytes) -> None:
    try:
        objects = parse_tlv(data)
    except FormatError:
        return
    assert parse_tlv(build_tlv(objects)) == objects
    for item in objects:
        if item.constructed:
            tlv(item.value)


def atr(data: bytes) -> None:
    with contextlib.suppress(CardError):
        parse_atr(data)


def rights(data: bytes) -> None:
    try:
        parsed = parse_rights(data)
    except FormatError:
        _must_refuse(parse_rights_with_schema, data)
        return
    assert build_rights(parsed) == data
    assert parse_rights_with_schema(data) == parsed


def event(data: bytes) -> None:
    try:
        parsed = parse_event(data)
    except FormatError:
        _must_refuse(parse_event_with_schema, data)
        return
    assert build_event(parsed) == data
    assert parse_event_with_schema(data) == parsed


def _must_refuse(parse: object, data: bytes) -> None:
    try:
        parse(data)  # type: ignore[operator]
    except FormatError:
        return
    raise AssertionError("the fast parser refuses what the schema takes")


def credential(data: bytes) -> None:
    """Nothing that is not signed is ever believed; every part by itself raises only `FormatError`."""
    result = verify_credential(data, ISSUERS, NOW)
    if not isinstance(result, RejectedCredential):
        assert result.issuer == "ru-34"
    for parse in (parse_sign1, credential_in_file, parse_selected):
        with contextlib.suppress(FormatError, PhoneRefused):
            parse(data)
    for text in (data.decode("latin-1"), code_text(data)):
        shown = verify_code(text, ISSUERS, NOW, CodeWindow())
        assert not isinstance(shown, ShownCode) or shown.credential.issuer == "ru-34"
    try:
        claims = parse_claims(data)
    except FormatError:
        return
    assert parse_claims(build_claims(claims)) == claims


def journal_record(data: bytes) -> None:
    try:
        record = parse_record(data)
    except UnreadableRecord:
        return
    assert parse_record(build_record(record)) == record


def wire(data: bytes) -> None:
    for parse in (parse_batch, parse_ack):
        try:
            message = parse(data)
        except Malformed:
            continue
        assert parse(encode(message)) == message
        if parse is parse_batch:
            row_hashes(message)


def keyed_list(data: bytes) -> None:
    """Any bytes as a file of either list: refused by name, or a list in which everything listed is in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        path.write_bytes(data)
        for load in (load_deny_list, load_grants):
            try:
                loaded = load(path, LIST_KEY)
            except RegionDocumentError:
                continue
            assert len(data) >= HEADER.size + len(loaded) * HASH_BYTES
            assert loaded.version
            loaded.find(b"who")
            loaded.close()
        for read in (read_denied, read_grants):
            with contextlib.suppress(RegionDocumentError):
                list(read(path))


def region_document(data: bytes) -> None:
    with contextlib.suppress(RegionDocumentError):
        parse_region(data.decode("utf-8", "replace"), "fuzz")


def file_settings(data: bytes) -> None:
    with contextlib.suppress(CardError):
        parse_file_settings(data)


def transcript(data: bytes) -> None:
    """The file itself; and any exchanges, masked and shown."""
    try:
        parsed = parse_transcript(data.decode("utf-8", "surrogateescape").splitlines(), "fuzz")
        for tap in parsed.taps:
            read_tap(tap)
        assert parse_transcript(list(lines_of(parsed)), "again") == parsed
    except TranscriptFault:
        pass
    masker, exchanges = Masker(), []
    for message in chunks(data):
        half = len(message) // 2
        shown = masker.command(message[:half]), masker.answer(message[half:])
        assert tuple(map(len, shown)) == (2 * half, 2 * (len(message) - half))
        exchanges += [Exchange(*shown, None, 0.0, 0.0)]
        exchanges += [Exchange(message[:half].hex().upper(), message[half:].hex().upper(), None, 0.0, 0.0)]
    read_tap(TranscribedTap(1, NOW, tuple(exchanges)))


def chunks(data: bytes, at_most: int = 40) -> list[bytes]:
    """Messages out of bytes: a length byte before each; 255 takes the rest."""
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < at_most:
        length = data[at] if data[at] < 255 else len(data)
        found.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return found


def json_request(data: bytes) -> None:
    """What comes as JSON from strangers and from files: a value that is written and read again, or the one error."""
    for kind in (EnrolmentRequest, Acknowledgement, Refusal, HeaderLine):
        with contextlib.suppress(msgspec.DecodeError):
            value = decode_json(data, kind, 4_096)
            assert decode_json(msgspec.json.encode(value), kind) == value


def message_pack(data: bytes) -> None:
    """Messages between gateway and consumer, and between a till and its commands."""
    for kind in (AlarmNote, list[StrangerCount], SentRequest):
        with contextlib.suppress(msgspec.DecodeError):
            decode_msgpack(data, kind, 4_096)
    with contextlib.suppress(msgspec.DecodeError):
        parse_answer(data)


def form(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        FormFields.parse(data.decode("utf-8", "replace")).text("a")


def stored_file(data: bytes) -> None:
    """Any bytes as a card image, a registry, a backup, a list of cards to issue."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.json"
        path.write_bytes(data)
        with contextlib.suppress(ImageFault):
            load_card(path, bytes)
        with contextlib.suppress(KeyFileError):
            CardRegistry.load(path)
        with contextlib.suppress(BackupError, KeyFileError):
            read_archive(path, Path(folder) / "out", BACKUPS)
        with contextlib.suppress(ProfileError):
            list(read_orders(path))


def feed_archive(data: bytes) -> None:
    """Any bytes as a zip of GTFS tables: every file of it is read, or refused by name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.zip"
        path.write_bytes(data)
        with contextlib.suppress(FeedError), open_feed(path) as feed:
            for name in sorted(feed.files):
                with contextlib.suppress(FileRefused):
                    list(feed.read(name).rows)


def vehicle_message(data: bytes) -> None:
    """Whatever a message says fits into a report that the terminal takes."""
    try:
        said = read_message(data)
    except XmlRefused:
        return
    report = SaidSoFar().after(said, 1.0).report(NO_RUN)
    _taken(report)


def gpsd_line(data: bytes) -> None:
    fix = read_fix(data, 1.0)
    if fix is not None:
        _taken(VehicleReport(heard_s=1.0, source="gpsd", lat=fix.lat, lon=fix.lon))


def _taken(report: VehicleReport) -> None:
    (taken,) = up_frames().feed(frame(report))
    assert not isinstance(taken, SourceSays)
    assert taken == report


SEALING = X25519PrivateKey.from_private_bytes(bytes(range(32)))


def bundle_file(data: bytes) -> None:
    """Any bytes as whatever a bundle brings, or its two processes say: taken exactly, or refused by name."""
    with contextlib.suppress(AssignmentError):
        read_assignment(data).taken(70001, NOW)
    with contextlib.suppress(NotSealedToUs):
        assert open_as_one(SEALING, data, b"staff/depot/staff.json")
    with contextlib.suppress(KeyFileError):
        require_root(data, stand_alone=False)
    for frames in (bundle_messages.up_frames, bundle_messages.down_frames):
        with contextlib.suppress(BrokenFrame):
            frames().feed(len(data).to_bytes(4, "big") + data)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "bundles" / "kept.json"
        kept.parent.mkdir()
        kept.write_bytes(data)
        assert KeptBundles(Path(folder)).kept.generation >= 0


def ceremony_file(data: bytes) -> None:
    """Any bytes as a request that a key holder gets, or as a signature that comes back."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tariff-1.request"
        path.write_bytes(data)
        with contextlib.suppress(PublishError):
            shown = list(words(*read_request(path)))
            assert shown, "what is signed is shown"
            assert all("\n" not in line for line in shown)
    with contextlib.suppress(msgspec.DecodeError):
        decode_json(data, SignatureFile)
