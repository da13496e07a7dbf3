# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared import CLIPS

pytest.importorskip('torch', reason='PyTorch is an extra: pose3d_ros[convert]')
pytest.importorskip('onnx', reason='onnx is an extra: pose3d_ros[convert]')

from toy_metrabs import use_small, write_archive

from pose3d_ros.backends import fake
from pose3d_ros.camera import Camera
from pose3d_ros.errors import ModelError
from pose3d_ros.estimators.metrabs import Estimator
from pose3d_ros.networks import metro as parts
from pose3d_ros.networks.crops import look_at_wide, upright, varied
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.estimators import models_of
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.tools.convert.install import install
from pose3d_ros.types import Frame, JointStatus, PositionSource
from pose3d_ros.zoo import load_registry

pytestmark = pytest.mark.slow

COCO = SKELETONS['coco_cmu_19']
CLIP = CLIPS / 'jump.npz'
NAMES = {'neck': ('left_shoulder', 'right_shoulder')}


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('metrabs')
    with pytest.MonkeyPatch.context() as patch:
        use_small(patch)
        archive = write_archive(root / 'in')
        install(load_registry()['metrabs'], root / 'models', checkpoint=archive)
    return root / 'models'


def config(folder: Path, **options) -> PipelineConfig:
    settings = {k: options.pop(k) for k in ('body_height_m', 'backend') if k in options}
    return PipelineConfig(
        estimator='metrabs', models_dir=str(folder), precision='f32',
        options={'detector': 'topic', **options}, **settings,
    )  # fmt: skip


def truth(index: int) -> tuple[np.ndarray, Camera, np.ndarray]:
    """Joints (19, 3) m, camera and box of a person in the clip."""
    with np.load(CLIP) as data:
        names = [str(name) for name in data['joint_names']]
        rows = [[names.index(part) for part in NAMES.get(name, (name,))] for name in COCO.names]
        xyz = np.array([data['joints_cam'][index, 0, row].mean(axis=0) for row in rows])
        camera = Camera(K=data['K'], size=tuple(int(v) for v in data['image_size']))
        x0, y0, x1, y1 = data['boxes_xyxy'][index, 0]
    return xyz.astype(float), camera, np.array([x0, y0, x1 - x0, y1 - y0, 0.9])


def perfect(xyz: np.ndarray, camera: Camera, box: np.ndarray, count: int = 1, wrong: int = 0):
    """A network that gives each view of the person in the box the true points.

    wrong: so many of the 2D points lie anywhere.
    """
    truth = np.concatenate([xyz, xyz[:17]])
    mirror = [*COCO.mirror, *range(19, 36)]
    variants = parts.variants(count, mirror=False)

    def points(inputs):
        rng = np.random.default_rng(0)
        number, _, side, _ = inputs['image'].shape
        shape = (number, 36)
        out = {
            'points2d': np.zeros((*shape, 2)),
            'points3d': np.zeros((*shape, 3)),
            'margin': np.zeros(shape),
            'variance': np.full((*shape, 3), 1e-3),
        }
        plain = look_at_wide(camera, box, side)
        for k, variant in enumerate(variants[:number]):
            view = varied(plain, angle=variant.angle, scale=variant.scale, mirror=variant.mirror)
            points = truth @ view.R.T
            if view.mirrored:
                points = points[mirror]
            out['points3d'][k] = 1000 * points - points[5] * 1000 + (900.0, 1100.0, 1000.0)
            pixels = points @ view.K.T
            pixels = pixels[:, :2] / pixels[:, 2:]
            pixels[:wrong] = rng.uniform(24, side - 24, (wrong, 2))
            out['points2d'][k] = pixels
            out['margin'][k] = np.minimum(pixels - 24, side - 24 - pixels).min(axis=1)
        return out

    return points


def oracle(folder: Path, *, wrong: int = 0, depth=None, camera=True, cut=0, **options):
    xyz, calibration, box = truth(60)
    width, height = calibration.size
    image = np.full((height - cut, width, 3), 80, np.uint8)
    if cut:
        calibration = calibration.cropped(0, 0, width, height - cut)
        box[3] = min(box[3], height - cut - 0.5 - box[1])
    shown = calibration if camera else upright(box, (width, height))
    network = perfect(xyz, shown, box, options.get('augmentations', 1), wrong)
    with fake.serving(folder / 'metrabs' / 'pose.xml', network):
        pipeline = Pipeline(config(folder, **options))
    assert pipeline.info.backend == 'fake'
    frame = Frame(
        image, stamp_ns=1, camera=calibration if camera else None, boxes=box[None], depth=depth
    )
    (pose,) = pipeline.process(frame).people
    return pose, xyz, calibration


@pytest.mark.parametrize('options', [{}, {'augmentations': 5}, {'augmentations': 2}], ids=str)
def test_a_perfect_network_gives_the_true_place(folder: Path, options) -> None:
    pose, xyz, camera = oracle(folder, **options)
    assert (pose.position_source, pose.placed_by) == (PositionSource.METRIC, 'perspective')
    assert np.abs(pose.xyz - xyz).max() < 0.002
    assert np.abs(pose.pixels - camera.project(xyz)).max() < 0.5
    assert pose.confidence.min() > 0.8


@pytest.mark.parametrize(
    ('method', 'tolerance'), [('metrabs', 0.1), ('metrabs_2020', 0.02), ('metrabs_weak', 0.4)]
)
def test_every_published_way_of_placing(folder: Path, method: str, tolerance: float) -> None:
    pose, xyz, _ = oracle(folder, place_by=method)
    assert pose.placed_by == method
    assert np.linalg.norm(pose.root - xyz[2]) < tolerance


def test_wrong_points_in_the_image_count_for_nothing(folder: Path) -> None:
    pose, xyz, _ = oracle(folder, wrong=7)
    assert np.linalg.norm(pose.root - xyz[2]) < 0.05 * xyz[2, 2]
    published, _, _ = oracle(folder, wrong=7, place_by='metrabs')
    assert np.linalg.norm(published.root - xyz[2]) > 3 * np.linalg.norm(pose.root - xyz[2])


def test_joints_below_the_image_are_inferred(folder: Path) -> None:
    xyz, camera, box = truth(60)
    cut = int(camera.size[1] - (box[1] + 0.55 * box[3]))
    pose, xyz, camera = oracle(folder, cut=cut)
    below = camera.project(xyz)[:, 1] > camera.size[1]
    assert below.sum() >= 4
    assert (pose.status[below] == JointStatus.INFERRED).all()
    assert (pose.status[~below] == JointStatus.MEASURED).all()
    assert pose.confidence[below].max() < pose.confidence[~below].min()
    assert np.abs(pose.xyz - xyz).max() < 0.01


def test_depth_box_and_no_calibration(folder: Path) -> None:
    xyz, camera, _ = truth(60)
    depth = np.full(camera.size[::-1], xyz[2, 2] - 0.09, np.float32)
    pose, _, _ = oracle(folder, place_by='depth', depth=depth)
    assert (pose.placed_by, pose.position_source) == ('depth', PositionSource.DEPTH)
    pose, _, _ = oracle(folder, place_by='box')
    assert (pose.placed_by, pose.position_source) == ('box', PositionSource.ASSUMED)
    pose, _, _ = oracle(folder, camera=False)
    assert pose.position_source == PositionSource.RELATIVE
    assert np.allclose(pose.root, 0, atol=1e-9)


def test_a_known_height_moves_people(folder: Path) -> None:
    pose, _, _ = oracle(folder)
    taller, _, _ = oracle(folder, body_height_m=2.2)
    assert taller.position_source == PositionSource.ASSUMED
    assert taller.root[2] > 1.1 * pose.root[2]


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
@pytest.mark.parametrize('joints', ['coco_cmu_19', 'h36m_17'])
def test_the_network_itself_runs(folder: Path, backend: str, joints: str) -> None:
    pytest.importorskip(backend)
    pipeline = Pipeline(config(folder, backend=backend, joints=joints))
    boxes = np.array([[100.0, 50, 100, 300, 0.9], [300, 60, 100, 300, 0.8]])
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    camera = Camera(K=np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), size=(640, 480))
    result = pipeline.process(Frame(image, stamp_ns=1, camera=camera, boxes=boxes))
    poses = result.people
    assert [pose.skeleton.name for pose in poses] == [joints, joints]
    assert np.isfinite(poses[0].xyz).all()
    assert pipeline.estimator.info.backend == backend
    assert {'boxes', 'crop', 'network', 'decode'} <= set(result.timings)
    pipeline.reset()
    assert pipeline.process(Frame(image, stamp_ns=2, camera=camera, boxes=boxes[:0])).people == []


def test_what_it_needs(folder: Path, tmp_path: Path) -> None:
    assert models_of(PipelineConfig(estimator='metrabs'))[:2] == ('metrabs', 'blazepose')
    with pytest.raises(ModelError, match='pose is not converted yet; convert it with: .*metrabs'):
        Estimator(config(tmp_path))
    joints = folder / 'metrabs' / 'joints.onnx'
    for name in ('pose', 'joints'):
        (tmp_path / f'{name}.onnx').write_bytes(joints.read_bytes())
    settings = config(tmp_path).replace(model=str(tmp_path))
    with pytest.raises(ModelError, match='no MeTRAbs network: its input is'):
        Estimator(settings)
