# SPDX-License-Identifier: Apache-2.0
"""Pictures of a real RViz: are people in it, upright and where the view should have them?

POSE3D_PICTURES names a folder that keeps the pictures.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from geometry_msgs.msg import TransformStamped
from harness import BEST_EFFORT, LATCHED, OPTICAL, Process, camera_info, image_message, within
from rclpy.node import Node
from rclpy.qos import QoSProfile
from screen import Screen, places, view_3d
from sensor_msgs.msg import CameraInfo, Image
from support.blobs import HEIGHT_M, SKELETON, body, draw
from tf2_msgs.msg import TFMessage

from pose3d_ros.drawing.rviz_view import Orbit
from pose3d_ros.drawing.style import LEFT, RIGHT, track_colour

pytestmark = pytest.mark.needs('launch_ros', 'ros2launch', 'rviz2')

FOCAL_PX = 500.0
DISTANCES_M = (2.0, 4.0)
# An optical frame that looks along x.
LOOK = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def people_image(frame_id: str = OPTICAL, stamp_ns: int | None = None) -> Image:
    """Two people, 2 m and 4 m away, each beside the middle."""
    blobs = [
        (320 + side * 0.6 * FOCAL_PX / z, 240 + 0.2 * FOCAL_PX / z, HEIGHT_M * FOCAL_PX / z)
        for side, z in zip((-1, 1), DISTANCES_M)
    ]
    return image_message(draw(blobs), stamp_ns, frame_id=frame_id)


class Robot(threading.Thread):
    """A camera, and a robot that drives and turns if it shall; its own node, thread and clock.

    edges: static parents and poses (rotation, translation) by child. late_s: of odometry.
    """

    def __init__(self, namespace: str, edges: dict, *, drives: bool = False, late_s: float = 0.06):
        super().__init__(daemon=True)
        self.node = Node('robot', namespace=namespace)
        self._drives, self._late_s = drives, late_s
        self._images = self.node.create_publisher(Image, 'camera/image_raw', BEST_EFFORT)
        self._infos = self.node.create_publisher(CameraInfo, 'camera/camera_info', BEST_EFFORT)
        qos = QoSProfile(depth=10)
        self._tf = self.node.create_publisher(TFMessage, 'tf', qos)
        static = self.node.create_publisher(TFMessage, 'tf_static', LATCHED)
        static.publish(TFMessage(transforms=[edge(p, c, *pose) for c, (p, *pose) in edges.items()]))
        self._end = threading.Event()

    def run(self) -> None:
        begin, told = time.time(), 0.0
        while not self._end.wait(1 / 30):
            now = time.time()
            self._infos.publish(camera_info(focal=FOCAL_PX))
            self._images.publish(people_image())
            if self._drives and now - told > 0.05:
                told = now
                self._tf.publish(TFMessage(transforms=[drive(now - self._late_s, begin)]))

    def close(self) -> None:
        self._end.set()
        self.join()
        self.node.destroy_node()


def edge(parent, child, rotation, translation, stamp_s=0.0) -> TransformStamped:
    made = TransformStamped(child_frame_id=child)
    made.header.frame_id = parent
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(round(stamp_s * 1e9), 10**9)
    t, q = made.transform.translation, made.transform.rotation
    t.x, t.y, t.z = (float(v) for v in translation)
    vector = cv2.Rodrigues(np.asarray(rotation, float))[0].ravel()
    angle = float(np.linalg.norm(vector))
    x, y, z = vector * (math.sin(angle / 2) / angle if angle else 0.5)
    q.x, q.y, q.z, q.w = float(x), float(y), float(z), math.cos(angle / 2)
    return made


def drive(now, begin) -> TransformStamped:
    """Odometry of a robot that swings by 0.5 rad to both sides and drives slowly."""
    angle, x = 0.5 * math.sin(now - begin), 0.2 * (now - begin)
    turn = [
        [math.cos(angle), -math.sin(angle), 0],
        [math.sin(angle), math.cos(angle), 0],
        [0, 0, 1],
    ]
    return edge('odom', 'base_link', turn, (x, 0, 0), now)


LEAN = np.array([[1.0, 0, 0], [0, 0.95, 0.31], [0, -0.31, 0.95]])
ROBOT = {OPTICAL: ('base_link', LOOK, (0.2, 0, 0.9))}
CASES = {
    'usb_camera': {},
    'robot_standing': {'edges': ROBOT},
    'robot_standing_target_frame': {'edges': ROBOT, 'arguments': ['target_frame:=base_link']},
    'robot_driving': {'edges': ROBOT, 'drives': True},
    'camera_in_map': {'edges': {OPTICAL: ('map', LOOK @ LEAN, (1.0, 2.0, 1.3))}},
}


@pytest.fixture
def screen():
    if shutil.which('Xvfb') is None:
        pytest.skip('Xvfb is not installed')
    made = Screen()
    yield made
    made.close()


@pytest.mark.parametrize('name', CASES)
def test_people_are_upright_and_in_view(name, screen, namespace, tmp_path):
    case = {'edges': {}, 'drives': False, 'arguments': [], **CASES[name]}
    robot = Robot(namespace, case['edges'], drives=case['drives'])
    command = ['estimator.launch.py', f'namespace:={namespace}', 'camera:=camera', 'rviz:=true']
    command += ['estimator:=support.blobs', *case['arguments']]
    log = tmp_path / 'launch.log'
    launch = [shutil.which('ros2'), 'launch', 'pose3d_ros', *command]
    robot.start()
    try:
        with Process(launch, log, TMPDIR=str(tmp_path), **screen.environment) as process:
            process.wait_for('RViz shows', within(30))
            found = shown_people(screen, process, within(30))
            time.sleep(2.0)
            picture = screen.picture()
            keep(picture, name)
            config = yaml.safe_load(next(tmp_path.glob('pose3d_rviz_*/*.rviz')).read_text())
            process.interrupt(group=True)
            process.ends(within(5.0))
    finally:
        robot.close()
    assert found, f'nobody is shown:\n{process.output}'
    assert 'rror' not in re.sub('RCUTILS_LOG.*', '', process.output)
    view = view_3d(picture)
    height, width = view.shape[:2]
    assert width >= 2 / 3 * 1400
    boxes = people_boxes(view)
    orbit = orbit_of(config)
    expected = expected_boxes(case, config, orbit, (width, height))
    for colour, box in boxes.items():
        inside = 0.02 * np.array([width, height, width, height])
        assert (box[:2] > inside[:2]).all(), f'{name}: {colour} is cut'
        assert (box[2:] < np.array([width, height]) - inside[2:]).all()
        if expected is not None:
            assert np.abs(box - expected[colour]).max() < 0.06 * height, f'{name}: {colour}'


def keep(picture: np.ndarray, name: str) -> None:
    folder = os.environ.get('POSE3D_PICTURES')
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(Path(folder) / f'{name}.png'), picture)


def shown_people(screen: Screen, process: Process, timeout_s: float) -> bool:
    """Whether the colours of both people appear in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        assert process.process.poll() is None, process.output
        view = view_3d(screen.picture())
        if view is not None and len(people_boxes(view)) == 4:
            return True
        time.sleep(0.2)
    return False


def people_boxes(view: np.ndarray) -> dict[str, np.ndarray]:
    """Pixels x0, y0, x1, y1 of the limbs of each side, and of each person's own colour."""
    colours = {'left': LEFT, 'right': RIGHT, '1': track_colour(1), '2': track_colour(2)}
    found = {name: places(view, colour) for name, colour in colours.items()}
    return {
        name: np.concatenate([np.percentile(xy, 1, axis=0), np.percentile(xy, 99, axis=0)])
        for name, xy in found.items()
        if len(xy) > 20
    }


def orbit_of(config: dict) -> Orbit:
    view = config['Visualization Manager']['Views']['Current']
    focal = view['Focal Point']
    return Orbit((focal['X'], focal['Y'], focal['Z']), view['Yaw'], view['Pitch'], view['Distance'])


def expected_boxes(case, config, orbit, size) -> dict[str, np.ndarray] | None:
    """Where the limbs should be, where the camera's place in the fixed frame is known."""
    if case['drives']:
        return None
    if case['edges']:
        _, rotation, translation = case['edges'][OPTICAL]
    else:
        # Level, on the floor that feet show: the mean of both persons' ankles, 1 m.
        rotation, translation = LOOK, (0, 0, 1.0)
    roots = [np.array([side * 0.6, 0.2, z]) for side, z in zip((-1, 1), DISTANCES_M)]
    joints = np.concatenate([body() + root for root in roots])
    pixels = orbit.project(joints @ np.asarray(rotation).T + translation, size)
    left = np.array(['left' in name and 'hip' not in name for name in SKELETON.names] * 2)
    right = np.array(['right' in name and 'hip' not in name for name in SKELETON.names] * 2)
    boxes = {}
    for name, chosen in (('left', left), ('right', right)):
        xy = pixels[chosen]
        boxes[name] = np.concatenate([xy.min(axis=0), xy.max(axis=0)])
    return boxes
