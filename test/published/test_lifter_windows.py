# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from published.lifter_windows import (
    pad_clip,
    target_in_window,
    window_indices,
)


def test_the_target_is_where_it_is_said_to_be() -> None:
    for causal in (False, True):
        for frame in range(12):
            window = window_indices(frame, 12, 9, causal=causal)
            assert len(window) == 9
            assert window[target_in_window(9, causal)] == frame


def test_ends_are_repeated() -> None:
    clip = np.arange(5.0)[:, None]
    assert pad_clip(clip, 5, False).ravel().tolist() == [0, 0, 0, 1, 2, 3, 4, 4, 4]
    assert pad_clip(clip, 5, True).ravel().tolist() == [0, 0, 0, 0, 0, 1, 2, 3, 4]
