# SPDX-License-Identifier: Apache-2.0
"""What the documentation shows: tables are true, examples run, links lead somewhere."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from support.blobs import draw

from pose3d_ros.camera import Camera
from pose3d_ros.cli.main import main
from pose3d_ros.errors import ModelError
from pose3d_ros.outputs import Format
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, PositionSource

ROOT = Path(__file__).absolute().parents[1]
DOCS = ROOT / 'docs'
PAGES = sorted([*DOCS.rglob('*.md'), ROOT / 'README.md', ROOT / 'CONTRIBUTING.md'])

if not DOCS.is_dir():
    pytest.skip('an installed package has no docs', allow_module_level=True)


def code_after(page: Path, marker: str) -> str:
    """The first code block behind an HTML comment."""
    text = page.read_text(encoding='utf-8')
    found = re.search(rf'<!-- {re.escape(marker)} -->\n```python\n(.*?)```', text, re.DOTALL)
    assert found, f'{page.name} has no code behind <!-- {marker} -->'
    return found.group(1)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    heads = re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), re.M)
    return {re.sub(r'[^\w\- ]', '', head.lower()).replace(' ', '-') for head in heads}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r'```.*?```', '', page.read_text(encoding='utf-8'), flags=re.DOTALL)
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'\w+:', link):
            continue
        path, _, anchor = link.partition('#')
        target = (page.parent / path) if path else page
        assert target.exists(), f'{page.name} links to {link}'
        if anchor:
            assert anchor in anchors(target), f'{page.name} links to {link}'


def settings_named(text: str) -> set[str]:
    """Names of settings in the documentation that stand before a colon: `name: value`."""
    return set(re.findall(r'`([a-z_]+(?:\.[a-z_]+)?): [^` ]*`', text))


@pytest.mark.parametrize('name', ['frames_and_units.md', 'troubleshooting.md', 'design_notes.md'])
def test_settings_that_are_named_exist(name: str) -> None:
    from pose3d_ros.settings.node import node_settings

    known = {item.name for item in node_settings()}
    for setting in settings_named((DOCS / name).read_text(encoding='utf-8')):
        assert setting in known, f'{name} speaks of {setting}'


@pytest.fixture
def red_shirt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example of docs/adding_an_estimator.md, as a package of the user's own."""
    package = tmp_path / 'my_package'
    package.mkdir()
    (package / '__init__.py').touch()
    code = code_after(DOCS / 'adding_an_estimator.md', 'example: my_package/red_shirt.py')
    (package / 'red_shirt.py').write_text(code, encoding='utf-8')
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ('my_package', 'my_package.red_shirt'):
        monkeypatch.delitem(sys.modules, name, raising=False)


def shirts(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """(480, 640, 3) with red boxes: x, y, width, height."""
    image = np.zeros((480, 640, 3), np.uint8)
    for x, y, width, height in boxes:
        image[y : y + height, x : x + width] = (0, 0, 255)
    return image


def test_the_example_finds_and_places_people(red_shirt: Path) -> None:
    pipeline = Pipeline(PipelineConfig(estimator='my_package.red_shirt'))
    camera = Camera.assume(600.0, (640, 480))
    image = shirts((100, 100, 60, 100), (400, 100, 30, 50), (10, 10, 5, 5))
    for k in range(3):
        result = pipeline.process(Frame(image, stamp_ns=k * 33_000_000, camera=camera))
    poses = result.people
    assert [pose.track_id for pose in poses] == [1, 2]
    assert all(pose.position_source == PositionSource.ASSUMED for pose in poses)
    # A shirt of half a metre that is 100 pixels high stands 600 * 0.5 / 100 metres away.
    assert poses[0].root[2] == pytest.approx(3.0, abs=0.05)
    assert poses[1].root[2] == pytest.approx(6.0, abs=0.1)
    names = pipeline.skeleton.names
    left, right = (poses[0].xyz[names.index(f'{side}_hip'), 0] for side in ('left', 'right'))
    assert left > right
    assert 'find' in result.timings


@pytest.mark.parametrize(
    'nested',
    [
        {'my_package.red_shirt.min_height_px': 60},
        {'my_package': {'red_shirt': {'min_height_px': 60}}},
        {'my_package.red_shirt': {'min_height_px': 60}},
    ],
)
def test_the_options_of_the_example_are_settings(red_shirt: Path, nested: dict[str, Any]) -> None:
    config = from_mapping(PipelineConfig, {'estimator': 'my_package.red_shirt', **nested})
    assert config.options == {'min_height_px': 60}
    image = shirts((100, 100, 60, 100), (400, 100, 30, 50))
    assert len(Pipeline(config).process(Frame(image)).people) == 1


def test_the_command_of_the_example(red_shirt: Path, tmp_path: Path) -> None:
    picture, out = tmp_path / 'people.png', tmp_path / 'out.jsonl'
    cv2.imwrite(str(picture), shirts((100, 100, 60, 100), (400, 100, 30, 50)))
    given = ['run', str(picture), '--estimator', 'my_package.red_shirt', '--focal-length-px', '600']
    given += ['--set', 'my_package.red_shirt.min_height_px=40', '--save-json', str(out)]
    assert main(given) == 0
    record = json.loads(out.read_text(encoding='utf-8').splitlines()[1])
    assert [person['position_source'] for person in record['people']] == ['assumed', 'assumed']
    assert main([*given, '--set', 'my_package.red_shirt.min_hight_px=40']) == 2


def test_the_output_format_of_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType('pose3d_ros.outputs.roots')
    module.__package__ = 'pose3d_ros.outputs'
    page = DOCS / 'adding_an_estimator.md'
    exec(code_after(page, 'example: pose3d_ros/outputs/roots.py'), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    new = Format('--save-roots', 'FILE.txt', 'roots', f'{module.__name__}:Roots')
    monkeypatch.setattr('pose3d_ros.cli.run.FORMATS', (new,))
    monkeypatch.setattr('pose3d_ros.outputs.FORMATS', (new,))
    picture, out = tmp_path / 'people.png', tmp_path / 'roots.txt'
    cv2.imwrite(str(picture), draw([(300, 240, 200)]))
    command = ['run', str(picture), '--estimator', 'support.blobs', '--focal-length-px', '600']
    assert main([*command, '--save-roots', str(out)]) == 0
    head, line = out.read_text(encoding='utf-8').splitlines()
    assert len(head.split()) == len(line.split()) + 1 == 9
    assert float(line.split()[3]) > 0


def mean_colours(path: Path, size: int = 256) -> None:
    """An ONNX file (N, H, W, 3) -> (N, 17, 3): each joint is the mean of the pixels."""
    helper = pytest.importorskip('onnx.helper')
    onnx = pytest.importorskip('onnx')
    kind = onnx.TensorProto.FLOAT
    mean = helper.make_node('ReduceMean', ['image'], ['mean'], axes=[1], keepdims=1)
    mean2 = helper.make_node('ReduceMean', ['mean'], ['mean2'], axes=[2], keepdims=0)
    joints = helper.make_node('Concat', ['mean2'] * 17, ['joints'], axis=1)
    graph = helper.make_graph(
        [mean, mean2, joints],
        'mean',
        [helper.make_tensor_value_info('image', kind, ['n', size, size, 3])],
        [helper.make_tensor_value_info('joints', kind, ['n', 17, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.save(model, str(path))


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_the_network_of_the_example(tmp_path: Path, backend: str) -> None:
    if backend == 'onnxruntime':
        pytest.importorskip('onnxruntime')
    space: dict[str, Any] = {'__name__': 'example'}
    exec(code_after(DOCS / 'adding_an_estimator.md', 'network'), space)
    mean_colours(tmp_path / 'pose.onnx')
    config = PipelineConfig(model=str(tmp_path / 'pose.onnx'), backend=backend, precision='f32')
    network = space['load'](config)
    crops = np.zeros((2, 256, 256, 3), np.uint8)
    crops[1] = (0, 51, 255)  # blue, green, red
    found = space['joints'](network, crops)
    assert found.shape == (2, 17, 3)
    assert found[1, 5] == pytest.approx((1.0, 0.2, 0.0), abs=1e-5)
    mean_colours(tmp_path / 'other.onnx', size=128)
    with pytest.raises(ModelError, match='is another network'):
        space['load'](config.replace(model=str(tmp_path / 'other.onnx')))


def test_yaml_of_the_documentation_can_be_read() -> None:
    for page in PAGES:
        for block in re.findall(r'```yaml\n(.*?)```', page.read_text(encoding='utf-8'), re.DOTALL):
            assert yaml.safe_load(block), page.name
