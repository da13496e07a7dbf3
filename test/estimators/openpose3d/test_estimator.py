# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx', reason='onnx makes the networks of this test')

import onnx
from onnx import TensorProto, helper
from support.drawn_model import write

from pose3d_ros.backends import available
from pose3d_ros.camera import Camera
from pose3d_ros.errors import ModelError
from pose3d_ros.estimators import create
from pose3d_ros.estimators.openpose3d.estimator import _merged, _tiles
from pose3d_ros.networks import openpose3d as parts
from pose3d_ros.networks.openpose3d_people import extract
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.parsing import from_mapping
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.tools.openpose3d_scenes import draw
from pose3d_ros.types import Frame, JointStatus, PositionSource

SIZE = (1280, 720)


def config_for(path: Path, **settings: object) -> PipelineConfig:
    return from_mapping(PipelineConfig, {'estimator': 'openpose3d', 'model': str(path), **settings})


def frame(stamp_ns: int = 0, source: str = '', size: tuple[int, int] = SIZE, **fields) -> Frame:
    return Frame(np.zeros((size[1], size[0], 3), np.uint8), stamp_ns, source=source, **fields)


def camera() -> Camera:
    K = np.array([[1000.0, 0, 700], [0, 1000, 300], [0, 0, 1]])
    return Camera(K, SIZE)


@pytest.fixture(scope='module')
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp('drawn') / 'three.onnx', draw(3, (57, 32)).maps)


def test_people_in_metres(three: Path) -> None:
    pipeline = Pipeline(config_for(three))
    poses = pipeline.process(frame(camera=camera())).people
    scene = draw(3, (57, 32))
    assert pipeline.skeleton.name == 'coco_cmu_19'
    assert len(poses) == 3
    for pose in poses:
        distance = [
            np.nanmean(np.abs(pose.pixels - (cells * 8 * 720 / 256 - 0.5))) for cells in scene.cells
        ]
        k = int(np.argmin(distance))
        assert distance[k] < 3.0  # of 1280 pixels; a cell has 22.5
        # The pelvis is the middle of the hips, in metres.
        np.testing.assert_allclose(pose.xyz[2], pose.xyz[[6, 12]].mean(axis=0), atol=2e-3)
        assert pose.position_source == PositionSource.ASSUMED
        assert 0 < pose.score <= 1
        body = (scene.relative[k] - scene.relative[k][[6, 12]].mean(axis=0)) * 1.8
        assert np.abs((pose.xyz - pose.xyz[2])[:15] - body[:15]).max() < 0.06
        # The calibrated principal point: joints lie on the rays of their pixels.
        off = camera().project(pose.xyz) - pose.pixels
        assert np.nanmean(np.abs(off)) < 8
        assert (pose.status == JointStatus.MEASURED).all()


def test_without_calibration_a_focal_length_is_assumed(three: Path) -> None:
    poses = Pipeline(config_for(three)).process(frame()).people
    assert all(pose.position_source == PositionSource.ASSUMED for pose in poses)
    known = Pipeline(config_for(three, focal_length_px=1024.0)).process(frame()).people
    np.testing.assert_allclose(poses[0].xyz, known[0].xyz)


def test_body_height(three: Path) -> None:
    usual = Pipeline(config_for(three)).process(frame(camera=camera())).people
    small = Pipeline(config_for(three, body_height_m=0.9)).process(frame(camera=camera())).people
    np.testing.assert_allclose(small[0].xyz, usual[0].xyz / 2, rtol=1e-6)


def test_depth_tells_the_height(three: Path) -> None:
    pipeline = Pipeline(config_for(three, smoothing=False))
    far = Pipeline(config_for(three)).process(frame(camera=camera())).people
    depth = np.full(SIZE[::-1], 0.6 * far[0].root[2] - 0.09, np.float32)
    seen = pipeline.process(frame(0, camera=camera(), depth=depth)).people
    assert seen[0].position_source == PositionSource.DEPTH
    # Without depth the size stays with the track.
    later = pipeline.process(frame(33_000_000, camera=camera())).people
    assert later[0].track_id == seen[0].track_id
    assert later[0].root[2] == pytest.approx(0.6 * far[0].root[2], rel=0.05)


def test_several_cameras_in_one_inference(three: Path) -> None:
    pipeline = Pipeline(config_for(three))
    results = pipeline.process_batch([frame(source='a'), frame(source='b')])
    both = [result.people for result in results]
    assert [len(poses) for poses in both] == [3, 3]
    np.testing.assert_allclose(both[0][0].xyz, both[1][0].xyz)
    assert {p.track_id for p in both[0]}.isdisjoint(p.track_id for p in both[1])
    mixed = pipeline.process_batch([frame(1, 'a'), frame(1, 'b', (640, 480))])
    assert [len(result.people) for result in mixed] == [3, 3]


@pytest.mark.skipif('onnxruntime' not in available(), reason='ONNX Runtime is not installed')
def test_onnx_runtime_agrees(three: Path) -> None:
    ours = create(config_for(three)).estimate([frame()])[0]
    other = create(config_for(three, backend='onnxruntime', device='cpu')).estimate([frame()])[0]
    for a, b in zip(ours, other, strict=True):
        np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-6)


@pytest.mark.parametrize('hidden', [(0,), (0, 6, 12)])
def test_people_without_a_neck_are_kept(tmp_path: Path, hidden: tuple[int, ...]) -> None:
    scene = draw(2, (56, 32), hidden=hidden)
    poses = create(config_for(write(tmp_path / 'x.onnx', scene.maps))).estimate([frame()])[0]
    assert len(poses) == 2
    for pose in poses:
        assert pose.status[0] == JointStatus.INFERRED
        assert pose.confidence[0] < 0.1
        own = (pose.status == JointStatus.MEASURED) & (np.arange(19) != parts.PELVIS)
        assert pose.score == pytest.approx(pose.confidence[own].mean())
        assert (pose.status[[3, 9, 4, 10]] == JointStatus.MEASURED).all()
    found = extract(scene.maps['heatmaps'], scene.maps['pafs'])
    assert np.isnan(found.score[:, 1]).all()


def test_joints_that_are_not_seen_are_inferred(tmp_path: Path) -> None:
    scene = draw(1, (56, 32), hidden=(5, 16))
    (pose,) = create(config_for(write(tmp_path / 'x.onnx', scene.maps))).estimate([frame()])[0]
    assert pose.skeleton.names[5] == 'left_wrist'
    for slot in (5, 16):
        assert pose.status[slot] == JointStatus.INFERRED
        assert pose.confidence[slot] == 0
        assert np.isnan(pose.pixels[slot]).all()
        assert np.isfinite(pose.xyz[slot]).all()
    # Eyes and ears go by their own names, which the published programs mix up.
    for name in ('left_eye', 'right_eye', 'right_ear'):
        slot = pose.skeleton.index(name)
        expected = scene.cells[0, slot] * 22.5 - 0.5
        assert np.abs(pose.pixels[slot] - expected).max() < 6, name


def test_nobody(tmp_path: Path) -> None:
    path = write(tmp_path / 'x.onnx', draw(0, (56, 32)).maps)
    for parity in (False, True):
        pipeline = Pipeline(config_for(path, parity=parity))
        assert pipeline.process(frame()).people == []
        assert pipeline.process(frame(40_000_000)).people == []


def test_twenty_people(tmp_path: Path) -> None:
    path = write(tmp_path / 'x.onnx', draw(20, (56, 32)).maps)
    big = np.zeros((1080, 1920, 3), np.uint8)
    poses = Pipeline(config_for(path)).process(Frame(big)).people
    assert len(poses) == 20
    assert len({pose.track_id for pose in poses}) == 20
    # The limit counts the surest.
    few = Pipeline(config_for(path, max_people=5)).process(Frame(big)).people
    assert len(few) == 5


def test_noise_is_survived(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = {
        name: rng.normal(0, 1, values.shape).astype(np.float32)
        for name, values in draw(0, (56, 32)).maps.items()
    }
    create(config_for(write(tmp_path / 'x.onnx', noise))).estimate([frame()])


def test_random_weights_are_refused(tmp_path: Path) -> None:
    maps = draw(1, (56, 32)).maps
    path = write(tmp_path / 'x.onnx', maps, {'pose3d.weights': 'random'})
    with pytest.raises(ModelError, match='random weights'):
        create(config_for(path))
    create(config_for(path, allow_random_weights=True))


def test_another_network(tmp_path: Path) -> None:
    maps = draw(1, (56, 32)).maps
    maps['pafs'] = maps['pafs'][:10]
    with pytest.raises(ModelError, match='is another network'):
        create(config_for(write(tmp_path / 'x.onnx', maps)))


def test_tiles() -> None:
    assert _tiles(100, 50, 0) == []
    boxes = _tiles(1000, 500, 2)
    assert len(boxes) == 4
    assert boxes[0][:2] == (0, 0)
    assert boxes[-1][0] + boxes[-1][2] == 1000
    assert boxes[-1][1] + boxes[-1][3] == 500
    assert boxes[0][2] > boxes[1][0]  # they overlap


def test_tiles_find_each_person_once(three: Path) -> None:
    # The network here sees the same three in every view: twelve in the tiles, three in the whole.
    poses = create(config_for(three, **{'openpose3d.tiles': 2})).estimate([frame()])[0]
    assert len(poses) == 15
    whole = create(config_for(three)).estimate([frame()])[0]
    assert len(_merged(whole, whole)) == 3
    moved = [pose.replace(pixels=pose.pixels + 200) for pose in whole]
    assert len(_merged(whole, moved)) == 6


def test_frames_overlap(three: Path) -> None:
    pipeline = Pipeline(config_for(three))
    assert pipeline.overlaps
    frames = [frame(k * 40_000_000) for k in range(5)]
    streamed = list(pipeline.stream(frames))
    assert [result.frame.stamp_ns for result in streamed] == [item.stamp_ns for item in frames]
    alone = Pipeline(config_for(three))
    for result, item in zip(streamed, frames):
        for a, b in zip(result.people, alone.process(item).people, strict=True):
            assert a.track_id == b.track_id
            np.testing.assert_allclose(a.xyz, b.xyz)


def fixed(path: Path, source: Path) -> Path:
    """The same network for 448x256 alone."""
    model = onnx.load(str(source))
    for axis, size in ((2, 256), (3, 448)):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save(model, str(path))
    return path


def test_files_of_a_fixed_size(
    tmp_path: Path, three: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = fixed(tmp_path / 'fixed.onnx', three)
    assert len(create(config_for(path)).estimate([frame()])[0]) == 3
    assert not caplog.messages
    create(config_for(path, **{'openpose3d.input_height': 512}))
    assert 'input_height 512 has no effect: fixed.onnx takes 448x256 alone' in caplog.text
    published = create(config_for(path, parity=True))
    assert len(published.estimate([frame()])[0]) == 3
    with pytest.raises(ModelError, match='needs an input of 336x256, and the model file takes 448'):
        published.estimate([frame(size=(640, 480))])


def means(path: Path, metadata: dict[str, str]) -> Path:
    """A network of the right shapes whose maps are the mean colours of the cells."""
    nodes = [
        helper.make_node('AveragePool', ['data'], ['m'], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node('Concat', ['m'] * 19, ['features'], axis=1),
        helper.make_node('Concat', ['m'] * 12 + ['blue'] * 2, ['pafs'], axis=1),
        helper.make_node('Concat', ['m'] * 6 + ['blue'], ['heatmaps'], axis=1),
        helper.make_node('Split', ['m'], ['blue', 'green', 'red'], axis=1, num_outputs=3),
    ]
    order = [nodes[0], nodes[4], *nodes[1:4]]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', count, 'h', 'w'])
        for name, count in (('data', 3), ('features', 57), ('heatmaps', 19), ('pafs', 38))
    ]
    model = helper.make_model(
        helper.make_graph(order, 'means', ports[:1], ports[1:]),
        opset_imports=[helper.make_opsetid('', 18)],
        ir_version=9,
    )
    helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


@pytest.mark.slow
@pytest.mark.parametrize('backend', available())
@pytest.mark.parametrize(
    ('metadata', 'values', 'normalised'),
    [
        ({}, 'auto', True),
        ({'pose3d.family': 'openpose3d'}, 'auto', False),
        ({}, 'raw', False),
        ({'pose3d.family': 'openpose3d'}, 'normalised', True),
    ],
)
def test_what_the_network_is_fed(
    tmp_path: Path, backend: str, metadata: dict[str, str], values: str, normalised: bool
) -> None:
    path = means(tmp_path / 'means.onnx', metadata)
    changes = {'backend': backend, 'device': 'CPU', 'openpose3d.input_values': values}
    estimator = create(config_for(path, **changes))
    image = np.full((512, 896, 3), (10, 20, 230), np.uint8)
    (job,) = estimator.begin([Frame(image)]).jobs
    found = job[0].result()['features']
    assert found.shape == (1, 57, 32, 56)
    expected = np.array([10, 20, 230.0])
    expected = (expected - 128) / 255 if normalised else expected
    np.testing.assert_allclose(found[0, :3].mean(axis=(1, 2)), expected, rtol=1e-5)
