"""The morning the demo plays: who taps where and when, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from terminal.lab.town import TerminalSite

FRONT: Final = TerminalSite(70001, "bus", "bus 15, front door", route=15)
REAR: Final = TerminalSite(70002, "bus", "bus 15, rear door", route=15)
TRAM: Final = TerminalSite(70003, "bus", "tram 2", route=2)
CANTEEN: Final = TerminalSite(80001, "canteen", "school canteen")
STOPS: Final = (FRONT, REAR, TRAM, CANTEEN)


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One presentation. `tear` pulls the card at that exchange, "before" it reaches the card or "after" it ran."""

    time: str
    stop: TerminalSite
    resident: str
    tear: tuple[str, int] | None = None
    note: str = ""


COMMIT_OF_PURSE_TAP: Final = 8
COMMIT_OF_PASS_TAP: Final = 7
"""Which exchange is CommitTransaction, counted from the card's first; the reader's own UID answer is apart."""

MORNING: Final = (
    DemoStep("07:40:00", FRONT, "adult_purse"),
    DemoStep("07:40:15", FRONT, "month_pass"),
    DemoStep("07:40:30", FRONT, "social_pack_45"),
    DemoStep("07:40:45", FRONT, "free_pensioner"),
    DemoStep("07:41:00", FRONT, "student_half_price"),
    DemoStep("07:41:15", FRONT, "empty_purse"),
    DemoStep("07:41:30", FRONT, "blocked"),
    DemoStep("07:41:45", FRONT, "expired"),
    DemoStep("07:42:00", FRONT, "deny_listed"),
    DemoStep("07:42:15", FRONT, "half_personalised"),
    DemoStep("07:42:30", FRONT, "foreign_desfire"),
    DemoStep("07:42:45", FRONT, "not_desfire"),
    DemoStep("07:43:00", FRONT, "month_pass", note="passed back to a friend"),
    DemoStep("08:05:00", TRAM, "adult_purse", note="changes to the tram"),
    DemoStep(
        "08:06:00",
        TRAM,
        "student_half_price",
        tear=("before", COMMIT_OF_PASS_TAP),
        note="pulled before the commit",
    ),
    DemoStep("08:06:04", TRAM, "student_half_price", note="taps again"),
    DemoStep(
        "09:30:00", FRONT, "adult_purse", tear=("after", COMMIT_OF_PURSE_TAP), note="pulled as the commit ran"
    ),
    DemoStep("09:30:05", FRONT, "adult_purse", note="taps again"),
    DemoStep(
        "09:31:00",
        FRONT,
        "social_pack_45",
        tear=("after", COMMIT_OF_PASS_TAP),
        note="pulled as the commit ran",
    ),
    DemoStep("09:31:08", REAR, "social_pack_45", note="taps at the other door"),
    DemoStep("09:32:00", FRONT, "adult_purse", note="pays for a companion"),
    DemoStep("09:40:00", CANTEEN, "pupil_grade3"),
    DemoStep("09:40:10", CANTEEN, "pupil_two_meals"),
    DemoStep("09:40:20", CANTEEN, "pupil_grade3", note="comes back for more"),
    DemoStep("12:10:00", CANTEEN, "pupil_two_meals"),
    DemoStep("12:10:10", CANTEEN, "pupil_grade3"),
    DemoStep("12:10:20", CANTEEN, "pupil_two_meals", note="comes back for more"),
)
