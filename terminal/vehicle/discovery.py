"""The on-board computer's address and port by DNS-SD, for those that change them (VDV 301-2, package `zeroconf`).

The service type has an underscore that strict software refuses, and a computer that was restarted comes back with
another port. Anyone on the vehicle's network may announce anything: where the address is known, name it, and no
announcement of another is believed.
"""

from __future__ import annotations

import threading
from typing import Final

from zeroconf import ServiceBrowser, ServiceStateChange, Zeroconf

from terminal.vehicle.source import SourceBroken

SERVICE_TYPE: Final = "_ibisip_http._tcp.local."
ANSWER_MS: Final = 2000


class Discovery:
    """Follows the announcements of one instance, in the network of `interface`. `at`: the only address it may have,
    empty for any. Raises `SourceBroken`.
    """

    def __init__(self, instance: str, at: str, interface: str) -> None:
        self._name = f"{instance}.{SERVICE_TYPE}"
        self._at = at
        self._lock = threading.Lock()
        self._found: tuple[str, int] | None = None
        try:
            self._zeroconf = Zeroconf(interfaces=[interface])
        except (OSError, ValueError) as error:
            raise SourceBroken(
                f"no DNS-SD on {interface} ({error}): correct reply_host under [vehicle]"
            ) from error
        self._browser = ServiceBrowser(self._zeroconf, SERVICE_TYPE, handlers=[self._changed])

    @property
    def found(self) -> tuple[str, int] | None:
        """Host and port as announced last; None before the first announcement. One that was withdrawn is kept: a
        computer that ends without a word is not withdrawn either.
        """
        with self._lock:
            return self._found

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if name.lower() != self._name.lower() or state_change is ServiceStateChange.Removed:
            return
        info = zeroconf.get_service_info(service_type, name, ANSWER_MS)
        if info is None or not info.port:
            return
        addresses = [one for one in info.parsed_addresses() if self._at in {"", one}]
        if addresses:
            with self._lock:
                self._found = addresses[0], info.port

    def close(self) -> None:
        self._zeroconf.close()
