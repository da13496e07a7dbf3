# SPDX-License-Identifier: Apache-2.0
"""A node without ROS that answers each text on /ping with its own name and that text on /pong.

python -m support.echo NAME, in an environment with Cyclone DDS.
"""

from __future__ import annotations

import sys

from pose3d_ros.dds.participant import DdsNode
from pose3d_ros.node.qos import Profile
from pose3d_ros.standalone.names import Names

STRING = 'std_msgs/msg/String'


def main(name: str) -> None:
    """Answer until killed."""
    node = DdsNode(Names(name))
    publisher = node.publisher('/pong', STRING, Profile())

    def answer(raw: bytes) -> None:
        text = node.types.deserialize(raw, STRING).data
        publisher.publish(node.types(STRING)(data=f'{name} {text}'))

    node.subscribe('/ping', STRING, Profile(), answer)
    print('ready', flush=True)
    node.spin()


if __name__ == '__main__':
    main(sys.argv[1])
