# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from shared import PARITY, Recorded

pytest.importorskip('torch')
pytest.importorskip('onnx')

from pose3d_ros.errors import ModelError
from pose3d_ros.tools.convert.checkpoint import load_strictly, read_checkpoint
from pose3d_ros.tools.families import load_family
from pose3d_ros.zoo.registry import load_registry

pytestmark = pytest.mark.slow

LAYOUTS = PARITY.parent / 'reference' / 'state_dicts'
AUTHORS = {
    'videopose3d_243f_cpn_original': 'official_videopose3d_243',
    'videopose3d_243f_detectron_coco': 'official_videopose3d_243',
    'videopose3d_243f_causal_original': 'official_videopose3d_243',
    'motionbert_original': 'official_motionbert',
    'motionbert_lite_original': 'official_motionbert_lite',
}


@pytest.mark.parametrize(
    'name', [n for n, e in load_registry().items() if e.estimator == 'lifter' and e.converted]
)
def test_published_layouts_fit(name: str) -> None:
    """Every tensor of the published file has its place, in its shape."""
    path = LAYOUTS / f'{AUTHORS.get(name, name)}.json'
    if not path.is_file():
        pytest.skip(f'no published layout {path}')
    import torch

    raw = json.loads(path.read_text(encoding='utf-8'))['state_dict']
    for item in load_registry()[name].converted.values():
        family = load_family(item.family)
        from pose3d_ros.tools.families import dstformer, temporal

        renamed = dstformer.renamed if item.family == 'motionbert' else temporal.renamed
        state = {
            key: torch.zeros(value['shape'])
            for key, value in renamed(raw).items()
            if not key.endswith('num_batches_tracked')
        }
        load_strictly(family, state, name)


def test_another_depth_is_refused(recorded: Recorded) -> None:
    family = load_family('videopose3d_27')
    state = read_checkpoint(family, recorded('lifters/nets/tcn_81f.pth'))
    with pytest.raises(ModelError, match='unexpected'):
        load_strictly(family, state)
