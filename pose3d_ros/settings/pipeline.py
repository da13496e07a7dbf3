# SPDX-License-Identifier: Apache-2.0
"""Settings of the pipeline. Those of one estimator live in its file; see `estimators`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import ConfigError
from ..skeleton import SKELETONS
from .declare import Value, setting, settings_of

C = TypeVar('C', bound='PipelineConfig')
T = TypeVar('T')

BACKENDS = ('auto', 'openvino', 'onnxruntime')
FINDERS = ('auto', 'movenet', 'nanodet', 'blazepose', 'topic')
FLOORS = ('auto', 'tf', 'gravity', 'people', 'none')
PRECISIONS = ('auto', 'f32', 'mixed', 'bf16', 'f16', 'int8')


@dataclass(frozen=True)
class PipelineConfig:
    """Everything that decides what comes out for a frame."""

    estimator: str = setting('blazepose', 'name of the estimator')
    model: str = setting('', 'registered model or path of a model file; empty: the default one')
    models_dir: str = setting('', 'where models are stored; empty: $POSE3D_MODELS, else user data')
    backend: str = setting('auto', 'inference runtime', choices=BACKENDS)
    device: str = setting(
        'CPU',
        'OpenVINO: CPU, GPU, NPU (VPU is an alias), AUTO, HETERO:..., MULTI:...; '
        'ONNX Runtime: cpu, cuda, tensorrt, openvino, rocm, coreml, dml',
    )
    device_fallback: bool = setting(
        False, 'use the CPU, with one warning, if the device is missing'
    )
    precision: str = setting(
        'auto', 'auto: the fastest that is known to do no harm to this model', choices=PRECISIONS
    )
    threads: int = setting(0, 'CPU threads for inference; 0: the runtime decides', low=0, high=256)
    allow_random_weights: bool = setting(False, 'accept model files marked as random (benchmarks)')
    parity: bool = setting(False, 'behave as the published program does, its faults included')

    skeleton: str = setting(
        '', "published joint convention; empty: the estimator's own", choices=('', *SKELETONS)
    )
    max_people: int = setting(5, 'people followed at most', low=1, high=100, live=True)
    min_score: float = setting(0.5, 'detections under this are dropped', low=0, high=1, live=True)

    finder: str = setting(
        'auto',
        'what finds people: movenet (everybody, with joints), nanodet (boxes, for crowds), '
        'blazepose (near people by their faces), topic (boxes of a detector of yours), or auto: '
        'movenet if it is installed, else blazepose',
        choices=FINDERS,
    )
    finder_rate_hz: float = setting(
        1.0,
        'searches per second while nothing changes; more when somebody is lost or something moves',
        low=0.01,
        high=100,
        live=True,
    )
    finder_tiles: str = setting(
        'auto',
        'search large images in tiles too, for small people: auto: a tile at a time, always: the '
        'whole image in tiles at each search, never',
        choices=('auto', 'always', 'never'),
        live=True,
    )
    finder_in_step: bool = setting(
        True,
        'each search is of the frame at hand, which waits for it, as files and bags are processed; '
        'false: the search runs beside and its people come a few frames late',
        live=True,
    )
    confirm_frames: int = setting(
        1,
        'frames in which a person whom finder and landmarks agree on must be followed before they '
        'are delivered',
        low=1,
        high=100,
        live=True,
    )

    placement: bool = setting(True, 'place people in front of the camera when it is calibrated')
    focal_length_px: float = setting(
        0.0, 'assumed focal length for cameras without calibration; 0: none is assumed', low=0
    )
    image_is_rectified: bool = setting(False, 'images are undistorted already: use P instead of K')
    image_rotation: int = setting(
        0,
        'degrees clockwise by which images of a camera that is mounted turned become upright; '
        "results stay in the camera's own frame and pixels: 0, 90, 180 or 270",
        low=0,
        high=270,
    )
    reprojection_weight: float = setting(
        0.5,
        'how far placed joints are pulled sideways onto the rays of their pixels',
        low=0,
        high=1,
        live=True,
    )
    body_height_m: float = setting(
        0.0,
        'known body height that scales people; 0: as the model sees them',
        low=0,
        high=3,
        live=True,
    )
    floor: str = setting(
        'auto',
        'what tells where the floor is, on which feet stand: tf: floor_frame; gravity: '
        'gravity_frame and camera_height_m; auto: the first of those that is known; people: learnt '
        'from who stands on it, for cameras whose height and tilt stay as they are; none',
        choices=FLOORS,
        live=True,
    )
    camera_height_m: float = setting(
        0.0, 'height of the camera above the floor; 0: unknown', low=0, high=100, live=True
    )

    tracking: bool = setting(True, 'give people ids that last')
    track_max_missed_s: float = setting(
        2.0, 'a track ends when its person is unseen for so long', low=0, high=60, live=True
    )
    max_gap_s: float = setting(
        1.0, 'a longer gap between stamps resets all state', low=0.01, live=True
    )
    hidden_s: float = setting(
        1.0,
        'people who are hidden by somebody else are delivered, extrapolated, for so long; 0: not',
        low=0,
        high=60,
        live=True,
    )
    publish_predicted: bool = setting(
        False, 'also deliver people unseen now, extrapolated, until the track ends', live=True
    )

    smoothing: bool = setting(True, 'one-euro filter on joints and pixels', live=True)
    smoothing_min_cutoff: float = setting(
        0.1, 'one-euro minimum cutoff of root-relative joints, Hz', low=0.001, high=100, live=True
    )
    smoothing_beta: float = setting(
        40.0, 'one-euro speed coefficient of root-relative joints, 1/m', low=0, high=1000, live=True
    )
    smoothing_pixel_min_cutoff: float = setting(
        0.05, 'one-euro minimum cutoff of pixels, Hz', low=0.001, high=100, live=True
    )
    smoothing_pixel_beta: float = setting(
        80.0, 'one-euro speed coefficient of pixels, 1/body size', low=0, high=1000, live=True
    )
    smoothing_root_filter: str = setting(
        'kalman',
        'filter of absolute root positions: kalman: of constant velocity; one_euro: with the two '
        'settings that follow',
        choices=('kalman', 'one_euro'),
        live=True,
    )
    smoothing_root_min_cutoff: float = setting(
        0.5,
        'one-euro minimum cutoff of absolute root positions, Hz',
        low=0.001,
        high=100,
        live=True,
    )
    smoothing_root_beta: float = setting(
        1.0,
        'one-euro speed coefficient of absolute root positions, 1/m',
        low=0,
        high=1000,
        live=True,
    )
    smoothing_derivative_cutoff: float = setting(
        1.0, 'one-euro cutoff of the speed estimate, Hz', low=0.001, high=100, live=True
    )

    bone_quality: bool = setting(
        False, 'state how body-like the bone ratios of each skeleton are, 0..1', live=True
    )

    options: Mapping[str, Value] = field(default_factory=dict)
    """Settings of the estimator, without its prefix."""

    def __post_init__(self) -> None:
        for item in settings_of(self):
            item.check(getattr(self, item.name))
        if self.image_rotation % 90:
            raise ConfigError(
                f'image_rotation must be 0, 90, 180 or 270, not {self.image_rotation}'
            )

    def replace(self: C, **changes: Any) -> C:
        """Copy with some settings changed, checked again."""
        return dataclasses.replace(self, **changes)

    def typed_options(self, options: Callable[..., T]) -> T:
        """The estimator's own settings as its dataclass of options."""
        return options(**self.options)
