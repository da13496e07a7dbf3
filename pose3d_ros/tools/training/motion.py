# SPDX-License-Identifier: Apache-2.0
"""Motion capture in the layout of the CMU set: which takes train, which judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...types import Array

HELD_OUT = ('02', '06', '08')
"""Subjects that judge the network: nothing of them is trained on."""

CALIBRATION = ('16',)
"""Subject whose errors scale the stated uncertainty; not trained on either."""

CLIP_TAKES = (
    '02_05', '02_06', '02_10', '05_09', '06_02', '07_05', '49_02',
    'x_direct_traffic_4', 'x_wash_window_1',
)  # fmt: skip
"""Takes whose motion is played in the rendered test clips: never trained on."""

EXTRA = ('nose', 'left_ear', 'right_ear', 'left_toe', 'right_toe')
_BODY = 17


@dataclass(frozen=True, eq=False)
class Take:
    """A recording: (T, 22, 3) metres, z up; the 17 joints of h36m_17, then EXTRA."""

    name: str
    subject: str
    joints: Array


def load_takes(path: str | Path) -> list[Take]:
    """All takes of a file; InputError if it is missing or of another layout."""
    try:
        with np.load(path, allow_pickle=False) as data:
            names = [k for k in data.files if '__' not in k and not k.endswith('_names')]
            takes = []
            for name in names:
                body, extra = data[name], data[f'{name}__extra']
                if body.shape[1:] != (_BODY, 3) or extra.shape[1:] != (len(EXTRA), 3):
                    raise InputError(f'{path}: {name} is {body.shape} and {extra.shape}')
                joints = np.concatenate([body, extra], axis=1).astype(np.float32)
                takes.append(Take(name, name.partition('_')[0], joints))
            return takes
    except OSError as error:
        raise InputError(f'cannot read the motion {path}: {error}') from error
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f'{path} is not in the layout of the motion set: {error}') from error


def split(takes: list[Take], held_out: tuple[str, ...] = HELD_OUT) -> dict[str, list[Take]]:
    """Takes to train on, to calibrate on, and to judge by (`train`, `calibration`, `test`)."""
    out: dict[str, list[Take]] = {'train': [], 'calibration': [], 'test': []}
    for take in takes:
        if take.subject in held_out:
            out['test'].append(take)
        elif take.subject in CALIBRATION:
            out['calibration'].append(take)
        elif take.name not in CLIP_TAKES:
            out['train'].append(take)
    return out
