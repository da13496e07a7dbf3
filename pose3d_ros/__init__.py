# SPDX-License-Identifier: Apache-2.0
"""3D human skeletons from any camera topic, for robots.

Imports nothing heavy on purpose: importing the ROS messages of this package runs this file.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = '0.1.0'
