# SPDX-License-Identifier: Apache-2.0
"""Settings of the fusion of several cameras."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from ..skeleton import get_skeleton
from .declare import setting, settings_of
from .node import NodeConfig


@dataclass(frozen=True)
class FusionConfig:
    """How people of several cameras become one set."""

    fusion_rate_hz: float = setting(
        30.0, 'results per second, as long as any camera has something new', low=1, high=240
    )
    fusion_delay_ms: float = setting(
        100.0, 'how long a camera that is late is waited for', low=0, high=5000
    )
    output_convention: str = setting(
        '', 'joint convention of the results; empty: that of the first people who come'
    )

    def __post_init__(self) -> None:
        for item in settings_of(self):
            item.check(getattr(self, item.name))
        if self.output_convention:
            get_skeleton(self.output_convention)


MOST_CAMERAS = 32
"""Which cameras saw a joint is in a word of so many bits."""


def check_names(names: list[str]) -> None:
    """ConfigError unless these can be the cameras of a fusion."""
    if len(names) < 2:
        raise ConfigError(f'fusion needs two cameras or more, not {len(names)}')
    if len(names) > MOST_CAMERAS:
        raise ConfigError(f'fusion takes {MOST_CAMERAS} cameras at most, not {len(names)}')
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f'cameras of a fusion need names of their own: {", ".join(twice)}')


@dataclass(frozen=True)
class FusionNodeConfig(FusionConfig):
    """What the node needs beside it."""

    cameras: str = setting(
        'left,right', 'names, comma-separated: topics <name>/skeletons and <name>/camera_info'
    )
    fusion_frame: str = setting('map', 'frame of the results, z up')
    image_is_rectified: bool = setting(
        False, "the cameras' images are undistorted already: use P instead of K"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(self.camera_names):
            raise ConfigError(f'cameras: a name is empty in {self.cameras!r}')
        check_names(list(self.camera_names))
        if not self.fusion_frame:
            raise ConfigError('fusion_frame must be the name of a frame')

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras."""
        return NodeConfig(cameras=self.cameras).camera_names
