# SPDX-License-Identifier: Apache-2.0
"""How a setting is declared: a dataclass field with its default, range, choices and description.

The same names are fields here, keys in YAML, ROS parameters, and (with dashes) options of the
command line.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from ..errors import ConfigError

Value = bool | int | float | str


@dataclass(frozen=True)
class Setting:
    """What is known of one setting beside its default."""

    name: str
    default: Value
    doc: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def type(self) -> type:
        """bool, int, float or str."""
        return type(self.default)

    def check(self, value: Any) -> Value:
        """The value in the setting's type; ConfigError names setting, value and what is allowed."""
        wanted = self.type
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if type(value) is not wanted:
            raise ConfigError(
                f'{self.name} must be of type {wanted.__name__}, not {value!r} '
                f'({type(value).__name__})'
            )
        if self.choices and value not in self.choices:
            raise ConfigError(
                f'{self.name} must be one of {", ".join(self.choices)}, not {value!r}'
            )
        low, high = self.low, self.high
        if isinstance(value, (int, float)):
            if not math.isfinite(value) or not (
                (low is None or value >= low) and (high is None or value <= high)
            ):
                raise ConfigError(f'{self.name} must lie in {self.range}, not {value!r}')
        return cast(Value, value)

    @property
    def range(self) -> str:
        """The allowed range in words."""
        low = '-inf' if self.low is None else f'{self.low:g}'
        high = 'inf' if self.high is None else f'{self.high:g}'
        return f'[{low}, {high}]'


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    live: bool = False,
) -> Any:
    """A dataclass field that is a setting. live: may change while the node is active."""
    extra = {'doc': doc, 'low': low, 'high': high, 'choices': tuple(choices), 'live': live}
    return field(default=default, metadata=extra)


def settings_of(config: Any, prefix: str = '') -> Iterator[Setting]:
    """The settings of a dataclass (or an instance of one), in order."""
    for item in dataclasses.fields(config):
        if 'doc' in item.metadata:
            yield Setting(
                name=prefix + item.name, default=cast(Value, item.default), **item.metadata
            )
