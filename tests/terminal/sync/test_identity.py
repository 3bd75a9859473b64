from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from terminal.errors import KeyFileError
from terminal.sync.identity import load_or_create_key, public_path, read_public_key


def test_a_key_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "state" / "terminal.key"
    key = load_or_create_key(path)
    assert load_or_create_key(path).private_bytes_raw() == key.private_bytes_raw()
    assert path.stat().st_mode & 0o777 == 0o600
    assert public_path(path).name == "terminal.pub"
    assert read_public_key(public_path(path)) == key.public_key()
    assert {file.name for file in path.parent.iterdir()} == {"terminal.key", "terminal.pub"}


def test_a_lost_public_key_is_written_again(tmp_path):
    path = tmp_path / "terminal.key"
    key = load_or_create_key(path)
    public_path(path).unlink()
    load_or_create_key(path)
    assert read_public_key(public_path(path)) == key.public_key()


def test_whoever_comes_first_makes_the_key(tmp_path):
    path = tmp_path / "terminal.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(load_or_create_key, [path] * 8))
    assert len({key.private_bytes_raw() for key in keys}) == 1


RSA_PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize("content", [b"", b"no key", RSA_PUBLIC])
def test_another_file_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "terminal.key"
    path.write_bytes(content)
    with pytest.raises(KeyFileError, match="holds no private Ed25519 key"):
        load_or_create_key(path)
    with pytest.raises(KeyFileError, match="holds no public Ed25519 key"):
        read_public_key(path)
    assert path.read_bytes() == content


def test_missing_and_unwritable_files_say_so(tmp_path):
    with pytest.raises(KeyFileError, match="No such file"):
        read_public_key(tmp_path / "collector.pub")
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyFileError, match="Check the directory"):
        load_or_create_key(tmp_path / "file" / "terminal.key")
