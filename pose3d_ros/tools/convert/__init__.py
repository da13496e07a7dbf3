# SPDX-License-Identifier: Apache-2.0
"""From an official checkpoint to files that the runtimes read: load strictly, export, verify.

>>> convert('openpose3d', Path('human-pose-estimation-3d.pth'), Path('out/network'))

The only part of the package that imports PyTorch, with `zoo.networks` and training.
"""

from .checkpoint import load_strictly, random_weights, read_checkpoint
from .export import Converted, convert, export
from .install import install

__all__ = [
    'Converted',
    'convert',
    'export',
    'install',
    'load_strictly',
    'random_weights',
    'read_checkpoint',
]
