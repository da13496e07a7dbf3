# SPDX-License-Identifier: Apache-2.0
"""The node under ROS 2: the only place that imports rclpy and what comes with it."""
