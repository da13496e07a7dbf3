# SPDX-License-Identifier: Apache-2.0
"""Boxes and keypoints from topics of other nodes reach the estimator."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
from support.adapters import Memory
from support.blobs import draw
from support.keypoints import CAMERA, COCO, array_of, pixels_at
from support.metro_graph import MetroGraph, write_graph

from pose3d_ros.messages import image_message, make_header
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.messages.detections import DETECTIONS
from pose3d_ros.messages.diagnostics import ERROR, OK, WARN
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.networks import metro as parts
from pose3d_ros.node.core import NodeCore
from pose3d_ros.node.host import Host
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import PositionSource

pytestmark = pytest.mark.slow

TYPES = StandaloneTypes()
S = 1_000_000_000


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    known = parts.JOINTS[19]
    write_graph(
        tmp_path / 'toy.pb',
        MetroGraph(known.names, known.edges, known.internal, known.inside, width=4),
    )
    return tmp_path / 'toy.pb'


def test_people_are_where_the_topic_says(graph: Path) -> None:
    config = NodeConfig(
        estimator='metro', model=str(graph), allow_random_weights=True, precision='f32',
        options={'detector': 'topic', 'keypoints': 'none'},
    )  # fmt: skip
    adapter = Memory('skeletons')
    core = NodeCore(config, Pipeline(config), Host(TYPES, adapter, clock=lambda: 10 * S))
    assert {name: topic.type_name for name, topic in core.auxiliary_topics.items()} == {
        'detections': DETECTIONS
    }
    core.activate()
    image = np.zeros((480, 640, 3), np.uint8)
    core.image('', image_message(TYPES, image, stamp_ns=10 * S, frame_id='camera'))
    assert core.wait_idle(10)
    assert len(adapter.sent[-1][2].skeletons) == 0
    array = TYPES(DETECTIONS)(header=make_header(TYPES, 11 * S, 'camera'))
    detection = TYPES('vision_msgs/msg/Detection2D')()
    detection.bbox.center.position.x, detection.bbox.center.position.y = 400.0, 240.0
    detection.bbox.size_x, detection.bbox.size_y = 120.0, 300.0
    array.detections.append(detection)
    core.auxiliary('detections', '', array)
    core.image('', image_message(TYPES, image, stamp_ns=11 * S, frame_id='camera'))
    assert core.wait_idle(10)
    assert len(adapter.sent[-1][2].skeletons) == 1
    core.deactivate()


def test_other_estimators_do_not_listen(graph: Path) -> None:
    config = NodeConfig(
        estimator='metro', model=str(graph), allow_random_weights=True, precision='f32',
        options={'detector': 'image', 'keypoints': 'none'},
    )  # fmt: skip
    assert NodeCore(config, Pipeline(config), Host(TYPES, Memory())).auxiliary_topics == {}


MS = S // 1000
IMAGE = np.zeros((480, 640, 3), np.uint8)


class Lifted:
    """A core that lifts keypoints of a topic."""

    def __init__(self, estimator: str = 'lifting_from_the_deep', **settings) -> None:
        self.config = NodeConfig(
            estimator=estimator, options={'keypoints': 'topic'},
            **{'keypoints_wait_s': 0.0, 'precision': 'f32', 'smoothing': False, **settings},
        )  # fmt: skip
        self.adapter, self.lines = Memory('skeletons'), []
        host = Host(
            TYPES, self.adapter, clock=lambda: 10 * S,
            log=lambda level, line: self.lines.append((level, line)),
        )  # fmt: skip
        self.core = NodeCore(self.config, Pipeline(self.config), host)
        self.core.activate()
        self.core.camera_info('', info_message(TYPES, CAMERA, stamp_ns=0, frame_id='camera'))

    def keypoints(self, stamp_ns, *people, **changes):
        header = make_header(TYPES, stamp_ns, 'camera')
        self.core.auxiliary('keypoints', '', array_of(TYPES, header, *people, **changes))

    def image(self, stamp_ns):
        self.core.image('', image_message(TYPES, IMAGE, stamp_ns=stamp_ns, frame_id='camera'))
        assert self.core.wait_idle(20)
        return self.adapter.sent[-1][2]

    def status(self):
        (found,) = [s for s in self.core.diagnostics({'': '/image'}) if s.name == 'keypoints']
        return found


def present(array):
    """Those who are there, without the ends of tracks."""
    return [person for person in array.skeletons if person.joints]


@pytest.fixture(params=['lifting_from_the_deep', 'lifter'])
def lifted(request):
    made = Lifted(request.param)
    yield made
    made.core.deactivate()


def test_keypoints_become_people(lifted) -> None:
    assert list(lifted.core.auxiliary_topics) == ['keypoints_info', 'keypoints']
    assert lifted.status().level == ERROR
    assert 'nothing has come on keypoints' in lifted.status().message
    lifted.keypoints(1 * S, pixels_at(-0.8), pixels_at(0.8))
    array = lifted.image(1 * S)
    assert len(array.skeletons) == 2
    assert array.convention == {'lifter': 'cmu_22'}.get(lifted.config.estimator, 'h36m_17')
    for person, side in zip(array.skeletons, (-1, 1)):
        root = person.root.position
        assert (root.x, root.z) == pytest.approx((0.8 * side, 4.0), abs=0.5)
    assert lifted.status().level == OK
    assert lifted.status().values['images with their own'] == '1'


def test_keypoints_of_another_time(lifted) -> None:
    lifted.keypoints(1000 * MS, pixels_at())
    assert len(lifted.image(1030 * MS).skeletons) == 1
    assert lifted.status().level == WARN
    assert not present(lifted.image(1200 * MS))
    assert lifted.status().level == ERROR
    assert 'of the time of the last image' in lifted.status().message
    # Time goes backwards, as in a bag that is played again.
    lifted.keypoints(10 * S, pixels_at())
    assert len(present(lifted.image(10 * S))) == 1
    lifted.keypoints(2 * S, pixels_at(0.5))
    assert len(present(lifted.image(2 * S))) == 1
    lifted.core.reset()
    assert not present(lifted.image(2 * S + MS))


def test_an_image_waits_for_its_keypoints() -> None:
    made = Lifted(keypoints_wait_s=1.0)
    made.keypoints(1 * S, pixels_at())
    late = threading.Timer(0.1, lambda: made.keypoints(1 * S + 40 * MS, pixels_at(1.0)))
    late.start()
    (person,) = made.image(1 * S + 40 * MS).skeletons
    late.join()
    assert person.root.position.x == pytest.approx(1.0, abs=0.4)
    assert float(made.status().values['mean wait (ms)']) > 20
    made.core.deactivate()


def test_gaps_in_keypoints(lifted) -> None:
    pixels = pixels_at()
    pixels[[9, 16]] = np.nan
    lifted.keypoints(1 * S, pixels)
    (person,) = lifted.image(1 * S).skeletons
    left_wrist = person.joints[13]
    assert left_wrist.status == 2
    assert np.isfinite([left_wrist.position.x, left_wrist.position.y]).all()
    # Nobody is made of too little.
    pixels[3:] = np.nan
    lifted.keypoints(2 * S, pixels)
    assert all(joint.status == 0 for s in lifted.image(2 * S).skeletons for joint in s.joints)


def test_an_unknown_convention_is_told(lifted) -> None:
    lifted.keypoints(1 * S, pixels_at(), convention='their_17')
    assert lifted.image(1 * S).skeletons == []
    assert lifted.status().level == ERROR
    assert "'their_17', which is unknown" in lifted.status().message
    assert [line for level, line in lifted.lines if level == logging.ERROR and 'their_17' in line]
    info = TYPES('pose3d_ros/msg/EstimatorInfo')(convention='their_17')
    info.joint_names = list(COCO.names)
    info.parents = np.array(COCO.parents, np.int16)
    lifted.core.auxiliary('keypoints_info', '', info)
    lifted.keypoints(2 * S, pixels_at(), convention='their_17')
    assert len(lifted.image(2 * S).skeletons) == 1
    assert lifted.status().level == OK


def test_who_counts(lifted) -> None:
    lifted.core.configure(NodeConfig(**{**vars(lifted.config), 'max_people': 1}))
    header = make_header(TYPES, S, 'camera')
    message = array_of(TYPES, header, pixels_at(-1), pixels_at(0), pixels_at(1))
    for person, score in zip(message.skeletons, (0.6, 0.2, 0.8)):
        person.score = score
    lifted.core.auxiliary('keypoints', '', message)
    (person,) = lifted.image(S).skeletons
    assert person.root.position.x > 0.5


def test_depth_tells_how_far_people_are() -> None:
    config = NodeConfig(estimator='support.blobs', depth_transport='raw', smoothing=False)
    adapter = Memory('skeletons')
    core = NodeCore(config, Pipeline(config), Host(TYPES, adapter, clock=lambda: 10 * S))
    core.activate()
    core.camera_info('', info_message(TYPES, CAMERA, stamp_ns=0, frame_id='camera'))

    def person(stamp_ns, metres=None, frame_id='camera'):
        if metres is not None:
            depth = TYPES('sensor_msgs/msg/Image')(
                header=make_header(TYPES, stamp_ns, frame_id), encoding='32FC1',
                width=640, height=480, step=4 * 640,
            )  # fmt: skip
            depth.data = np.full((480, 640), metres, np.float32).view(np.uint8).ravel()
            core.auxiliary('depth_image', '', depth)
        image = image_message(
            TYPES, draw([(320, 240, 320)]), stamp_ns=stamp_ns, frame_id='camera'
        )  # fmt: skip
        core.image('', image)
        assert core.wait_idle(10)
        (found,) = present(adapter.sent[-1][2])
        return found

    def status():
        (found,) = [s for s in core.diagnostics({'': '/image'}) if s.name == 'depth_image']
        return found

    assert person(1 * S).root.position.z == pytest.approx(3.0, rel=0.02)
    assert (status().level, 'nothing has come' in status().message) == (WARN, True)
    found = person(2 * S, 4.0)
    # The skin is what depth cameras see.
    assert found.root.position.z == pytest.approx(4.09, abs=0.02)
    assert found.position_source == PositionSource.DEPTH
    assert status().level == OK
    # That of another camera is refused, and people are placed without.
    found = person(3 * S, 4.0, 'depth_optical_frame')
    assert found.position_source == PositionSource.METRIC
    assert status().level == ERROR
    assert 'depth_optical_frame' in status().message
    assert person(4 * S, 4.0).position_source == PositionSource.DEPTH
    assert status().level == OK
    core.deactivate()
