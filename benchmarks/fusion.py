#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fusion of several cameras: errors, ids, faulty cameras and milliseconds.

Without arguments, bodies that walk in circles; with --motion, recorded motion of the subjects that
nothing was learnt from (02, 06, 08). Cameras stand around at 4.5 m, are not synchronous, and see
people through simulated errors of BlazePose, 15 per cent of the joints missing. --scenes: the
rendered rig of three cameras (rig_two_cam0 to 2), through BlazePose itself.

python benchmarks/fusion.py --motion h36m17_train.npz --scenes scenes/
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pose3d_ros.cli.options import table
from pose3d_ros.fusion.session import FusionSession
from pose3d_ros.fusion.sighting import View
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.fusion import FusionConfig
from pose3d_ros.settings.pipeline import PipelineConfig
from pose3d_ros.skeleton import SKELETONS
from pose3d_ros.tools.clips import JOINTS, Clip
from pose3d_ros.tools.rig import SKELETON, Detector, Placed, around, walkers
from pose3d_ros.tools.training.motion import load_takes, split
from pose3d_ros.types import Array, Pose3D, convert

RATE, SECONDS, FAULT_S = 30.0, 14.0, 4.0
LIMBS = tuple(name for name in JOINTS if name != 'nose')
FAULTS = ('', 'late', 'stopped', 'turned')
S = 1_000_000_000
World = Callable[[float], Array]
"""Joints (P, 22, 3) metres at a time in seconds."""


class Score:
    """Errors in metres and ids by person, of joints LIMBS."""

    def __init__(self) -> None:
        self.errors: list[float] = []
        self.ids: dict[int, Counter[int]] = {}

    def add(self, people: list[Pose3D], truth: Array) -> None:
        """truth: (P, 12, 3), same frame as the people."""
        if not people:
            return
        index = [people[0].skeleton.index(name) for name in LIMBS]
        xyz = np.array([pose.xyz[index] for pose in people])
        apart = np.nanmean(np.linalg.norm(xyz[:, None] - truth, axis=3), axis=2)
        for person, column in enumerate(apart.T):
            if not np.isfinite(column).any():
                continue
            nearest = int(np.nanargmin(column))
            if column[nearest] < 1.5:
                self.errors.append(float(column[nearest]))
                ids = self.ids.setdefault(person, Counter())
                ids[people[nearest].track_id] += 1

    @property
    def mm(self) -> float:
        """Mean error."""
        return 1e3 * float(np.mean(self.errors)) if self.errors else math.nan

    @property
    def consistency(self) -> float:
        """Share of people and frames with the person's most frequent id, no two sharing one."""
        if len({ids.most_common(1)[0][0] for ids in self.ids.values()}) < len(self.ids):
            return 0.0
        right = sum(ids.most_common(1)[0][1] for ids in self.ids.values())
        return right / max(sum(sum(ids.values()) for ids in self.ids.values()), 1)


def recorded(path: str, people: int, seed: int) -> World:
    """Takes of held-out subjects, each about a place of its own; played to and fro."""
    takes = [t for t in split(load_takes(path))['test'] if len(t.joints) > 240]
    takes = [t for t in takes if np.ptp(t.joints[:, 0, :2], axis=0).max() < 2.5]
    rng = np.random.default_rng(seed)
    chosen = [takes[k] for k in rng.choice(len(takes), people, replace=False)]
    angles = 2 * math.pi * np.arange(people) / people
    places = 0.8 * np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    middles = [t.joints[:, 0].mean(axis=0) * (1, 1, 0) for t in chosen]

    def world(stamp_s: float) -> Array:
        out = []
        for take, middle, place in zip(chosen, middles, places):
            last = len(take.joints) - 1
            at = last - abs((stamp_s * 60) % (2 * last) - last)
            low = min(int(at), last - 1)
            part = at - low
            out.append((1 - part) * take.joints[low] + part * take.joints[low + 1])
            out[-1] = out[-1] - middle + place
        return np.array(out, dtype=float)

    return world


def simulate(world: World, cameras: int, people: int, fault: str, seed: int) -> list[str]:
    """A row of the table."""
    rng = np.random.default_rng(seed)
    names = [f'cam{k}' for k in range(cameras)]
    rig = around(cameras)
    detectors = [Detector(placed, people, rng) for placed in rig]
    said: list[str] = []
    config = FusionConfig(fusion_rate_hz=RATE)
    session = FusionSession(names, config, said.append)
    index = [SKELETON.index(name) for name in LIMBS]
    score, alone, before = Score(), [Score() for _ in rig], Score()
    spent: list[float] = []
    named_s = math.nan
    for frame in range(round(SECONDS * RATE)):
        for k, placed in enumerate(rig):
            at = frame / RATE + 0.009 * k
            truth = world(at)
            broken = k == cameras - 1 and at >= FAULT_S
            poses = detectors[k].people(truth, at)
            alone[k].add(poses, truth[:, index] @ placed.R.T + placed.t)
            if broken and fault == 'stopped':
                continue
            late_s = 0.08 if broken and fault == 'late' else 0.0
            shown = turned(placed) if broken and fault == 'turned' else placed
            stamp_ns = S + round((at + late_s) * S)
            start = time.process_time()
            session.add(shown.view(names[k], stamp_ns, poses))
            results = session.due(stamp_ns)
            spent.append(time.process_time() - start)
            for result in results:
                after = (result.stamp_ns - S) / S
                truth = world(after)[:, index]
                (score if not fault or after >= FAULT_S else before).add(result.people, truth)
        if math.isnan(named_s) and any(line.startswith(names[-1]) for line in said):
            named_s = frame / RATE - FAULT_S
    best = min(one.mm for one in alone)
    per_frame = 1e3 * sum(spent) / (SECONDS * RATE)
    wrong = [line for line in said if not line.startswith(names[-1])]
    return [
        f'{people} people, {cameras} cameras{", one " + fault if fault else ""}',
        f'{score.mm:.1f}',
        f'{best:.0f}',
        f'{score.mm / best:.2f}',
        f'{score.consistency:.4f}',
        f'{named_s:.1f}' if fault else ('-' if not said else said[0]),
        str(len(wrong)),
        f'{per_frame:.2f}',
    ]


def turned(placed: Placed) -> Placed:
    """The camera after somebody has turned it by 2 degrees."""
    c, s = math.cos(math.radians(2)), math.sin(math.radians(2))
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return Placed(turn @ placed.R, turn @ placed.t, placed.camera)


def rendered(folder: Path) -> list[list[str]]:
    """Rows of the rendered rig: each camera alone, and all."""
    clips = [Clip.load(folder / f'rig_two_cam{k}.mp4') for k in range(3)]
    said: list[str] = []
    session = FusionSession([c.name for c in clips], FusionConfig(), said.append)
    scores, score = [Score() for _ in clips], Score()
    runs = [people_of(clip) for clip in clips]
    world = to_world(clips[0])
    for index, views in enumerate(zip(*runs)):
        for clip, view, alone in zip(clips, views, scores):
            alone.add(
                [convert(p, SKELETONS['coco_17']) for p in view.people], truth_of(clip, index)
            )
            session.add(view)
        for result in session.due(views[0].stamp_ns + S):
            frame = round((result.stamp_ns) / S * 30)
            if frame < len(world):
                score.add(result.people, world[frame])
    rows = [
        [clip.name, f'{one.mm:.1f}', '', '', f'{one.consistency:.4f}', '', '', '']
        for clip, one in zip(clips, scores)
    ]
    best = min(one.mm for one in scores)
    rows.append(
        [
            'rendered rig, fused', f'{score.mm:.1f}', f'{best:.0f}', f'{score.mm / best:.2f}',
            f'{score.consistency:.4f}', '-', str(len(said)), '',
        ]
    )  # fmt: skip
    print(*said, sep='\n')
    return rows


def people_of(clip: Clip) -> Iterator[View]:
    """Views of a clip through BlazePose at its defaults."""
    pipeline = Pipeline(PipelineConfig())
    assert clip.rotation is not None
    assert clip.translation is not None
    for index, frame in enumerate(clip.frames()):
        R, t = clip.rotation[index].T, -clip.rotation[index].T @ clip.translation[index]
        people = pipeline.process(frame).people
        yield View(clip.name, frame.stamp_ns, clip.camera, R, t, people)


def truth_of(clip: Clip, index: int) -> Array:
    """(P, 12, 3) metres in the camera."""
    return np.asarray(clip.xyz[index][:, [JOINTS.index(name) for name in LIMBS]])


def to_world(clip: Clip) -> Array:
    """(T, P, 12, 3) metres in the world."""
    assert clip.rotation is not None
    assert clip.translation is not None
    return np.array(
        [(truth_of(clip, k) - clip.translation[k]) @ clip.rotation[k] for k in range(len(clip.xyz))]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--motion', help='h36m17_train.npz')
    parser.add_argument('--scenes', type=Path, help='folder of rig_two_cam0.mp4 ...')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    rows = []
    cases = [(p, 3, fault) for p in (2, 4) for fault in FAULTS] + [(4, 4, '')]
    for people, cameras, fault in [] if args.scenes and not args.motion else cases:
        if args.motion:
            world = recorded(args.motion, people, args.seed)
        else:
            world = lambda stamp_s, n=people: walkers(n, np.array([stamp_s]))[0]  # noqa: E731
        rows.append(simulate(world, cameras, people, fault, args.seed))
        print(*rows[-1], flush=True)
    if args.scenes:
        rows += rendered(args.scenes)
    header = ['scene', 'error mm', 'best alone', 'ratio', 'same id', 'named after s', 'other words']
    print(table(rows, [*header, 'ms CPU a frame']))


if __name__ == '__main__':
    main()
