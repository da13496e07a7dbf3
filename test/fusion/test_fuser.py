# SPDX-License-Identifier: Apache-2.0
"""Several simulated cameras around people who walk: positions, ids, and what goes wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from pose3d_ros.fusion.fuser import Fuser
from pose3d_ros.tools.rig import SKELETON, Detector, Placed, around, walkers
from pose3d_ros.types import PositionSource

NAMES = ('left', 'right', 'back')
SCORED = [SKELETON.index(f'{s}_{j}') for s in ('left', 'right')
          for j in ('shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')]  # fmt: skip
S = 1_000_000_000
FAULT_S, SETTLED_S = 1.5, 2.5


@dataclass
class Run:
    fuser: Fuser
    errors: list = field(default_factory=list)
    errors_alone: list = field(default_factory=list)
    ids: list = field(default_factory=list)
    people: list = field(default_factory=list)

    @property
    def mm(self) -> float:
        return 1e3 * float(np.mean(self.errors))


def run(people=2, seconds=4.0, fault='', cameras=NAMES) -> Run:
    """The third camera has the fault from FAULT_S on; errors are those of SETTLED_S later."""
    rng = np.random.default_rng(3)
    rig = around(len(cameras))
    detectors = [Detector(placed, people, rng) for placed in rig]
    out = Run(Fuser(SKELETON, cameras))
    for frame in range(round(30 * seconds)):
        now = frame / 30
        broken = now >= FAULT_S
        for k, (name, placed) in enumerate(zip(cameras, rig)):
            at = now - 0.01 * k  # cameras are not synchronous
            if fault == 'stopped' and k == 2 and broken:
                continue
            world = walkers(people, np.array([at]))[0]
            poses = detectors[k].people(world, at)
            late = 0.08 if fault == 'late' and k == 2 and broken else 0.0
            if fault == 'turned' and k == 2 and broken:
                c, s = math.cos(math.radians(2)), math.sin(math.radians(2))
                turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
                placed = Placed(turn @ placed.R, turn @ placed.t)
            out.fuser.add(placed.view(name, S + round((at + late) * S), poses))
            if not fault or now >= FAULT_S + SETTLED_S:
                alone = np.array([p.xyz[SCORED] for p in poses])
                true = world[:, SCORED] @ rig[k].R.T + rig[k].t
                for person in true:
                    apart = np.linalg.norm(alone - person, axis=2)
                    out.errors_alone.append(np.nanmean(apart, axis=1).min())
        result = out.fuser.fuse(S + round(now * S))
        out.people.append(result.people)
        if not fault or now >= FAULT_S + SETTLED_S:
            fused = np.array([p.xyz[SCORED] for p in result.people])
            for person in walkers(people, np.array([now]))[0][:, SCORED]:
                apart = np.nanmean(np.linalg.norm(fused - person, axis=2), axis=1)
                out.errors.append(apart.min())
                out.ids.append(result.people[int(apart.argmin())].track_id)
    return out


@pytest.fixture(scope='module')
def good() -> Run:
    return run()


def problems(done: Run) -> dict[str, str]:
    states = done.fuser.states(done.fuser.people[0].stamp_ns)
    return {state.name: state.problem for state in states if state.problem}


def test_two_people_are_nearer_the_truth_than_any_camera_has_them(good: Run) -> None:
    assert good.mm < 40
    assert good.mm < 0.5e3 * np.mean(good.errors_alone)
    assert problems(good) == {}


def test_everybody_keeps_one_id_and_says_which_cameras_saw_what(good: Run) -> None:
    assert len(good.people[-1]) == 2
    assert set(good.ids) == {1, 2}
    for person in good.people[-1]:
        assert person.position_source == PositionSource.CAMERAS
        assert np.bitwise_or.reduce(person.cameras) == 0b111
        assert set(np.unique(person.cameras)) <= set(range(8))


def test_covariances_are_of_the_size_of_the_errors(good: Run) -> None:
    sigma = [
        np.sqrt(np.trace(person.covariance[SCORED], axis1=1, axis2=2))
        for people in good.people for person in people
    ]  # fmt: skip
    assert 0.3 < 1e3 * np.nanmean(np.concatenate(sigma)) / good.mm < 3


@pytest.mark.parametrize('fault', ['late', 'stopped', 'turned'])
def test_a_camera_that_goes_wrong_is_named_and_does_little_harm(good: Run, fault: str) -> None:
    done = run(fault=fault, seconds=6.0)
    assert done.mm < 1.3 * good.mm
    assert set(done.ids) == {1, 2}
    words = {'late': 'late', 'stopped': 'stopped', 'turned': 'turned by about'}
    assert words[fault] in problems(done)['back']
    assert len(problems(done)) == 1


def test_one_camera_alone_passes_its_people_on_with_its_own_covariance() -> None:
    done = run(cameras=('left',), seconds=2)
    for person in done.people[-1]:
        assert person.position_source != PositionSource.CAMERAS
        sigma = np.sqrt(np.trace(person.covariance[SCORED], axis1=1, axis2=2))
        assert np.nanmedian(sigma) > 0.2
        assert np.bitwise_or.reduce(person.cameras) == 1


def test_people_who_leave_end_and_a_reset_forgets_all() -> None:
    done = run(seconds=1.0)
    ended = [
        number for k in range(60) for number in done.fuser.fuse(2 * S + round(k * S / 30)).ended
    ]
    assert sorted(ended) == [1, 2]
    assert done.fuser.reset() == ()
