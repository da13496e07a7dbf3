# SPDX-License-Identifier: Apache-2.0
"""RViz's configuration for a scene, made of the template config/pose3d.rviz."""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..resources import resource
from .rviz_view import Orbit

WINDOW = (1400, 900)
"""Width and height of RViz's window in pixels."""
DOCK_WIDTH = WINDOW[0] // 4
VIEW_3D = (WINDOW[0] - DOCK_WIDTH - 40, WINDOW[1] - 100)
"""What is left of it for the 3D view."""

_DISPLAYS_PANEL = 'Displays'
_DISPLAYS_HEIGHT = 300
_IMAGE_HEIGHT = round(0.75 * DOCK_WIDTH) + 30  # 4:3, and its title


@dataclass(frozen=True)
class Topics:
    """What is shown of one camera: its name, empty if there is but one, and topics.

    image: of the camera itself, with camera_info beside it; empty: unknown. camera_info: of its
    calibration, wherever that is; empty: unknown.
    """

    name: str
    markers: str
    debug_image: str
    image: str = ''
    camera_info: str = ''


@dataclass(frozen=True)
class Scene:
    """What RViz shows. follow: the frame that the view moves along with; empty: it stays."""

    fixed_frame: str
    cameras: Sequence[Topics]
    view: Orbit | None = None
    follow: str = ''


def template() -> dict[str, Any]:
    """The configuration that comes with the package."""
    text = resource('config', 'pose3d.rviz').read_text(encoding='utf-8')
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def configured(content: Mapping[str, Any], scene: Scene) -> dict[str, Any]:
    """A copy of a configuration that shows a scene.

    Displays of the classes MarkerArray, Image and Camera are there once for each camera.
    """
    made = copy.deepcopy(dict(content))
    manager = made['Visualization Manager']
    manager['Global Options']['Fixed Frame'] = scene.fixed_frame
    displays: list[dict[str, Any]] = []
    docks: list[tuple[str, bool]] = []
    for display in manager['Displays']:
        class_name = display['Class'].rpartition('/')[2]
        field = {'MarkerArray': 'markers', 'Image': 'debug_image', 'Camera': 'image'}.get(
            class_name
        )
        if field is None:
            displays.append(display)
            continue
        for camera in scene.cameras:
            topic = getattr(camera, field)
            if not topic:
                continue
            one = copy.deepcopy(display)
            one['Name'] = f'{display["Name"]} {camera.name}'.rstrip()
            one['Topic']['Value'] = topic
            displays.append(one)
            if class_name != 'MarkerArray':
                docks.append((one['Name'], one['Enabled']))
    manager['Displays'] = displays
    view = manager['Views']['Current']
    if scene.view is not None:
        view.update(Distance=scene.view.distance, Pitch=scene.view.pitch, Yaw=scene.view.yaw)
        view['Focal Point'] = dict(zip('XYZ', scene.view.focal))
    if scene.follow:
        view['Target Frame'] = scene.follow
    geometry = made['Window Geometry']
    for name, _ in docks:
        geometry[name] = {'collapsed': False}
    geometry['QMainWindow State'] = window_state([*docks, (_DISPLAYS_PANEL, True)])
    return made


def to_yaml(content: Mapping[str, Any]) -> str:
    """Text of a configuration, as RViz reads it."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)


def window_state(docks: Sequence[tuple[str, bool]]) -> str:
    """Qt's QMainWindow::saveState() as hexadecimal: panels below one another at the left edge.

    docks: names from the top, and whether they are shown. Images have the window's quarter in
    width as long as there is room; the last panel gets what they leave.
    """
    room = VIEW_3D[1]
    images = max(sum(shown for _, shown in docks[:-1]), 1)
    height = min(_IMAGE_HEIGHT, (room - _DISPLAYS_HEIGHT) // images)
    out = struct.pack('>ii', 0xFF, 0)  # marker, version
    out += struct.pack('>Bi', 0xFD, 1)  # dock widgets: one area
    out += struct.pack('>iii', 0, DOCK_WIDTH, room)  # left, size
    out += struct.pack('>BBi', 0xFC, 2, len(docks))  # one below another
    top = 0
    for name, shown in docks:
        size = room - top if name == docks[-1][0] else height
        # Position, size, least and greatest size.
        out += struct.pack('>B', 0xFB) + _string(name)
        out += struct.pack('>Biiii', shown, top, size, 60, 16777215)
        top += size if shown else 0
    out += struct.pack('>ii', *VIEW_3D)  # the centre
    out += struct.pack('>iiii', 4, 4, 8, 8)  # whose the corners are
    out += struct.pack('>Biii', 0xFC, 1, 2, 1)  # toolbars: one line, at the top, with one bar
    out += _string('Tools') + struct.pack('>Biiii', 1, 0, -1, 0, 0)
    return out.hex()


def _string(text: str) -> bytes:
    data = text.encode('utf-16-be')
    return struct.pack('>i', len(data)) + data
