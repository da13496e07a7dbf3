#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Settings of `lifting_from_the_deep`, compared on motion that its prior was not learnt from.

A prior is learnt without subjects 02, 06, 08 and 16. Their motion, on bodies of random proportions,
is seen by random virtual cameras through the simulated errors of BlazePose, frame by frame, with
gravity known as well as the estimator learns it from people. Each row changes one setting; the last
column is the share of coordinates within one stated standard deviation, in the camera's frame.

python benchmarks/lifting_accuracy.py h36m17_train.npz
"""

from __future__ import annotations

import argparse
import logging
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pose3d_ros.camera import Camera
from pose3d_ros.estimators.lifter.features import JOINTS, WINDOW
from pose3d_ros.estimators.lifting_from_the_deep import estimator as module
from pose3d_ros.estimators.lifting_from_the_deep.level_view import PitchEstimate, down
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS, Skeleton
from pose3d_ros.tools import metrics
from pose3d_ros.tools.training import bodies
from pose3d_ros.tools.training.motion import Take, load_takes, split
from pose3d_ros.tools.training.pose_prior import PriorSettings, learn
from pose3d_ros.tools.training.rotations import rotation
from pose3d_ros.tools.training.virtual import Virtual
from pose3d_ros.types import Array, Frame, pose_2d

H36M = SKELETONS['h36m_17']
# The joints of the motion set.
SKELETON = Skeleton(
    'motion_22', JOINTS, (*H36M.parents, 9, 9, 9, 6, 3), H36M.root, H36M.edges, H36M.meanings
)
SIZE = (4000, 4000)
CAMERA = Camera(K=np.array([[1000.0, 0, 2000], [0, 1000, 2000], [0, 0, 1]]), size=SIZE)
IMAGE = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (*SIZE, 3))
SCORED = [H36M.index(f'{s}_{j}') for s in ('left', 'right')
          for j in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')]  # fmt: skip
HIPS = [H36M.index('left_hip'), H36M.index('right_hip')]
PITCH_RMS = math.radians(4.9)  # as `pitch` below measures it
LOOKS = 12


class Seen(Virtual):
    """Virtual cameras that tell where they are; with `pitch`, all of a batch look down as much."""

    pitch: float | None = None

    def _motion(self, count: int) -> Any:
        body = super()._motion(count)
        pelvis = body[:, :, :1].clone()
        return bodies._resized(body - pelvis, self.rng) + pelvis

    def _cameras(self, count: int) -> Any:
        turn, ray = super()._cameras(count)
        if self.pitch is not None:
            zero = torch.zeros(count)
            yaw = self.rng.uniform(count, high=2 * math.pi)
            level = torch.tensor([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
            tilt = rotation(torch.stack([zero + self.pitch, zero, zero], dim=1))
            turn = tilt @ level @ rotation(torch.stack([zero, zero, yaw], dim=1))
        self.turn = turn.numpy().astype(float)
        return turn, ray

    def _observed(self, exact: Any, shifted: Any, target: Any, source: Any) -> Any:
        self.exact = exact[:, WINDOW // 2].numpy().astype(float)
        self.like = (source.like_blazepose & ~source.no_toes).numpy()
        return super()._observed(exact, shifted, target, source)

    def frames(self, count: int) -> list[tuple[Frame, Array]]:
        """Frames with keypoints and gravity, and the true joints (22, 3) m in the camera."""
        windows, out = self.draw(count), []
        for k in np.flatnonzero((windows.calibrated.numpy() > 0) & self.like):
            rays = windows.rays[k, WINDOW // 2].numpy().astype(float)
            confidence = windows.confidence[k, WINDOW // 2].numpy().astype(float)
            if (confidence >= 0.3).sum() < 8:
                continue
            pixels = CAMERA.project(np.column_stack([rays, np.ones(len(rays))]))
            pixels[confidence <= 0] = np.nan
            person = pose_2d(SKELETON, pixels, confidence, 1.0, SIZE)
            gravity = self.turn[k] @ np.array([0.0, 0.0, -1.0])
            frame = Frame(IMAGE, camera=CAMERA, gravity=gravity, keypoints=[person])
            out.append((frame, self.exact[k]))
        return out


def make(prior: Path, **options: Any) -> Pipeline:
    """The estimator on keypoints that come with the frame, each frame by itself."""
    options = {'keypoints': 'topic', 'prior': str(prior), **options}
    return Pipeline(
        PipelineConfig(
            estimator='lifting_from_the_deep', options=options, smoothing=False, tracking=False
        )
    )


def judge(pipeline: Pipeline, frames: list[tuple[Frame, Array]]) -> tuple[float, float, float]:
    """MPJPE and PA-MPJPE in mm, share within one sigma."""
    random, found, truth, covariance = np.random.default_rng(0), [], [], []
    for frame, exact in frames:
        assert frame.gravity is not None
        pitch = math.atan2(frame.gravity[2], frame.gravity[1]) + PITCH_RMS * random.normal()
        seen = Frame(IMAGE, camera=CAMERA, gravity=down(pitch), keypoints=frame.keypoints)
        poses = pipeline.process(seen).people
        for pose in poses:
            found.append(pose.xyz)
            truth.append(exact[: len(H36M)])
            covariance.append(
                np.full((17, 3, 3), np.nan) if pose.covariance is None else pose.covariance
            )
    xyz, true = np.array(found), np.array(truth)
    spread = metrics.coverage((xyz - true)[:, SCORED], np.array(covariance)[:, SCORED])
    xyz = (xyz - xyz[:, HIPS].mean(axis=1, keepdims=True))[:, SCORED]
    true = (true - true[:, HIPS].mean(axis=1, keepdims=True))[:, SCORED]
    return (
        1000 * float(np.mean(metrics.mpjpe(xyz, true))),
        1000 * float(np.mean(metrics.pa_mpjpe(xyz, true))),
        float(spread),
    )


def pitch(prior: Path, takes: list[Take], cameras: int) -> float:
    """Root mean square error in degrees of the pitch learnt in the first looks of a camera."""
    seen, random, errors = Seen(takes, 5, augment=False), np.random.default_rng(3), []
    estimator: Any = make(prior).estimator
    for camera in range(cameras):
        seen.pitch = random.normal(0.17, 0.15) if camera % 5 else random.uniform(-0.4, 1.1)
        estimate = PitchEstimate()
        for frame, _ in seen.frames(4 * LOOKS)[:LOOKS]:
            (person,) = estimator._people.find([frame])[0]
            rays, joints = CAMERA.rays(person.pixels), estimator._seen(person)
            if joints.sum() >= module._PITCH_JOINTS:
                estimate.add(lambda grid, r=rays, j=joints: estimator._costs(r, j, grid))
        errors.append(estimate.pitch - seen.pitch)
    return math.degrees(float(np.sqrt(np.mean(np.square(errors)))))


def main() -> None:
    """Learn, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('motion', help='h36m17_train.npz')
    parser.add_argument('--frames', type=int, default=700, help='of each set of subjects')
    parser.add_argument('--prior', type=Path, help='learnt earlier, without those subjects')
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    parts = split(load_takes(args.motion))
    folder = tempfile.TemporaryDirectory()
    prior = args.prior
    if prior is None:
        prior = Path(folder.name) / 'prior.npz'
        clips = [take.joints.astype(float) for take in parts['train']]
        np.savez(prior, **learn(clips, JOINTS, PriorSettings()))  # type: ignore[arg-type]
    sets = []
    for name in ('test', 'calibration'):
        seen, frames = Seen(parts[name], 7, augment=False), []
        while len(frames) < args.frames:
            frames += seen.frames(128)
        sets.append(frames[: args.frames])

    def row(name: str, pipeline: Pipeline) -> None:
        cells = [judge(pipeline, frames) for frames in sets]
        text = '   '.join(f'{m:6.1f} {p:6.1f} {100 * s:4.0f} %' for m, p, s in cells)
        print(f'{name:34} {text}', flush=True)

    print(f'{"":34} subjects 02, 06, 08      subject 16')
    print(f'{"":34}  MPJPE     PA  in 1s    MPJPE     PA  in 1s')
    row('as it is', make(prior))
    for value in (0.0, 60.0, 80.0):
        name = f'{value:g}' if value else "the prior's, 30"
        row(f'noise_mm: {name}', make(prior, noise_mm=value))
    for value in (0.05, 0.5):
        row(f'min_confidence: {value}', make(prior, min_confidence=value))
    row('pitch: level', make(prior, pitch='level'))
    row('pitch: 8 degrees', make(prior, pitch='fixed', pitch_rad=math.radians(8)))
    row('symmetric_limbs', make(prior, symmetric_limbs=True))
    row('method: published', make(prior, method='published'))
    for name, value in (('angles', 48), ('angles', 16), ('hypotheses', 1)):
        pipeline: Any = make(prior)
        lifter = pipeline.estimator._posterior
        values = {'angles': lifter.angles, 'hypotheses': lifter.hypotheses, name: value}
        pipeline.estimator._posterior = type(lifter)(lifter.prior, lifter.noise_mm, **values)
        row(f'{value} {name}', pipeline)
    kept = module._PERSPECTIVE_STEPS
    for steps in (0, 2):
        module._PERSPECTIVE_STEPS = steps
        row(f'{steps} steps of perspective', make(prior))
    module._PERSPECTIVE_STEPS = kept
    error = pitch(prior, parts['test'] + parts['calibration'], 50)
    print(f'pitch learnt in {LOOKS} looks of 50 cameras: {error:.1f} degrees, root mean square')


if __name__ == '__main__':
    main()
