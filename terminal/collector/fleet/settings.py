"""Where a fleet's servers are, and how much each part takes at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DEFAULT_NATS: Final = "nats://127.0.0.1:4222"
DEFAULT_STREAM: Final = "RESIDENT"
DEFAULT_REPLICAS: Final = 3


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """`servers` are NATS addresses, all of one cluster; `credentials` a NATS credentials file. `user` and `password`
    are what addresses without a name of their own are asked as.
    """

    servers: tuple[str, ...] = field(default=(DEFAULT_NATS,), repr=False)
    name: str = DEFAULT_STREAM
    credentials: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    answer_s: float = 10.0
    """How long an answer may take. A cluster that lost its leader needs some seconds for a new one."""
    reconnect_s: int = 1
    connect_s: float = 10.0
    """How long the first connection may take; later ones are tried for ever."""

    @property
    def shown_servers(self) -> str:
        """The addresses for people: names and passwords in them are left out."""
        return ", ".join(server_alone(server) for server in self.servers)

    @property
    def asks_as(self) -> str:
        """Whom the servers see; empty where they are asked without a name."""
        return self.user or next((urlsplit(server).username or "" for server in self.servers), "")


def server_alone(address: str) -> str:
    """A server's address without the name and the password in it."""
    scheme, mark, rest = address.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def names_password(address: str) -> bool:
    """Whether a password, or a token, stands in a server's address."""
    return "@" in address.rpartition("://")[2]


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """How a consumer works off the stream."""

    messages: int = 100
    """Batches stored in one transaction, at most."""
    idle_s: float = 5.0
    """How long one request for messages waits."""
    redeliver_s: float = 30.0
    """After so long without a confirmation a message goes to another consumer."""
    again_s: float = 1.0
    """How soon a batch is looked at again whose predecessor is not stored yet."""
    trim_s: float = 600.0
    """How often messages that are stored leave the stream."""
