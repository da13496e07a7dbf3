# SPDX-License-Identifier: Apache-2.0
"""The published MoveNet networks on the bundled clips and on photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.backends import Network, NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import ModelError
from pose3d_ros.networks import movenet
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.resources import resource
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.zoo import find_model

pytestmark = pytest.mark.slow

LIMBS = slice(5, 17)  # without the face, where the rig's joints lie elsewhere
MULTIPOSE = (1, None, None, 3), (1, 6, 56)


def load(
    name: str, role: str, ports: tuple[tuple[int | None, ...], ...], backend: str = 'openvino'
) -> Network:
    pytest.importorskip(backend)
    try:
        model = find_model(name, role, backend=backend)
    except ModelError as error:
        pytest.skip(str(error))
    image, found = ports
    spec = NetworkSpec(
        model.files[role], {'image': Port(image)}, {'people': Port(found)}, batched=False
    )
    device = 'CPU' if backend == 'openvino' else 'cpu'
    return load_network(spec, RuntimeOptions(device=device), backend)


@pytest.fixture(scope='module')
def multipose() -> Network:
    return load('movenet_multipose', 'network', MULTIPOSE)


def people(network: Network, image: np.ndarray, side: int) -> Detections:
    tensor, where = movenet.prepare(image, side)
    return movenet.decode(network({'image': tensor})['people'], where)


def frames(name: str, step: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Images, boxes (P, 4) and COCO joints (P, 17, 2) of a bundled clip."""
    with np.load(resource('demo', f'{name}.npz')) as data:
        order = [list(data['joint_names']).index(j) for j in SKELETONS['coco_17'].names]
        boxes, joints = data['boxes_xyxy'], data['joints_px'][:, :, order]
    video = cv2.VideoCapture(str(resource('demo', f'{name}.mp4')))
    for k in range(len(boxes)):
        good, image = video.read()
        assert good
        if k % step == 0:
            yield image, boxes[k], joints[k]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


@pytest.mark.parametrize('side', [256, 320])
@pytest.mark.parametrize('clip', ['jump', 'two_people'])
def test_everybody_and_nobody_else(multipose: Network, clip: str, side: int) -> None:
    for image, boxes, _ in frames(clip, 12):
        found = people(multipose, image, side)
        assert len(found) == len(boxes)
        nearest = [int(np.argmax([iou(box, other) for other in found.boxes])) for box in boxes]
        assert sorted(nearest) == list(range(len(boxes)))
        assert all(iou(box, found.boxes[k]) > 0.4 for box, k in zip(boxes, nearest))


def test_single_pose_networks_are_more_exact(multipose: Network) -> None:
    """Error of the limbs' joints in pixels, the person cropped by MultiPose's joints."""
    networks = {
        256: load('movenet_thunder', 'pose', ((1, 256, 256, 3), (1, 1, 17, 3))),
        192: load('movenet_lightning', 'pose', ((1, 192, 192, 3), (1, 1, 17, 3))),
    }
    errors: dict[int, list[float]] = {0: [], 192: [], 256: []}
    for image, _, joints in frames('jump', 12):
        found = people(multipose, image, 256)
        region = movenet.square(found.keypoints[0])
        for side in errors:
            points = found.keypoints[0]
            if side:
                raw = networks[side]({'image': movenet.crop(image, region, side)})['people']
                points, confidence = movenet.decode_single(raw, region)
                assert (confidence >= 0).all()
            errors[side].append(float(np.linalg.norm(points - joints[0], axis=1)[LIMBS].mean()))
    mean = {side: float(np.mean(rows)) for side, rows in errors.items()}
    # Measured in every sixth frame: MultiPose 9.0, Lightning 7.2, Thunder 6.3.
    assert mean[256] < 7.0
    assert mean[192] < 8.0
    assert mean[256] < mean[192] < mean[0]


def test_both_runtimes_see_the_same(multipose: Network) -> None:
    other = load('movenet_multipose', 'network', MULTIPOSE, 'onnxruntime')
    image, _, _ = next(frames('two_people', 1))
    for side in (256, 448):
        first, second = (people(network, image, side) for network in (multipose, other))
        assert len(first) == len(second) == 2
        np.testing.assert_allclose(first.keypoints, second.keypoints, atol=0.01)
        np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
        np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)


def test_photographs(multipose: Network, data_dir: Path) -> None:
    """People at a longer side of 512; six is the network's limit."""
    wanted = {
        'cyclists': 6,
        'apollo11_crew': 3,
        'flight_deck': 5,
        'waving_small': 2,
        'roadside_small': 2,
        'skier': 1,
        'pose_m': 1,
        'pose_t': 1,
        'pose_y': 1,
        'pose_side_lunge': 1,
        'pose_standing_crop': 1,
        'no_people_stop_sign': 0,
    }
    found = {}
    for name in wanted:
        image = cv2.imread(str(data_dir / 'images' / f'{name}.jpg'))
        assert image is not None
        found[name] = len(people(multipose, image, 512))
    assert found == wanted


@pytest.mark.parametrize('shape', [(1, 1), (3, 700), (2160, 3840)])
def test_any_image(multipose: Network, shape: tuple[int, int]) -> None:
    found = people(multipose, np.zeros((*shape, 3), np.uint8), 256)
    assert len(found) == 0
