# SPDX-License-Identifier: Apache-2.0
"""The wire format of protocol buffers, as far as model files need it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

Buffer = memoryview
Field = tuple[int, Buffer | int]


def integer(field: int, value: int) -> bytes:
    """A number (int32, int64, bool or enum)."""
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def data(field: int, value: bytes) -> bytes:
    """Bytes, a packed list, or a message inside a message."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def text(field: int, value: str) -> bytes:
    """A string."""
    return data(field, value.encode())


def integers(field: int, values: Iterable[int]) -> bytes:
    """A packed list of numbers."""
    return data(field, b''.join(_varint(value & (1 << 64) - 1) for value in values))


def float32(field: int, value: float) -> bytes:
    """A number of four bytes."""
    return _varint(field << 3 | 5) + struct.pack('<f', value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(raw: Buffer) -> list[Field]:
    """Field numbers and values of a message; sub-messages stay raw. ValueError, IndexError."""
    return list(_walk(raw))


def _walk(raw: Buffer) -> Iterator[Field]:
    place, end = 0, len(raw)
    while place < end:
        key, place = read_varint(raw, place)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise ValueError('not a protocol buffer')
        if wire_type == 0:
            value, place = read_varint(raw, place)
            yield number, value
            continue
        if wire_type == 2:
            size, place = read_varint(raw, place)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f'wire type {wire_type}')
        if place + size > end:
            raise ValueError('cut off or not a protocol buffer')
        yield number, raw[place : place + size]
        place += size


def read_varint(raw: Buffer, place: int) -> tuple[int, int]:
    """A number, and where what follows it begins."""
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError('not a protocol buffer')


def message(content: Iterable[Field], field: int) -> Buffer:
    """The first message, string or bytes of a field; empty if there is none."""
    for number, value in content:
        if number == field and isinstance(value, memoryview):
            return value
    return memoryview(b'')


def count(content: Iterable[Field], field: int) -> int:
    """The first number of a field, unsigned; 0 if there is none."""
    return next((v for number, v in content if number == field and isinstance(v, int)), 0)


def unpacked(content: Iterable[Field], field: int) -> list[int]:
    """All numbers of a field, packed or one by one, unsigned."""
    out = []
    for number, value in content:
        if number != field:
            continue
        if isinstance(value, int):
            out.append(value)
            continue
        place = 0
        while place < len(value):
            item, place = read_varint(value, place)
            out.append(item)
    return out


def signed(value: int) -> int:
    """A number of 64 bits with its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value
