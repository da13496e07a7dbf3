# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from pose3d_ros.backends import NetworkSpec, Port
from pose3d_ros.errors import BackendError
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.zoo import loading


def spec(model) -> NetworkSpec:
    return NetworkSpec(
        model.files['detector'],
        {'image': Port((None, 224, 224, 3))},
        {'scores': Port((None, 2254, 1))},
    )


def test_auto_is_the_precision_of_the_registry(blazepose_model) -> None:
    assert loading.load(PipelineConfig(), spec(blazepose_model), 'f32').precision == 'f32'


def test_settings_reach_the_runtime(blazepose_model) -> None:
    with pytest.raises(BackendError, match='onnxruntime'):
        loading.load(PipelineConfig(backend='onnxruntime'), spec(blazepose_model), 'f32')
    with pytest.raises(BackendError, match='XPU'):
        loading.load(PipelineConfig(device='XPU'), spec(blazepose_model), 'f32')
