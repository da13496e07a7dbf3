# SPDX-License-Identifier: Apache-2.0
"""Settings: declared once, read from YAML, ROS parameters and the command line."""
