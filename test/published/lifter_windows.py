# SPDX-License-Identifier: Apache-2.0
"""Which frames a lifter sees for a frame: the published rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def window_indices(
    frame: int, count: int, length: int, step: int = 1, causal: bool = False
) -> list[int]:
    """Frames for one target of a clip of `count`; ends are repeated where the clip is too short."""
    left, right = (length - 1, 0) if causal else ((length - 1) // 2, (length - 1) // 2)
    pad_left = max(0, left - frame // step)
    pad_right = max(0, right - (count - 1 - frame) // step)
    start = max(frame % step, frame - left * step)
    stop = min(count - (count - 1 - frame) % step, frame + right * step + 1)
    real = list(range(start, stop, step))
    return [0] * pad_left + real + [count - 1] * pad_right


def target_in_window(length: int, causal: bool) -> int:
    """Which frame of the window the output belongs to."""
    return length - 1 if causal else length // 2


def pad_clip(clip: Array, field_length: int, causal: bool) -> Array:
    """A whole clip (T, ...) with its ends repeated, so that the dilated form gives T frames."""
    half = (field_length - 1) // 2
    shift = half if causal else 0
    return np.concatenate(
        [np.repeat(clip[:1], half + shift, 0), clip, np.repeat(clip[-1:], half - shift, 0)]
    )


def dataset_windows(
    video_lengths: Sequence[int],
    seq_len: int,
    *,
    pad: bool = False,
    causal: bool = False,
    seq_step: int = 1,
    multiple_target: int = 0,
    multiple_target_step: int = 0,
) -> list[list[int]]:
    """Windows over videos that stand one behind the other, as MMPose's data sets make them.

    multiple_target: windows of so many frames, all of them targets; incomplete ones are left out.
    """
    out: list[list[int]] = []
    offset = 0
    for count in video_lengths:
        if multiple_target:
            step = multiple_target_step or multiple_target
            for start in range(0, count - multiple_target + 1, step):
                out.append(list(range(offset + start, offset + start + multiple_target)))
        elif pad:
            for frame in range(count):
                window = window_indices(frame, count, seq_len, seq_step, causal)
                out.append([offset + k for k in window])
        else:
            span = (seq_len - 1) * seq_step + 1
            for start in range(count - span + 1):
                out.append(list(range(offset + start, offset + start + span, seq_step)))
        offset += count
    return out
