# SPDX-License-Identifier: Apache-2.0
"""A node's core with an adapter that keeps what is published, as a subscriber would get it."""

from __future__ import annotations

import logging

import numpy as np

from pose3d_ros.camera import Camera
from pose3d_ros.messages import image_message
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.messages.standalone import StandaloneTypes
from pose3d_ros.node.core import NodeCore
from pose3d_ros.node.frames import FrameTree
from pose3d_ros.node.host import Host
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from support.blobs import draw

TYPES = StandaloneTypes()
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
ONE = draw([(320, 240, 320)])
NOBODY = draw([])
S = 1_000_000_000


class Node:
    """The adapter: keeps what is published, as a subscriber would get it."""

    def __init__(self, listening=('skeletons',), **settings):
        self.listening = set(listening)
        self.sent, self.transforms, self.logs, self.lookups = [], [], [], []
        self.tf, self.newest_tf, self.tree = None, None, FrameTree({})
        config = NodeConfig(estimator='support.blobs', **settings)
        self.now = 500 * S
        self.in_step = True  # the clock goes by the stamps of images
        self.core = NodeCore(
            config,
            Pipeline(config),
            Host(
                TYPES,
                self,
                clock=lambda: self.now,
                log=lambda level, line: self.logs.append((level, line)),
            ),
        )
        self.core.activate()

    def listeners(self, camera, output):
        return int(output in self.listening)

    def publish(self, camera, output, message):
        name = {
            'skeletons': 'pose3d_ros/msg/Skeleton3DArray',
            'markers': 'visualization_msgs/msg/MarkerArray',
            'debug_image': 'sensor_msgs/msg/Image',
        }[output]
        data = message if isinstance(message, bytes) else TYPES.serialize(message, name)
        got = TYPES.deserialize(data, name)
        self.sent.append((camera, output, got))

    def broadcast(self, transforms):
        self.transforms.append(transforms)

    def lookup(self, target, source, stamp_ns, timeout_s):
        self.lookups.append((target, source, stamp_ns))
        if self.tf is None:
            raise LookupError(f'no transform from {source} to {target}')
        return self.tf

    def newest(self, target, source):
        if self.newest_tf is None:
            raise LookupError(f'no transform from {source} to {target}')
        return self.newest_tf

    def frames(self):
        return self.tree

    def image(self, stamp_ns, image=ONE, frame_id='cam', camera='', **changes):
        if self.in_step:
            self.now = stamp_ns or self.now
        message = image_message(TYPES, image, stamp_ns=stamp_ns, frame_id=frame_id)
        for name, value in changes.items():
            setattr(message, name, value)
        self.core.image(camera, message)
        assert self.core.wait_idle(10)

    def calibrate(self, camera=CAMERA, name='', **changes):
        info = info_message(TYPES, camera, stamp_ns=1, frame_id='cam')
        for field, value in changes.items():
            setattr(info, field, value)
        self.core.camera_info(name, info)

    def outputs(self, output='skeletons'):
        return [message for _, name, message in self.sent if name == output]

    def status(self, name):
        found = self.core.diagnostics({'': '/camera/image'})
        return next(s for s in found if s.name == name)

    def warnings(self):
        return [line for level, line in self.logs if level >= logging.WARNING]
