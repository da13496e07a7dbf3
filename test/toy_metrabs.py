# SPDX-License-Identifier: Apache-2.0
"""A MeTRAbs archive of the published layout, small and with random weights."""

from __future__ import annotations

import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from pose3d_ros.tools.convert.checkpoint import random_weights
from pose3d_ros.tools.families import metrabs

SMALL = (8, tuple((2 if k else 1, 2 if k in (1, 2, 3, 5) else 1, 8, 1) for k in range(6)))
# fmt: off
COCO = ['neck', 'nose', 'pelv', 'lsho', 'lelb', 'lwri', 'lhip', 'lkne', 'lank', 'rsho', 'relb',
        'rwri', 'rhip', 'rkne', 'rank', 'leye', 'lear', 'reye', 'rear']
H36M = ['pelv', 'rhip', 'rkne', 'rank', 'lhip', 'lkne', 'lank', 'tors', 'neck', 'head', 'htop',
        'lsho', 'lelb', 'lwri', 'rsho', 'relb', 'rwri']
# fmt: on
CONFIG = {
    'proc_side': 128,
    'stride_train': 32,
    'stride_test': 32,
    'centered_stride': True,
    'legacy_centered_stride_bug': False,
    'efficientnet_size': 's',
    'depth': 8,
    'box_size_mm': 2200,
    'mix_3d_inside_fov': 0.5,
    'affine_weights': None,
    'transform_coords': False,
    'predict_all_and_latents': False,
}  # fmt: skip


def use_small(patch: pytest.MonkeyPatch) -> None:
    """Let size s be small."""
    patch.setitem(metrabs.SIZES, 's', SMALL)
    patch.setattr(metrabs, '_FEATURES', 16)


def write_folder(folder: Path, *, infos: Any = None, **changes: Any) -> Path:
    """The five files, as the archive unpacks to; changes: of config.yaml. Returns ckpt.pt.

    The points are the joints of COCO and Human3.6M, and the table changes nothing.
    """
    folder.mkdir(parents=True)
    points = len(COCO) + len(H36M)
    module = metrabs.Network('s', points)
    shapes = [(key, tuple(value.shape)) for key, value in module.state_dict().items()]
    state = random_weights([s for s in shapes if s[0] != 'crop'], 0, 1.0)
    state['heatmap_heads.conv_final.weight'] *= 10  # so that points lie apart
    torch.save(state, folder / 'ckpt.pt')
    (folder / 'config.yaml').write_text(yaml.safe_dump(CONFIG | changes))
    names = [*(f'{name}_coco' for name in COCO), *(f'{name}_h36m' for name in H36M)]
    np.savez(folder / 'joint_info.npz', joint_names=np.array(names), joint_edges=np.zeros((1, 2)))
    np.save(folder / 'joint_transform_matrix.npy', np.eye(points, dtype=np.float32))
    if infos is None:
        infos = {
            # In another order than ours, as lists and as arrays.
            'coco_19': {'names': COCO[::-1], 'indices': list(range(19))[::-1], 'edges': [(0, 1)]},
            'h36m_17': {'names': np.array(H36M), 'indices': np.arange(19, 36), 'edges': [(0, 1)]},
        }
    (folder / 'skeleton_infos.pkl').write_bytes(pickle.dumps(infos))
    return folder / 'ckpt.pt'


def write_archive(folder: Path, **changes: Any) -> Path:
    """The same as a .tar.gz with one folder in it."""
    inner = write_folder(folder / 'metrabs_pytorch', **changes).parent
    path = folder / 'metrabs_pytorch.tar.gz'
    with tarfile.open(path, 'w:gz') as archive:
        archive.add(inner, arcname=inner.name)
    return path
