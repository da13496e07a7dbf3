# SPDX-License-Identifier: Apache-2.0
"""One exception per layer; each message names the offending thing and what is allowed."""


class Pose3DError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(Pose3DError):
    """A setting is unknown, of the wrong type or out of range."""


class InputError(Pose3DError):
    """An image, calibration, video or bag cannot be used."""


class ModelError(Pose3DError):
    """A model file is missing, damaged, or of another network."""


class BackendError(Pose3DError):
    """An inference runtime or device is not available, or failed."""


class OutputError(Pose3DError):
    """A result cannot be written."""
