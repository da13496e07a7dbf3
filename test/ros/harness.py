# SPDX-License-Identifier: Apache-2.0
"""What the tests talk to the node with: a peer in this process, the node here or on its own."""

from __future__ import annotations

import array
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ament_index_python.packages import get_package_prefix
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from pose3d_ros.msg import Skeleton3DArray
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from support.blobs import draw
from tf2_msgs.msg import TFMessage

from pose3d_ros.ros.node import EstimatorNode
from pose3d_ros.ros.spinning import Spinner

TIMEOUT_S = 30.0
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OPTICAL = 'camera_optical_frame'
PERSON = (320.0, 240.0, 160.0)


def within(seconds: float) -> float:
    """What that time is worth on a machine that has other things to do."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def executable(name: str) -> str:
    """Path of an executable of the installed package."""
    return str(Path(get_package_prefix('pose3d_ros')) / 'lib' / 'pose3d_ros' / name)


def find_blazepose() -> str:
    """Why BlazePose cannot run here; empty if it can."""
    from pose3d_ros.errors import Pose3DError

    try:
        import openvino  # noqa: F401

        from pose3d_ros.zoo import find_model

        find_model('blazepose', 'detector', 'landmarks')
    except (ImportError, Pose3DError) as error:
        return f'BlazePose cannot run here: {error}'
    return ''


def image_message(
    image: np.ndarray | None = None,
    stamp_ns: int | None = None,
    *,
    encoding: str = 'bgr8',
    frame_id: str = OPTICAL,
) -> Image:
    """An image; by default with one person in its middle, taken now."""
    if image is None:
        image = draw([PERSON])
    rows = np.ascontiguousarray(image).view(np.uint8).reshape(image.shape[0], -1)
    message = Image(
        header=header(stamp_ns, frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        step=rows.shape[1],
    )
    message.data = array.array('B', rows.tobytes())
    return message


def header(stamp_ns: int | None = None, frame_id: str = OPTICAL) -> Header:
    """A header with that stamp, or of now."""
    made = Header(frame_id=frame_id)
    stamp_ns = time.time_ns() if stamp_ns is None else stamp_ns
    made.stamp.sec, made.stamp.nanosec = divmod(stamp_ns, 10**9)
    return made


def camera_info(size: tuple[int, int] = (640, 480), focal: float = 500.0) -> CameraInfo:
    """A pinhole camera with its principal point in the middle."""
    cx, cy = (size[0] - 1) / 2, (size[1] - 1) / 2
    return CameraInfo(
        header=header(),
        width=size[0],
        height=size[1],
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=[focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def stamp_of(message: Any) -> int:
    """Nanoseconds of a message's header."""
    stamp = message.header.stamp
    return stamp.sec * 10**9 + stamp.nanosec


class Peer(Node):
    """A node that is spun only while the test waits for something."""

    def __init__(self, namespace: str) -> None:
        super().__init__('peer', namespace=namespace)
        self.executor_ = SingleThreadedExecutor()
        self.executor_.add_node(self)
        self.target = f'{namespace}/pose3d_estimator'

    def until(self, condition: Callable[[], Any], timeout_s: float = TIMEOUT_S, what: str = ''):
        """Spin until the condition is true; what it returned."""
        end = time.monotonic() + timeout_s
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < end, f'waited {timeout_s} s in vain {what}'
            self.executor_.spin_once(timeout_sec=0.01)

    def spin_for(self, seconds: float) -> None:
        """Spin so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor_.spin_once(timeout_sec=0.01)

    def collect(self, kind: type, topic: str, qos: QoSProfile = RELIABLE) -> list:
        """A list to which every message of a topic is appended."""
        got: list[Any] = []
        self.create_subscription(kind, topic, got.append, qos)
        return got

    def skeletons(self, qos: QoSProfile = RELIABLE) -> list[Skeleton3DArray]:
        """A list of the node's skeletons to come."""
        return self.collect(Skeleton3DArray, f'{self.target}/skeletons', qos)

    def camera(self, qos: QoSProfile = BEST_EFFORT, topic: str = 'image') -> Camera:
        """A publisher of images and calibrations."""
        return Camera(self, topic, qos)

    def call(self, kind: type, name: str, request: Any, timeout_s: float = TIMEOUT_S) -> Any:
        """The response of a service."""
        client = self.create_client(kind, name)
        try:
            self.until(client.service_is_ready, timeout_s, f'for the service {name}')
            future = client.call_async(request)
            self.until(future.done, timeout_s, f'for an answer of {name}')
            return future.result()
        finally:
            self.destroy_client(client)

    def transition(self, name: str) -> bool:
        """Ask for a transition; whether it succeeded."""
        ids = {
            'configure': Transition.TRANSITION_CONFIGURE,
            'cleanup': Transition.TRANSITION_CLEANUP,
            'activate': Transition.TRANSITION_ACTIVATE,
            'deactivate': Transition.TRANSITION_DEACTIVATE,
            'shutdown': Transition.TRANSITION_ACTIVE_SHUTDOWN,
        }
        request = ChangeState.Request(transition=Transition(id=ids[name]))
        return self.call(ChangeState, f'{self.target}/change_state', request).success

    def state(self) -> str:
        """The node's state."""
        return self.call(
            GetState, f'{self.target}/get_state', GetState.Request()
        ).current_state.label

    def set(self, **values: Any) -> tuple[bool, str]:
        """Set parameters at once; whether all were accepted, and the reasons if not."""
        parameters = [
            Parameter(name.replace('__', '.'), value=value).to_parameter_msg()
            for name, value in values.items()
        ]
        request = SetParameters.Request(parameters=parameters)
        results = self.call(SetParameters, f'{self.target}/set_parameters', request).results
        return all(r.successful for r in results), ' '.join(r.reason for r in results if r.reason)

    def place(self, parent: str, camera: str, x: float = 0.0, z: float = 0.0) -> None:
        """Broadcast, for good, a camera at x, z of that frame that looks along its x axis."""
        made = TransformStamped(child_frame_id=camera)
        made.header.frame_id = parent
        made.transform.translation.x, made.transform.translation.z = x, z
        made.transform.rotation.x, made.transform.rotation.y = -0.5, 0.5
        made.transform.rotation.z, made.transform.rotation.w = -0.5, 0.5
        qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_publisher(TFMessage, '/tf_static', qos).publish(TFMessage(transforms=[made]))

    def diagnostics(self) -> dict[str, Any]:
        """A dictionary that always holds this node's latest statuses."""
        latest: dict[str, Any] = {}

        def take(message: DiagnosticArray) -> None:
            for status in message.status:
                node, _, name = status.name.partition(': ')
                if node == self.target:
                    latest[name] = status

        self.create_subscription(DiagnosticArray, '/diagnostics', take, 10)
        return latest


class Camera:
    """Publishes images until something happens."""

    def __init__(self, peer: Peer, topic: str, qos: QoSProfile) -> None:
        self._peer = peer
        base = peer.resolve_topic_name(topic)
        self.images = peer.create_publisher(Image, base, qos)
        self.infos = peer.create_publisher(
            CameraInfo, f'{base.rpartition("/")[0]}/camera_info', qos
        )
        self.sent: list[int] = []

    def until(
        self,
        condition: Callable[[], Any],
        *,
        image: Callable[[], Image | None] = image_message,
        info: CameraInfo | None = None,
        timeout_s: float = TIMEOUT_S,
        period_s: float = 0.02,
    ) -> Any:
        """Publish an image (and a calibration before it) again and again until it is true."""
        end = time.monotonic() + timeout_s
        while True:
            found = condition()
            if found:
                return found
            assert time.monotonic() < end, f'sent images for {timeout_s} s in vain'
            if info is not None:
                self.infos.publish(info)
            message = image()
            if message is not None:
                self.sent.append(stamp_of(message))
                self.images.publish(message)
            self._peer.spin_for(period_s)


class Running:
    """The node within this process, spun in a thread."""

    def __init__(self, namespace: str, parameters: dict, ros_args: Sequence[str] = ()) -> None:
        self.ended = False
        self.node = EstimatorNode(
            ended=self._end,
            namespace=namespace,
            cli_args=['--ros-args', *ros_args] if ros_args else [],
            parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in parameters.items()
            ],
        )
        self.spinner: Spinner | None = Spinner(self.node)

    def _end(self) -> None:
        self.ended = True

    def wait(self, state: str = 'active', timeout_s: float = TIMEOUT_S) -> Running:
        """Wait for a state."""
        end = time.monotonic() + timeout_s
        while self.node.state != state:
            assert time.monotonic() < end, f'still {self.node.state}, not {state}'
            time.sleep(0.01)
        return self

    def close(self) -> None:
        """End it."""
        if self.spinner is not None:
            self.spinner.stop()
            self.spinner = None
            self.node.destroy_node()


class Process:
    """A command in a process group of its own, whose output is kept in a file."""

    def __init__(
        self, command: Sequence[str], log: Path, without: Sequence[str] = (), **environment: str
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in without}
        self._log = log.open('wb')
        self.log = log
        self.process = subprocess.Popen(
            command,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**kept, **environment},
            start_new_session=True,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._log.close()

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(encoding='utf-8', errors='replace')

    def wait_for(self, text: str, timeout_s: float = 30.0) -> None:
        """Wait until it has written that."""
        end = time.monotonic() + timeout_s
        while text not in self.output:
            assert self.process.poll() is None, f'it ended:\n{self.output}'
            assert time.monotonic() < end, f'{text!r} never came:\n{self.output}'
            time.sleep(0.05)

    def interrupt(self, number: int = signal.SIGINT, group: bool = False) -> None:
        """Send a signal, as a terminal does to the whole group if asked to."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def ends(self, timeout_s: float) -> int:
        """Its exit code, which must come in time."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still running after {timeout_s} s:\n{self.output}') from None


def processes_of(session: int) -> list[str]:
    """Command lines of what is left of a session (of the group's leader)."""
    left = []
    for folder in Path('/proc').iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / 'stat').read_text().rpartition(')')[2].split()
            if int(fields[3]) == session and fields[0] != 'Z':
                left.append((folder / 'cmdline').read_text().replace('\0', ' '))
        except OSError:
            continue
    return left


def ros_time_message(seconds: float):
    """rosgraph_msgs/Clock."""
    from rosgraph_msgs.msg import Clock

    made = Clock()
    made.clock.sec = int(seconds)
    made.clock.nanosec = int(seconds % 1 * 1e9)
    return made
