# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose3d_ros.zoo import protobuf as pb


def fields(raw: bytes) -> list[pb.Field]:
    return pb.fields(memoryview(raw))


def test_as_the_format_says() -> None:
    # From the documentation: field 1 = 150, field 2 = "testing", field 4 packed 3, 270, 86942.
    assert pb.integer(1, 150) == b'\x08\x96\x01'
    assert pb.text(2, 'testing') == b'\x12\x07testing'
    assert pb.integers(4, [3, 270, 86942]) == b'\x22\x06\x03\x8e\x02\x9e\xa7\x05'
    assert pb.integer(1, -1) == b'\x08' + b'\xff' * 9 + b'\x01'
    assert pb.float32(4, 0.5) == b'\x25\x00\x00\x00\x3f'


@given(st.integers(1, 1 << 20), st.integers(-(1 << 63), (1 << 63) - 1))
def test_numbers_come_back(field: int, value: int) -> None:
    ((number, found),) = fields(pb.integer(field, value))
    assert isinstance(found, int)
    assert (number, pb.signed(found)) == (field, value)


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))
def test_lists_come_back_packed_or_not(values: list[int]) -> None:
    packed = fields(pb.integers(3, values))
    single = fields(b''.join(pb.integer(3, value) for value in values))
    for found in (packed, single):
        assert [pb.signed(value) for value in pb.unpacked(found, 3)] == values


def test_first_of_a_field() -> None:
    raw = fields(pb.integer(1, 5) + pb.integer(1, 6) + pb.data(2, b'a') + pb.data(2, b'b'))
    assert pb.count(raw, 1) == 5
    assert bytes(pb.message(raw, 2)) == b'a'
    assert pb.count(raw, 7) == 0
    assert bytes(pb.message(raw, 7)) == b''
    ((number, value),) = fields(pb.float32(4, 0.25))
    assert isinstance(value, memoryview)
    assert (number, struct.unpack('<f', value)) == (4, (0.25,))


@pytest.mark.parametrize('raw', [b'\x12\x07test', b'\x0b', b'\xff' * 11, b'\x08', b'\x00\x01'])
def test_what_is_none(raw: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        fields(raw)
