"""The composition root of one terminal; `terminal.app.running` puts screens, uplink and the reader's loop around it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cardcli import DISTRIBUTION, MADE_AT, VERSION
from terminal.app.active import foreseen_policy, policy_of, put_in_place
from terminal.app.config.settings import BANK, CANTEEN
from terminal.app.media import bank_trust, code_taker, credential_checks, kept_for_phones, media_of
from terminal.app.station import JournalFactory, Station, open_journal
from terminal.clock import Clock, unix_ms
from terminal.codes import BankFault, HeldFault, SetKind
from terminal.decision.outcome import Outcome
from terminal.journal.records import Fault, Started
from terminal.journal.succession import open_in_service
from terminal.keys.limits import KeyLimits
from terminal.keys.provider import require_keys
from terminal.media.port import PURPOSE, MediumSetup
from terminal.policy.routes import NO_ROUTES
from terminal.tap import Terminal
from terminal.trip.clock_watch import ClockWatch, is_suspect
from terminal.trip.shifts import require_currency
from terminal.updates.parts import Requirement, nothing_required

if TYPE_CHECKING:
    from terminal.app.extensions import ExtensionLoader

ANY_DAY: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When the software of a laboratory's terminal counts as made: it plays any day, also one before this software was."""


@contextmanager
def open_terminal(
    station: Station,
    clock: Clock,
    signal: Callable[[Outcome], None] = lambda _outcome: None,
    *,
    random: Callable[[int], bytes] = secrets.token_bytes,
    limits: KeyLimits | None = None,
    journal: JournalFactory = open_in_service,
    extensions: ExtensionLoader | None = None,
    made_at: datetime = MADE_AT,
    require: Requirement = nothing_required,
    any_edition: bool = False,
) -> Iterator[Terminal]:
    """A terminal ready for its first tap. Policy, keys and media are checked before the journal is touched.

    A laboratory gives a clock, randomness, limits of its keys and a journal of its own, and another moment before
    which no clock is right (`made_at`); in a canteen the roster is that in the station's folder, where there is one.
    `extensions` brings the media that are not ours. `require` raises where the document needs what the terminal cannot
    know. `any_edition`: as `ActiveSet.resume` has it.
    """
    keys = station.load_keys(limits, clock=clock, random=random)
    require_keys(keys, PURPOSE[station.profile])
    with (
        closing(station.open_active(keys, clock.now(), require)) as active,
        kept_for_phones(station) as held,
    ):
        foreseen = foreseen_policy(active, clock.now())
        station.require_in_force(foreseen, keys, clock.now(), made_at)
        keys.require_for(station.profile, foreseen.document.header.region, station.number)
        require(foreseen.document, active.foreseen(SetKind.ROUTES, NO_ROUTES, clock.now()))
        lent = MediumSetup(station.profile, foreseen.document.header.region, keys, random, foreseen.zone)
        media, codes = media_of(station, lent, extensions, held), code_taker(station, lent, held)
        versions = foreseen.tariff, foreseen.deny_list.name
        with open_journal(station.state, station.number, keys, clock, *versions, begin=journal) as opened:
            opened.append(Started(at_ms=unix_ms(clock.now()), software=DISTRIBUTION, version=VERSION))
            if held is not None and held.began_anew:
                opened.append(Fault(unix_ms(clock.now()), HeldFault.BEGAN_ANEW))
            if BANK in station.media and bank_trust(station) is None:
                opened.append(Fault(unix_ms(clock.now()), BankFault.CLOSED))
            ahead_days = foreseen.document.clock.ahead_days
            suspect = is_suspect(opened.clock, unix_ms(clock.now()), unix_ms(made_at), ahead_days)
            changed = active.resume(opened, clock.now(), trusted=not suspect, any_edition=any_edition)
            policy = policy_of(active)
            require_currency(opened, policy.currency)
            watch, canteen = ClockWatch(opened, clock, policy.document.clock.ahead_days, made_at), None
            if station.profile == CANTEEN:
                from terminal.app.canteen import counter_over

                canteen = counter_over(station, keys, policy, active, opened, lambda: watch.state.suspect)
            terminal = Terminal(
                number=station.number,
                profile=station.profile,
                policy=policy,
                keys=keys,
                journal=opened,
                clock=clock,
                media=media,
                clock_watch=watch,
                signal=signal,
                canteen=canteen,
                active=active,
                codes=codes,
                held=held,
            )
            put_in_place(active, terminal, changed)
            for check in credential_checks(media):
                check.strict = terminal.limited
            yield terminal
