"""Commands that build and describe a card: applications, files, keys, settings. Not part of a tap."""

from __future__ import annotations

from typing import Final

from cardproto.desfire.application import DfName, KeySettings, Version
from cardproto.desfire.commands import (
    INS_CHANGE_FILE_SETTINGS,
    INS_CHANGE_KEY,
    INS_CHANGE_KEY_SETTINGS,
    INS_CREATE_APPLICATION,
    INS_CREATE_TRANSACTION_MAC_FILE,
    INS_DELETE_APPLICATION,
    INS_DELETE_FILE,
    INS_FORMAT_PICC,
    INS_FREE_MEMORY,
    INS_GET_APPLICATION_IDS,
    INS_GET_CARD_UID,
    INS_GET_DF_NAMES,
    INS_GET_FILE_IDS,
    INS_GET_FILE_SETTINGS,
    INS_GET_ISO_FILE_IDS,
    INS_GET_KEY_SETTINGS,
    INS_GET_KEY_VERSION,
    INS_GET_VERSION,
    INS_READ_SIGNATURE,
    INS_SET_CONFIGURATION,
)
from cardproto.desfire.creation import CREATE_INS, SettingsChange, build_change, build_create
from cardproto.desfire.crypto import BLOCK
from cardproto.desfire.files import (
    DataFileSettings,
    FileSettings,
    FileType,
    RecordFileSettings,
    TransactionMacSettings,
    ValueFileSettings,
    parse_file_settings,
)
from cardproto.desfire.key_sets import new_key_data
from cardproto.desfire.key_types import KeyType
from cardproto.desfire.messaging import CommMode, Session
from cardproto.desfire.secure import AID_BYTES, SecureConversation
from cardproto.errors import NotAuthenticated, ProtocolError

UID_BYTES: Final = 7
SIGNATURE_BYTES: Final = 56
CONFIGURE_FLAGS: Final = 0x00
"""One byte: bit 0 disables Format, bit 1 makes anticollision show a random UID. Neither can be undone."""
CONFIGURE_DEFAULT_KEY: Final = 0x01
"""24 bytes and a version: what the keys of new applications are."""
CONFIGURE_ATS: Final = 0x02
"""The whole answer to select, its own length first."""
CONFIGURE_CAPABILITIES: Final = 0x05
"""What the card can and must do; see `capabilities`."""
CAPABILITY_BYTES: Final = 10
_TRANSACTION_TIMER_AT: Final = 5
_KEY_NUMBER: Final = 0x3F
_STATUS_SIGNATURE: Final = 0x90


def capabilities(transaction_timer: int) -> bytes:
    """The data of `CONFIGURE_CAPABILITIES` for an EV3: its transaction timer, and nothing else.

    `(?)` For EV3 public sources name option, purpose and PDCap2.2 only. Length and place are those that DESFire Light
    and NTAG 424 DNA have: four reserved bytes, PDCap2.1, PDCap2.2, two reserved bytes, PDCap2.5, PDCap2.6.
    """
    data = bytearray(CAPABILITY_BYTES)
    data[_TRANSACTION_TIMER_AT] = transaction_timer
    return bytes(data)


class Administration(SecureConversation):
    """Creation, deletion, keys and enquiries, on the card (AID 000000) or the selected application."""

    def create_application(
        self, aid: bytes, settings: KeySettings, *, iso_id: int | None = None, df_name: bytes = b""
    ) -> None:
        """New application with all keys zero; `aid` written most significant byte first."""
        body = aid[::-1] + settings.to_bytes()
        if iso_id is not None:
            body += iso_id.to_bytes(2, "little") + df_name
        self.execute(INS_CREATE_APPLICATION, body)

    def delete_application(self, aid: bytes) -> None:
        """The application and everything in it."""
        self.execute(INS_DELETE_APPLICATION, aid[::-1])

    def format_picc(self) -> None:
        """Every application of the card; the card's own master key stays."""
        self.execute(INS_FORMAT_PICC)

    def create_standard_file(
        self, file_no: int, settings: DataFileSettings, iso_id: int | None = None
    ) -> None:
        """Data file that is written at once."""
        self._create(FileType.STANDARD, file_no, settings, iso_id)

    def create_backup_file(self, file_no: int, settings: DataFileSettings, iso_id: int | None = None) -> None:
        """Data file that is written at commit."""
        self._create(FileType.BACKUP, file_no, settings, iso_id)

    def create_value_file(self, file_no: int, settings: ValueFileSettings) -> None:
        """Purse or counter with limits, starting at `settings.value`."""
        self._create(FileType.VALUE, file_no, settings, None)

    def create_linear_file(
        self, file_no: int, settings: RecordFileSettings, iso_id: int | None = None
    ) -> None:
        """Records until it is full."""
        self._create(FileType.LINEAR, file_no, settings, iso_id)

    def create_cyclic_file(
        self, file_no: int, settings: RecordFileSettings, iso_id: int | None = None
    ) -> None:
        """Records, the oldest dropped when full."""
        self._create(FileType.CYCLIC, file_no, settings, iso_id)

    def create_transaction_mac_file(
        self, file_no: int, settings: TransactionMacSettings, key: bytes, key_version: int = 0
    ) -> None:
        """Start transaction MACs in this application; `key` (16 bytes) travels encrypted."""
        if len(key) != BLOCK:
            raise ValueError(f"the transaction MAC key is {BLOCK} bytes, not {len(key)}")
        header = build_create(file_no, settings)
        secret = key + bytes((key_version,))
        self.execute(INS_CREATE_TRANSACTION_MAC_FILE, header, secret, CommMode.FULL)
        self.data_commands = []

    def create_file(self, file_no: int, settings: FileSettings, iso_id: int | None = None) -> None:
        """A file of whatever kind the settings are, except the transaction MAC file, which needs its key."""
        if isinstance(settings, TransactionMacSettings):
            raise TypeError("use create_transaction_mac_file: that file needs its key")
        self._create(settings.type, file_no, settings, iso_id)

    def _create(self, kind: FileType, file_no: int, settings: FileSettings, iso_id: int | None) -> None:
        if settings.type is not kind:
            raise ValueError(f"settings are for a {settings.type.name} file, not {kind.name}")
        self.execute(CREATE_INS[kind], build_create(file_no, settings, iso_id))

    def delete_file(self, file_no: int) -> None:
        """Any file, the transaction MAC file included."""
        self.execute(INS_DELETE_FILE, bytes((file_no,)))

    def get_file_ids(self) -> tuple[int, ...]:
        """Numbers of the files of the selected application, in the card's order."""
        return tuple(self.execute(INS_GET_FILE_IDS, answer_bytes=None))

    def get_file_settings(self, file_no: int) -> FileSettings:
        """Type, mode, rights and sizes; raises `FormatError` for settings this project does not know."""
        return parse_file_settings(self.execute(INS_GET_FILE_SETTINGS, bytes((file_no,)), answer_bytes=None))

    def change_file_settings(
        self, file_no: int, change: SettingsChange, mode: CommMode = CommMode.FULL
    ) -> None:
        """Mode, rights and additional sets of a file. `mode` is PLAIN only where the Change right is free."""
        self.execute(INS_CHANGE_FILE_SETTINGS, bytes((file_no,)), build_change(change), mode)

    def get_application_ids(self) -> tuple[bytes, ...]:
        """AIDs on the card, each written most significant byte first."""
        raw = self.execute(INS_GET_APPLICATION_IDS, answer_bytes=None)
        if len(raw) % AID_BYTES:
            raise ProtocolError(f"GetApplicationIDs: {len(raw)} bytes are no whole AIDs")
        return tuple(raw[at : at + AID_BYTES][::-1] for at in range(0, len(raw), AID_BYTES))

    def get_df_names(self) -> tuple[DfName, ...]:
        """Applications with an ISO identity; one frame each, which is why they are asked for one by one."""
        frames = self.execute_frames(INS_GET_DF_NAMES)
        return tuple(DfName.parse(frame) for frame in frames)

    def get_iso_file_ids(self) -> tuple[int, ...]:
        """ISO file ids of the files that have one, in the card's order."""
        raw = self.execute(INS_GET_ISO_FILE_IDS, answer_bytes=None)
        if len(raw) % 2:
            raise ProtocolError(f"GetISOFileIDs: {len(raw)} bytes are no whole ids")
        return tuple(int.from_bytes(raw[at : at + 2], "little") for at in range(0, len(raw), 2))

    def get_key_settings(self) -> KeySettings:
        """Settings of the selected application's keys."""
        return KeySettings.parse(self.execute(INS_GET_KEY_SETTINGS, answer_bytes=None))

    def get_key_version(self, key_no: int) -> int:
        """The version byte given when the key was set."""
        return self.execute(INS_GET_KEY_VERSION, bytes((key_no,)), answer_bytes=1)[0]

    def change_key(
        self,
        key_no: int,
        new_key: bytes,
        version: int,
        old_key: bytes | None = None,
        key_type: KeyType = KeyType.AES,
    ) -> None:
        """Set key `key_no` of the selected level; `PICC_KEY` says how the card's own master key is named.

        Without `old_key` it is the key the session is authenticated with: the card ends the session with an
        answer that carries no proof. With `old_key` it is another key and the session goes on. A DES key carries
        `version` in its parity bits, and `old_key` must be given with those it has on the card.
        """
        session = self.session
        if session is None:
            raise NotAuthenticated("ChangeKey needs an authenticated session")
        if (key_no & _KEY_NUMBER == session.key_no) is not (old_key is None):
            raise ValueError("give the old key exactly when changing another key than the authenticated one")
        secret, key = new_key_data(new_key, version, key_type, old_key)
        if old_key is None:
            self.execute_last(INS_CHANGE_KEY, bytes((key_no,)), secret)
            return
        self.execute_enciphered(INS_CHANGE_KEY, bytes((key_no,)), secret, session.checksum(key))

    def change_key_settings(self, settings: KeySettings) -> None:
        """KS1 of the selected level; the kind and number of keys in `settings` stay what they are."""
        self.execute(INS_CHANGE_KEY_SETTINGS, b"", settings.to_bytes()[:1], CommMode.FULL)

    def set_configuration(self, option: int, data: bytes) -> None:
        """One configuration option of the card or application; always enciphered."""
        # In the old kinds of messaging the padding does not say where data of any length ends.
        trailer = b"\x80" if option == CONFIGURE_ATS and not isinstance(self.session, Session) else b""
        self.execute_enciphered(INS_SET_CONFIGURATION, bytes((option,)), data, trailer)

    def get_version(self) -> Version:
        """Hardware, software, UID and production data; three frames."""
        return Version.parse(self.execute(INS_GET_VERSION, answer_bytes=None))

    def get_card_uid(self) -> bytes:
        """The real 7-byte UID, enciphered: the way to it on a card with random ID."""
        return self.execute(INS_GET_CARD_UID, b"", b"", CommMode.FULL, UID_BYTES)

    def free_memory(self) -> int:
        """Bytes left for applications and files."""
        return int.from_bytes(self.execute(INS_FREE_MEMORY, answer_bytes=3), "little")

    def read_signature(self) -> bytes:
        """NXP's 56-byte signature over the UID; check it with `originality.verify_signature`.

        Cards answer 9190 (published example) or 9100 (datasheet); a session's MAC covers the status given.
        """
        mode = None if self.session is None else CommMode.FULL
        return self.execute(INS_READ_SIGNATURE, bytes(1), b"", mode, SIGNATURE_BYTES, _STATUS_SIGNATURE)
