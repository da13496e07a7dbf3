# SPDX-License-Identifier: Apache-2.0
"""Feet on the floor: how far away a body stands by the rays of its feet, if they stand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..camera import Camera
from ..skeleton import TOES, Skeleton, StandIns, joint_map
from ..types import Array, Floor, JointStatus, Pose3D

# Heights of joints of a foot that stands, above the floor, metres of an adult. By the scenes.
_CLEARANCES = {'ankle': 0.105, 'heel': 0.06, 'toe': 0.04}
_FEET = tuple(f'{side}_{joint}' for side in ('left', 'right') for joint in _CLEARANCES)
_STAND_INS: StandIns = TOES
_PIXEL_SIGMA = 0.012  # of a foot in the image, as a share of the body's size there
_POSE_SIGMA_M = 0.06  # of a foot's depth about the root
_CLEARANCE_SIGMA_M = 0.04  # the same for all frames of a person
_LOWEST = 0.03  # relative distance within which joints count as equally low
_LIFTED = 0.12  # relative distance over the expected one at which a foot may be in the air
_LEAST_SHARE = 0.01
_LEVEL = 0.02  # least sine of the angle at which a ray may meet the floor


@dataclass(frozen=True)
class Contact:
    """What feet say: a body of size s whose root is at depth z has z + gain * s = depth.

    depth, gain: metres. sigma: of z, metres. bias: the part of sigma that stays from frame to
    frame. share: 0..1, how sure it is that they stand.
    """

    depth: float
    gain: float
    sigma: float
    bias: float
    share: float


@lru_cache(maxsize=64)
def feet_of(skeleton: Skeleton) -> tuple[Array, Array]:
    """Joints of the feet (F,), and their clearances (F,)."""
    table = joint_map(skeleton, _FEET, _STAND_INS)
    rows = [(parts[0], name) for parts, name in zip(table, _FEET) if parts]
    clearances = [_CLEARANCES[name.partition('_')[2]] for _, name in rows]
    return np.array([joint for joint, _ in rows], int), np.array(clearances)


def contact_of(
    pose: Pose3D,
    rays: Array,
    floor: Floor,
    camera: Camera,
    expected: tuple[float, float, float],
) -> Contact | None:
    """The contact of a body with the floor; None if no foot is seen below the horizon.

    pose: root-relative. rays: (J, 2) of its joints. expected: size and depth of the root in metres
    without the floor, and the relative standard deviation of that depth.
    """
    joints, clearances = feet_of(pose.skeleton)
    if not len(joints):
        return None
    measured = pose.status[joints] == JointStatus.MEASURED
    confidence = pose.confidence[joints]
    trust = np.where(np.isfinite(confidence), confidence, 0.5) * measured
    ray = rays[joints]
    steep = -(ray @ floor.up[:2] + floor.up[2])
    length = np.sqrt(1 + (ray * ray).sum(axis=1))
    good = (trust > 0.3) & (steep > _LEVEL * length) & np.isfinite(pose.xyz[joints, 2])
    if not good.any():
        return None
    steep, length, trust = steep[good], length[good], trust[good]
    depth = floor.height_m / steep
    gain = clearances[good] / steep + pose.xyz[joints[good], 2]
    size, z, spread = expected
    off = np.log(np.maximum(depth - gain * size, 0.05) / z)
    sine = steep / length
    level = np.sqrt(np.maximum(1 - sine * sine, 0.0))
    pixel = max(_PIXEL_SIGMA * pose.size_px, 1.0) / camera.focal
    own = (pixel / sine) ** 2 + (_POSE_SIGMA_M / z) ** 2
    lasting = (_CLEARANCE_SIGMA_M**2 + floor.height_sigma**2) / floor.height_m**2
    bias = lasting + (floor.tilt_sigma * level / sine) ** 2
    # A foot in the air seems to stand farther away, none nearer: the nearest ones stand.
    weight = trust * trust / own * np.exp(-((off - off.min()) / _LOWEST))
    total = float(weight.sum())
    weight /= total
    lifted = float(weight @ off) / math.sqrt(_LIFTED**2 + spread**2)
    share = float(weight @ trust) / (1 + max(lifted, 0.0) ** 4)
    steady = float(weight @ bias)
    sigma = math.sqrt(float(weight @ own) / min(len(weight), 2) + steady)
    return Contact(
        float(weight @ depth),
        float(weight @ gain),
        z * sigma,
        z * math.sqrt(steady),
        max(share, _LEAST_SHARE),
    )
