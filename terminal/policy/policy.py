"""A region document made ready for deciding: everything a tap looks up is indexed once, at load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from terminal.policy.base import BOUGHT, FareMedium, Right
from terminal.policy.counters.index import CardCounters, Counter
from terminal.policy.deny_list import EMPTY_DENY_LIST, DenyList
from terminal.policy.document.schema import RegionDocument
from terminal.policy.fares.index import MEDIA, TRANSPORT_CARD, FareBook, FareSheet, Quote
from terminal.policy.grants import NO_GRANTS, GrantList
from terminal.policy.gtfs.fares import FeedFares
from terminal.policy.journeys.index import (
    CheckInRule,
    FareCap,
    GraceRule,
    Transfer,
    caps_of,
    check_in_of,
    grace_of,
    transfers_of,
)
from terminal.policy.journeys.returns import Return, returns_of
from terminal.policy.meals.index import MealPolicy
from terminal.policy.rights.index import FareConcession, RideProduct, concessions_of, products_of
from terminal.policy.scopes import Ride, WeekTimes

BANK_CARD: Final = MEDIA.index(FareMedium.BANK_CARD)
OF_BANK_CARDS: Final = (Right.TRANSFER, Right.RETURN, Right.CONCESSION)
ONE_DAY: Final = timedelta(days=1)
NEVER: Final = datetime.min.replace(tzinfo=UTC)


class ServiceDay(Struct, frozen=True, gc=False):
    """A service day and the times in UTC it lies between; `ends` is excluded."""

    day: date
    begins: datetime
    ends: datetime


class ServiceDays:
    """The service day of a moment (T-14). That of the newest tap is kept with its ends, as most taps are of it."""

    __slots__ = ("_end_hour", "_newest", "_zone")

    def __init__(self, zone: ZoneInfo, end_hour: int) -> None:
        self._zone, self._end_hour = zone, end_hour
        self._newest = ServiceDay(date.min, NEVER, NEVER)

    def at(self, moment: datetime) -> ServiceDay:
        """The service day of `moment` (UTC); one in which clocks are put forward or back lies nowhere."""
        newest = self._newest
        if newest.begins <= moment < newest.ends:
            return newest
        day = self.of(moment.astimezone(self._zone))
        if not MINYEAR < day.year < MAXYEAR:
            return ServiceDay(day, NEVER, NEVER)
        begins, ends = (
            datetime.combine(one, time(self._end_hour), self._zone) for one in (day, day + ONE_DAY)
        )
        if begins.utcoffset() != ends.utcoffset():
            return ServiceDay(day, NEVER, NEVER)
        self._newest = ServiceDay(day, begins.astimezone(UTC), ends.astimezone(UTC))
        return self._newest

    def of(self, local: datetime) -> date:
        """The service day of a local time: before the profile's hour it is still the day before."""
        today = local.date()
        return today - ONE_DAY if local.hour < self._end_hour else today


class BankRules(Struct, frozen=True):
    """What takes the place of the document's own for a bank card (`Policy.of_bank_cards`)."""

    rights_by_card: tuple[tuple[Right, ...], ...] = ()
    transfers: tuple[Transfer, ...] = ()
    transfer_by_id: Mapping[str, Transfer] = MappingProxyType({})
    transfer_by_number: Mapping[int, Transfer] = MappingProxyType({})
    ordinary_transfer: Transfer | None = None
    returns: tuple[Return, ...] = ()
    check_in: CheckInRule | None = None

    @classmethod
    def of(cls, document: RegionDocument, counters: CardCounters, zones: Mapping[str, int]) -> BankRules:
        """What a checked document opens to them."""
        transfers = transfers_of(document, counters, FareMedium.BANK_CARD)
        by_id = {transfer.id: transfer for transfer in transfers}
        rule, backs = (
            document.checkin,
            zip(returns_of(document, counters, zones), document.returns, strict=True),
        )
        return cls(
            rights_by_card=tuple(
                (*(right for right in rights if right in OF_BANK_CARDS), Right.PURSE)
                for rights in _rights_by_card(document)
            ),
            transfers=transfers,
            transfer_by_id=by_id,
            transfer_by_number={transfer.number: transfer for transfer in transfers},
            ordinary_transfer=by_id.get(document.fares.transfer or ""),
            returns=tuple(back for back, stated in backs if stated.bank_cards),
            check_in=check_in_of(rule, counters, zones) if rule is not None and rule.bank_cards else None,
        )


NO_BANK_RULES: Final = BankRules()


class Policy(Struct, frozen=True):
    """What `decide` needs of a region. Make one with `Policy.of`; it never changes."""

    document: RegionDocument
    deny_list: DenyList
    """Resident cards to be refused: single ones, and all of a person."""
    bank_deny_list: DenyList
    """Bank cards with an unpaid charge, by token (T-41, T-42)."""
    grants: GrantList
    """Concessions the terminal knows of itself, by pseudonym (O-02)."""
    zone: ZoneInfo
    service_days: ServiceDays
    ends_at: datetime
    """The end of the document, in UTC."""
    tariff: str
    """Which document decided ("demo:1"), as the journal records it."""
    card: CardCounters
    """What the card counts, as the document splits its bits."""
    rights_by_card: tuple[tuple[Right, ...], ...]
    """What may cover a ride on the bus, in the order the profile states (K-02), by what a card has (`rights_of`)."""
    fares: FareBook
    gtfs: FeedFares | None
    """The feed the fares come from, where they do."""
    concessions: Mapping[int, FareConcession]
    products: Mapping[int, RideProduct]
    transfers: tuple[Transfer, ...]
    transfer_by_id: Mapping[str, Transfer]
    transfer_by_number: Mapping[int, Transfer]
    ordinary_transfer: Transfer | None
    returns: tuple[Return, ...]
    check_in: CheckInRule | None
    caps: tuple[FareCap, ...]
    grace: GraceRule | None
    meals: MealPolicy
    bank: BankRules = NO_BANK_RULES
    """What the document opens to bank cards, whose state the terminal keeps."""
    medium: int = TRANSPORT_CARD
    """What rides are paid with, by its index in `MEDIA`."""
    sees_all_rides: bool = False
    """Whether every ride of a bank card comes here, as at the back office: then caps hold for it."""

    @classmethod
    def of(
        cls,
        document: RegionDocument,
        deny_list: DenyList = EMPTY_DENY_LIST,
        *,
        bank_deny_list: DenyList = EMPTY_DENY_LIST,
        grants: GrantList = NO_GRANTS,
    ) -> Policy:
        """Index a checked `document` (see `terminal.policy.load`); without a list there are no entries."""
        zone = ZoneInfo(document.header.time_zone)
        counters = CardCounters.of(document.counters)
        zones = {zone.name: zone.number for zone in document.zones}
        timeframes = {timeframe.id: WeekTimes.of(timeframe) for timeframe in document.timeframes}
        transfers = transfers_of(document, counters)
        by_id = {transfer.id: transfer for transfer in transfers}
        return cls(
            document=document,
            deny_list=deny_list,
            bank_deny_list=bank_deny_list,
            grants=grants,
            zone=zone,
            service_days=ServiceDays(zone, document.header.service_day_end_hour),
            ends_at=document.header.valid_to.astimezone(UTC),
            tariff=f"{document.header.id}:{document.header.version}",
            card=counters,
            rights_by_card=_rights_by_card(document),
            fares=FareBook.of(document.fares, zones, timeframes),
            gtfs=None if document.gtfs is None else FeedFares.of(document.gtfs),
            concessions=concessions_of(document, counters, zones),
            products=products_of(document, counters, zones),
            transfers=transfers,
            transfer_by_id=MappingProxyType(by_id),
            transfer_by_number=MappingProxyType({transfer.number: transfer for transfer in transfers}),
            ordinary_transfer=by_id.get(document.fares.transfer or ""),
            returns=returns_of(document, counters, zones),
            check_in=None if document.checkin is None else check_in_of(document.checkin, counters, zones),
            caps=caps_of(document, counters, zones),
            grace=None if document.grace is None else grace_of(document.grace, counters, zones),
            meals=MealPolicy.of(document.meals, (c.code for c in document.concessions if c.sensitive)),
            bank=BankRules.of(document, counters, zones),
        )

    def of_bank_cards(self) -> Policy:
        """What holds for a ride that a bank card pays later: its fares, the transfers, returns and check-in open to it,
        the concessions that a list gives it. It has no contracts; credit needs a card that keeps it, and caps someone
        who sees all of its rides.
        """
        if self.medium == BANK_CARD:
            return self
        bank = self.bank
        return replace(
            self,
            deny_list=EMPTY_DENY_LIST,
            medium=BANK_CARD,
            rights_by_card=bank.rights_by_card,
            transfers=bank.transfers,
            transfer_by_id=bank.transfer_by_id,
            transfer_by_number=bank.transfer_by_number,
            ordinary_transfer=bank.ordinary_transfer,
            returns=bank.returns,
            check_in=bank.check_in,
            caps=self.caps if self.sees_all_rides else (),
            grace=None,
        )

    @property
    def concessions_on_paper(self) -> frozenset[int]:
        """Those for which a printed code counts (M-35)."""
        return frozenset(rule.code for rule in self.document.concessions if rule.printed)

    @property
    def currency(self) -> str:
        """What every sum is in: the purse of the region's cards counts its minor units."""
        return self.document.header.currency

    @property
    def counters(self) -> tuple[Counter, ...]:
        """The counters on the card, from the most significant bit downwards."""
        return tuple(self.card.by_name.values())

    @property
    def contract_counters(self) -> tuple[Counter, ...]:
        """The counters of the contract slots, A then B; none where nothing that is sold counts."""
        return self.card.contracts

    def ordinary_fare(
        self, ride: Ride, at: datetime, *, medium: int | None = None, dearest: bool = False
    ) -> Quote | None:
        """What `ride` costs at an aware time when no right covers it, or None when that is unknown (T-01); with the
        policy's own medium where none is named.

        `dearest`: where a place is not known, the most it can be.
        """
        sheets = self.fares.sheets
        sheet = sheets[0] if len(sheets) == 1 else self._sheet(at.astimezone(self.zone))
        return sheet.quote(ride, at, self.zone, self.medium if medium is None else medium, dearest=dearest)

    def rights_of(self, *, bought: bool, journey: bool, granted: bool) -> tuple[Right, ...]:
        """The rights that are worth asking of a card: whether it has something bought, a journey, and concessions."""
        return self.rights_by_card[bought | journey << 1 | granted << 2]

    def cheapest_fare(self, ride: Ride, local: datetime) -> Quote | None:
        """The least `ride` can cost on the resident card where a place is not known; None where no fare is about it."""
        return self._sheet(local).cheapest(ride, local, self.medium)

    def _sheet(self, local: datetime) -> FareSheet:
        sheets = self.fares.sheets
        return sheets[0] if len(sheets) == 1 else self.fares.on(self.service_date(local).toordinal())

    def service_date(self, local: datetime) -> date:
        """The service day of a local time: before the profile's hour it is still the day before (T-14)."""
        return self.service_days.of(local)


def _rights_by_card(document: RegionDocument) -> tuple[tuple[Right, ...], ...]:
    """By the three bits of `Policy.rights_of`, in the order of the profile."""
    needs = {**dict.fromkeys(BOUGHT, 1), Right.TRANSFER: 2, Right.CONCESSION: 4}
    rights = [
        right for right in document.profiles.bus.rights if right is not Right.RETURN or document.returns
    ]
    return tuple(
        tuple(right for right in rights if has & needs.get(right, has) == needs.get(right, has))
        for has in range(8)
    )
