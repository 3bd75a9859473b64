"""What people who work at a terminal are there for. Each page and each action names the roles it is for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from terminal.texts import N_


class Role(StrEnum):
    """One per member of staff."""

    DRIVER = "driver"
    CONDUCTOR = "conductor"
    INSPECTOR = "inspector"
    CASHIER = "cashier"
    TEACHER = "teacher"
    MEAL_OFFICER = "meal_officer"
    TECHNICIAN = "technician"


CREW: Final = frozenset({Role.DRIVER, Role.CONDUCTOR})
"""Who works on a bus."""

ROLE_NAMES: Final = {
    Role.DRIVER: N_("driver"),
    Role.CONDUCTOR: N_("conductor"),
    Role.INSPECTOR: N_("inspector"),
    Role.CASHIER: N_("cashier"),
    Role.TEACHER: N_("teacher"),
    Role.MEAL_OFFICER: N_("meal officer"),
    Role.TECHNICIAN: N_("technician"),
}
"""For people; translated where they are shown."""
