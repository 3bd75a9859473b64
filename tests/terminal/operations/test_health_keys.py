"""What `terminal health` says of keys: how they are kept, whose they are, and when they are to be rolled."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.app.station import JOURNAL_FILE
from terminal.operations.findings import HealthCode, HealthFinding, HealthLevel
from terminal.operations.health import KEYS_WARNING_MS, examine
from terminal.operations.status import write_status
from tests.terminal.operations.test_health import NOW, NOW_MS, WELL

HOST = b"Whxqht+dQJax1aZeCGLxmiAAAAABAAAA"
"""How `systemd-creds encrypt --with-key=host` of systemd 252 begins."""
BOTH = b"k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAA"
"""The example of systemd.io/CREDENTIALS, sealed to host and TPM."""
TPM_ID, NULL_ID = "0c7cc07b117645919c4b0bea08bc20fe", "058469daf6f54324800549da0f8ea2fb"
"""CRED_AES256_GCM_BY_TPM2_HMAC and CRED_AES256_GCM_BY_NULL of systemd, src/shared/creds-util.h."""
DAY_MS = 24 * 3_600_000


def found(
    folder: Path, credential: Path | None = None, secret_files: tuple[Path, ...] = (), **said: Any
) -> list[HealthFinding]:
    """What is said of keys of a terminal that is well but for `said`."""
    write_status(folder, msgspec.structs.replace(WELL, **said))
    health = examine(folder, folder / JOURNAL_FILE, NOW, secret_files, credential)
    return [one for one in health.findings if one.code.startswith("keys:")]


def begun(identifier: str) -> bytes:
    """The first bytes of a credential of that kind."""
    return b64encode(bytes.fromhex(identifier) + bytes(8))


@pytest.mark.parametrize(
    ("content", "code", "level"),
    [
        (HOST, HealthCode.KEYS_HOST, HealthLevel.OK),
        (BOTH, HealthCode.KEYS_TPM, HealthLevel.OK),
        (begun(TPM_ID), HealthCode.KEYS_TPM, HealthLevel.OK),
        (begun(NULL_ID), HealthCode.KEYS_UNSEALED, HealthLevel.LOOK),
        (begun("00" * 16), HealthCode.KEYS_UNKNOWN, HealthLevel.LOOK),
        (b'form = "resident-keys-1"', HealthCode.KEYS_UNKNOWN, HealthLevel.LOOK),
        (b"", HealthCode.KEYS_UNKNOWN, HealthLevel.LOOK),
        (None, HealthCode.KEYS_UNKNOWN, HealthLevel.LOOK),
    ],
)
def test_what_a_credential_is_sealed_to(
    tmp_path: Path, content: bytes | None, code: HealthCode, level: HealthLevel
) -> None:
    sealed = tmp_path / "7.keys.cred"
    if content is not None:
        sealed.write_bytes(content)
    (one,) = found(tmp_path, sealed, keys_environment="production")
    assert (one.code, one.level) == (code, level)
    assert (str(sealed) in one.says()) is (level is HealthLevel.LOOK)


def test_production_keys_in_a_file_ask_for_a_look(tmp_path: Path) -> None:
    (tmp_path / "7.keys.cred").write_bytes(HOST)
    for beside in (None, tmp_path / "7.keys.cred"):  # --keys goes before what is sealed
        (one,) = found(tmp_path, beside, keys_environment="production", keys_in_file=True)
        assert (one.code, one.level) == (HealthCode.KEYS_FILE, HealthLevel.LOOK)
    assert found(tmp_path, keys_environment="laboratory", keys_in_file=True) == []


@pytest.mark.parametrize(
    ("real", "accepted", "codes"),
    [
        (True, (), [HealthCode.KEYS_LABORATORY]),
        (True, ("keys",), []),  # said as laboratory:public
        (False, (), []),
    ],
)
def test_signed_laboratory_keys_on_a_real_reader_ask_for_a_look(
    tmp_path: Path, real: bool, accepted: tuple[str, ...], codes: list[HealthCode]
) -> None:
    looked = found(tmp_path, keys_environment="laboratory", real_reader=real, laboratory=accepted)
    assert [one.code for one in looked] == codes
    assert all(one.level is HealthLevel.LOOK for one in looked)


@pytest.mark.parametrize(
    ("left_ms", "says"),
    [
        (KEYS_WARNING_MS, None),
        (KEYS_WARNING_MS - 1, "the keys are to be rolled within 29 d 23 h"),
        (1, "the keys are to be rolled within 0 s"),
        (0, "the keys should have been rolled 0 s ago; they go on"),
        (-2 * DAY_MS, "the keys should have been rolled 2 d 0 h ago; they go on"),
    ],
)
def test_the_day_by_which_to_roll(tmp_path: Path, left_ms: int, says: str | None) -> None:
    looked = found(tmp_path, keys_until_ms=NOW_MS + left_ms)
    assert [one.says() for one in looked] == ([] if says is None else [says])
    assert all(one.level is HealthLevel.LOOK for one in looked)


def test_each_finding_has_a_name_of_its_own(tmp_path: Path) -> None:
    """`--json` tells them by name: none may hide another."""
    (tmp_path / "7.keys").touch(0o644)
    secrets = (tmp_path / "7.keys",)
    said = {"real_reader": True, "keys_environment": "laboratory", "keys_until_ms": NOW_MS + DAY_MS}
    (tmp_path / "7.keys.cred").write_bytes(HOST)
    looked = found(tmp_path, tmp_path / "7.keys.cred", secrets, **said)
    assert [one.name for one in looked] == ["keys:7.keys", "keys", "keys:environment", "keys:until"]
