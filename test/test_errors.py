# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.errors import did_you_mean, unknown
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


def test_the_nearest_few_names() -> None:
    names = [f'videopose3d_{n}f' for n in (1, 27, 81, 243)] + [f'other{n}' for n in range(50)]
    message = unknown('model', 'videopose_243f', names)
    assert message.startswith("model 'videopose_243f' is unknown; did you mean 'videopose3d_243f")
    assert message.count('videopose3d') == 3
    assert 'other' not in message


def test_a_few_names_where_none_is_near() -> None:
    assert unknown('mode', 'zzz', ['', 'a', 'b']) == "mode 'zzz' is unknown; known: a, b"
    many = unknown('mode', 'zzz', [f'a{k}' for k in range(20)])
    assert many.endswith('a6, a7 and 12 others')
