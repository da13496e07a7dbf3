# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from shared import CLIPS
from support.exact_joints import Exact
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.backends import fake
from pose3d_ros.camera import Camera
from pose3d_ros.errors import ConfigError, ModelError
from pose3d_ros.estimators.metro import Estimator
from pose3d_ros.networks import metro as parts
from pose3d_ros.networks.crops import look_at, varied
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.estimators import models_of
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.types import Frame, JointStatus, Pose3D, PositionSource

SKELETON = SKELETONS['coco_cmu_19']
CLIP = CLIPS / 'jump.npz'
EXACT = 'support.exact_joints:Exact'
NAMES = {'neck': ('left_shoulder', 'right_shoulder')}


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('metro') / 'toy.pb'
    known = parts.JOINTS[19]
    write_graph(path, MetroGraph(known.names, known.edges, known.internal, known.inside, width=8))
    return path


def config(graph: Path, **options) -> PipelineConfig:
    settings = {
        name: options.pop(name) for name in ('max_people', 'body_height_m') if name in options
    }
    options = {'detector': 'topic', 'keypoints': 'none', **options}
    return PipelineConfig(
        estimator='metro', model=str(graph), options=options, precision='f32',
        allow_random_weights=True, **settings,
    )  # fmt: skip


def truth(index: int) -> tuple[np.ndarray, np.ndarray, Camera, np.ndarray]:
    """Joints (19, 3) m, pixels (19, 2), camera and box of a person in the clip."""
    with np.load(CLIP) as data:
        names = [str(name) for name in data['joint_names']]
        rows = [[names.index(part) for part in NAMES.get(name, (name,))] for name in SKELETON.names]
        xyz = np.array([data['joints_cam'][index, 0, row].mean(axis=0) for row in rows])
        camera = Camera(K=data['K'], size=tuple(int(v) for v in data['image_size']))
        x0, y0, x1, y1 = data['boxes_xyxy'][index, 0]
    return xyz.astype(float), camera.project(xyz), camera, np.array([x0, y0, x1 - x0, y1 - y0, 0.9])


def oracle(path: Path, xyz: np.ndarray, camera: Camera, box: np.ndarray, **options) -> Pipeline:
    """With a perfect network: it gives each view of the person in the box the true joints."""
    plain = look_at(camera, box, 256)
    views = [
        varied(plain, angle=view.angle, scale=view.scale, mirror=view.mirror)
        for view in parts.variants(options.get('augmentations', 1), options.get('mirror', False))
    ]
    mirror = list(SKELETON.mirror)

    def joints(inputs):
        out = [(xyz - xyz[0]) @ view.R.T for view in views[: len(inputs['image'])]]
        out = [one[mirror] if view.mirrored else one for one, view in zip(out, views)]
        # The exported root is not zero in these files.
        return {'joints': np.array(out) * 1000 + (30.0, -20.0, 10.0)}

    with fake.serving(path, joints):
        return Pipeline(config(path, **options))


def seen_by_an_oracle(graph: Path, *, keypoints: bool = True, depth=None, **options) -> (
    tuple[Pose3D, np.ndarray, np.ndarray]
):  # fmt: skip
    """The pose that comes out of a perfect network, and the truth."""
    xyz, Exact.pixels, camera, box = truth(60)
    source = {'keypoints': EXACT} if keypoints else {}
    pipeline = oracle(graph, xyz, camera, box, **source, **options)
    image = np.full((camera.size[1], camera.size[0], 3), 80, np.uint8)
    frame = Frame(image, stamp_ns=1, camera=camera, boxes=box[None], depth=depth)
    (pose,) = pipeline.process(frame).people
    assert pipeline.info.backend == 'fake'
    return pose, xyz, Exact.pixels


@pytest.mark.slow
@pytest.mark.parametrize('options', [{}, {'mirror': True}, {'augmentations': 5}], ids=str)
def test_a_perfect_network_gives_the_true_place(graph: Path, options) -> None:
    pose, xyz, pixels = seen_by_an_oracle(graph, **options)
    assert pose.position_source == PositionSource.METRIC
    assert pose.placed_by == 'perspective'
    assert np.abs(pose.xyz - xyz).max() < 0.01
    assert np.nanmax(np.abs(pose.pixels - pixels)) < 0.5


@pytest.mark.parametrize(
    ('method', 'tolerance'),
    [('perspective', 0.01), ('bone_lengths', 0.05), ('metrabs', 0.1), ('metrabs_2020', 0.1),
     ('metrabs_weak', 0.4)],
)  # fmt: skip
def test_every_way_of_placing_leads_to_the_truth(graph: Path, method: str, tolerance) -> None:
    pose, xyz, _ = seen_by_an_oracle(graph, place_by=method)
    assert pose.placed_by == method
    assert pose.position_source == PositionSource.METRIC
    assert np.linalg.norm(pose.root - xyz[2]) < tolerance


def test_without_pixels_a_depth_image_and_then_the_box_place_people(graph: Path) -> None:
    xyz, _, camera, _ = truth(60)
    depth = np.full(camera.size[::-1], xyz[2, 2] - 0.09, np.float32)
    pose, _, _ = seen_by_an_oracle(graph, keypoints=False, depth=depth)
    assert pose.placed_by == 'depth'
    assert pose.position_source == PositionSource.DEPTH
    assert np.linalg.norm(pose.root - xyz[2]) < 0.25
    pose, _, _ = seen_by_an_oracle(graph, keypoints=False)
    assert pose.placed_by == 'box'
    assert pose.position_source == PositionSource.ASSUMED
    assert np.linalg.norm(pose.root - xyz[2]) < 0.3 * xyz[2, 2]
    assert np.isfinite(pose.pixels).all()


def test_a_known_height_scales_people_and_is_told(graph: Path) -> None:
    pose, xyz, _ = seen_by_an_oracle(graph, body_height_m=1.0)
    assert pose.position_source == PositionSource.ASSUMED
    assert pose.root[2] < 0.8 * xyz[2, 2]


@pytest.mark.slow
def test_without_calibration_people_are_relative(graph: Path) -> None:
    _, _, camera, box = truth(60)
    pipeline = Pipeline(config(graph))
    image = np.full((camera.size[1], camera.size[0], 3), 80, np.uint8)
    (pose,) = pipeline.process(Frame(image, stamp_ns=1, boxes=box[None])).people
    assert not pose.absolute
    assert pose.placed_by == ''
    assert np.allclose(pose.xyz[2], 0)
    assert np.isfinite(pose.pixels).any()


def test_joints_outside_the_image_are_inferred(graph: Path) -> None:
    xyz, Exact.pixels, camera, box = truth(60)
    height = int(Exact.pixels[[7, 13], 1].min()) - 10  # above the knees
    box[3] = height - 0.5 - box[1]
    cut = camera.cropped(0, 0, camera.size[0], height)
    pipeline = oracle(graph, xyz, cut, box, keypoints=EXACT)
    frame = Frame(np.zeros((height, camera.size[0], 3), np.uint8), camera=cut, boxes=box[None])
    (pose,) = pipeline.process(frame).people
    outside = [
        SKELETON.index(f'{side}_{j}') for side in ('left', 'right') for j in ('knee', 'ankle')
    ]
    assert (pose.status[outside] == JointStatus.INFERRED).all()
    assert (np.delete(pose.status, outside) == JointStatus.MEASURED).all()
    assert pose.confidence[outside].max() < np.delete(pose.confidence, outside).min()
    assert np.abs(pose.xyz - xyz).max() < 0.02


@pytest.mark.slow
def test_the_whole_path_with_blazepose_as_its_eyes(graph: Path, blazepose_model) -> None:
    pipeline = Pipeline(config(graph, detector='finder', keypoints='blazepose'))
    _, pixels, camera, _ = truth(0)
    video = cv2.VideoCapture(str(CLIP.with_suffix('.mp4')))
    ids = set()
    for index in range(12):
        _, image = video.read()
        result = pipeline.process(Frame(image, stamp_ns=index * 33_000_000, camera=camera))
        (pose,) = result.people
        ids.add(pose.track_id)
        assert np.isfinite(pose.confidence).all()
    assert len(ids) == 1
    _, pixels, _, _ = truth(11)
    assert np.median(np.linalg.norm(pose.pixels - pixels, axis=1)) < 15
    assert {'boxes', 'crop', 'network', 'keypoints', 'decode'} <= set(result.timings)


@pytest.mark.slow
def test_many_people_in_one_batch(graph: Path) -> None:
    pipeline = Pipeline(config(graph, max_people=8))
    boxes = np.array([[k * 150.0, 100 + 10 * k, 120, 300, 0.9] for k in range(8)])
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    camera = Camera(K=np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), size=(1280, 720))
    together = pipeline.estimator.estimate([Frame(image, camera=camera, boxes=boxes)])[0]
    assert len(together) == 8
    for k in (0, 7):
        pipeline.reset()
        frame = Frame(image, camera=camera, boxes=boxes[k : k + 1])
        (alone,) = pipeline.estimator.estimate([frame])[0]
        assert np.allclose(alone.xyz - alone.root, together[k].xyz - together[k].root, atol=1e-4)


def test_nobody_no_network(graph: Path) -> None:
    runs: list[int] = []

    def joints(inputs):
        runs.append(len(inputs['image']))
        return {'joints': np.zeros((len(inputs['image']), 19, 3))}

    with fake.serving(graph, joints):
        pipeline = Pipeline(config(graph))
    runs.clear()
    assert pipeline.process(Frame(np.zeros((48, 64, 3), np.uint8))).people == []
    assert runs == []


@pytest.mark.slow
def test_settings_that_contradict_or_name_nothing(graph: Path) -> None:
    with pytest.raises(ConfigError, match='metro.mirror'):
        Estimator(config(graph, mirror=True, augmentations=5))
    with pytest.raises(ConfigError, match="2D joints 'nothing' is unknown"):
        Estimator(config(graph, keypoints='nothing'))
    with pytest.raises(ConfigError, match='detector .nothing'):
        Estimator(config(graph, detector='nothing'))


def test_needed_models() -> None:
    assert models_of(PipelineConfig(estimator='metro')) == (
        'metro',
        'movenet_multipose',
        'blazepose',
    )
    options = {'detector': 'image', 'keypoints': 'none'}
    config = PipelineConfig(estimator='metro', model='metro_h36m_st4', options=options)
    assert models_of(config)[0] == 'metro_h36m_st4'
    assert 'blazepose' not in models_of(config)


@pytest.mark.slow
def test_joints_of_the_file_are_checked(tmp_path: Path) -> None:
    known = parts.JOINTS[17]
    names = ('head', *known.names[1:])
    write_graph(
        tmp_path / 'a.pb', MetroGraph(names, known.edges, known.internal, known.inside, width=4)
    )
    with pytest.raises(ModelError, match='calls its joints head'):
        Estimator(config(tmp_path / 'a.pb'))
    edges = ((0, 5), *known.edges[1:])
    write_graph(
        tmp_path / 'b.pb', MetroGraph(known.names, edges, known.internal, known.inside, width=4)
    )
    with pytest.raises(ModelError, match='connects its joints'):
        Estimator(config(tmp_path / 'b.pb'))
    write_graph(tmp_path / 'c.pb', MetroGraph(('a', 'b'), ((0, 1),), (0, 1), 2, width=4))
    with pytest.raises(ModelError, match='delivers 2 joints'):
        Estimator(config(tmp_path / 'c.pb'))


def test_a_damaged_file_says_so(graph: Path, tmp_path: Path) -> None:
    (tmp_path / 'a.pb').write_bytes(graph.read_bytes()[:-100])
    with pytest.raises(ModelError, match='frozen TensorFlow graph'):
        Estimator(config(tmp_path / 'a.pb'))


def test_views_as_metrabs_makes_them() -> None:
    assert [v.mirror for v in parts.variants(5, False)] == [False, True, False, True, False]
    assert parts.variants(5, False)[2] == parts.Variant(0.8, 0.0, 1.0, False)
    assert parts.variants(1, True) == (parts.Variant(), parts.Variant(mirror=True))
