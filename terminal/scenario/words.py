"""A decision told step by step: what `terminal policy explain` prints.

The rules' names and effects are in Russian and, for every other language, in English: tariff authors read them, no
passenger.

What a step did is put into Russian here: the engine speaks English, and a tariff author may not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from terminal.decision.outcome import Reason
from terminal.messages import money, text
from terminal.policy.policy import Policy
from terminal.scenario.compare import balance_minor
from terminal.scenario.play import Played
from terminal.scenario.rules import INPUTS, RULES
from terminal.texts import translator

FUNDED_BY: Final = "M-01"
"""The rule whose steps name each funder with his sum."""


def told(played: Played, policy: Policy, language: str) -> Iterator[str]:
    """The tap in lines: where and when, each step of the trail, and what the passenger was told."""
    outcome, left_minor = played.decision.outcome, balance_minor(played)
    yield f"{played.tap}{_turn(played)}. {place(played, policy)}"
    for number, reason in enumerate(played.decision.facts, start=1):
        yield f"   {number}) {step(reason, language)}"
    shown = text(outcome.message, language, outcome.values)
    t = translator(language)
    sums = [
        (t.pgettext("trail", "charged"), outcome.charge_minor or None),
        (t.pgettext("trail", "balance"), left_minor),
    ]
    told_sums = "".join(f" · {what} {money(minor, language)}" for what, minor in sums if minor is not None)
    yield f"   → {shown}{told_sums}"


def place(played: Played, policy: Policy) -> str:
    """When and where a tap was taken."""
    trip, local = played.trip, played.at.astimezone(policy.zone)
    when = f"{local:%Y-%m-%d %H:%M:%S}"
    if trip.profile != "bus":
        return f"{when} {trip.profile}, terminal {trip.terminal}"
    return f"{when} {trip.mode} {trip.route}/{trip.direction}, terminal {trip.terminal}"


def step(reason: Reason, language: str) -> str:
    """One step of the trail: the rule and its name, what it did, what it looked at."""
    russian = language == "ru"
    titles = RULES.get(reason.rule)
    title = f" ({titles[0 if russian else 1]})" if titles else ""
    effect = EFFECTS.get(reason.effect, reason.effect) if russian else reason.effect
    funded = reason.rule == FUNDED_BY
    inputs = ", ".join(
        _input(
            f"{name.removesuffix('_minor')}_minor" if funded and isinstance(value, int) else name,
            value,
            language,
        )
        for name, value in reason.inputs.items()
    )
    return f"{reason.rule}{title}: {effect}{f' [{inputs}]' if inputs else ''}"


def _input(name: str, value: int | str, language: str) -> str:
    russian = language == "ru"
    bare = name.removesuffix("_minor").removesuffix("_s")
    label = INPUTS.get(name, bare) if russian else bare
    if name.endswith("_minor") and isinstance(value, int):
        return f"{label} {money(value, language)}"
    if name.endswith("_s") and isinstance(value, int):
        return f"{label} {value} {'с' if russian else 's'}"
    return f"{label} {value}"


def _turn(played: Played) -> str:
    return f".{played.turn}" if played.turn > 1 else ""


TERMINALS: Final = {
    "the self-test failed": "самопроверка не пройдена",
    "no sale before a shift is open": "смена не открыта, продажи нет",
    "the clock jumped": "часы перескочили",
    "the clock jumped: a service card has to confirm it": "часы перескочили: нужна служебная карта",
    "the clock is behind the last record": "часы отстают от последней записи",
    "the place was entered by hand": "место введено вручную",
    "the terminal's data are old": "данные терминала устарели",
    "the terminal's data are too old": "данные терминала слишком стары",
    "no rules for this profile": "для этого профиля правил нет",
    "sold today": "сегодня продаётся",
    "not sold today": "сегодня не продаётся",
    "cash fare": "тариф за наличные",
}
CARDS: Final = {
    "the card carries the blocked flag": "карта заблокирована",
    "another medium of the holder is the active one": "активен другой носитель",
    "a local block wins over every right on the card": "карта в стоп-листе: он сильнее прав на карте",
    "a local block wins": "запрет в списке сильнее карты",
    "the list knows better than the card": "список новее карты",
    "the terminal's list is newer than the card": "список терминала новее карты",
    "card expired": "срок карты истёк",
    "card not yet valid": "карта ещё не действует",
    "card of another region": "карта другого региона",
    "newest event lies ahead of the clock": "последняя запись на карте впереди часов",
    "same card on the same terminal: ignored": "та же карта на том же терминале: не считается",
    "paid at a validator of this route: not charged again": "уже оплачено на этом маршруте: повторно не списано",
    "right already used: cannot be passed back": "право уже использовано: передать карту назад нельзя",
}
BANK: Final = {
    "this profile takes no bank cards": "банковские карты здесь не принимаются",
    "the card could not be read": "карта не прочитана",
    "offline data authentication failed": "карта не подтвердила подлинность",
    "an earlier charge is unpaid": "прежняя поездка не оплачена",
    "deny list too old for more taps of this card today": "стоп-лист стар: больше поездок этой картой сегодня нельзя",
    "deny list is old: tap taken within the cap": "стоп-лист стар: поездка в пределах допустимого",
    "ordinary fare of the bank card": "обычный тариф по банковской карте",
    "registered; the bank charges it later": "записано; банк спишет позже",
}
FARES: Final = {
    "ordinary fare of the transport card": "обычный тариф по транспортной карте",
    "destination not known: the dearest fare": "куда едет, неизвестно: самый дорогой тариф",
    "no fare is known for this ride: not carried for nothing": "тариф поездки неизвестен: даром не везём",
    "the fare of this ride is not known": "тариф этой поездки неизвестен",
    "the fare of the companions is not known": "тариф попутчиков неизвестен",
    "the purse pays for others": "кошелёк платит и за других",
    "not enough money in the purse": "на кошельке не хватает денег",
    "the rest of the cap": "остаток до предела",
    "enough rides paid in this period": "оплачено достаточно поездок, остальные бесплатны",
}
RIGHTS: Final = {
    "concession": "льгота",
    "concession expired": "срок льготы истёк",
    "concession not yet valid": "льгота ещё не действует",
    "out of season: the concession sleeps": "не сезон: льгота не действует",
    "the concession does not hold on this ride": "на этой поездке льгота не действует",
    "the concession is not dearer": "по льготе не дороже",
    "the ordinary fare is not dearer": "обычный тариф не дороже",
    "data too old: ordinary fare": "данные слишком стары: обычный тариф",
    "companions ride on the same terms": "сопровождающие едут на тех же условиях",
    "a companion rides on the same terms": "сопровождающий едет на тех же условиях",
    "one ride of the month's limit": "одна поездка месячного лимита",
    "one ride of the limit": "одна поездка лимита",
    "one ride of the day's ceiling": "одна поездка суточного потолка",
    "one of the rides counted here": "одна из поездок, что здесь считаются",
    "limit reached: ordinary fare": "лимит исчерпан: обычный тариф",
    "pass covers the ride": "поездка по проездному",
    "pass from its first ride covers the ride": "поездка по проездному, что действует с первой поездки",
    "pass does not hold today": "проездной сегодня не действует",
    "pass has run out": "проездной кончился",
    "pass cannot start today": "проездной сегодня начать нельзя",
    "first used too late for the card to count": "первая поездка слишком поздно: карте не сосчитать",
    "the start of the pass cannot be read": "начало проездного не прочитать",
    "the product does not hold on this ride": "на этой поездке продукт не действует",
    "one trip of the pack": "одна поездка пакета",
    "trip pack does not hold today": "пакет сегодня не действует",
    "trip pack used up": "пакет исчерпан",
    "fare of the tariff plan": "тариф тарифного плана",
    "tariff plan does not hold today": "тарифный план сегодня не действует",
    "taken along unpaid": "довезён в долг",
    "unpaid rides used up: to be cleared in person": "поездки в долг исчерпаны: погасить лично",
}
JOURNEYS: Final = {
    "free transfer": "бесплатная пересадка",
    "reduced following trip": "следующая поездка дешевле",
    "no transfer left on this journey": "пересадок больше нет",
    "no transfer to this mode": "на этот транспорт пересадки нет",
    "this mode was already entered on this journey": "сюда в этой поездке уже входили",
    "same route and direction: a new trip": "тот же маршрут и направление: новая поездка",
    "held until the rider checks out": "удержано до выхода",
    "charged for the ride": "списано за поездку",
    "no check-out: all that was held is charged": "выхода не было: списано всё удержанное",
    "the purse holds less than was held": "в кошельке меньше, чем было удержано",
}
INSPECTION: Final = {
    "paid on this vehicle": "оплачено в этой машине",
    "no payment on this vehicle": "в этой машине не оплачено",
    "tap of this token on this vehicle": "эту карту здесь прикладывали",
    "no tap of this token here": "эту карту здесь не прикладывали",
    "concession card in the wrong hands: reported, not blocked": "карта в чужих руках: сообщено, не закрыто",
    "no concession on this card: nothing to report": "льготы на карте нет: сообщать не о чем",
}
MEALS: Final = {
    "free meals a day": "бесплатных приёмов пищи в день",
    "meals at a part price": "приёмы пищи с доплатой",
    "several grounds combined": "несколько оснований вместе",
    "grant does not hold today": "основание сегодня не действует",
    "grant does not cover this grade or shift": "основание не для этого класса или смены",
    "not entitled to this meal": "на этот приём пищи права нет",
    "one portion of each kind a day": "одна порция каждого вида в день",
    "paid from the budget": "оплачено из бюджета",
    "paid from the hot-meal account": "оплачено со счёта горячего питания",
    "paid from the buffet account": "оплачено со счёта буфета",
    "no price for it": "цены на это нет",
    "no account known here": "счёт здесь неизвестен",
    "the roster has expired": "список учеников устарел",
    "nothing is sold while the journal takes no records": "журнал не пишет: продажи нет",
    "not ordered before the cut-off": "не заказано вовремя",
    "ordered, with the money put aside": "заказано, деньги отложены",
    "ordered after the cut-off": "заказано слишком поздно",
    "the parents' limit of the day is reached": "дневной лимит родителей исчерпан",
    "the parents' limit for the buffet is reached": "лимит родителей на буфет исчерпан",
    "below the credit limit": "ниже уровня кредита",
    "the buffet gives no credit": "буфет в долг не отпускает",
    "excluded by the parents": "исключено родителями",
    "no meals today": "сегодня питания нет",
    "nothing is served at this hour": "в этот час ничего не выдаётся",
    "no meal is assigned to this shift": "этой смене приём пищи не назначен",
    "no such meal in the region document": "такого приёма пищи в документе нет",
    "gets a parcel or money instead": "вместо питания паёк или деньги",
    "a lost card: the pupil has a newer one": "карта утеряна: у ученика есть новая",
    "the day is closed": "день закрыт",
    "too late for a correction": "поздно исправлять",
    "too late to annul": "поздно аннулировать",
    "a second person has to confirm": "должен подтвердить второй сотрудник",
    "still being served": "ещё выдаётся",
    "not the last record of this pupil": "это не последняя запись ученика",
}
FEEDS: Final = {
    "fare of the leg": "тариф участка",
    "transfer": "пересадка",
    "one leg with the leg before": "один участок с предыдущим",
    "dearest fare that can be reached, corrected at the tap-off": "самый дорогой возможный тариф, исправится на выходе",
    "corrected at the tap-off": "исправлено на выходе",
    "no tap-off seen: what was taken stays": "выхода не было: списанное остаётся",
    "no fare to this stop: what was taken stays": "до этой остановки тарифа нет: списанное остаётся",
    "more is paid than the journey costs: counts for what follows": "оплачено больше, чем стоит: зачтётся дальше",
    "no ride to tap off from": "не из чего выходить",
    "no fare for this leg, rider and medium": "нет тарифа для этого участка, пассажира и носителя",
    "the document's fare for unknown rides": "тариф документа для неизвестных поездок",
}

EFFECTS: Final[Mapping[str, str]] = MappingProxyType(
    TERMINALS | CARDS | BANK | FARES | RIGHTS | JOURNEYS | INSPECTION | MEALS | FEEDS
)
"""English to Russian; an effect without a word stays English."""
