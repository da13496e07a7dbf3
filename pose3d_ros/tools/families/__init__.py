# SPDX-License-Identifier: Apache-2.0
"""Definitions of published networks in PyTorch, needed only to convert their checkpoints.

To add a family, write a module here with a `FAMILY`, and put its name into `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...settings.plugins import Plugins

Shape = tuple[int, ...]

FAMILIES = Plugins(
    'network family',
    {
        name: f'{__name__}.{place}'
        for name, place in {
            'openpose3d': 'openpose3d:FAMILY',
            'metrabs': 'metrabs:FAMILY',
            'metrabs_table': 'metrabs:TABLE',
            'motionbert': 'lifters:MOTIONBERT',
            'simplebaseline3d': 'lifters:SIMPLEBASELINE3D',
            'videopose3d_1': 'lifters:VIDEOPOSE3D_1',
            'videopose3d_27': 'lifters:VIDEOPOSE3D_27',
            'videopose3d_27_step': 'lifters:VIDEOPOSE3D_27_STEP',
            'videopose3d_27_semi': 'lifters:VIDEOPOSE3D_27_SEMI',
            'videopose3d_27_semi_step': 'lifters:VIDEOPOSE3D_27_SEMI_STEP',
            'videopose3d_81': 'lifters:VIDEOPOSE3D_81',
            'videopose3d_81_step': 'lifters:VIDEOPOSE3D_81_STEP',
            'videopose3d_243': 'lifters:VIDEOPOSE3D_243',
            'videopose3d_243_step': 'lifters:VIDEOPOSE3D_243_STEP',
            'videopose3d_243_causal': 'lifters:VIDEOPOSE3D_243_CAUSAL',
            'videopose3d_243_causal_step': 'lifters:VIDEOPOSE3D_243_CAUSAL_STEP',
            'cpm_person': 'cpm_person:FAMILY',
            'cpm_pose': 'cpm_pose:FAMILY',
            'pose_hg_3d': 'pose_hg_3d:FAMILY',
            'pose_hg_3d_hourglass': 'pose_hg_3d_hourglass:FAMILY',
        }.items()
    },
    'FAMILY',
)
"""By the name of `family` in config/models.yaml."""


@dataclass(frozen=True)
class Family:
    """What it takes to convert the checkpoints of one network family.

    build: an `nn.Module` in evaluation mode from the shapes of the checkpoint's tensors (empty:
        the usual one, for random weights); its positional inputs are `inputs`, its outputs, one or
        a tuple, are `outputs`.
    examples: random arrays for a module and an input size (width, height; None: the usual one), by
        the names of `inputs`, in the range that the network is meant for.
    dynamic: axes that stay free, with a name for each, by the name of an input or output. The
        batch is axis 0; those called 'height' and 'width' can be fixed with a size.
    ignored: patterns (fnmatch) of checkpoint entries that change nothing.
    layouts: keys under which the state dictionary may lie in the file, tried before the file
        itself. prefixes: taken off the keys.
    read: reader for checkpoints that are no PyTorch files; tensors by key.
    gain: of random weights, see random_weights.
    about: written into the metadata of the converted files.
    """

    build: Callable[[Mapping[str, Shape]], Any]
    examples: Callable[[Any, tuple[int, int] | None, Any], dict[str, Any]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]]
    ignored: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ('state_dict',)
    prefixes: tuple[str, ...] = ('module.',)
    read: Callable[[Path], dict[str, Any]] | None = None
    gain: float = 2.0
    about: Mapping[str, str] = field(default_factory=dict)


def require_packages() -> None:
    """ModelError that says what to install if conversion is not possible here."""
    missing = [package for package in ('torch', 'onnx') if find_spec(package) is None]
    if missing:
        raise ModelError(
            f'converting models needs {" and ".join(missing)}: pip install "pose3d_ros[convert]"'
        )


def load_family(name: str) -> Family:
    """The family of that name; ConfigError if unknown, ModelError if PyTorch is not installed."""
    if FAMILIES.names(name):
        require_packages()
    family: Family = FAMILIES.load(name)
    return family
