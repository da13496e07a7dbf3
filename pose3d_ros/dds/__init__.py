# SPDX-License-Identifier: Apache-2.0
"""The node where no ROS is installed: the same topics on the wire, over Cyclone DDS."""
