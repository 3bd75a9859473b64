"""Amounts of money as feeds write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.money import DECIMALS, amount_text, money, money_number, parse_amount, sum_format


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("2.50", "USD", 250),
        ("0.00", "EUR", 0),
        ("-1.05", "RUB", -105),
        ("-0.00", "RUB", 0),
        ("1500", "JPY", 1500),
        ("1.250", "KWD", 1250),
        ("0.0001", "CLF", 1),
        ("0.07", "EUR", 7),
        ("123456789012.34", "EUR", 12345678901234),
    ],
)
def test_exact_amounts(text: str, currency: str, minor: int) -> None:
    assert parse_amount(text, currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "advice"),
    [
        ("2", "USD", "USD has 2 decimals: write 2.00"),
        ("2.5", "USD", "USD has 2 decimals: write 2.50"),
        ("2.500", "USD", "USD has 2 decimals: write 2.50"),
        ("2.505", "USD", "USD has 2 decimals: this amount cannot be paid"),
        ("-3.0", "USD", "write -3.00"),
        ("24.00", "JPY", "JPY has 0 decimals: write 24"),
        ("2,50", "USD", "such as 2.50"),
        ("", "USD", "such as 2.50"),
        ("1e2", "USD", "such as 2.50"),
        ("٢.٥٠", "USD", "such as 2.50"),
        ("+2.50", "USD", "such as 2.50"),
        ("NaN", "KWD", "such as 0.250"),
        ("x", "JPY", "such as 250"),
        ("9" * 5000, "JPY", "such as 250"),
    ],
)
def test_amounts_that_are_not_exact(text: str, currency: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        parse_amount(text, currency)


@given(st.integers(1 - 10**12, 10**12 - 1), st.sampled_from(sorted(DECIMALS)))
def test_every_amount_reads_back_as_written(minor: int, currency: str) -> None:
    assert parse_amount(amount_text(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "language", "shown", "number"),
    [
        (123_450, "RUB", "ru", "1\xa0234,50 ₽", "1\xa0234,50"),
        (-123_450, "RUB", "ru", "-1\xa0234,50 ₽", "-1\xa0234,50"),
        (-5, "RUB", "en", "RUB -0.05", "-0.05"),
        (0, "RUB", "en", "RUB 0.00", "0.00"),
        (-1, "RUB", "en", "RUB -0.01", "-0.01"),
        (1, "KWD", "en", "KWD 0.001", "0.001"),
        (123_456_789, "JPY", "en", "JPY 123,456,789", "123,456,789"),
        (-7, "JPY", "ru", "-7 ¥", "-7"),
        (100, "XXX", "en", "XXX 100", "100"),
    ],
)
def test_amounts_for_people(minor: int, currency: str, language: str, shown: str, number: str) -> None:
    assert money(minor, currency, language) == shown
    assert money_number(minor, currency, language) == number
    if language == "en":
        assert amount_text(minor, currency) == number.replace(",", "")


def test_a_currency_that_is_not_listed_is_counted_in_whole_units() -> None:
    assert amount_text(100, "XXX") == "100"
    assert sum_format("XXX", "en").decimals == 0
    assert sum_format("KWD", "ru").decimals == 3
