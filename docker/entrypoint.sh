#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command with ROS, this package and the virtual environment.
set -e
. "/opt/ros/$ROS_DISTRO/setup.bash"
. /ws/install/setup.bash
. /ws/venv/bin/activate
exec "$@"
