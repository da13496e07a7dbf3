# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

torch = pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from toy_models import entry
from toy_networks import weights

from pose3d_ros.errors import ModelError
from pose3d_ros.tools.convert.install import install
from pose3d_ros.tools.families import FAMILIES
from pose3d_ros.zoo import Checkpoint, Entry, FileEntry, fetch, find_model, problems


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(FAMILIES.table, 'toy', 'toy_networks:FAMILY')
    path = tmp_path / 'published.pth'
    torch.save(weights(), path)
    return path


@pytest.fixture
def toy(published: Path) -> Entry:
    content = published.read_bytes()
    checkpoint = Checkpoint(
        file='toy.pth',
        urls=('file:///nowhere/toy.pth', published.as_uri()),
        size=len(content),
        sha384=hashlib.sha384(content).hexdigest(),
    )
    return entry(network=FileEntry('network.xml', family='toy', checkpoint=checkpoint))


def test_fetch_convert_find(toy: Entry, tmp_path: Path) -> None:
    root, known = tmp_path / 'models', {'toy': toy}
    with pytest.raises(
        ModelError, match='not converted yet; fetch it with: pose3d models fetch toy'
    ):
        find_model('toy', models_dir=root, registry=known)
    with pytest.raises(ModelError, match='toy.pth does not exist; fetch it with'):
        install(toy, root)
    # The first address fails, the second serves.
    fetch(toy, root, progress=False)
    with pytest.raises(ModelError, match='convert it with: pose3d models convert toy'):
        find_model('toy', models_dir=root, registry=known)
    done = install(toy, root)['network']
    assert [path.parent for path in done.files] == [root / 'toy'] * 3
    model = find_model('toy', 'network', models_dir=root, registry=known)
    assert model.files['network'].name == 'network.xml'
    onnx = find_model('toy', 'network', models_dir=root, registry=known, backend='onnxruntime')
    assert onnx.files['network'].name == 'network.onnx'
    assert [p.name for p in root.iterdir()] == ['toy']
    # Once converted, the checkpoint may go and is not fetched again.
    (root / 'toy' / 'toy.pth').unlink()
    fetch(toy, root, progress=False)
    assert not (root / 'toy' / 'toy.pth').exists()
    assert problems(toy, root / 'toy') == []
    with done.files[2].open('ab') as stream:
        stream.write(b'x')
    assert problems(toy, root / 'toy') == [f'{done.files[2]} is not as it was converted']


def test_every_address_fails(toy: Entry, tmp_path: Path) -> None:
    item = toy.files['network']
    assert item.checkpoint is not None
    bad = dataclasses.replace(item.checkpoint, sha384='0' * 96)
    broken = dataclasses.replace(toy, files={'network': dataclasses.replace(item, checkpoint=bad)})
    with pytest.raises(ModelError, match='nowhere.*; model toy: .*wrong checksum'):
        fetch(broken, tmp_path / 'models', progress=False)
    assert not (tmp_path / 'models').exists()


def test_a_checkpoint_of_one_s_own(published: Path, tmp_path: Path) -> None:
    note = Checkpoint(file='toy.pth', note='sent on request')
    toy = entry(network=FileEntry('network.onnx', family='toy', checkpoint=note))
    with pytest.raises(ModelError, match='sent on request'):
        install(toy, tmp_path)
    with pytest.raises(ModelError, match=r'convert toy --checkpoint FILE \(sent on request\)'):
        find_model('toy', models_dir=tmp_path, registry={'toy': toy})
    install(toy, tmp_path, checkpoint=published, formats=('onnx',))
    assert find_model('toy', models_dir=tmp_path, registry={'toy': toy}).files['network'].is_file()
    assert sorted(p.name for p in (tmp_path / 'toy').iterdir()) == [
        'converted.json',
        'network.onnx',
    ]


def test_random_weights_live_beside(toy: Entry, tmp_path: Path) -> None:
    install(toy, tmp_path, seed=3)
    with pytest.raises(ModelError, match='not converted yet'):
        find_model('toy', models_dir=tmp_path, registry={'toy': toy})
    model = find_model('toy.random', 'network', models_dir=tmp_path, registry={'toy': toy})
    assert model.name == 'toy.random'
    assert model.files['network'].parent == tmp_path / 'toy.random'


def test_a_bad_checkpoint_leaves_nothing(toy: Entry, published: Path, tmp_path: Path) -> None:
    state = weights()
    del state['conv.bias']
    torch.save(state, published)
    with pytest.raises(ModelError, match='1 missing: conv.bias'):
        install(toy, tmp_path / 'models', checkpoint=published)
    assert list((tmp_path / 'models').iterdir()) == []


def test_roles(toy: Entry, published: Path, tmp_path: Path) -> None:
    item = toy.files['network']
    two = entry(
        a=dataclasses.replace(item, file='a.xml'), b=dataclasses.replace(item, file='b.xml')
    )
    assert item.checkpoint is not None
    other = dataclasses.replace(item.checkpoint, file='other.pth')
    apart = entry(a=two.files['a'], b=dataclasses.replace(two.files['b'], checkpoint=other))
    with pytest.raises(ModelError, match='several networks; name one of a, b'):
        install(apart, tmp_path, checkpoint=published)
    with pytest.raises(ModelError, match='nothing to convert as c'):
        install(two, tmp_path, checkpoint=published, role='c')
    install(two, tmp_path, checkpoint=published, role='a')
    with pytest.raises(ModelError, match='b is not converted yet'):
        find_model('toy', models_dir=tmp_path, registry={'toy': two})
    install(two, tmp_path, checkpoint=published, role='b')
    assert set(find_model('toy', models_dir=tmp_path, registry={'toy': two}).files) == {'a', 'b'}


def test_networks_that_are_made_of_one_file(toy: Entry, published: Path, tmp_path: Path) -> None:
    item = toy.files['network']
    two = entry(
        a=dataclasses.replace(item, file='a.xml'), b=dataclasses.replace(item, file='b.xml')
    )
    done = install(two, tmp_path, checkpoint=published)
    assert list(done) == ['a', 'b']
    files = find_model('toy', models_dir=tmp_path, registry={'toy': two}).files
    assert [path.name for path in files.values()] == ['a.xml', 'b.xml']
