"""Support codes: every row has one, and what was misread names none."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardproto.resident.limits import LARGEST_SEQUENCE, LARGEST_TERMINAL
from terminal.support_code import ALPHABET, row_of_code, support_code

TERMINALS = st.integers(1, LARGEST_TERMINAL)
ROWS = st.integers(1, LARGEST_SEQUENCE)


def test_codes_by_hand() -> None:
    """Worked out on paper: 8a^7 + a^2 + 23a + 30 and 8 + 1 + 23 + 30 are nothing over GF(32)."""
    assert support_code(1, 1) == "0000-8000-01QY"
    assert support_code(70001, 5123) == "0H2W-8005-0310"


@given(TERMINALS, ROWS)
def test_every_row_has_one_and_it_names_that_row(terminal: int, row: int) -> None:
    code = support_code(terminal, row)
    assert row_of_code(code) == row_of_code(f" {code.lower().replace('-', '')}\n") == (terminal, row)


@given(TERMINALS, ROWS, st.data())
def test_any_two_symbols_misread_or_exchanged_are_noticed(
    terminal: int, row: int, data: st.DataObject
) -> None:
    code = support_code(terminal, row).replace("-", "")
    for first, second in combinations(range(len(code)), 2):
        heard = list(code)
        heard[first], heard[second] = data.draw(st.tuples(*[st.sampled_from(ALPHABET)] * 2))
        exchanged = list(code)
        exchanged[first], exchanged[second] = exchanged[second], exchanged[first]
        for one in (heard, exchanged):
            assert "".join(one) == code or row_of_code("".join(one)) is None


def test_letters_that_look_alike_are_heard() -> None:
    assert row_of_code("он2w 8oo5 оЗlO") == (70001, 5123)


@pytest.mark.parametrize(
    "written", ["", "0H2W-8005-031", "0H2W-8005-03100", "0H2W-8005-03U0", "0000-0000-0000", "-" * 200]
)
def test_what_is_no_code(written: str) -> None:
    assert row_of_code(written) is None


@pytest.mark.parametrize(
    ("terminal", "row"), [(0, 1), (LARGEST_TERMINAL + 1, 1), (1, 0), (1, LARGEST_SEQUENCE + 1)]
)
def test_what_no_row_is_called_has_none(terminal: int, row: int) -> None:
    with pytest.raises(ValueError, match="no row"):
        support_code(terminal, row)
