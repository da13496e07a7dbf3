# SPDX-License-Identifier: Apache-2.0
"""Optional packages that a command cannot do without."""

from __future__ import annotations

import sys
from importlib import import_module

from ..errors import ConfigError

WITHOUT_WHEELS = {'cyclonedds': (3, 14)}
"""Packages that an extra leaves out, and the first Python for which there is no wheel of them."""


def needs(package: str, extra: str, what: str, instead: str = '') -> None:
    """Raise ConfigError that says what to install if a package is missing, or what to use instead.

    instead: said on a Python for which the package has no wheel.
    """
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        first = WITHOUT_WHEELS.get(package, (4, 0))
        if sys.version_info[:2] < first:
            cure = f'which is not installed: pip install "pose3d_ros[{extra}]"'
        else:
            cure = (
                f'which has no wheel for Python {sys.version_info[0]}.{sys.version_info[1]}: '
                f'use Python 3.10 to {first[0]}.{first[1] - 1}; {instead}'
            )
        raise ConfigError(f'{what} needs {package}, {cure}') from error
