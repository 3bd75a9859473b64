"""The auditor's side of the verify-only service."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import msgspec
from msgspec import Struct

from terminal.audit.proofs import CardQuestion, CardWord
from terminal.audit.service import MOST_AT_ONCE, QUESTION_TYPE, QUESTIONS_PATH
from terminal.errors import AuditError
from terminal.journal.taps import TapId

ANSWER_S: Final = 60.0
MOST_ANSWER_BYTES: Final = 64 << 10
MOST_TOKEN_BYTES: Final = 1_024
_words = msgspec.msgpack.Decoder(list[CardWord]).decode


class ServiceAddress(Struct, frozen=True):
    """Where the service is, the file with the auditor's token, and whose certificate it has to show."""

    url: str
    token_file: Path
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None


class Asking:
    """Asks the service; used as a context. Raises `AuditError` for every answer that is none."""

    def __init__(self, address: ServiceAddress) -> None:
        self._url = address.url.rstrip("/")
        headers = {"authorization": f"Bearer {_token(address.token_file)}", "content-type": QUESTION_TYPE}
        self._client = httpx.Client(headers=headers, timeout=ANSWER_S, verify=_tls(address), trust_env=False)

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, questions: Mapping[TapId, CardQuestion]) -> dict[TapId, CardWord]:
        """What the service says, by row."""
        rows, words = list(questions), []
        for begin in range(0, len(rows), MOST_AT_ONCE):
            part = [questions[row] for row in rows[begin : begin + MOST_AT_ONCE]]
            words += self._answered(part)
        return dict(zip(rows, words, strict=True))

    def _answered(self, questions: list[CardQuestion]) -> list[CardWord]:
        try:
            answer = self._client.post(
                f"{self._url}{QUESTIONS_PATH}", content=msgspec.msgpack.encode(questions)
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise AuditError(
                f"the verify-only service {self._url} does not answer: {error}",
                "Check its address, and that it runs.",
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise AuditError(
                f"the verify-only service refused: {answer.status_code} {_advice(answer)}",
                "Check the token file, and the limits with who runs the service.",
            )
        return _words_of(answer.content, len(questions))


def _words_of(content: bytes, count: int) -> list[CardWord]:
    try:
        words = _words(content[: MOST_ANSWER_BYTES + 1])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = []
        found = str(error)
    else:
        found = f"{len(words)} answers to {count} questions"
    if len(words) != count:
        raise AuditError(f"the verify-only service gave no answers: {found}", "Check its address.")
    return words


def _advice(answer: httpx.Response) -> str:
    try:
        said = msgspec.json.decode(answer.content[:4_096], type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return said.get("advice", "")


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            token = file.read(MOST_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AuditError(
            f"the token file {path} cannot be read", "Give the file with the auditor's token."
        ) from error
    if not token or not token.isprintable():
        raise AuditError(f"{path} holds no token", "Give the file with the auditor's token.")
    return token


def _tls(address: ServiceAddress) -> ssl.SSLContext | bool:
    if address.tls_ca is None and address.tls_cert is None:
        return True
    try:
        context = ssl.create_default_context(cafile=None if address.tls_ca is None else str(address.tls_ca))
        if address.tls_cert is not None:
            context.load_cert_chain(address.tls_cert, address.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise AuditError(f"the TLS certificates cannot be used: {error}", "Give PEM files.") from error
    return context
