# SPDX-License-Identifier: Apache-2.0
"""RTMPose and RTMO as sources of 2D keypoints, YOLOX and RTMDet as person detectors (ONNX files).

The files are those of OpenMMLab's deployment kit; any other export with the same tensors does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backends import NetworkSpec, Port, ports_of
from ..errors import ConfigError, ModelError
from ..networks import topdown
from ..settings.pipeline import PipelineConfig
from ..skeleton import SKELETONS
from ..timing import StageTimer
from ..types import Array, Frame, Pose3D, pose_2d
from ..zoo import find_model, loading
from .boxes import FINDER, BoxOptions, People, create_people

_RTMDET_MEAN_BGR = np.array([103.53, 116.28, 123.675], np.float32)
_RTMDET_STD_BGR = np.array([57.375, 57.12, 58.395], np.float32)
DEFAULT = 'yolox_tiny+rtmpose_m'
_BOX_SCORE = 0.3
# Scores of SimCC are not probabilities: this much is a joint that is plainly seen.
_FULL_SCORE = 0.8


class OnnxPeople:
    """YOLOX or RTMDet with the suppression in the file, or YOLOX as Megvii exports it."""

    def __init__(self, config: PipelineConfig) -> None:
        """config.model: registered model or path. Raises ConfigError, ModelError, BackendError."""
        if not config.model:
            raise ConfigError(
                f'detector onnx needs a model: set {config.estimator}.detector_model to a YOLOX or '
                'RTMDet file'
            )
        model = find_model(config.model, 'detector', models_dir=config.models_dir)
        path = model.files['detector']
        self._rtmdet = 'rtmdet' in model.name.lower() or 'rtmdet' in path.name.lower()
        inputs, outputs = ports_of(path)
        name, shape = next(iter(inputs.items()))
        if len(shape) != 4 or not shape[2] or not shape[3]:
            raise ModelError(f'{path.name} is another network: its input is {list(shape)}')
        self._size = (int(shape[3]), int(shape[2]))
        self._raw = 'dets' not in outputs
        wanted = {'dets': Port((None, None, 5), 'dets')}
        if self._raw:
            wanted = {'raw': Port((None, None, None), next(iter(outputs)))}
        spec = NetworkSpec(path, {'image': Port(tuple(shape), name)}, wanted, batched=False)
        precision = model.precision['detector']
        self._network = loading.load(config.replace(precision='auto'), spec, precision)

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """The one that the setting names."""
        return (model,)

    def detect(self, frames: Sequence[Frame]) -> list[Array]:
        """(N, 5) boxes x, y, width, height, score of each frame, best first."""
        return [self._boxes(frame) for frame in frames]

    def _boxes(self, frame: Frame) -> Array:
        canvas, ratio = topdown.letterbox(frame.image, self._size)
        pixels = canvas.astype(np.float32)
        if self._rtmdet:
            pixels = (pixels - _RTMDET_MEAN_BGR) / _RTMDET_STD_BGR
        out = self._network({'image': np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])})
        if self._raw:
            # Class 0 is a person in COCO's order.
            raw = out['raw'][0]
            corners, scores, kinds = topdown.yolox_people(raw[:, :6], self._size, ratio, _BOX_SCORE)
            corners, scores = corners[kinds == 0], scores[kinds == 0]
        else:
            rows = out['dets'][0]
            rows = rows[rows[:, 4] > _BOX_SCORE]
            corners, scores = rows[:, :4] / ratio, rows[:, 4]
        order = np.argsort(-scores, kind='stable')
        extent = corners[:, 2:] - corners[:, :2]
        boxes = np.concatenate([corners[:, :2], extent, scores[:, None]], axis=1)
        return np.asarray(boxes[order], float)


class RTMPose:
    """Boxes, crops, SimCC maps; people are followed by their keypoints between detections.

    config.model: the pose network, or `detector+pose` (registered names or paths); empty: DEFAULT.
    Without a detector, the finder finds people. A network with boxes and keypoints (RTMO) needs
    none.
    """

    def __init__(self, config: PipelineConfig) -> None:
        """Load the networks; raises ModelError, BackendError."""
        detector, _, pose = (config.model or DEFAULT).rpartition('+')
        model = find_model(pose, 'pose', models_dir=config.models_dir)
        path = model.files['pose']
        inputs, outputs = ports_of(path)
        name, shape = next(iter(inputs.items()))
        if len(shape) != 4 or not shape[2] or not shape[3]:
            raise ModelError(f'{path.name} is another network: its input is {list(shape)}')
        self._size = (int(shape[3]), int(shape[2]))
        self._one_stage = {'dets', 'keypoints'} <= outputs.keys()
        ports = {'simcc_x': 3, 'simcc_y': 3}
        if self._one_stage:
            ports = {'dets': 3, 'keypoints': 4}
        elif not ports.keys() <= outputs.keys():
            raise ModelError(
                f'{path.name} has {", ".join(outputs)}; simcc_x and simcc_y, or dets and '
                'keypoints are needed'
            )
        joints = outputs['keypoints'][2] if self._one_stage else outputs['simcc_x'][1]
        names = {17: 'coco_17', 26: 'halpe_26'}
        if joints not in names:
            raise ModelError(f'{path.name} has {joints} joints; 17 (COCO) and 26 (Halpe) are known')
        self.skeleton = SKELETONS[names[int(joints)]]
        spec = NetworkSpec(
            path,
            {'image': Port((None, *shape[1:]), name)},
            {key: Port((None,) * rank, key) for key, rank in ports.items()},
            batched=shape[0] is None,
        )
        self._batched = shape[0] is None
        self._network = loading.load(
            config.replace(precision='auto'), spec, model.precision['pose']
        )
        self.info = loading.model_info(model, self._network)
        self._people: People | None = None
        if not self._one_stage:
            self._people = (
                People(OnnxPeople(config.replace(model=detector)), config, BoxOptions())
                if detector
                else create_people(config, BoxOptions())
            )
        self._timer = StageTimer()
        self.configure(config)

    @staticmethod
    def models(model: str) -> Sequence[str]:
        """Those of a setting `detector+pose`; without a detector the finder's, but for RTMO."""
        names = tuple((model or DEFAULT).split('+'))
        return names if len(names) > 1 or 'rtmo' in model else (*names, FINDER)

    def configure(self, config: PipelineConfig) -> None:
        """Take over live settings."""
        self._config = config
        if self._people is not None:
            self._people.configure(config, BoxOptions())

    def reset(self, source: str | None = None) -> None:
        """Forget the people of one source, or of all."""
        if self._people is not None:
            self._people.reset(source)

    def timings(self) -> dict[str, float]:
        """Milliseconds: detector, keypoints."""
        return self._timer.milliseconds

    def estimate(self, frames: Sequence[Frame]) -> list[list[Pose3D]]:
        """People of each frame, in 2D."""
        self._timer.start('detector', 'keypoints')
        if self._people is None:
            return [self._whole(frame) for frame in frames]
        self._timer.resume()
        boxes = self._people.boxes(frames)
        self._timer.end('detector')
        out = []
        for frame, in_frame in zip(frames, boxes):
            poses = self.keypoints(frame, in_frame)
            poses = [pose for pose in poses if pose.score >= 0.5 * self._config.min_score]
            self._people.update(frame, len(in_frame), poses)
            out.append(poses)
        self._timer.end('keypoints')
        return out

    def keypoints(self, frame: Frame, boxes: Array) -> list[Pose3D]:
        """The person in each of (N, 5) boxes x, y, width, height, score."""
        if not len(boxes):
            return []
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:4]], axis=1)
        centre, extent = topdown.centre_scale(corners, self._size)
        tensor = np.stack(
            [
                topdown.normalised(topdown.crop(frame.image, c, e, self._size), self._config.parity)
                for c, e in zip(centre, extent)
            ]
        )
        runs = [tensor] if self._batched else [row[None] for row in tensor]
        outputs = [self._network({'image': run}) for run in runs]
        maps = [np.concatenate([o[key] for o in outputs]) for key in ('simcc_x', 'simcc_y')]
        points, scores = topdown.simcc(maps[0], maps[1], self._config.parity)
        pixels = topdown.to_image(points, self._size, centre, extent)
        return [self._pose(frame, *row) for row in zip(pixels, scores)]

    def _whole(self, frame: Frame) -> list[Pose3D]:
        """One-stage networks: boxes and keypoints of the whole image."""
        self._timer.resume()
        canvas, ratio = topdown.letterbox(frame.image, self._size)
        image = canvas.astype(np.float32).transpose(2, 0, 1)[None]
        out = self._network({'image': np.ascontiguousarray(image)})
        dets, points = out['dets'][0], out['keypoints'][0]
        likely = dets[:, 4] > self._config.min_score
        dets = dets[likely]
        if not self._config.parity:
            # rtmlib takes the places of those kept for places among all.
            points = points[likely]
        kept = topdown.nms(dets[:, :4], dets[:, 4], 0.45)[: self._config.max_people]
        self._timer.end('keypoints')
        return [self._pose(frame, points[k, :, :2] / ratio, points[k, :, 2], 1.0) for k in kept]

    def _pose(
        self, frame: Frame, pixels: Array, scores: Array, full: float = _FULL_SCORE
    ) -> Pose3D:
        pixels = np.where((scores > 0)[:, None], pixels, np.nan)
        confidence = np.clip(scores / full, 0, 1)
        return pose_2d(self.skeleton, pixels, confidence, float(confidence.mean()), frame.size)
