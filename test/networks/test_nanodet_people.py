# SPDX-License-Identifier: Apache-2.0
"""The published NanoDet on the bundled clips and on photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pose3d_ros.backends import Network, NetworkSpec, Port, RuntimeOptions, load_network
from pose3d_ros.errors import ModelError
from pose3d_ros.networks import nanodet
from pose3d_ros.networks.letterbox import Detections
from pose3d_ros.resources import resource
from pose3d_ros.zoo import find_model

pytestmark = pytest.mark.slow

COUNTS = tuple((nanodet.SIDE // stride) ** 2 for stride in nanodet.STRIDES)


@pytest.fixture(scope='module')
def network() -> Network:
    try:
        model = find_model('nanodet', 'detector', backend='openvino')
    except ModelError as error:
        pytest.skip(str(error))
    outputs = {f'classes{n}': Port((1, n, 80)) for n in COUNTS}
    outputs |= {f'sides{n}': Port((1, n, 44)) for n in COUNTS}
    spec = NetworkSpec(
        model.files['detector'], {'image': Port((1, 3, 416, 416))}, outputs, batched=False
    )
    return load_network(spec, RuntimeOptions())


def people(network: Network, image: np.ndarray) -> Detections:
    tensor, where = nanodet.prepare(image)
    raw = network({'image': tensor})
    classes, sides = ([raw[f'{kind}{n}'] for n in COUNTS] for kind in ('classes', 'sides'))
    return nanodet.decode(classes, sides, where)


def test_photographs(network: Network, data_dir: Path) -> None:
    wanted = {
        'cyclists': 11,
        'flight_deck': 19,
        'waving_small': 4,
        'roadside_small': 3,
        'apollo11_crew': 3,
        'skier': 0,
        'legs_and_dogs': 5,
        'no_people_stop_sign': 0,
    }
    found = {}
    for name in wanted:
        image = cv2.imread(str(data_dir / 'images' / f'{name}.jpg'))
        assert image is not None
        detections = people(network, image)
        assert (detections.boxes[:, 2:] > detections.boxes[:, :2]).all()
        found[name] = len(detections)
    assert found == wanted


def test_boxes_lie_on_people(network: Network) -> None:
    with np.load(resource('demo', 'two_people.npz')) as data:
        wanted = data['boxes_xyxy']
    video = cv2.VideoCapture(str(resource('demo', 'two_people.mp4')))
    hits = 0
    for k in range(0, 150, 15):
        video.set(cv2.CAP_PROP_POS_FRAMES, k)
        good, image = video.read()
        assert good
        for box in wanted[k]:
            for other in people(network, image).boxes:
                low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
                shared = np.prod(np.clip(high - low, 0, None))
                areas = np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2])
                hits += bool(shared / (areas - shared) > 0.5)
    assert hits >= 18


def test_nobody(network: Network) -> None:
    assert len(people(network, np.zeros((480, 640, 3), np.uint8))) == 0
