"""The school's own region document, made of its answers, and as the text of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from terminal.canteen.documents import SCHEMA_VERSION as SCHEMA_VERSION_OF_LISTS
from terminal.canteen.documents import PriceListDocument, PriceListHeader, Product
from terminal.policy.base import FareMedium, Right, Weekday
from terminal.policy.document.counters import Counters
from terminal.policy.document.meals import (
    ASK,
    SERVE,
    AnnulmentWindow,
    Asked,
    AttendanceCorrection,
    Calendar,
    CashierAsked,
    Credit,
    CreditAmount,
    CreditNone,
    CreditOneMeal,
    Days,
    Funder,
    Grades,
    MealBreak,
    MealEntitlement,
    MealKind,
    MealPrice,
    Meals,
    Portion,
    PreOrder,
    School,
    ShiftMeal,
    Window,
)
from terminal.policy.document.rights import ConcessionRule
from terminal.policy.document.schema import (
    SCHEMA_VERSION,
    Header,
    Messages,
    Profile,
    Profiles,
    RegionDocument,
)
from terminal.scenario.write import toml_value
from terminal.screen.setup.answers import (
    breaks_of,
    clock_of,
    day_of,
    is_yes,
    minor_of,
    number_of,
    products_of,
    served,
    sums_of,
    text_of,
)
from terminal.screen.setup.asked import Texts
from terminal.screen.setup.meal_questions import BY_SHIFT, CATEGORIES, CATEGORY, KINDS
from terminal.screen.setup.questions import HOLIDAYS, PAUSES, ROUBLES

SCHOOL: Final = "school"
"""What the document, lists and bundles call the one school."""
CALENDAR: Final = "year"
PRODUCT: Final = "product_"
"""Before its number, what the records call a product."""
VALID_YEARS: Final = 10
WEEKDAYS: Final = tuple(Weekday)


def school_document(texts: Texts, now: datetime, language: str) -> RegionDocument:
    """The document of sound answers, valid from the first of this year for ten years."""
    zone = ZoneInfo(text_of(texts, "school.zone"))
    year = now.astimezone(zone).year
    header = Header(
        id=SCHOOL,
        version=1,
        schema=SCHEMA_VERSION,
        region=number_of(texts, "school.region"),
        valid_from=datetime(year, 1, 1, tzinfo=zone),
        valid_to=datetime(year + VALID_YEARS, 1, 1, tzinfo=zone),
        issued_at=now.astimezone(zone).replace(microsecond=0),
        currency=ROUBLES,
        time_zone=zone.key,
    )
    canteen = Profile(media=(FareMedium.TRANSPORT_CARD,), rights=(Right.CONCESSION,))
    return RegionDocument(
        header=header,
        profiles=Profiles(canteen=canteen),
        counters=Counters(layout=1, slots=()),
        messages=Messages(languages=(language,)),
        concessions=tuple(_concessions(texts)),
        meals=_meals(texts),
    )


def _concessions(texts: Texts) -> Iterator[ConcessionRule]:
    for name in _given(texts):
        category = CATEGORY[name]
        called = text_of(texts, f"categories.{name}.name")
        yield ConcessionRule(code=category.code, name=called, sensitive=category.sensitive)


def _given(texts: Texts) -> Iterator[str]:
    return (name for name in CATEGORIES if is_yes(texts, f"categories.{name}.given"))


def _meals(texts: Texts) -> Meals:
    kinds = served(texts)
    return Meals(
        kinds=tuple(
            MealKind(
                id=kind,
                bit=KINDS.index(kind),
                served_from=breaks_of(texts, kind)[0][0],
                served_until=breaks_of(texts, kind)[-1][1],
            )
            for kind in kinds
        ),
        prices=tuple(
            MealPrice(kind=kind, price_minor=price)
            for kind in kinds
            if (price := minor_of(texts, f"meals.{kind}.price"))
        ),
        by_shift=tuple(
            ShiftMeal(shift=shift, kind=text_of(texts, f"meals.shift{shift}")) for shift in (1, 2)
        ),
        entitlements=tuple(_entitlement(texts, name) for name in _given(texts)),
        calendars=(_calendar(texts),),
        schools=(_school(texts),),
        credit=_credit(texts),
        pre_order=PreOrder(
            until=clock_of(texts, "rules.order_until"),
            paid_needs_order=is_yes(texts, "rules.paid_needs_order"),
        ),
        ask=CashierAsked(
            without_order=_asked(texts, "without_order"),
            other_entitlement=_asked(texts, "other_entitlement"),
            not_listed=_asked(texts, "not_listed"),
        ),
        attendance=AttendanceCorrection(until=clock_of(texts, "rules.absent_until")),
        annulment=AnnulmentWindow(window_s=60 * number_of(texts, "rules.annul_min")),
    )


def _asked(texts: Texts, what: str) -> Asked:
    return ASK if is_yes(texts, f"rules.ask_{what}") else SERVE


def _entitlement(texts: Texts, name: str) -> MealEntitlement:
    portions = tuple(
        Portion(
            kind=kind,
            sum_minor=sum(sums.values()),
            funders=tuple(Funder(source=source, sum_minor=minor) for source, minor in sums.items()),
        )
        for kind in (BY_SHIFT, *KINDS)
        if (sums := sums_of(texts, name, kind))
    )
    first, last = (number_of(texts, f"categories.{name}.{end}") for end in ("first", "last"))
    return MealEntitlement(
        code=CATEGORY[name].code,
        rule=CATEGORY[name].rule,  # type: ignore[arg-type]  # one of those in the table
        day_sum_minor=sum(portion.sum_minor for portion in portions),
        portions=portions,
        grades=Grades(first=first, last=last),
    )


def _calendar(texts: Texts) -> Calendar:
    first, last = day_of(texts, "calendar.first"), day_of(texts, "calendar.last")
    assert first is not None, "checked"
    assert last is not None, "checked"
    return Calendar(
        id=CALENDAR,
        first=first,
        last=last,
        weekdays=WEEKDAYS[: number_of(texts, "calendar.week")],
        holidays=tuple(
            Days(first=one, last=other, name=name)
            for one, other, name in _rows(texts, "holiday", HOLIDAYS)
            if first <= one and other <= last
        ),
    )


def _school(texts: Texts) -> School:
    return School(
        id=SCHOOL,
        name=text_of(texts, "school.name"),
        windows=tuple(_windows(texts)),
        calendars=(CALENDAR,),
        breaks=tuple(
            MealBreak(first=first, last=last, name=name)
            for first, last, name in _rows(texts, "pause", PAUSES)
        ),
    )


def _windows(texts: Texts) -> Iterator[Window]:
    """The breaks of meals that have several."""
    for kind in served(texts):
        breaks = breaks_of(texts, kind)
        if len(breaks) > 1:
            yield from (Window(kind=kind, served_from=one, served_until=other) for one, other in breaks)


def price_list(texts: Texts, now: datetime) -> PriceListDocument | None:
    """What the buffet sells; None for a canteen without one."""
    products, zone = products_of(texts), ZoneInfo(text_of(texts, "school.zone"))
    if not products:
        return None
    year = now.astimezone(zone).year
    header = PriceListHeader(
        kind="price_list",
        schema=SCHEMA_VERSION_OF_LISTS,
        school=SCHOOL,
        region=number_of(texts, "school.region"),
        sequence=1,
        issued_at=now.astimezone(zone).replace(microsecond=0),
        valid_from=datetime(year, 1, 1, tzinfo=zone),
        valid_to=datetime(year + VALID_YEARS, 1, 1, tzinfo=zone),
    )
    return PriceListDocument(
        header=header,
        products=tuple(
            Product(id=f"{PRODUCT}{number}", name=name, price_minor=minor)
            for number, (name, minor) in enumerate(products, 1)
        ),
    )


def _rows(texts: Texts, row: str, count: int) -> Iterator[tuple[date, date, str]]:
    for number in range(1, count + 1):
        path = f"calendar.{row}{number}"
        first, last = day_of(texts, f"{path}.first"), day_of(texts, f"{path}.last")
        if first is not None and last is not None:
            yield first, last, text_of(texts, f"{path}.name")


def _credit(texts: Texts) -> Credit:
    chosen = text_of(texts, "rules.credit")
    if chosen == "amount":
        return CreditAmount(limit_minor=minor_of(texts, "rules.credit_sum"))
    return CreditNone() if chosen == "none" else CreditOneMeal()


def document_text(document: RegionDocument) -> str:
    """The document as TOML, what is not stated left out; read again it is the same document."""
    return "\n".join(_lines("", _stated(document))).lstrip() + "\n"


def _lines(table: str, stated: Mapping[str, Any]) -> Iterator[str]:
    """Plain values first: after the head of an inner table they would belong to that."""
    dot = f"{table}." if table else ""
    inner = {name: value for name, value in stated.items() if isinstance(value, dict)}
    lists = {name: value for name, value in stated.items() if _is_tables(value)}
    for name, value in stated.items():
        if name not in inner and name not in lists:
            yield f"{name} = {toml_value(value)}"
    for name, value in inner.items():
        yield from ("", f"[{dot}{name}]", *_lines(f"{dot}{name}", value))
    for name, values in lists.items():
        for value in values:
            pairs = (f"{key} = {toml_value(one)}" for key, one in value.items())
            yield from ("", f"[[{dot}{name}]]", *pairs)


def _is_tables(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], dict)


def _stated(value: Any) -> Any:
    """Tables as mappings without what has its default, kinds of unions with their name."""
    if isinstance(value, tuple):
        return tuple(map(_stated, value))
    if not isinstance(value, msgspec.Struct):
        return value
    config = value.__struct_config__
    kind = {config.tag_field: config.tag} if config.tag_field else {}
    fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
    return kind | {
        field.encode_name: _stated(one)
        for field, one in fields
        if one is not None and (field.required or one != field.default)
    }
