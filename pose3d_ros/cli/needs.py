# SPDX-License-Identifier: Apache-2.0
"""Optional packages that a command cannot do without."""

from __future__ import annotations

from importlib import import_module

from ..errors import ConfigError


def needs(package: str, extra: str, what: str) -> None:
    """Raise ConfigError that says what to install if a package is missing."""
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ConfigError(
            f'{what} needs {package}, which is not installed: pip install "pose3d_ros[{extra}]"'
        ) from error
