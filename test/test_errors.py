# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import did_you_mean
from pose3d_ros.zoo import load_registry


@pytest.mark.parametrize(
    ('name', 'names', 'expected'),
    [
        ('blazeposse', ['rtmpose', 'blazepose'], "; did you mean 'blazepose'?"),
        ('rtm', ['rtmpose_m', 'yolox', 'rtmo'], "; did you mean 'rtmo' or 'rtmpose_m'?"),
        ('ab', ['abc', 'abd', 'abe', 'abf'], "; did you mean 'abf', 'abe' or 'abd'?"),
        ('nothing of the kind', ['blazepose'], ''),
        ('x', [], ''),
    ],
)
def test_the_nearest_names_are_offered(name: str, names: list[str], expected: str) -> None:
    assert did_you_mean(name, names) == expected


def test_a_misspelt_model_is_answered_with_a_few() -> None:
    hint = did_you_mean('videopose3d_27', load_registry())
    assert 'videopose3d_27' in hint
    assert hint.count("'") <= 6
