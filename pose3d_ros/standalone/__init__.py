# SPDX-License-Identifier: Apache-2.0
"""The node where no ROS is installed, whatever transport carries its topics."""
