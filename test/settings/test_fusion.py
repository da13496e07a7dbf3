# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import ConfigError
from pose3d_ros.settings.fusion import FusionConfig


@pytest.mark.parametrize(
    'settings',
    [{'fusion_rate_hz': 0.0}, {'fusion_delay_ms': -1.0}, {'output_convention': 'nobody_9'}],
)
def test_settings_are_checked(settings) -> None:
    with pytest.raises(ConfigError):
        FusionConfig(**settings)
