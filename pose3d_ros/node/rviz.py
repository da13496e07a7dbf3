# SPDX-License-Identifier: Apache-2.0
"""What RViz has to be told: the frame that is fixed, a level one if there is none, the view.

An optical frame has z forward, and RViz draws z upwards: people would lie head down. So a camera
that no transform connects to a frame with z up gets a level one (x forward, z up, on the floor).
It hangs below the camera's frame, not above it, so that it gives no frame a second parent when a
tree of transforms appears later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..drawing.rviz_config import VIEW_3D, Topics
from ..drawing.rviz_view import Orbit, Viewpoint, orbit_behind
from ..messages.types import Message
from ..skeleton import SKELETONS
from ..types import Array, JointStatus, PositionSource
from .frames import FIXED, Z_UP, FrameTree
from .image_frames import BODY_AXES

CAMERA_HEIGHT_M = 1.0
"""Assumed where nothing is known of the floor."""

SKELETON_ARRAY = 'pose3d_ros/msg/Skeleton3DArray'
_IMAGES = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
_FEET = {'ankle', 'heel', 'foot', 'toe'}
_BESIDE_M = 3.0  # between cameras of which nobody knows where they stand
_FLOOR_WITHIN_M = 4.0  # a camera higher over the origin of its frame is on another floor
_NEAR_M = 0.3  # a frame so near is the camera's own, and not where it stands

Transform = tuple[Array, Array]
"""Rotation (3, 3) and translation (3,) m with x_target = R x_source + t."""
Lookup = Callable[[str, str], Transform]
"""The newest transform to a target from a source."""


@dataclass(frozen=True)
class Shown:
    """One camera. frame: that of its images, empty if unknown; output: that of its skeletons.

    height_m: above the floor, NaN if unknown. gravity: (3,) unit vector down in its frame. body:
    its frame is no optical one, but one with x forward and z up.
    """

    output: str
    frame: str
    height_m: float = math.nan
    gravity: Array | None = None
    body: bool = False


@dataclass(frozen=True, eq=False)
class Broadcast:
    """A transform to tell RViz: pose of the child in the parent."""

    parent: str
    child: str
    rotation: Array
    translation: Array


@dataclass(frozen=True, eq=False)
class Plan:
    """The fixed frame, what has to be broadcast for it, the view and what it follows; remarks."""

    fixed_frame: str
    broadcasts: list[Broadcast] = field(default_factory=list)
    view: Orbit | None = None
    follow: str = ''
    notes: list[str] = field(default_factory=list)


def make_plan(
    cameras: Sequence[Shown],
    tree: FrameTree,
    lookup: Lookup,
    *,
    fixed_frame: str = '',
    level_frame: str = 'pose3d_level',
) -> Plan:
    """How to show the skeletons of these cameras.

    tree, lookup: what transforms say now. fixed_frame: the user's choice. level_frame: name of the
    frame that is made if one has to be.
    """
    first = cameras[0]
    frame = first.frame or first.output
    chosen = fixed_frame or upright_frame(first, tree, lookup)
    if not chosen:
        return _level(cameras, tree, lookup, level_frame)
    connected = [camera for camera in cameras if tree.connects(camera.frame or chosen, chosen)]
    notes = [
        f'TF does not connect {camera.frame} with {chosen}: its people are not shown in 3D'
        for camera in cameras
        if camera not in connected
    ]
    viewpoints = [_viewpoint(camera, chosen, lookup) for camera in connected if camera.frame]
    follow = _carrier(frame, chosen, tree)
    view = orbit_behind(viewpoints, VIEW_3D) if viewpoints else None
    if view is not None and follow:
        _, origin = lookup(chosen, follow)
        x, y, z = (np.array(view.focal) - origin).tolist()
        view = replace(view, focal=(x, y, z))
    return Plan(chosen, view=view, follow=follow, notes=notes)


def upright_frame(camera: Shown, tree: FrameTree, lookup: Lookup) -> str:
    """The frame with z up in which to show a camera's skeletons; empty if there is none.

    A known name, else the frame that the user has them published in, else the root of the
    transforms if that is not the camera itself and is upright as the camera sees it.
    """
    frame = camera.frame or camera.output
    named = tree.upright(camera.output) or tree.upright(frame)
    if named:
        return named
    if camera.output != frame or camera.body:
        return camera.output
    root = tree.root(frame)
    if not camera.frame or root == frame:
        return ''
    rotation, translation = lookup(root, frame)
    up_in_image = -float(rotation[2, 1])
    away = float(np.linalg.norm(translation))
    return root if up_in_image > math.cos(math.radians(75)) and away > _NEAR_M else ''


def level_pose(gravity: Array | None, height_m: float) -> Transform:
    """Pose of a level frame on the floor below a camera, in the camera's optical frame.

    x is where the camera looks, made horizontal; z is up. gravity: (3,) down; None: the camera is
    taken for level.
    """
    down = np.array([0.0, 1.0, 0.0]) if gravity is None else np.asarray(gravity, float)
    down = down / np.linalg.norm(down)
    # Where it looks, or, if that is straight down or up, the upper edge of the image.
    for ahead in (np.array([0.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])):
        x = ahead - (ahead @ down) * down
        if np.linalg.norm(x) > 0.1:
            break
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(-down, x), -down], axis=1), height_m * down


def camera_height(feet: Sequence[float]) -> float:
    """Height of a camera above the floor, by how far below it the lower foot of people was.

    Metres along gravity; NaN if there are none that make sense.
    """
    likely = [height for height in feet if 0.2 < height < 4.0]
    return float(np.median(likely)) if likely else math.nan


def _level(cameras: Sequence[Shown], tree: FrameTree, lookup: Lookup, level_frame: str) -> Plan:
    """Cameras in a level frame; those that nothing connects with the first stand beside it."""
    first = cameras[0]
    frame = first.frame or first.output
    height = first.height_m if math.isfinite(first.height_m) else CAMERA_HEIGHT_M
    source = 'as the feet of people say' if math.isfinite(first.height_m) else 'assumed'
    rotation, translation = level_pose(first.gravity, height)
    broadcasts = [Broadcast(frame, level_frame, rotation, translation)]
    note = f'TF connects {frame} to no frame with z up ({", ".join(Z_UP)}): RViz shows it level'
    notes = [f'{note} in {level_frame}, {height:.1f} m above the floor ({source})']
    viewpoints = [_seen(rotation.T, -rotation.T @ translation)]
    for number, camera in enumerate(cameras[1:], start=1):
        other = camera.frame or camera.output
        if tree.connects(other, frame):
            r, t = (np.eye(3), np.zeros(3)) if other == frame else lookup(frame, other)
            viewpoints.append(_seen(rotation.T @ r, rotation.T @ (t - translation)))
            continue
        high = camera.height_m if math.isfinite(camera.height_m) else CAMERA_HEIGHT_M
        turn, below = level_pose(camera.gravity, high)
        # Pose of that camera in the level frame, and of the root of its tree.
        r, t = turn.T, -turn.T @ below + [0, -number * _BESIDE_M, 0]
        viewpoints.append(_seen(r, t))
        root = tree.root(other)
        to_root = (np.eye(3), np.zeros(3)) if root == other else lookup(other, root)
        broadcasts.append(Broadcast(level_frame, root, r @ to_root[0], r @ to_root[1] + t))
        notes.append(
            f'TF does not connect {other} with {frame}: RViz shows its people {_BESIDE_M:g} m to '
            'the right, wherever they are'
        )
    return Plan(level_frame, broadcasts, orbit_behind(viewpoints, VIEW_3D), notes=notes)


def _viewpoint(camera: Shown, frame: str, lookup: Lookup) -> Viewpoint:
    """A camera in a frame with z up, the floor at its origin unless that is far below or above."""
    rotation, translation = lookup(frame, camera.frame)
    if camera.body:
        rotation = rotation @ BODY_AXES
    height = float(translation[2])
    floor = 0.0 if 0 <= height <= _FLOOR_WITHIN_M else height - CAMERA_HEIGHT_M
    return _seen(rotation, translation, floor)


def _seen(rotation: Array, translation: Array, floor_m: float = 0.0) -> Viewpoint:
    """Of the pose of an optical frame: z forward, y down."""
    return Viewpoint(translation, rotation[:, 2], -rotation[:, 1], floor_m)


def _carrier(frame: str, fixed_frame: str, tree: FrameTree) -> str:
    """The robot's frame that carries a camera through a fixed one; empty if none does."""
    if fixed_frame.rpartition('/')[2] not in FIXED:
        return ''
    above = tree.ancestors(frame)
    names = [name for name in Z_UP if name not in FIXED]
    return next((f for n in names for f in above if f.rpartition('/')[2] == n), '')


def topics_of(
    node: str, published: Mapping[str, Sequence[str]], subscribed: Mapping[str, Sequence[str]]
) -> dict[str, Topics]:
    """What a node publishes for RViz, by the topic of its skeletons.

    node: its full name. published, subscribed: its topics and their types.
    """

    def of_types(topics: Mapping[str, Sequence[str]], *types: str) -> list[str]:
        return sorted(name for name, of_topic in topics.items() if set(types) & set(of_topic))

    infos = {
        info.rpartition('/')[0]: info for info in of_types(subscribed, 'sensor_msgs/msg/CameraInfo')
    }
    # Drivers have calibration and image side by side; image_transport adds a level.
    images = {
        image.removesuffix('/compressed').rpartition('/')[0]: image.removesuffix('/compressed')
        for image in of_types(subscribed, *_IMAGES)
        if 'depth' not in image
    }
    cameras = list(infos)
    by_topic: dict[str, Topics] = {}
    for number, topic in enumerate(of_types(published, SKELETON_ARRAY)):
        base = topic.rpartition('/')[0]
        name = base[len(node) :].strip('/') if base.startswith(f'{node}/') else ''
        own = [folder for folder in cameras if folder.rpartition('/')[2] == name]
        folder = own[0] if own else cameras[min(number, len(cameras) - 1)] if cameras else ''
        by_topic[topic] = Topics(
            name,
            markers=f'{base}/markers',
            debug_image=f'{base}/debug_image' if f'{base}/debug_image' in published else '',
            image=images.get(folder, ''),
            camera_info=infos.get(folder, ''),
        )
    return by_topic


def heights_over_feet(array: Message) -> list[float]:
    """How far below the camera the lower foot of each person is, metres along y.

    array: a Skeleton3DArray in the camera's optical frame. People without an absolute position or
    whose feet are not in the image are left out.
    """
    skeleton = SKELETONS.get(array.convention)
    if skeleton is None:
        return []
    feet = {k for k, name in enumerate(skeleton.names) if set(name.split('_')) & _FEET}
    heights = []
    for person in array.skeletons:
        if person.position_source != PositionSource.RELATIVE:
            measured = [
                joint.position.y
                for joint in person.joints
                if joint.id in feet and joint.status == JointStatus.MEASURED
            ]
            heights += [max(measured)] if measured else []
    return heights
