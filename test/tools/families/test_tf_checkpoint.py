# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's checkpoints, written here by the description of their format."""

from __future__ import annotations

import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.errors import ModelError

pytest.importorskip('torch', reason='the networks are needed for conversion only')

from pose3d_ros.tools.convert.checkpoint import load_strictly, read_checkpoint
from pose3d_ros.tools.families import cpm
from pose3d_ros.tools.families.tf_checkpoint import read_variables


def varint(value: int) -> bytes:
    out = b''
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(rows: list[tuple[bytes, bytes]]) -> bytes:
    """A table's block with shared prefixes and one restart point."""
    out, last = b'', b''
    for key, value in rows:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    return out + struct.pack('<II', 0, 1)


def write_checkpoint(prefix: Path, arrays: dict[str, np.ndarray]) -> None:
    """TensorFlow's format V2, from its description."""
    data, rows = b'', [(b'', field(1, 1))]
    for name, array in sorted(arrays.items()):
        shape = b''.join(field(2, field(1, size)) for size in array.shape)
        entry = field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, array.nbytes)
        rows.append((name.encode(), entry))
        data += array.astype('<f4').tobytes()
    table, handles = b'', []
    for start in range(0, len(rows), 3):
        content = block(rows[start : start + 3])
        handles.append((rows[start][0] + b'~', varint(len(table)) + varint(len(content))))
        table += content + b'\0' + bytes(4)
    places = []
    for content in (block([]), block(handles)):
        places.append(varint(len(table)) + varint(len(content)))
        table += content + b'\0' + bytes(4)
    footer = b''.join(places).ljust(40, b'\0') + struct.pack('<Q', 0xDB4775248B80FB57)
    prefix.with_name(prefix.name + '.index').write_bytes(table + footer)
    prefix.with_name(prefix.name + '.data-00000-of-00001').write_bytes(data)


def test_checkpoints_without_tensorflow(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        f'CPM/PoseNet/conv{k}/weights': rng.normal(size=(3, 3, 2, k + 1)).astype(np.float32)
        for k in range(7)
    }
    arrays['CPM/PoseNet/conv1/biases'] = np.arange(5, dtype=np.float32)
    write_checkpoint(tmp_path / 'init', arrays)
    found = read_variables(tmp_path / 'init')
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    assert set(read_variables(tmp_path / 'init.index')) == set(arrays)
    state = read_checkpoint(cpm.POSE, tmp_path / 'init.index')
    assert state['conv2.weights'].shape == (3, 2, 3, 3)
    with pytest.raises(ModelError, match='another network'):
        load_strictly(cpm.POSE, state)
    with pytest.raises(ModelError, match='no variables CPM/PersonNet'):
        read_checkpoint(cpm.PERSON, tmp_path / 'init.index')


def test_bad_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match='lacks'):
        read_variables(tmp_path / 'init')
    write_checkpoint(tmp_path / 'init', {'a': np.ones(4, np.float32)})
    data = tmp_path / 'init.data-00000-of-00001'
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ModelError, match='outside its data file'):
        read_variables(tmp_path / 'init')
    index = tmp_path / 'init.index'
    index.write_bytes(index.read_bytes()[:-9] + b'x' * 9)
    with pytest.raises(ModelError, match='no TensorFlow checkpoint'):
        read_variables(tmp_path / 'init')


def test_checkpoints_in_archives(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / 'init', {'a': np.ones((2, 3), np.float32)})
    archive = tmp_path / 'init_session.tar.gz'
    with tarfile.open(archive, 'w:gz') as target:
        for path in tmp_path.glob('init.*'):
            target.add(path, f'init_session/{path.name}')
    np.testing.assert_array_equal(read_variables(archive)['a'], np.ones((2, 3)))
    with tarfile.open(archive, 'w:gz'):
        pass
    with pytest.raises(ModelError, match='holds 0 TensorFlow checkpoints'):
        read_variables(archive)
