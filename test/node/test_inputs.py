# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import threading
from dataclasses import replace

import cv2
import numpy as np
import pytest
from support.adapters import Memory
from support.node import ONE

from pose3d_ros.errors import InputError
from pose3d_ros.messages import image_message, make_header, stamp_of
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.host import Host
from pose3d_ros.node.inputs import AuxiliaryInputs, registered, topics_of, without_effect
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.settings.parsing import from_mapping

TYPES = StandaloneTypes()
S, MS = 1_000_000_000, 1_000_000
SIZE = (64, 48)
RAW = NodeConfig(depth_transport='raw', depth_wait_s=0.0)
COMPRESSED = replace(RAW, depth_transport='compressed')


def depth_message(metres=2.0, stamp_ns=S, frame_id='camera', size=SIZE, **changes):
    """16UC1; the half at the left is unknown."""
    values = np.full(size[::-1], round(1000 * metres), np.uint16)
    values[:, : size[0] // 2] = 0
    message = TYPES('sensor_msgs/msg/Image')(
        header=make_header(TYPES, stamp_ns, frame_id), encoding='16UC1',
        width=size[0], height=size[1], step=2 * size[0],
    )  # fmt: skip
    message.data = values.view(np.uint8).ravel()
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def compressed_message(metres=2.0, stamp_ns=S):
    message = TYPES('sensor_msgs/msg/CompressedImage')(
        header=make_header(TYPES, stamp_ns, 'camera'), format='16UC1; compressedDepth png'
    )
    picture = cv2.imencode('.png', np.full(SIZE[::-1], round(1000 * metres), np.uint16))[1]
    message.data = np.concatenate([np.zeros(12, np.uint8), picture.ravel()])
    return message


class Side:
    """Auxiliary inputs of one camera, with what they logged."""

    def __init__(self, config=RAW, unpack=TYPES.deserialize):
        self.config, self.lines = config, []
        host = Host(TYPES, Memory(), log=lambda level, line: self.lines.append(line), unpack=unpack)
        self.made = AuxiliaryInputs(config, host)

    def add(self, message):
        kind = self.made.topics['depth_image'].type_name
        self.made.add('depth_image', bytes(TYPES.serialize(message, kind)))

    def depth(self, stamp_ns=S, size=SIZE, frame_id='camera'):
        return self.made.at(stamp_ns, frame_id, size, self.config).depth

    @property
    def state(self):
        (found,) = self.made.states({'depth_image': '/depth'})
        return found


def test_topics_that_settings_ask_for():
    assert topics_of(NodeConfig()) == {}
    assert list(topics_of(NodeConfig(finder='topic'))) == ['detections']
    both = NodeConfig(
        estimator='lifter', options={'keypoints': 'topic'}, depth_transport='compressed'
    )
    found = topics_of(both)
    assert list(found) == ['keypoints_info', 'keypoints', 'depth_image']
    assert found['keypoints_info'].latched
    assert found['depth_image'].suffix == '/compressedDepth'
    assert found['depth_image'].type_name == 'sensor_msgs/msg/CompressedImage'


def test_depth_in_metres():
    side = Side()
    side.add(depth_message())
    depth = side.depth()
    assert depth.shape == (48, 64)
    assert depth.dtype == np.float32
    assert np.isnan(depth[:, :32]).all()
    assert depth[:, 32:] == pytest.approx(2.0)
    assert side.state.exact == 1
    assert not side.state.needed
    # Messages that are none in serialised form do too.
    side = Side(unpack=lambda payload, kind: payload)
    side.made.add('depth_image', depth_message())
    assert side.depth()[0, 40] == pytest.approx(2.0)


def test_compressed_depth():
    side = Side(COMPRESSED)
    side.add(compressed_message(3.5))
    assert side.depth() == pytest.approx(3.5)


def test_the_nearest_in_time():
    side = Side()
    side.add(depth_message(2.0, S))
    side.add(depth_message(3.0, S + 40 * MS))
    assert side.depth(S + 25 * MS)[0, 40] == pytest.approx(3.0)
    assert side.depth(S + 100 * MS) is None
    assert (side.state.near, side.state.missing, side.state.matched) == (1, 1, False)
    side.made.clear()
    assert side.depth(S) is None


def test_an_image_waits_for_its_depth():
    side = Side(replace(RAW, depth_wait_s=1.0))
    late = threading.Timer(0.05, lambda: side.add(depth_message()))
    late.start()
    assert 0 < side.made.wait(S, 0.0, side.config) < 1.0
    assert side.depth() is not None
    late.join()
    assert side.state.exact == 1
    # Whoever has waited so long already waits no longer.
    assert side.made.wait(2 * S, 1.0, side.config) == 0.0


def test_another_resolution_is_scaled():
    depth = np.full((24, 32), np.nan, np.float32)
    depth[:, 16:] = 2.0
    scaled = registered(depth, 'a', 'a', SIZE)
    assert scaled.shape == (48, 64)
    assert np.isnan(scaled[:, :32]).all()
    assert (scaled[:, 32:] == 2.0).all()
    # One of the two says nothing of its frame.
    assert registered(depth, '', 'a', (32, 24)) is depth


def test_depth_of_another_camera_is_refused():
    with pytest.raises(InputError, match='of frame depth_optical, the image of camera'):
        registered(np.zeros((48, 64)), 'depth_optical', 'camera', SIZE)
    with pytest.raises(InputError, match='is 64x40, the image 64x48'):
        registered(np.zeros((40, 64)), 'camera', 'camera', SIZE)


@pytest.mark.parametrize(
    'changes', [{'encoding': 'mono8'}, {'data': np.zeros(7, np.uint8)}, {'width': 0}, {'step': 3}]
)
def test_broken_depth_is_told_and_survived(changes):
    side = Side()
    side.add(depth_message(**changes))
    assert side.depth() is None
    assert side.state.problem
    assert side.lines == [side.state.problem]
    side.add(depth_message(stamp_ns=2 * S))
    assert side.depth(2 * S) is not None
    assert side.state.problem == ''


def test_garbage_on_the_wire():
    side = Side()
    for raw in (b'', b'\0\1\0\0', b'\0\1\0\0' + struct.pack('<iI', 1, 0) + b'\xff' * 30):
        side.made.add('depth_image', raw)
    assert side.depth(S) is None
    assert side.state.problem


@pytest.mark.parametrize('setting', ['body', 'eye'])
def test_depth_images_are_those_of_the_frame_that_the_images_name(make, setting):
    node = make(depth_transport='raw', depth_wait_s=0.0, image_frame=setting)
    node.calibrate()
    for stamp_ns, frame_id, level in ((S, 'camera_link', 0), (2 * S, 'other', 2)):
        depth = depth_message(stamp_ns=stamp_ns, frame_id=frame_id, size=(640, 480))
        node.core.auxiliary('depth_image', '', depth)
        node.image(stamp_ns, frame_id='camera_link')
        assert node.status('depth_image').level == level


@pytest.mark.parametrize(
    ('settings', 'remaps', 'complaints'),
    [
        ({}, {'detections': '/boxes'}, ['detections on /boxes', 'blazepose takes none']),
        ({'estimator': 'metro'}, {'detections': '/boxes'}, ['set metro.detector: topic']),
        ({'estimator': 'metro', 'metro.detector': 'topic'}, {'detections': '/boxes'}, []),
        ({}, {'keypoints': '/2d'}, ['keypoints on /2d']),
        ({}, {'depth_image': '/depth'}, ['depth_image on /depth', 'set depth_transport: raw']),
        ({'depth_transport': 'raw'}, {'depth_image': '/depth'}, []),
        ({'cameras': 'left,right'}, {'right/depth_image': '/r'}, ['depth_image on /r']),
        ({}, {}, []),
        (
            {'depth_wait_s': 0.2},
            {},
            ["depth_wait_s: 0.2 has no effect with depth_transport: 'none'"],
        ),
    ],
)
def test_what_has_no_effect_is_named(settings, remaps, complaints):
    lines = without_effect(from_mapping(NodeConfig, settings), lambda name: remaps.get(name, ''))
    assert len(lines) == bool(complaints)
    for complaint in complaints:
        assert complaint in lines[0]


def test_images_that_wait_for_the_same_depth_all_come_out(make):
    node = make(depth_transport='raw', depth_wait_s=1.0)
    stamps = [S + k * 33 * MS for k in range(3)]
    for stamp_ns in stamps:
        message = image_message(TYPES, ONE, stamp_ns=stamp_ns, frame_id='cam')
        node.core.image('', message)
    assert node.outputs() == []
    depth = depth_message(stamp_ns=stamps[-1], frame_id='cam', size=(640, 480))
    node.core.auxiliary('depth_image', '', depth)
    assert node.core.wait_idle(20)
    assert [stamp_of(array.header) for array in node.outputs()] == stamps
    assert node.status('input').values['dropped for newer ones'] == '0'
    (state,) = node.core.auxiliary_states('', {})
    assert (state.exact, state.near) == (1, 1)
