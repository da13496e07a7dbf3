# SPDX-License-Identifier: Apache-2.0
"""What is written is what RViz reads: its classes, properties and their types.

The tables are those of the sources of RViz 11.2 (Humble), 14.1 (Jazzy) and 14.3 (Rolling, on its
way to Lyrical), which agree in all that is used here.
"""

from __future__ import annotations

import re
import struct

import pytest
import yaml

from pose3d_ros.drawing.rviz_config import (
    DOCK_WIDTH,
    VIEW_3D,
    WINDOW,
    Scene,
    Topics,
    configured,
    template,
    to_yaml,
    window_state,
)
from pose3d_ros.drawing.rviz_view import Orbit
from pose3d_ros.resources import resource

VECTOR = {'X': float, 'Y': float, 'Z': float}
COLOUR = re.compile(r'\d{1,3}; \d{1,3}; \d{1,3}')
TOPIC = {
    'Value': re.compile(r'/[\w/]+'),
    'Depth': int,
    'History Policy': ('System Default', 'Keep Last', 'Keep All'),
    'Reliability Policy': ('System Default', 'Reliable', 'Best Effort'),
    'Durability Policy': ('System Default', 'Transient Local', 'Volatile'),
}
DISPLAY = {'Class': str, 'Name': str, 'Enabled': bool, 'Value': bool}
DISPLAYS = {
    'rviz_default_plugins/Grid': {
        'Reference Frame': str,
        'Plane Cell Count': int,
        'Normal Cell Count': int,
        'Cell Size': float,
        'Line Style': {'Value': ('Lines', 'Billboards'), 'Line Width': float},
        'Color': COLOUR,
        'Alpha': float,
        'Plane': ('XY', 'XZ', 'YZ'),
        'Offset': VECTOR,
    },
    'rviz_default_plugins/MarkerArray': {'Topic': TOPIC, 'Namespaces': dict},
    'rviz_default_plugins/TF': {
        'Show Names': bool,
        'Show Axes': bool,
        'Show Arrows': bool,
        'Marker Scale': float,
        'Update Interval': float,
        'Frame Timeout': float,
        'Frames': dict,
        'Tree': dict,
    },
    'rviz_default_plugins/Image': {
        'Topic': TOPIC,
        'Normalize Range': bool,
        'Min Value': float,
        'Max Value': float,
        'Median window': int,
    },
    'rviz_default_plugins/Camera': {
        'Topic': TOPIC,
        'Image Rendering': ('background', 'overlay', 'background and overlay'),
        'Overlay Alpha': float,
        'Zoom Factor': float,
        'Far Plane Distance': float,
    },
}
VIEW = {
    'Class': ('rviz_default_plugins/Orbit',),
    'Name': str,
    'Value': str,
    'Target Frame': str,
    'Near Clip Distance': float,
    'Invert Z Axis': bool,
    'Enable Stereo Rendering': {
        'Value': bool,
        'Stereo Eye Separation': float,
        'Stereo Focal Distance': float,
        'Swap Stereo Eyes': bool,
    },
    'Distance': float,
    'Focal Shape Size': float,
    'Focal Shape Fixed Size': bool,
    'Yaw': float,
    'Pitch': float,
    'Focal Point': VECTOR,
}
TOOLS = {
    f'rviz_default_plugins/{name}'
    for name in ('Interact', 'MoveCamera', 'Select', 'FocusCamera', 'Measure')
}
PANELS = {f'rviz_common/{name}' for name in ('Displays', 'Selection', 'Views', 'Time')}


def check(value, kind, where):
    """Asserts that a value is what a property of that kind reads."""
    if isinstance(kind, dict):
        assert isinstance(value, dict), where
        assert set(value) <= set(kind), f'{where}: {set(value) - set(kind)}'
        for name, inner in value.items():
            check(inner, kind[name], f'{where}/{name}')
    elif isinstance(kind, tuple):
        assert value in kind, where
    elif isinstance(kind, re.Pattern):
        assert kind.fullmatch(value), where
    elif kind is float:
        assert type(value) in (int, float), where
    else:
        assert type(value) is kind, where


ONE = [Topics('', '/n/markers', '/n/debug_image', '/camera/image_raw')]
TWO = [
    Topics('left', '/n/left/markers', '/n/left/debug_image', '/left/image'),
    Topics('right', '/n/right/markers', '/n/right/debug_image'),
]


def written(scene):
    """A configuration as RViz reads it from its file."""
    return yaml.safe_load(to_yaml(configured(template(), scene)))


@pytest.mark.parametrize('cameras', [ONE, TWO], ids=['one', 'two'])
def test_classes_properties_and_their_types(cameras):
    content = written(Scene('odom', cameras, Orbit((1.0, -2.0, 0.9), 0.4, 0.35, 7), 'base_link'))
    assert set(content) == {'Panels', 'Visualization Manager', 'Window Geometry'}
    assert {panel['Class'] for panel in content['Panels']} <= PANELS
    manager = content['Visualization Manager']
    options = {'Fixed Frame': str, 'Background Color': COLOUR, 'Frame Rate': int}
    check(manager['Global Options'], options, 'Global Options')
    for display in manager['Displays']:
        name = display['Class']
        check(display, {**DISPLAY, **DISPLAYS[name]}, name)
        assert display['Enabled'] == display['Value'] == (name != 'rviz_default_plugins/Camera')
    names = [display['Name'] for display in manager['Displays']]
    assert len(set(names)) == len(names)
    check(manager['Views']['Current'], VIEW, 'view')
    assert {tool['Class'] for tool in manager['Tools']} <= TOOLS
    assert manager['Transformation']['Current']['Class'] == 'rviz_default_plugins/TF'


def shown(content, kind):
    """Names and topics of the displays of a class."""
    return {
        display['Name']: display['Topic']['Value']
        for display in content['Visualization Manager']['Displays']
        if display['Class'].endswith(f'/{kind}')
    }


def test_a_scene():
    content = written(Scene('odom', ONE, Orbit((1.0, -2.0, 0.9), 0.4, 0.35, 7.5), 'base_link'))
    manager = content['Visualization Manager']
    assert manager['Global Options']['Fixed Frame'] == 'odom'
    view = manager['Views']['Current']
    assert (view['Yaw'], view['Pitch'], view['Distance']) == (0.4, 0.35, 7.5)
    assert view['Focal Point'] == {'X': 1.0, 'Y': -2.0, 'Z': 0.9}
    assert view['Target Frame'] == 'base_link'
    assert shown(content, 'MarkerArray') == {'Skeletons': '/n/markers'}
    assert shown(content, 'Image') == {'Debug image': '/n/debug_image'}
    assert shown(content, 'Camera') == {'Over the image': '/camera/image_raw'}


def test_several_cameras():
    content = written(Scene('map', TWO))
    assert shown(content, 'MarkerArray') == {
        'Skeletons left': '/n/left/markers',
        'Skeletons right': '/n/right/markers',
    }
    assert set(shown(content, 'Image')) == {'Debug image left', 'Debug image right'}
    # Where the camera's own topic is unknown there is no such display, and no error about it.
    assert shown(content, 'Camera') == {'Over the image left': '/left/image'}
    assert content['Visualization Manager']['Views']['Current']['Target Frame'] == '<Fixed Frame>'


def test_the_template_is_left_alone_and_shows_the_demo():
    content = template()
    before = to_yaml(content)
    configured(content, Scene('odom', TWO))
    assert to_yaml(content) == before
    assert content['Visualization Manager']['Global Options']['Fixed Frame'] == 'map'
    assert shown(content, 'MarkerArray') == {'Skeletons': '/pose3d_estimator/markers'}
    assert shown(content, 'Image') == {'Debug image': '/pose3d_estimator/debug_image'}
    # RViz reads strings such as Yes, On and 48; 48; 48 as they stand there.
    text = resource('config', 'pose3d.rviz').read_text(encoding='utf-8')
    assert yaml.safe_load(text) == content


class Reader:
    """Reads what QDataStream writes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from('>' + layout, self.data, self.at)
        self.at += struct.calcsize('>' + layout)
        return values if len(values) > 1 else values[0]

    def string(self):
        size = self.take('i')
        self.at += size
        return self.data[self.at - size : self.at].decode('utf-16-be')


@pytest.mark.parametrize('images', [1, 2, 4])
def test_layout_of_the_window(images):
    docks = [(f'Debug image {k}', True) for k in range(images)]
    docks += [('Over the image', False), ('Displays', True)]
    reader = Reader(bytes.fromhex(window_state(docks)))
    # QMainWindow::saveState: 0xff and its version; 0xfd and areas; 0xfc and widgets.
    assert reader.take('iiBi') == (255, 0, 253, 1)
    area, width, height = reader.take('iii')
    assert area == 0
    assert width == DOCK_WIDTH == WINDOW[0] / 4
    assert reader.take('BBi') == (252, 2, images + 2)
    top = 0
    for name, visible in docks:
        assert reader.take('B') == 251
        assert reader.string() == name
        flags, position, size, least, most = reader.take('Biiii')
        assert flags == visible
        assert 0 < least <= size <= most
        if visible:
            assert position == top
            top += size
    assert top == height == VIEW_3D[1]
    assert size >= 290, 'no room for the displays'
    assert reader.take('ii') == VIEW_3D
    assert VIEW_3D[0] >= 2 / 3 * WINDOW[0]
    assert reader.take('iiiiB')[-1] == 252
    assert reader.take('iii') == (1, 2, 1)
    assert reader.string() == 'Tools'
    reader.take('Biiii')
    assert reader.at == len(reader.data)


def test_no_panels_but_the_displays():
    content = written(Scene('map', ONE))
    assert [panel['Name'] for panel in content['Panels']] == ['Displays']
    geometry = content['Window Geometry']
    assert (geometry['Width'], geometry['Height']) == WINDOW
    for name in ('Debug image', 'Over the image', 'Displays'):
        assert geometry[name] == {'collapsed': False}
