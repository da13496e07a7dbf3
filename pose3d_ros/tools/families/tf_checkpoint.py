# SPDX-License-Identifier: Apache-2.0
"""Variables out of TensorFlow checkpoints (format V2: .index and .data files), without TensorFlow.

The index is a sorted table as LevelDB has it (uncompressed): keys with shared prefixes, values are
BundleEntryProto messages that say where in the data files a tensor lies.
"""

from __future__ import annotations

import struct
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelError

_MAGIC = 0xDB4775248B80FB57
_TYPES = {1: '<f4', 2: '<f8', 3: '<i4', 9: '<i8', 4: 'u1', 19: '<f2'}
_FOOTER = 48


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays by name; path: the .index file, the prefix of index and data files, or a tar of both.

    Raises ModelError for files that are missing, damaged or of another format.
    """
    if path.is_file() and tarfile.is_tarfile(path):
        with tempfile.TemporaryDirectory(prefix='pose3d_') as folder:
            return read_variables(_extracted(path, Path(folder)))
    index = path if path.suffix == '.index' else path.with_name(path.name + '.index')
    prefix = index.with_suffix('').name
    try:
        table = index.read_bytes()
        entries = {key.decode(): value for key, value in _table(table)}
        shards = _varints(entries.pop('', b'\x08\x01')).get(1, [1])[0]
        data: dict[int, bytes] = {}
        tensors = {}
        for name, raw in entries.items():
            entry = _varints(raw)
            dtype, shape = int(entry.get(1, [0])[0]), _shape(entry.get(2, [b''])[0])
            if dtype not in _TYPES or 7 in entry:
                continue  # strings, and tensors saved in slices
            shard = int(entry.get(3, [0])[0])
            if shard not in data:
                file = f'{prefix}.data-{shard:05d}-of-{shards:05d}'
                data[shard] = index.with_name(file).read_bytes()
            start, size = int(entry.get(4, [0])[0]), int(entry.get(5, [0])[0])
            part = data[shard][start : start + size]
            if len(part) != size:
                raise ValueError(f'{name} lies outside its data file')
            tensors[name] = np.frombuffer(part, _TYPES[dtype]).reshape(shape)
    except FileNotFoundError as error:
        raise ModelError(f'the TensorFlow checkpoint lacks {error.filename}') from error
    except (OSError, ValueError, IndexError, struct.error, UnicodeDecodeError, KeyError) as error:
        raise ModelError(f'{index.name} is no TensorFlow checkpoint (V2): {error}') from error
    return tensors


def _extracted(path: Path, folder: Path) -> Path:
    """The one checkpoint of a tar archive, copied into a folder; its index."""
    indexes = []
    try:
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                name = Path(member.name).name
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None and (name.endswith('.index') or '.data-' in name):
                    (folder / name).write_bytes(stream.read())
                    indexes += [folder / name] if name.endswith('.index') else []
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ModelError(f'{path.name} is a damaged archive: {error}') from error
    if len(indexes) != 1:
        raise ModelError(f'{path.name} holds {len(indexes)} TensorFlow checkpoints, one is needed')
    return indexes[0]


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    if len(content) < _FOOTER or struct.unpack('<Q', content[-8:])[0] != _MAGIC:
        raise ValueError('it has no table footer')
    footer, at = content[-_FOOTER:], 0
    for _ in range(2):  # the meta index comes first
        _, at = _varint(footer, at)
        _, at = _varint(footer, at)
    at = 0
    _, at = _varint(footer, at)
    _, at = _varint(footer, at)
    offset, at = _varint(footer, at)
    size, at = _varint(footer, at)
    for _, handle in _block(content, offset, size):
        first, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        yield from _block(content, first, length)


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = content[offset : offset + size]
    if len(block) != size or size < 4:
        raise ValueError('a block is cut off')
    if content[offset + size] != 0:
        raise ValueError('its blocks are compressed')
    restarts = struct.unpack('<I', block[-4:])[0]
    end, at, key = size - 4 - 4 * restarts, 0, b''
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _varints(message: bytes) -> dict[int, list[Any]]:
    """Fields of a protocol buffer by number: integers, or bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == 0:
            value, at = _varint(message, at)
        elif wire == 2:
            size, at = _varint(message, at)
            value, at = message[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = message[at : at + size], at + size
        else:
            raise ValueError('a message is damaged')
        fields.setdefault(number, []).append(value)
    return fields


def _shape(message: bytes) -> tuple[int, ...]:
    return tuple(int(_varints(dim).get(1, [0])[0]) for dim in _varints(message).get(2, []))
