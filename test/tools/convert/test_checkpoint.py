# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from toy_networks import TOY, weights

from pose3d_ros.errors import ModelError
from pose3d_ros.tools.convert.checkpoint import load_strictly, random_weights, read_checkpoint


def same(state: dict, other: dict) -> bool:
    return list(state) == list(other) and all(torch.equal(state[k], other[k]) for k in other)


def test_both_published_layouts(tmp_path: Path) -> None:
    state = weights()
    path = tmp_path / 'toy.pth'
    torch.save(state, path)
    assert same(read_checkpoint(TOY, path), state)
    torch.save({'state_dict': {f'module.{k}': v for k, v in state.items()}, 'epoch': 3}, path)
    assert same(read_checkpoint(TOY, path), state)


def test_ignored_entries_are_dropped(tmp_path: Path) -> None:
    state = weights()
    path = tmp_path / 'toy.pth'
    torch.save(
        state | {'aux.weight': torch.zeros(2), 'bn.num_batches_tracked': torch.tensor(4)}, path
    )
    assert same(read_checkpoint(TOY, path), state)


@pytest.mark.parametrize('kind', ['tar', 'zip'])
def test_member_of_an_archive(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    torch.save(weights(), buffer)
    path = tmp_path / f'all.{kind}'
    if kind == 'tar':
        with tarfile.open(path, 'w:gz') as archive:
            info = tarfile.TarInfo('folder/toy.pth')
            info.size = buffer.tell()
            buffer.seek(0)
            archive.addfile(info, buffer)
    else:
        with zipfile.ZipFile(path, 'w') as zipped:
            zipped.writestr('folder/toy.pth', buffer.getvalue())
    assert same(read_checkpoint(TOY, path, 'toy.pth'), weights())
    with pytest.raises(
        ModelError, match='holds 0 files other.pth, one is needed; it has folder/toy'
    ):
        read_checkpoint(TOY, path, 'other.pth')


def test_a_member_is_no_matter_to_a_plain_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / 'toy.pth'
    torch.save(weights(), path)
    assert same(read_checkpoint(TOY, path, 'toy.pth'), weights())


class Evil:
    """What a hostile checkpoint holds: a call that runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('zipped', [True, False])
def test_pickles_are_never_executed(tmp_path: Path, zipped: bool) -> None:
    trace = tmp_path / 'executed'
    path = tmp_path / 'evil.pth'
    if zipped:
        torch.save({'state_dict': weights(), 'extra': Evil(trace)}, path)
    else:
        path.write_bytes(pickle.dumps({'state_dict': Evil(trace)}))
    with pytest.raises(ModelError, match='evil.pth'):
        read_checkpoint(TOY, path)
    assert not trace.exists()


def test_damage(tmp_path: Path) -> None:
    path = tmp_path / 'toy.pth'
    with pytest.raises(ModelError, match='does not exist'):
        read_checkpoint(TOY, path)
    for content in (b'', b'no checkpoint at all', b'\x80\x02}q\x00.'):
        path.write_bytes(content)
        with pytest.raises(ModelError, match='toy.pth'):
            read_checkpoint(TOY, path)
    torch.save(weights(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError, match='toy.pth'):
        read_checkpoint(TOY, path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match='no state dictionary'):
        read_checkpoint(TOY, path)


def test_strict_loading_lists_everything() -> None:
    state = weights()
    module = load_strictly(TOY, dict(state))
    assert not module.training
    assert all(torch.equal(module.state_dict()[key], value) for key, value in state.items())
    wrong = dict(state)
    del wrong['conv.bias']
    wrong['conv.extra'] = torch.zeros(1)
    wrong['conv.weight'] = torch.zeros(4, 3, 5, 5)
    with pytest.raises(ModelError) as caught:
        load_strictly(TOY, wrong, 'x.pth')
    text = str(caught.value)
    assert text.startswith('x.pth is of another network: ')
    assert '1 missing: conv.bias' in text
    assert '1 unexpected: conv.extra' in text
    assert '1 misshapen: conv.weight is 4x3x5x5, not 4x3x3x3' in text
    assert '\n' not in text


def test_weights_that_are_no_numbers() -> None:
    state = weights()
    state['conv.bias'][1] = float('nan')
    with pytest.raises(ModelError, match='damaged: 1 not finite: conv.bias'):
        load_strictly(TOY, state)


def test_random_weights_repeat() -> None:
    shapes = [(k, tuple(v.shape)) for k, v in weights().items()]
    assert same(random_weights(shapes, 3), random_weights(shapes, 3))
    assert not same(random_weights(shapes, 3), random_weights(shapes, 4))
