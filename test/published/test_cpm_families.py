# SPDX-License-Identifier: Apache-2.0
"""CPM's networks against recorded outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from shared import Recorded

torch = pytest.importorskip('torch', reason='the networks are needed for conversion only')

from pose3d_ros.tools.convert.checkpoint import load_strictly
from pose3d_ros.tools.families import cpm

NETWORKS = 'lifting_from_the_deep/network_person_pose_io.npz'


@pytest.fixture(scope='module')
def variables(recorded: Recorded) -> dict[str, np.ndarray]:
    content = json.loads(recorded('lifting_from_the_deep/network_variables.json').read_text())
    rows = content['entries'] if isinstance(content, dict) else content
    with np.load(recorded(NETWORKS)) as data:
        rs = np.random.RandomState(int(data['weights_seed']))
    out = {}
    for row in rows:
        name, shape = (row['name'], row['shape']) if isinstance(row, dict) else row[:2]
        z = rs.standard_normal(shape)
        scale = np.sqrt(2 / np.prod(shape[:3])) if len(shape) == 4 else 0.05
        out[name] = (z * scale).astype(np.float32)
    return out


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 1, 2), dtype=np.float32))


def scaled(image: np.ndarray) -> np.ndarray:
    return image.reshape(-1, *image.shape[-3:]).astype(np.float32) / 255 - 0.5


def test_outputs(variables: dict[str, np.ndarray], recorded: Recorded) -> None:
    with np.load(recorded(NETWORKS)) as data:
        recorded = {name: data[name] for name in data.files}
    person = load_strictly(cpm.PERSON, cpm.state_of(variables, 'PersonNet'))
    pose = load_strictly(cpm.POSE, cpm.state_of(variables, 'PoseNet'))
    with torch.no_grad():
        people = person(tensor(scaled(recorded['person_image']))).numpy().transpose(0, 2, 3, 1)
        centre = np.asarray(recorded['pose_centre_map'], np.float32)
        images = scaled(recorded['pose_images'])
        centre = np.broadcast_to(centre.reshape(-1, *images.shape[1:3], 1), (*images.shape[:3], 1))
        low = cpm.pooled(tensor(centre)).numpy().transpose(0, 2, 3, 1)
        first, last = (
            x.numpy().transpose(0, 2, 3, 1) for x in pose(tensor(images), tensor(centre))
        )
    for found, name in (
        (people, 'person_heatmap_low'),
        (low, 'pooled_centre_map'),
        (first, 'pose_heatmaps_stage1'),
        (last, 'pose_heatmaps_stage6'),
    ):
        limit = 1e-4 * np.abs(recorded[name]).max()
        assert np.abs(found - recorded[name]).max() < limit, name
