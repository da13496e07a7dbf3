# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pose3d_ros.messages.diagnostics import Status, diagnostic_array
from pose3d_ros.messages.standalone import StandaloneTypes

NAME = 'diagnostic_msgs/msg/DiagnosticArray'


def test_message():
    types = StandaloneTypes()
    status = Status('input', 1, 'slow', {'rate': '3'})
    message = diagnostic_array(types, [status], stamp_ns=2_000_000_000, node='/pose3d')
    got = types.deserialize(types.serialize(message, NAME), NAME)
    (line,) = got.status
    assert got.header.stamp.sec == 2
    assert (line.level, line.name, line.message) == (1, '/pose3d: input', 'slow')
    assert line.hardware_id == 'none'
    assert [(v.key, v.value) for v in line.values] == [('rate', '3')]


def test_level_is_bytes_where_the_class_has_bytes():
    types = StandaloneTypes()

    class Level:
        def __init__(self, level=b'\0', **rest):
            self.level = level

    def ros_types(name):
        return Level if name.endswith('DiagnosticStatus') else types(name)

    message = diagnostic_array(ros_types, [Status('a', 2)], stamp_ns=0, node='n')
    assert message.status[0].level == b'\x02'
