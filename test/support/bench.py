# SPDX-License-Identifier: Apache-2.0
"""A camera and a subscriber for `pose3d node` as a process of its own."""

from __future__ import annotations

import signal
import time
from contextlib import suppress

import numpy as np
import yaml

from pose3d_ros.camera import Camera
from pose3d_ros.messages import image_message
from pose3d_ros.messages.calibration import info_message
from pose3d_ros.messages.images import compressed_message
from pose3d_ros.node.qos import Profile

from .blobs import draw
from .network import spin_until

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO, SKELETONS = 'sensor_msgs/msg/CameraInfo', 'pose3d_ros/msg/Skeleton3DArray'
MARKERS, TF = 'visualization_msgs/msg/MarkerArray', 'tf2_msgs/msg/TFMessage'
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
ONE = draw([(320, 240, 320)])
RELIABLE, BEST_EFFORT = Profile(depth=100), Profile(reliable=False)
S = 1_000_000_000
# No image is lost on the way, none is dropped, and counts come soon.
EVERY_IMAGE = {
    'drop_policy': 'none',
    'finder_in_step': True,
    'queue_size': 100,
    'diagnostics_period_s': 0.1,
    'qos_overrides': {'/camera/image': {'subscription': {'reliability': 'reliable', 'depth': 100}}},
}


class Bench:
    """A camera and a subscriber, and the node between them."""

    def __init__(self, network, *arguments, camera=RELIABLE, raw=True, parameters=None):
        self.network = network
        self.node = network.node()
        self.types = self.node.types
        self.stamp_ns = time.time_ns()
        self.images = self.node.publisher(
            '/camera/image' if raw else '/camera/image/compressed',
            IMAGE if raw else COMPRESSED,
            camera,
        )
        self.infos = self.node.publisher('/camera/camera_info', INFO, camera)
        self.path = network.folder / 'params.yaml'
        options = ['-r', 'image:=/camera/image', '-r', 'camera_info:=/camera/camera_info']
        if parameters is not None:
            self.write(**parameters)
            options += ['--params-file', self.path]
        # A subscription that changes loses what comes meanwhile, and tests count.
        options += ['--estimator', 'support.blobs', '--reliability', 'best_effort']
        self.process = network.run('node', *options, *arguments)

    def write(self, **parameters):
        self.path.write_text(yaml.safe_dump({'/**': {'ros__parameters': parameters}}))

    def listen(self, topic, kind, profile=RELIABLE):
        got = []
        self.node.subscribe(
            topic, kind, profile, lambda raw: got.append(self.types.deserialize(raw, kind))
        )
        return got

    def spin_until(self, condition, timeout_s=30.0):
        try:
            spin_until(self.node, condition, timeout_s)
        except AssertionError as error:
            raise AssertionError(
                f'{error}; the node says: {self.process.log.read_text()}'
            ) from None

    def ready(self):
        """The node has found the camera, and whoever listens the node."""
        self.spin_until(lambda: self.images.listeners() and self.infos.listeners())
        self.spin_until(lambda: all(s.publishers() for s in self.node._subscriptions))
        return self

    def send(self, image=ONE, calibrated=True, stamp_ns=None, frame_id='cam', **changes):
        self.stamp_ns = self.stamp_ns + S // 30 if stamp_ns is None else stamp_ns
        stamp = {'stamp_ns': self.stamp_ns, 'frame_id': frame_id}
        if calibrated:
            self.infos.publish(info_message(self.types, CAMERA, **stamp))
        make = image_message if self.images._type == IMAGE else compressed_message
        message = make(self.types, image, **stamp)
        for name, value in changes.items():
            setattr(message, name, value)
        self.images.publish(message)
        return self.stamp_ns

    def exchange(self, got, tries=20, **image):
        """Send images until an answer comes (peers may need a moment, samples may get lost)."""
        before = len(got)
        for _ in range(tries):
            self.send(**image)
            with suppress(AssertionError):
                self.spin_until(lambda: len(got) > before, 0.5)
                return got[-1]
        raise AssertionError(f'no answer; the node says: {self.process.log.read_text()}')

    def exchange_until(self, got, good, tries=100, **image):
        """As exchange, until an answer is good: what was published before may come later."""
        for _ in range(tries):
            answer = self.exchange(got, **image)
            if good(answer):
                return answer
        raise AssertionError(f'{answer}; the node says: {self.process.log.read_text()}')

    @staticmethod
    def counts(diagnostics):
        """What the node counted of its images, by its newest diagnostics; {} before the first."""
        newest = diagnostics[-1].status if diagnostics else []
        return {v.key: v.value for s in newest if s.name.endswith(': input') for v in s.values}

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(30)


def problems(diagnostics, name):
    return [
        s.message for s in diagnostics.status if s.name == f'/pose3d_estimator: {name}' and s.level
    ]
