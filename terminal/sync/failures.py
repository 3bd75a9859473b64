"""What went wrong between a terminal and its collector, named so that the person who reads it knows whom to call.

An answer is the collector's own only when it is one of its refusals (`terminal.sync.wire`); everything else comes from
something on the way: a proxy, a network that wants people to sign in, another server.
"""

from __future__ import annotations

import socket
import ssl
from datetime import datetime
from typing import Final

from terminal.codes import SyncFault
from terminal.decoding import SMALL_BYTES, decode_json
from terminal.errors import CollectorError
from terminal.sync.exchange import WAIT, Answer, LinkCut, LinkTooSlow
from terminal.sync.wire import Refusal, RefusalCode

NOT_A_COLLECTOR: Final = "Check that the address is that of a collector."
SIGN_IN: Final = (
    "A network that wants people to sign in, or a proxy, answers in the collector's place: sign in, or have "
    "the network let this address through."
)
HELD_TEXT: Final = 200
NOT_YET_VALID: Final = 9
EXPIRED: Final = 10
"""OpenSSL's verification codes."""
OUR_ALERTS: Final = (
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_REQUIRED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
)
"""Alerts with which the other side refuses the certificate it was shown."""


def refusal_in(answer: Answer) -> Refusal | None:
    """The collector's own refusal; None for what another answers."""
    try:
        refusal = decode_json(answer.body, Refusal, SMALL_BYTES)
        RefusalCode(refusal.error)
    except ValueError:
        return None
    return refusal


def is_web_page(answer: Answer) -> bool:
    """Whether people are meant to read it."""
    begins = answer.body[:HELD_TEXT].lstrip().lower()
    return answer.content_type.startswith("text/html") or begins.startswith((b"<!doctype html", b"<html"))


def may_be_size(answer: Answer) -> bool:
    """Whether an answer that is not the collector's may come from the size of what was sent: a limit of a proxy shows
    as almost any status. A request to wait and an answer that every request would get do not."""
    return answer.status >= 400 and answer.status != 429 and answer.retry_after_s is None


def not_the_collectors(answer: Answer, sent: str) -> CollectorError:
    """The error for an answer of something on the way; `sent` says what was refused."""
    status = answer.status
    if 300 <= status < 400:
        return CollectorError(
            f"the collector's address leads elsewhere (status {status})", SIGN_IN, SyncFault.MOVED
        )
    if status == 413:
        return CollectorError(
            f"something before the collector refused {sent} as too large (status 413)",
            "Have its limit raised to at least 1 MiB; the terminal goes on trying.",
            SyncFault.TOO_LARGE,
        )
    if status == 429 or status >= 500:
        return CollectorError(
            f"the collector, or a proxy before it, takes nothing just now (status {status})",
            WAIT,
            SyncFault.BUSY,
        )
    if is_web_page(answer):
        return CollectorError(
            f"a web page answers in the collector's place (status {status})", SIGN_IN, SyncFault.WEB_PAGE
        )
    kind = f", {printable(answer.content_type)}" if answer.content_type else ""
    return CollectorError(
        f"{sent}: status {status}{kind}, which is no collector's answer",
        NOT_A_COLLECTOR,
        SyncFault.NOT_UNDERSTOOD,
    )


def not_connected(base_url: str, error: OSError) -> CollectorError:
    """The error for a connection that did not come about, or TLS that could not be agreed on."""
    if isinstance(error, socket.gaierror):
        return CollectorError(
            f"the name in {base_url} cannot be resolved",
            "Check the network, its name server and the address. Nothing is lost meanwhile.",
            SyncFault.NO_NAME,
        )
    if isinstance(error, ConnectionRefusedError):
        return CollectorError(
            f"collector {base_url} cannot be reached: the connection is refused",
            f"The collector does not run, or the port is wrong. {WAIT}",
            SyncFault.NOT_LISTENING,
        )
    if isinstance(error, ssl.SSLError) and any(alert in (error.reason or "") for alert in OUR_ALERTS):
        return CollectorError(
            f"collector {base_url} does not accept this terminal's certificate",
            "Enrol this terminal again, with a new code. Nothing is lost meanwhile.",
            SyncFault.OWN_CERTIFICATE,
        )
    what = f"collector {base_url} cannot be reached: {in_words(error)}"
    return LinkTooSlow(what, WAIT) if isinstance(error, TimeoutError) else CollectorError(what, WAIT)


def cut(base_url: str, error: Exception) -> CollectorError:
    """The error for an exchange that ended in the middle."""
    return LinkCut(f"the connection to {base_url} broke off: {in_words(error)}", WAIT)


def other_certificate(base_url: str, reason: str) -> CollectorError:
    return CollectorError(
        f"collector {base_url} is not who it should be: {reason}",
        "Check --tls-ca and the address.",
        SyncFault.NOT_TRUSTED,
    )


def not_valid_now(
    base_url: str, here: datetime, valid: tuple[datetime, datetime] | None, there: datetime | None
) -> CollectorError:
    """The error for a certificate that is not valid at this machine's time: whose clock is wrong, as far as it shows.

    `valid` is when it is, `there` what time the other side says it is; neither is proven, so people decide.
    """
    stated = "" if valid is None else f", it is valid from {_moment(valid[0])} to {_moment(valid[1])}"
    other = "" if there is None else f" and the other side's {_moment(there)}"
    what = f"the certificate of {base_url} is not valid now{stated}; this machine's clock says {_moment(here)}{other}"
    if valid is not None and there is not None and valid[0] <= there <= valid[1]:
        advice = "Set this machine's clock: the certificate fits the other side's."
    elif valid is not None and here > valid[1]:
        advice = "Have the collector's certificate renewed; if the clock of this machine is ahead, set it."
    else:
        advice = "Set this machine's clock; if it is right, have the collector's certificate looked at."
    return CollectorError(what, advice, SyncFault.CERTIFICATE_TIME)


def in_words(error: Exception) -> str:
    """An error of a library, fit for one line."""
    return printable(str(error)) or type(error).__name__


def printable(text: str) -> str:
    """What a stranger sent, fit for one line of our console."""
    return "".join(character for character in text[:HELD_TEXT] if character.isprintable())


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
