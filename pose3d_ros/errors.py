# SPDX-License-Identifier: Apache-2.0
"""One exception per layer; each message names the offending thing and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 8  # names at most, where none is near


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


def describe(error: Exception) -> str:
    """One line for the log: what this package's own errors say; of others, the type as well."""
    return str(error) if isinstance(error, Pose3DError) else f'{type(error).__name__}: {error}'


def did_you_mean(name: str, names: Iterable[str], most: int = 3) -> str:
    """`; did you mean a, b or c?` of the names that a misspelt one resembles; empty if none."""
    choices = list(names)
    close = difflib.get_close_matches(name, choices, most)
    close += [choice for choice in choices if name in choice or choice in name]
    nearest = [repr(choice) for choice in dict.fromkeys(close)][:most]
    if not nearest:
        return ''
    *first, last = nearest
    return f'; did you mean {", ".join(first)}{" or " if first else ""}{last}?'


def unknown(sort: str, name: str, names: Iterable[str]) -> str:
    """The message for a name that does not exist: the nearest few that do, or the first few."""
    choices = [choice for choice in names if choice]
    few = ', '.join(choices[:_SHOWN])
    rest = f' and {len(choices) - _SHOWN} others' if len(choices) > _SHOWN else ''
    return f'{sort} {name!r} is unknown{did_you_mean(name, choices) or f"; known: {few}{rest}"}'
