# SPDX-License-Identifier: Apache-2.0
"""The estimator through real networks: drawn maps, and random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose3d_ros.camera import Camera
from pose3d_ros.cli.loading import needed_models
from pose3d_ros.errors import ModelError
from pose3d_ros.estimators import pose_hg_3d as module
from pose3d_ros.networks import pose_hg_3d as parts
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.types import Frame, JointStatus, PositionSource

onnx = pytest.importorskip('onnx', reason='writes the models that the tests run')
from onnx import TensorProto, helper

pytestmark = pytest.mark.slow

CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
FRAME = Frame(np.full((480, 640, 3), 90, np.uint8), camera=CAMERA)

# A standing body in cells of the map, MPII-16, with the head at the top.
BODY = np.array(
    [[28, 58], [28, 46], [28, 34], [36, 34], [36, 46], [36, 58], [32, 34], [32, 22], [32, 16],
     [32, 8], [22, 36], [22, 26], [26, 17], [38, 17], [42, 26], [42, 36]], dtype=float,
)  # fmt: skip


def maps_of(body: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """(1, 16, 64, 64) Gaussians of height 1."""
    rows, columns = np.mgrid[0:64, 0:64]
    x, y = body[:, 0, None, None] + shift, body[:, 1, None, None]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2)[None].astype(np.float32)


def write_model(
    path: Path,
    heatmaps: np.ndarray,
    depth: np.ndarray,
    names: tuple[str, str] = ('heatmaps', 'depth'),
) -> Path:
    """A network that says the same of every crop, and of a batch as of a single one."""
    nodes, weights = [], []
    # A number per item of the batch, always 0, spreads the constants over the batch.
    nodes.append(helper.make_node('ReduceMean', ['image'], ['mean'], axes=[1, 2, 3], keepdims=1))
    nodes.append(helper.make_node('Mul', ['mean', 'nothing'], ['zero']))
    weights.append(helper.make_tensor('nothing', TensorProto.FLOAT, [1], [0.0]))
    outputs = []
    for name, array in zip(names, (heatmaps, depth)):
        constant = helper.make_tensor(f'{name}0', TensorProto.FLOAT, array.shape, array.ravel())
        weights.append(constant)
        source = 'zero'
        if array.ndim == 2:
            nodes.append(helper.make_node('Flatten', ['zero'], ['flat']))
            source = 'flat'
        nodes.append(helper.make_node('Add', [f'{name}0', source], [name]))
        shape = ['n', *array.shape[1:]]
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    image = helper.make_tensor_value_info('image', TensorProto.FLOAT, ['n', 3, 256, 256])
    graph = helper.make_graph(nodes, 'drawn', [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def estimator(path: Path, parity: bool = False, **options) -> module.Estimator:
    options.setdefault('detector', 'image')
    config = PipelineConfig(
        estimator='pose_hg_3d', model=str(path), options=options, parity=parity, threads=1
    )
    return module.Estimator(config)


@pytest.fixture
def standing(tmp_path) -> Path:
    depth = np.zeros((1, 16, 64, 64), np.float32)
    depth[0, 10:] = 0.1  # arms and shoulders farther away
    return write_model(tmp_path / 'pose.onnx', maps_of(BODY), depth)


def test_a_standing_body(standing):
    (pose,) = estimator(standing, margin=1.0).estimate([FRAME])[0]
    assert pose.skeleton.name == 'h36m_17'
    assert pose.position_source is PositionSource.RELATIVE
    edges = parts.H36M_EDGES
    bones = np.linalg.norm(pose.xyz[edges[:, 0]] - pose.xyz[edges[:, 1]], axis=1)
    assert bones.sum() == pytest.approx(4.0, rel=1e-6)
    index = pose.skeleton.index
    assert pose.xyz[index('head'), 1] < pose.xyz[index('left_ankle'), 1]
    # Seen from the front: the right side of the body is on the left of the image.
    assert pose.xyz[index('right_hip'), 0] < 0 < pose.xyz[index('left_hip'), 0]
    assert pose.xyz[index('left_wrist'), 2] > 0.1
    assert list(np.flatnonzero(pose.status == JointStatus.INFERRED)) == [
        3,
        6,
        7,
        9,
    ]  # the ankles are below the image
    # The crop is the square of 640 pixels about the centre of the image.
    np.testing.assert_allclose(pose.pixels[index('pelvis')], [320 - 0.5, 340 - 80 - 0.5], atol=2)


def test_mpii_joints_are_the_same_body(standing):
    (h36m,) = estimator(standing).estimate([FRAME])[0]
    (mpii,) = estimator(standing, joints='mpii_16').estimate([FRAME])[0]
    assert mpii.skeleton.name == 'mpii_16'
    for joint in ('left_knee', 'right_wrist', 'head_top'):
        other = {'head_top': 'head'}.get(joint, joint)
        a, b = mpii.xyz[mpii.skeleton.index(joint)], h36m.xyz[h36m.skeleton.index(other)]
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_peaks_between_cells(tmp_path):
    depth = np.zeros((1, 16, 64, 64), np.float32)
    path = write_model(tmp_path / 'pose.onnx', maps_of(BODY, 0.3), depth)
    found = {}
    for refine in (True, False):
        (pose,) = estimator(path, margin=1.0, refine=refine).estimate([FRAME])[0]
        found[refine] = pose.pixels[pose.skeleton.index('left_knee'), 0]
    moved = (found[True] - found[False]) / 10  # pixels in a cell
    assert moved == pytest.approx(0.3, abs=0.001)


def test_mirrored_crops_cancel_what_is_asymmetric(standing):
    (plain,) = estimator(standing).estimate([FRAME])[0]
    (both,) = estimator(standing, mirror=True).estimate([FRAME])[0]
    # The network says the same of a mirrored crop, so that left and right merge in the middle.
    assert abs(plain.xyz[6, 0]) > 0.05
    assert np.isfinite(both.xyz).all()


def test_parity_takes_the_whole_picture(standing):
    (pose,) = estimator(standing, parity=True, detector='blazepose').estimate([FRAME])[0]
    cells, _ = parts.peaks(maps_of(BODY))
    depth = np.zeros((1, 16))
    depth[0, 10:] = 0.1
    relative = parts.to_h36m(parts.joints(cells, depth))
    expected = parts.sized(relative, parts.H36M_EDGES, parts.TOTAL_MM) / 1000
    np.testing.assert_allclose(pose.xyz, expected[0], atol=1e-6)
    assert pose.covariance is None


def test_the_hourglass_is_recognised(tmp_path):
    depth = np.zeros((1, 16), np.float32)
    depth[0, :6] = 0.2
    path = write_model(tmp_path / 'pose.onnx', maps_of(BODY), depth)
    (pose,) = estimator(path).estimate([FRAME])[0]
    index = pose.skeleton.index
    assert pose.xyz[index('left_ankle'), 2] > 0.1
    assert abs(pose.xyz[index('left_wrist'), 2]) < 0.05
    assert len(estimator(path, mirror=True).estimate([FRAME])[0]) == 1


def test_flat_or_weak_maps_give_nobody(tmp_path):
    depth = np.zeros((1, 16, 64, 64), np.float32)
    flat = write_model(tmp_path / 'flat.onnx', np.zeros((1, 16, 64, 64), np.float32), depth)
    assert estimator(flat, min_confidence=0.0).estimate([FRAME]) == [[]]
    weak = write_model(tmp_path / 'weak.onnx', 0.1 * maps_of(BODY), depth)
    assert estimator(weak).estimate([FRAME]) == [[]]
    bad = write_model(tmp_path / 'bad.onnx', maps_of(BODY) * np.float32(np.nan), depth)
    assert estimator(bad).estimate([FRAME]) == [[]]


def test_several_frames_and_placement(standing):
    config = PipelineConfig(
        estimator='pose_hg_3d', model=str(standing), threads=1, options={'detector': 'topic'}
    )
    pipeline = Pipeline(config)
    boxes = np.array([[100, 100, 80, 200, 0.9], [400, 100, 160, 320, 0.8]], float)
    frames = [
        Frame(FRAME.image, camera=CAMERA, source='a', boxes=boxes),
        Frame(FRAME.image, camera=CAMERA, source='b', boxes=boxes[:1]),
        Frame(FRAME.image, camera=CAMERA, source='c'),
    ]
    out = [result.people for result in pipeline.process_batch(frames)]
    assert [len(people) for people in out] == [2, 1, 0]
    assert all(pose.position_source is PositionSource.ASSUMED for pose in out[0])
    by_x = sorted(out[0], key=lambda pose: pose.root[0])
    # Nearly twice as large in the image: nearly half as far away.
    assert by_x[0].root[2] / by_x[1].root[2] == pytest.approx(1.6, rel=0.15)


def test_other_networks_are_refused(tmp_path):
    path = write_model(
        tmp_path / 'pose.onnx', np.zeros((1, 15, 64, 64), np.float32), np.zeros((1, 15), np.float32)
    )
    with pytest.raises(ModelError, match='another network'):
        estimator(path)


def test_needed_models():
    config = PipelineConfig(estimator='pose_hg_3d')
    assert [entry.name for entry in needed_models(config)] == ['pose_hg_3d', 'movenet_multipose']
    own = config.replace(options={'detector': 'image'})
    assert [entry.name for entry in needed_models(own)] == ['pose_hg_3d']
