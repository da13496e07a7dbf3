# SPDX-License-Identifier: Apache-2.0
"""A node of ROS that sends its name on /ping and says whose answers it hears: pinging.py NAME.

A line `both NAME` for somebody who answers, `from NAME` for one who answers only others.
"""

from __future__ import annotations

import sys

import rclpy
from std_msgs.msg import String


def main(name: str) -> None:
    """Ask until killed."""
    rclpy.init()
    node = rclpy.create_node(name)
    publisher = node.create_publisher(String, '/ping', 10)
    printed = set()

    def hear(message: String) -> None:
        answerer, asker = message.data.split()
        line = f'both {answerer}' if asker == name else f'from {answerer}'
        if line not in printed:
            printed.add(line)
            print(line, flush=True)

    node.create_subscription(String, '/pong', hear, 10)
    node.create_timer(0.1, lambda: publisher.publish(String(data=name)))
    rclpy.spin(node)


if __name__ == '__main__':
    main(sys.argv[1])
