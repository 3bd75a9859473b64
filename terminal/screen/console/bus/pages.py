"""The pages and actions of a bus's crew."""

from __future__ import annotations

from typing import Final

from terminal.screen.console.bus import cash, crew, lists, shift
from terminal.screen.console.roles import CREW
from terminal.screen.console.visit import Action, ConsoleArea, Page
from terminal.texts import N_

BUS: Final = ConsoleArea(
    "bus",
    pages=(
        Page("/shift", CREW, shift.shift_page, N_("Shift")),
        Page("/sale", CREW, cash.sale_page, N_("Cash"), once="/sale"),
        Page("/ticket/{sequence:int}", CREW, cash.ticket_page),
        Page("/cancel/{sequence:int}", CREW, cash.cancel_page),
        Page("/printed", CREW, shift.printed_page),
        Page("/office", CREW, crew.office_page),
        Page("/cash", CREW, cash.cash_page, once="/cash"),
        *lists.PAGES,
    ),
    actions=(
        Action("/shift/open", CREW, shift.do_open, shift.to_shift),
        Action("/shift/turn", CREW, shift.do_turn, shift.to_shift),
        Action("/shift/place", CREW, shift.do_place, shift.to_shift),
        Action("/shift/take", CREW, crew.do_take_over, shift.to_shift),
        Action("/shift/break", CREW, crew.do_break, shift.to_shift),
        Action("/shift/read", CREW, crew.do_read, shift.to_shift),
        Action("/shift/close", CREW, shift.do_close, shift.to_report),
        Action("/next/persons", CREW, shift.do_count, shift.to_shift),
        Action("/next/destination", CREW, shift.do_go_to, shift.to_shift),
        Action("/next/printed", CREW, shift.do_check_printed, shift.to_shift),
        Action("/next/forget", CREW, shift.do_forget, shift.to_shift),
        Action("/sale", CREW, cash.do_sell, cash.to_ticket),
        Action("/sale/cancel", CREW, cash.do_cancel, cash.to_cancelled),
        Action("/ticket/copy", CREW, cash.do_copy, cash.to_copy),
        Action("/cash", CREW, cash.do_hand_over, lists.to_open_report),
    ),
)
"""What the crew of a bus works with."""
