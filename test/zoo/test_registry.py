# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.estimators import ESTIMATORS
from pose3d_ros.zoo import load_registry

GOOD = {
    'models': {
        'toy': {
            'estimator': 'blazepose',
            'title': 'a toy',
            'skeleton': 'coco_17',
            'licence': 'MIT',
            'source': 'https://example.org',
            'wheel': {
                'requirement': 'toy==1.0',
                'file': 'toy-1.0-cp311-cp311-linux_x86_64.whl',
                'size': 10,
                'sha256': '0' * 64,
            },
            'npm': {
                'package': '@toys/toy-models@1.0.0-rc.1',
                'size': 7,
                'sha256': 'd' * 64,
                'urls': ['https://example.org/npm/{package}/{path}'],
            },
            'files': {
                'net': {
                    'file': 'toy.onnx',
                    'size': 3,
                    'sha256': 'a' * 64,
                    'url': 'https://example.org/toy.onnx',
                    'input': [256, 192],
                    'precision': 'bf16',
                },
                'other': {'file': 'b.onnx', 'size': 5, 'sha256': 'b' * 64, 'member': 'toy/b.onnx'},
                'third': {'file': 'c.onnx', 'size': 2, 'sha256': 'e' * 64, 'npm': 'models/c.onnx'},
            },
            'notices': [{'file': 'LICENSE', 'size': 1, 'sha256': 'c' * 64, 'member': 'LICENSE'}],
        }
    }
}


def write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content), encoding='utf-8')
    return path


def test_the_package_s_own_registry() -> None:
    registry = load_registry()
    assert 'blazepose' in registry
    for name, entry in registry.items():
        assert entry.name == name
        assert entry.estimator in ESTIMATORS
        assert entry.licence
        assert entry.source.startswith('https://')
    # Pinned by hand a second time: nobody should change a checksum in passing.
    blazepose = registry['blazepose']
    assert list(blazepose.files) == ['detector', 'landmarks']
    assert blazepose.files['landmarks'].sha256.startswith('e9a5c5cb17f736fa')
    assert blazepose.files['landmarks'].precision == 'mixed'
    assert blazepose.files['detector'].sha256.startswith('9ba9dd3d42efaaba')
    assert blazepose.wheel is not None
    assert blazepose.wheel.sha256.startswith('05dc4a9e593655a7')


def test_fields(tmp_path: Path) -> None:
    entry = load_registry(write(tmp_path / 'models.yaml', GOOD))['toy']
    assert entry.files['net'].input == (256, 192)
    assert entry.files['net'].precision == 'bf16'
    assert entry.files['other'].precision == 'f32'
    assert entry.npm is not None
    assert entry.npm.urls == ('https://example.org/npm/{package}/{path}',)
    assert entry.size == 3 + 5 + 2 + 1
    assert entry.download == 3 + 10 + 2
    assert [item.file for item in entry.stored] == ['toy.onnx', 'b.onnx', 'c.onnx', 'LICENSE']


def test_download_without_single_files(tmp_path: Path) -> None:
    content = toy(lambda m: m['npm'].pop('urls'))
    assert load_registry(write(tmp_path / 'models.yaml', content))['toy'].download == 3 + 10 + 7


GRAPH = {
    'file': 'g.pb',
    'size': 20,
    'sha256': 'f' * 64,
    'graph': [
        {'file': 'm.json', 'size': 4, 'sha256': 'a' * 64, 'npm': 'm.json'},
        {'file': 'm.bin', 'size': 5, 'sha256': 'b' * 64, 'npm': 'm.bin'},
    ],
    'onnx': {'file': 'g.onnx', 'size': 21, 'sha256': 'c' * 64},
}


def graph(change: Callable[[dict[str, Any]], object]) -> Any:
    raw = copy.deepcopy(GRAPH)
    change(raw)
    return toy(lambda m: m['files'].update(third=raw))


def test_a_graph_and_what_it_is_made_of(tmp_path: Path) -> None:
    entry = load_registry(write(tmp_path / 'models.yaml', graph(lambda _: None)))['toy']
    item = entry.files['third']
    assert item.onnx is not None
    assert item.onnx.file == 'g.onnx'
    assert [source.npm for source in item.graph] == ['m.json', 'm.bin']
    names = [source.file for source in entry.sources]
    assert names == ['toy.onnx', 'b.onnx', 'm.json', 'm.bin', 'LICENSE']
    assert entry.size == 3 + 5 + 1 + 20 + 21
    assert entry.download == 3 + 10 + 4 + 5


def toy(change: Callable[[dict[str, Any]], object]) -> Any:
    content = copy.deepcopy(GOOD)
    change(content['models']['toy'])
    return content


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'mapping `models`'),
        ({'models': ['toy']}, 'mapping `models`'),
        ({'models': {'Toy': {}}}, 'lower-case'),
        ({'models': {'../toy': {}}}, 'lower-case'),
        ({'models': {'toy': 'here'}}, "model 'toy' must be a mapping"),
        (toy(lambda m: m.pop('licence')), "model 'toy': licence is missing"),
        (toy(lambda m: m.update(license='MIT')), "unknown key 'license'"),
        (toy(lambda m: m.update(title=3)), 'title must be of type str, not 3'),
        (toy(lambda m: m.update(skeleton='coco')), 'skeleton must be one of'),
        (toy(lambda m: m.update(files={})), 'files is empty'),
        (toy(lambda m: m.update(notices='LICENSE')), 'notices must be a list'),
        (toy(lambda m: m.pop('wheel')), 'members of a wheel, but no wheel'),
        (toy(lambda m: m['wheel'].update(requirement='toy>=1')), 'name==version'),
        (toy(lambda m: m.pop('npm')), 'files of an npm package, but no npm'),
        (toy(lambda m: m['npm'].update(package='toy')), 'name@version'),
        (toy(lambda m: m['npm'].update(package='toy@latest')), 'name@version'),
        (toy(lambda m: m['npm'].update(package='--global@1')), 'name@version'),
        (toy(lambda m: m['npm'].update(sha256='abc')), 'npm: sha256 must be 64 lower-case hex'),
        (toy(lambda m: m['npm'].update(size=-1)), 'npm: size must be positive'),
        (toy(lambda m: m['npm'].update(urls=['https://x/y'])), r'place for the \{path\}'),
        (toy(lambda m: m['npm'].update(urls=['x/{path}'])), 'address begins with https'),
        (toy(lambda m: m['npm'].update(urls='https://x')), 'urls must be a list'),
        (toy(lambda m: m['files']['third'].update(member='x')), 'needs one of url, member'),
        (graph(lambda g: g.update(npm='x')), 'needs one of url, member'),
        (graph(lambda g: g.update(sha256='')), '64 lower-case hex digits'),
        (graph(lambda g: g['graph'].pop()), r'model.json and .bin files, and onnx'),
        (graph(lambda g: g.pop('onnx')), r'model.json and .bin files, and onnx'),
        (graph(lambda g: g['onnx'].pop('sha256')), 'onnx: sha256 must be'),
        (graph(lambda g: g['onnx'].update(file='b.onnx')), 'same name'),
        (graph(lambda g: g['graph'][1].update(file='m.json')), 'same name'),
        (graph(lambda g: g['graph'].__setitem__(1, GRAPH)), 'graph: its files are published'),
        (toy(lambda m: m['files']['net'].update(file='../net')), 'plain file name'),
        (toy(lambda m: m['files']['net'].update(file='b.onnx')), 'same name'),
        (toy(lambda m: m['files']['net'].update(size=0)), 'size must be positive'),
        (toy(lambda m: m['files']['net'].update(size='3')), 'size must be of type int'),
        (toy(lambda m: m['files']['net'].update(sha256='abc')), '64 lower-case hex digits'),
        (toy(lambda m: m['files']['net'].pop('url')), 'needs one of url, member'),
        (toy(lambda m: m['files']['net'].update(member='x')), 'needs one of url, member'),
        (toy(lambda m: m['files']['net'].update(url='gopher://x/y')), 'must begin with https'),
        (toy(lambda m: m['files']['net'].update(precision='auto')), 'precision must be one of f32'),
        (toy(lambda m: m['files']['net'].update(input=[256])), r'\[width, height\]'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path / 'models.yaml', content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_registry(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_unreadable_registry(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='cannot read the model registry'):
        load_registry(tmp_path / 'none.yaml')
    (tmp_path / 'bad.yaml').write_text('models: [')
    with pytest.raises(ConfigError, match='cannot read the model registry'):
        load_registry(tmp_path / 'bad.yaml')


def test_keypoint_networks_and_their_detectors_are_known() -> None:
    registry = load_registry()
    for name, role in (('rtmpose_m', 'pose'), ('rtmo_s', 'pose'), ('yolox_tiny', 'detector')):
        item = registry[name].files[role]
        assert item.url.startswith('https://download.openmmlab.com/')
        assert item.archive == 'end2end.onnx'
        assert 'research only' in registry[name].training
    # By their names OnnxPeople tells how an image is prepared.
    assert 'detector' in registry['rtmdet_nano'].files
