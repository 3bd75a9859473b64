"""Amounts of money as a feed writes them: exact decimals in, whole minor units out, no floating point."""

from __future__ import annotations

import re
from typing import Final

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
DECIMALS: Final = {
    code: decimals
    for decimals, codes in enumerate((_WHOLE, "", _HUNDREDTHS, _THOUSANDTHS, _TEN_THOUSANDTHS))
    for code in codes.split()
}
"""Decimals of the active currencies of ISO 4217."""

_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,12}))?")


def parse_amount(text: str, currency: str) -> int:
    """Return `text` ("2.50") in minor units of `currency`.

    Raises ValueError, saying what to write instead, unless it has exactly the decimals of ISO 4217.
    """
    decimals = DECIMALS[currency]
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"write a number such as {amount_text(250, currency)}")
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if len(fraction) != decimals:
        raise ValueError(_exact(sign, whole, fraction, currency, decimals))
    minor = int(whole + fraction)
    return -minor if sign else minor


def amount_text(minor: int, currency: str) -> str:
    """The amount as a feed would write it."""
    decimals = DECIMALS[currency]
    digits = f"{abs(minor):0{decimals + 1}}"
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"


def _exact(sign: str, whole: str, fraction: str, currency: str, decimals: int) -> str:
    needed = f"{currency} has {decimals} decimals"
    if fraction[decimals:].strip("0"):
        return f"{needed}: this amount cannot be paid"
    exact = (fraction + "0" * decimals)[:decimals]
    return f"{needed}: write {sign}{whole}{'.' if exact else ''}{exact}"
