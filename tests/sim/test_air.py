"""Air time: known frames by hand, monotony, and the virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.air import BIT_RATES_KBIT, FRAME_SIZES_BYTES, AirModel, VirtualClock, compute_ms

FC_KHZ = 13_560
READ_COMMAND = bytes.fromhex("90AD00000F") + bytes(15) + b"\0"


def test_one_block_at_106_by_hand() -> None:
    """10 bytes: PCB + 10 + CRC = 13 bytes of 9 bits, 2 bits of framing, one frame delay."""
    expected = (13 * 9 + 2) * 128 / FC_KHZ + 1172 / FC_KHZ
    assert AirModel(106).transfer_ms(10) == pytest.approx(expected)


def test_chained_blocks_are_acknowledged() -> None:
    """62 bytes do not fit FSC 64: 61 + 1, and an R-block between them."""
    bits = (64 + 4) * 9 + 3 * 9 + 3 * 2
    expected = bits * 128 / FC_KHZ + 3 * 1172 / FC_KHZ
    assert AirModel(106, 64).transfer_ms(62) == pytest.approx(expected)
    assert AirModel(106, 64).transfer_ms(61) == pytest.approx((64 * 9 + 2) * 128 / FC_KHZ + 1172 / FC_KHZ)


def test_an_exchange_is_both_ways_and_the_cards_computing() -> None:
    air = AirModel(106)
    answer = bytes(74)
    expected = air.transfer_ms(len(READ_COMMAND)) + 1.4 + air.transfer_ms(74)
    assert air.exchange_ms(READ_COMMAND, answer) == pytest.approx(expected)


def test_pseudo_apdus_are_not_on_air() -> None:
    assert AirModel().exchange_ms(bytes.fromhex("FFCA000000"), bytes(9)) == 0


@given(
    st.sampled_from(BIT_RATES_KBIT),
    st.sampled_from(FRAME_SIZES_BYTES),
    st.integers(1, 300),
    st.integers(0, 50),
)
def test_more_bytes_take_longer_and_a_higher_rate_or_frame_never_does(rate, frame, length, more) -> None:
    air = AirModel(rate, frame)
    assert air.transfer_ms(length + more) >= air.transfer_ms(length)
    assert AirModel(848, frame).transfer_ms(length) <= air.transfer_ms(length)
    assert AirModel(rate, 256).transfer_ms(length) <= air.transfer_ms(length)


def test_a_tap_of_eight_exchanges_is_of_the_order_people_feel() -> None:
    """400 bytes in 8 exchanges: tens of milliseconds, more at 106 than at 848 kbit/s."""
    taps = {rate: 8 * AirModel(rate).exchange_ms(READ_COMMAND, bytes(29)) for rate in BIT_RATES_KBIT}
    assert list(taps.values()) == sorted(taps.values(), reverse=True)
    assert 15 < taps[848] < taps[106] < 100


def test_activation_is_a_few_milliseconds() -> None:
    assert 3 < AirModel().activation_ms() < 12


def test_commands_have_their_own_computing_time() -> None:
    assert compute_ms(bytes.fromhex("90C7000000")) > compute_ms(bytes.fromhex("905A000000"))
    assert compute_ms(bytes.fromhex("90CD000000")) == 5.0
    assert compute_ms(bytes.fromhex("906F000000")) == 1.0
    assert compute_ms(b"\x60") == compute_ms(bytes.fromhex("00A40400"))


@pytest.mark.parametrize(("rate", "frame"), [(100, 64), (106, 60), (1696, 64)])
def test_only_rates_and_frames_that_exist(rate: int, frame: int) -> None:
    with pytest.raises(ValueError, match="there are"):
        AirModel(rate, frame)


def test_virtual_clock_moves_when_told_and_never_back() -> None:
    clock = VirtualClock(datetime(2026, 9, 15, 4, 0, tzinfo=UTC))
    assert clock.monotonic() == 0
    clock.advance(90.5)
    assert clock.now() == datetime(2026, 9, 15, 4, 1, 30, 500_000, tzinfo=UTC)
    assert clock.monotonic() == 90.5
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="aware"):
        VirtualClock(datetime(2026, 9, 15))  # noqa: DTZ001 the naive time is the point
