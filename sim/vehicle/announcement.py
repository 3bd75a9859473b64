"""Announces the simulated on-board computer by DNS-SD (package `zeroconf`)."""

from __future__ import annotations

from typing import Final

from zeroconf import ServiceInfo, Zeroconf

SERVICE_TYPE: Final = "_ibisip_http._tcp.local."


class Announcement:
    """One instance on one interface. The type's underscore is against the rules of DNS-SD, as in the standard."""

    def __init__(self, instance: str, host: str, port: int) -> None:
        self._instance = instance
        self._host = host
        self._zeroconf = Zeroconf(interfaces=[host])
        self._zeroconf.register_service(self._info(port), strict=False)

    def move(self, port: int) -> None:
        """The service is on another port from now on."""
        self._zeroconf.update_service(self._info(port))

    def close(self) -> None:
        self._zeroconf.close()

    def _info(self, port: int) -> ServiceInfo:
        return ServiceInfo(
            SERVICE_TYPE,
            f"{self._instance}.{SERVICE_TYPE}",
            port=port,
            properties={"ver": "2.2"},
            parsed_addresses=[self._host],
            server=f"{self._instance.lower()}.local.",
        )
