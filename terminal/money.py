"""Amounts of money: whole minor units of one currency, its decimals by ISO 4217, and how machines and people write it.

    parse_amount("2.50", "EUR")              # 250: what a feed or a person writes, exactly
    amount_text(250, "EUR")                  # 2.50: for machines, the reverse
    money(123450, "RUB", "ru")               # 1 234,50 ₽: for people, as their language's catalogue has it

No floating point anywhere, and no other place that knows how many decimals a currency has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from terminal.texts import NP_, translator

_WHOLE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_TEN_THOUSANDTHS: Final = "CLF UYW"
_HUNDREDTHS: Final = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS
INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN
NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC
SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
DECIMALS: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: decimals
        for decimals, codes in enumerate((_WHOLE, "", _HUNDREDTHS, _THOUSANDTHS, _TEN_THOUSANDTHS))
        for code in codes.split()
    }
)
"""Decimals of the active currencies of ISO 4217."""
NAMED: Final = (
    *(NP_("currency", "RUB"), NP_("currency", "EUR"), NP_("currency", "USD")),
    *(NP_("currency", "GBP"), NP_("currency", "JPY"), NP_("currency", "KZT")),
)
"""Currencies for which a catalogue may have a sign of its own; all others are named by their code."""

_BLANKS: Final = str.maketrans("", "", " \u00a0\u202f")
_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,12}))?")


class AmountRefused(ValueError):
    """What is no amount of its currency. `instead` is what to write: an example where `decimals` is None, because it is
    no number at all; "" where the amount cannot be paid in this currency.
    """

    def __init__(self, currency: str, decimals: int | None, instead: str) -> None:
        write = f"write {instead}" if instead else "this amount cannot be paid"
        number = f"write a number such as {instead}"
        super().__init__(number if decimals is None else f"{currency} has {decimals} decimals: {write}")
        self.currency = currency
        self.decimals = decimals
        self.instead = instead


def parse_amount(text: str, currency: str) -> int:
    """Return `text` ("2.50") in minor units of `currency`, a code of `DECIMALS`.

    Raises `AmountRefused`, saying what to write instead, unless it has exactly the decimals of ISO 4217.
    """
    decimals = DECIMALS[currency]
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise AmountRefused(currency, None, amount_text(250, currency))
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if len(fraction) != decimals:
        raise AmountRefused(currency, decimals, _exact(sign, whole, fraction, decimals))
    minor = int(whole + fraction)
    return -minor if sign else minor


def typed_amount(text: str, currency: str) -> int:
    """Return `text` as people type it, in minor units: "640", "640,5", "1 640.50". Raises `AmountRefused`."""
    whole, point, part = text.translate(_BLANKS).replace(",", ".").partition(".")
    decimals = DECIMALS[currency]
    if len(part) > decimals or bool(point) != bool(part):
        raise AmountRefused(currency, None, amount_text(250, currency))
    return parse_amount(f"{whole}.{part:0<{decimals}}" if decimals else whole, currency)


def amount_text(minor: int, currency: str) -> str:
    """The amount as a number for machines: "12.34", "1234" or "1.234". A currency that is not in the list, as a row of
    other software may have it, is counted in whole units: what it is divided into is not known here.
    """
    whole, fraction = _parts(minor, currency)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def money(minor: int, currency: str, language: str) -> str:
    """The amount for people: `1 234,50 ₽` or `RUB 1,234.50`. Raises `TerminalError` for a language without texts."""
    sign = "-" if minor < 0 else ""
    return sum_format(currency, language).pattern.format(sign=sign, number=_number(minor, currency, language))


def money_number(minor: int, currency: str, language: str) -> str:
    """The same without its currency: for a column whose head names it."""
    return f"{'-' if minor < 0 else ''}{_number(minor, currency, language)}"


def _number(minor: int, currency: str, language: str) -> str:
    form = sum_format(currency, language)
    whole, fraction = _parts(minor, currency)
    return f"{int(whole):,}".replace(",", form.group) + (form.point + fraction if fraction else "")


class SumFormat(NamedTuple):
    """How a language writes sums of one currency: `pattern` has a {sign} and a {number} with so many decimals after its
    `point`, and `group` between its thousands. A page's script that adds up prices writes them with it.
    """

    pattern: str
    point: str
    group: str
    decimals: int


def sum_format(currency: str, language: str) -> SumFormat:
    """As the language's catalogue has it. Raises `TerminalError` for a language without texts."""
    t = translator(language)
    name = t.pgettext("currency", currency)
    pattern = t.pgettext("sum format", "{currency} {sign}{number}")
    return SumFormat(
        pattern.format(currency=name, sign="{sign}", number="{number}"),
        t.pgettext("decimal point", "."),
        t.pgettext("thousands separator", ","),
        DECIMALS.get(currency, 0),
    )


def _parts(minor: int, currency: str) -> tuple[str, str]:
    """The digits before and after the decimal point."""
    decimals = DECIMALS.get(currency, 0)
    digits = f"{abs(minor):0{decimals + 1}}"
    return digits[: len(digits) - decimals], digits[len(digits) - decimals :]


def _exact(sign: str, whole: str, fraction: str, decimals: int) -> str:
    if fraction[decimals:].strip("0"):
        return ""
    exact = (fraction + "0" * decimals)[:decimals]
    return f"{sign}{whole}{'.' if exact else ''}{exact}"
