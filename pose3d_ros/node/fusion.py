# SPDX-License-Identifier: Apache-2.0
"""Fusion of what several estimators publish: messages in, messages out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import __version__
from ..camera import Camera
from ..errors import InputError, unknown
from ..fusion.fuser import FusionResult
from ..fusion.session import FusionSession
from ..fusion.sighting import View
from ..messages import MarkerBuilder, MarkerFrame, SkeletonBuilder, stamp_of
from ..messages.body import transformed
from ..messages.calibration import Calibration
from ..messages.diagnostics import OK, WARN, Status
from ..messages.people import people_of
from ..messages.types import Message, Types
from ..settings.fusion import FusionNodeConfig
from ..settings.node import NodeConfig
from ..skeleton import SKELETONS
from ..types import Array, EstimatorInfo, Pose3D
from .transforms import TransformBuffer

_KEPT = 30  # arrays of a camera that wait for a transform, at most
_MOST_ASKEW = math.radians(20)  # between joints' positions and their pixels' rays
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class FusionOutput:
    """Messages of one time. markers: serialised. info: EstimatorInfo, with the first ones only."""

    skeletons: Message
    markers: bytes
    info: Message | None = None


@dataclass(eq=False)
class _Source:
    """A camera. R, t: where it was last, x_fusion = R x_camera + t. problem: of its last array."""

    calibration: Calibration
    info_frame: str = ''
    frame: str = ''
    place: tuple[Array, Array] | None = None
    problem: str = 'no skeletons have come'
    # Arrays and when they came, by the node's clock.
    waiting: deque[tuple[Message, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))


class LiveFusion:
    """The fusion of a node; all calls from one thread.

    transforms: filled from /tf and /tf_static. report: takes each problem once. now_ns: by the
    clock that stamps images.
    """

    def __init__(
        self,
        config: FusionNodeConfig,
        types: Types,
        transforms: TransformBuffer,
        report: Callable[[str], None],
    ) -> None:
        self._config, self._transforms = config, transforms
        self._session = FusionSession(config.camera_names, config, report)
        self._builder, self._markers = SkeletonBuilder(types), MarkerBuilder(types)
        self._style = NodeConfig()
        self._sources = {
            name: _Source(Calibration(config.image_is_rectified)) for name in config.camera_names
        }
        self._wait_ns = round(config.fusion_delay_ms * 1e6)
        self._informed = False
        self._people = 0

    def on_info(self, camera: str, message: Message) -> None:
        """Take in a camera's CameraInfo."""
        source = self._sources[camera]
        source.calibration.update(message)
        source.info_frame = message.header.frame_id.lstrip('/')

    def on_skeletons(self, camera: str, message: Message, now_ns: int) -> None:
        """Take in a camera's Skeleton3DArray."""
        self._sources[camera].waiting.append((message, now_ns))

    def step(self, now_ns: int) -> list[FusionOutput]:
        """What is due now; to be called when something came, and at the rate of the results."""
        for name, source in self._sources.items():
            while source.waiting:
                message, received_ns = source.waiting.popleft()
                if not self._take(name, source, message, received_ns, now_ns):
                    source.waiting.appendleft((message, received_ns))
                    break
        return [self._output(result) for result in self._session.due(now_ns)]

    def statuses(self, now_ns: int) -> list[Status]:
        """Diagnostics: the fusion, and each camera."""
        values = {'frame': self._config.fusion_frame, 'people': str(self._people)}
        out = [Status('fusion', OK, f'{self._people} people', values)]
        states = {state.name: state for state in self._session.states(now_ns)}
        for name, source in self._sources.items():
            problem, values = source.problem, {'frame': source.frame}
            if state := states.get(name):
                problem = problem or state.problem
                values |= {
                    'rate_hz': f'{state.rate_hz:.1f}',
                    'delay_ms': f'{1e3 * state.delay_s:.0f}',
                    'matched_percent': f'{100 * state.share_matched:.0f}',
                    'error_px': f'{state.error_px:.1f}',
                }
            level = WARN if problem else OK
            out.append(Status(f'camera {name}', level, problem or 'ok', values))
        return out

    def _take(
        self, name: str, source: _Source, message: Message, received_ns: int, now_ns: int
    ) -> bool:
        """Use an array or say why not; False if it must wait."""
        try:
            view = self._view(name, source, message, received_ns)
        except LookupError as error:
            if 0 <= now_ns - received_ns < self._wait_ns:
                return False
            # The ages in its message change; what is missing does not.
            source.problem = str(error.args[0])
            self._session.problem(name, f'not used: {source.problem}', key='transform')
            return True
        except InputError as error:
            # Whose place it took is free again.
            source.frame, source.place = '', None
            source.problem = str(error)
            self._session.problem(name, f'not used: {error}')
            return True
        taken = self._session.add(view)
        source.problem = '' if taken else 'stamps or people cannot be used: see the log'
        return True

    def _view(self, name: str, source: _Source, message: Message, received_ns: int) -> View:
        """LookupError if calibration or transform have not come, InputError if it is of no use."""
        skeleton = SKELETONS.get(message.convention)
        if skeleton is None:
            raise InputError(unknown('the convention', message.convention, SKELETONS))
        if not source.calibration.received:
            raise LookupError(source.calibration.problem)
        size = int(message.image_width), int(message.image_height)
        if not all(size):
            raise InputError('skeletons do not say of which size the image was')
        camera = source.calibration.camera(size)
        if camera is None:
            raise InputError(source.calibration.problem)
        people_frame = message.header.frame_id.lstrip('/')
        frame = source.info_frame or people_frame
        stamp_ns = stamp_of(message.header)
        rotation, translation = self._transforms.lookup(self._config.fusion_frame, frame, stamp_ns)
        self._place(name, source, frame, rotation, translation)
        people = people_of(message, skeleton)
        if people_frame != frame:
            # The estimator has brought them into another frame (its target_frame).
            back = self._transforms.lookup(frame, people_frame, stamp_ns)
            people = [transformed(pose, *back) for pose in people]
        if _askew(people, camera) > _MOST_ASKEW:
            raise InputError(
                f'positions do not lie where the pixels are: {frame} is not the optical frame of '
                'the camera, or camera_info is not that of the images'
            )
        return View(name, stamp_ns, camera, rotation, translation, people, received_ns)

    def _place(self, name: str, source: _Source, frame: str, R: Array, t: Array) -> None:
        """Note where a camera is; InputError if another one is there."""
        for other, theirs in self._sources.items():
            if other == name or theirs.place is None:
                continue
            if theirs.frame == frame:
                raise InputError(f'it has the same frame as {other}, {frame}')
            if np.allclose(theirs.place[0], R, atol=1e-4) and np.allclose(
                theirs.place[1], t, atol=1e-4
            ):
                raise InputError(f'it has the same place and direction as {other}')
        source.frame, source.place = frame, (R, t)

    def _output(self, result: FusionResult) -> FusionOutput:
        self._people = len(result.people)
        skeleton = self._session.skeleton
        assert skeleton is not None  # there are no results without
        stamp_ns, frame_id = result.stamp_ns, self._config.fusion_frame
        info = None
        if not self._informed:
            self._informed = True
            model = EstimatorInfo('fusion', __version__, '', '', '', metric=True)
            info = self._builder.info(skeleton, model, stamp_ns=stamp_ns, frame_id=frame_id)
        return FusionOutput(
            self._builder.array(
                result.people,
                stamp_ns=stamp_ns,
                frame_id=frame_id,
                size=(0, 0),
                convention=skeleton.name,
                lost=result.ended,
            ),
            self._markers.array(
                result.people, MarkerFrame(stamp_ns, frame_id, up=_UP), self._style
            ),
            info,
        )


def _askew(people: Sequence[Pose3D], camera: Camera) -> float:
    """Median angle, radians, between positions of joints and their pixels' rays; 0 if unknown."""
    absolute = [pose for pose in people if pose.absolute]
    if not absolute:
        return 0.0
    xyz = np.concatenate([pose.xyz for pose in absolute])
    rays = camera.directions(np.concatenate([pose.pixels for pose in absolute]))
    cosines = np.add.reduce(xyz * rays, axis=1) / np.linalg.norm(xyz, axis=1)
    cosines = cosines[np.isfinite(cosines)]
    return float(np.arccos(np.clip(np.median(cosines), -1, 1))) if len(cosines) else 0.0
