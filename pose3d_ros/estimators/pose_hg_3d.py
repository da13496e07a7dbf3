# SPDX-License-Identifier: Apache-2.0
"""pose-hg-3d (Zhou, Huang, Sun, Xue, Wei, ICCV 2017, arXiv 1704.02447): heatmaps and depth.

One crop per person; a ResNet with deconvolutions gives a depth map for each joint, a stacked
hourglass, the network of the paper, one depth for each joint. Size follows from an assumed total
length of the bones. `parity` follows the published demo: one person who fills the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..backends import NetworkSpec, Port
from ..detectors.boxes import BoxOptions, WholeImage, create_people, detector_models, distinct
from ..geometry import yaw
from ..networks import pose_hg_3d as parts
from ..networks.pose_hg_3d_outputs import NUMBERS, find_outputs
from ..settings.declare import setting
from ..settings.estimators import EstimatorSpec
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..timing import StageTimer
from ..types import Array, Frame, JointStatus, Pose3D, inside
from ..zoo import find_model, loading
from . import info_of

# Standard deviation of x, y, z in metres about the root: of the published accuracy (65 mm mean).
_SIGMA = np.array([0.03, 0.03, 0.06])
_MADE_UP = {'h36m_17': [7, 9], 'mpii_16': [7]}


@dataclass(frozen=True)
class Options(BoxOptions):
    """Settings of this estimator."""

    joints: str = setting('h36m_17', 'joints that are delivered', choices=('h36m_17', 'mpii_16'))
    outputs: str = setting(
        '',
        'names of the outputs of a file of your own, heatmaps and depth, comma-separated; empty: '
        'by usual names and shape',
    )
    margin: float = setting(
        1.15, 'side of a crop over the longer side of the box', low=0.5, high=3, live=True
    )
    refine: bool = setting(
        True, 'find peaks between the cells of the heatmaps, which are 30 mm wide', live=True
    )
    mirror: bool = setting(False, 'average with the mirrored crop (twice the time)', live=True)
    total_bone_length_mm: float = setting(
        parts.TOTAL_MM, 'of 15 bones from feet to head and hands: the assumed size of everybody',
        low=500, high=8000, live=True,
    )  # fmt: skip
    min_confidence: float = setting(
        0.15, 'people whose mean heatmap peak is under this are dropped', low=0, high=1, live=True
    )


def _models(config: PipelineConfig) -> Sequence[str]:
    boxes = () if config.parity else detector_models(config.typed_options(Options), config)
    return (config.model or 'pose_hg_3d', *boxes)


class Estimator:
    """See the module."""

    spec = EstimatorSpec(Options, _models)

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError, ConfigError."""
        options = config.typed_options(Options)
        model = find_model(config.model or 'pose_hg_3d', 'pose', models_dir=config.models_dir)
        inputs = {'image': Port((None, 3, parts.SIDE, parts.SIDE))}
        precision, path = model.precision['pose'], model.files['pose']
        outputs = find_outputs(path, options.outputs)
        self._network = loading.load(config, NetworkSpec(path, inputs, outputs), precision)
        self._hourglass = outputs['depth'].shape == NUMBERS
        self._network({'image': np.zeros((1, 3, parts.SIDE, parts.SIDE), np.float32)})
        self.skeleton = SKELETONS[options.joints]
        self._people = None if config.parity else create_people(config, options)
        self.info = info_of(model, self._network, metric=False, size_sigma=0.1)
        self._timer = StageTimer()
        self.configure(config)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        self._options = config.typed_options(Options)
        if self._people is not None:
            self._people.configure(config, self._options)

    def reset(self, source: str | None = None) -> None:
        """Forget everybody."""
        if self._people is not None:
            self._people.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: boxes, crop, network, decode."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame; see `estimators.Estimator`."""
        self._timer.start('boxes', 'crop', 'network', 'decode')
        people = self._people
        boxes = people.boxes(frames) if people is not None else WholeImage().detect(frames)
        self._timer.end('boxes')
        owners = [k for k, frame_boxes in enumerate(boxes) for _ in frame_boxes]
        out: list[list[Pose3D]] = [[] for _ in frames]
        if owners:
            rows = np.concatenate([frame_boxes for frame_boxes in boxes if len(frame_boxes)])
            centres, sides = self._squares(rows)
            crops = np.array(
                [
                    parts.crop(frames[k].image, centre, side)
                    for k, centre, side in zip(owners, centres, sides)
                ]
            )
            self._timer.end('crop')
            raw = self._run(crops)
            self._timer.end('network')
            for k, pose in zip(owners, self._poses(frames, owners, centres, sides, *raw)):
                if pose is not None:
                    out[k].append(pose)
        for k, frame in enumerate(frames):
            out[k] = distinct(out[k])
            if self._people is not None:
                self._people.update(frame, len(boxes[k]), out[k])
        self._timer.end('decode')
        return out

    def _squares(self, boxes: Array) -> tuple[Array, Array]:
        """Centres (N, 2) and sides (N,) of the crops."""
        margin = 1.0 if self._config.parity else self._options.margin
        # A box reaches from -0.5 to the width less 0.5; the published demo halves the width.
        centres = boxes[:, :2] + boxes[:, 2:4] / 2
        return centres, np.maximum(margin * boxes[:, 2:4].max(axis=1), 1.0)

    def _run(self, crops: Array) -> tuple[Array, Array]:
        """Heatmaps and depths, maps or numbers, of (N, 256, 256, 3) crops."""
        mirror = self._options.mirror
        both = np.concatenate([crops, crops[:, :, ::-1]]) if mirror else crops
        scale = parts.normalised_hourglass if self._hourglass else parts.normalised
        raw = self._network({'image': scale(both)})
        heatmaps, depth = raw['heatmaps'], raw['depth']
        if not mirror:
            return heatmaps, depth
        count = len(crops)
        heatmaps = parts.averaged(heatmaps[:count], heatmaps[count:])
        if self._hourglass:
            return heatmaps, (depth[:count] + depth[count:][:, list(parts.MPII.mirror)]) / 2
        return heatmaps, parts.averaged(depth[:count], depth[count:])

    def _poses(
        self,
        frames: Sequence[Frame],
        owners: Sequence[int],
        centres: Array,
        sides: Array,
        heatmaps: Array,
        depth: Array,
    ) -> list[Pose3D | None]:
        cells, confidence = parts.peaks(heatmaps)
        points: Array = cells.astype(float)
        if self._options.refine and not self._config.parity:
            points = parts.refined(heatmaps, cells)
        elif self._hourglass:
            points = parts.quarter_shift(heatmaps, cells)
        if self._hourglass:
            xyz = parts.hourglass_joints(points, depth) / parts.SIDE
            xyz = xyz - xyz[:, parts.PELVIS, None]
        else:
            xyz = parts.joints(points, parts.depth_at(depth, points))
        pixels = parts.to_image(points, centres, sides)
        # The size is that of the same bones, whatever the joints that are delivered.
        h36m = parts.to_h36m(xyz)
        metres = parts.sized(h36m, parts.H36M_EDGES, self._options.total_bone_length_mm) / 1000
        if self.skeleton is parts.MPII:
            metres = metres[:, parts.H36M_OF_MPII]
            metres[:, parts.SPINE_IN_MPII] = (metres[:, parts.PELVIS] + metres[:, parts.NECK]) / 2
            pixels[:, 7] = (pixels[:, 6] + pixels[:, 8]) / 2
        else:
            pixels = parts.to_h36m(pixels)
            confidence = confidence[:, parts.MPII_OF_H36M]
        return [
            self._pose(frames[k], joints, px, scores, float(side))
            for k, joints, px, scores, side in zip(owners, metres, pixels, confidence, sides)
        ]

    def _pose(
        self, frame: Frame, xyz: Array, pixels: Array, confidence: Array, side: float
    ) -> Pose3D | None:
        confidence = np.clip(confidence.astype(float), 0.0, 1.0)
        score = float(confidence.mean())
        if not np.isfinite(xyz).all() or not np.isfinite(score):
            return None
        covariance = None
        if not self._config.parity:
            if score < self._options.min_confidence:
                return None
            root = pixels[list(self.skeleton.root)].mean(axis=0)
            ray = None if frame.camera is None else frame.camera.rays(root[None])[0]
            if ray is not None and np.isfinite(ray).all():
                # The crop shows the body as from straight ahead.
                xyz = yaw(xyz, math.atan(float(ray[0])))
            covariance = np.zeros((len(xyz), 3, 3))
            spread = _SIGMA * (2 - confidence[:, None])
            covariance[:, range(3), range(3)] = spread**2
        made_up = np.zeros(len(xyz), dtype=bool)
        made_up[_MADE_UP[self.skeleton.name]] = True
        inferred = made_up | ~inside(pixels, frame.size)
        status = np.where(inferred, JointStatus.INFERRED, JointStatus.MEASURED).astype(np.uint8)
        return Pose3D(
            skeleton=self.skeleton,
            xyz=xyz,
            confidence=confidence,
            pixels=pixels,
            status=status,
            covariance=covariance,
            score=score,
            size_px=side,
        )
