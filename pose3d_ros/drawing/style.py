# SPDX-License-Identifier: Apache-2.0
"""How people are drawn in every picture: overlay, 3D view, Rerun, RViz markers.

Left limbs are orange, right ones blue (the person's own left and right); trunk and label have the
colour of the track id. Joints that were not measured, or of low confidence, are fainter.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import lru_cache

import numpy as np

from ..skeleton import Skeleton
from ..types import Array, JointStatus, Pose3D

Colour = tuple[int, int, int]

# BGR.
LEFT: Colour = (40, 130, 250)
RIGHT: Colour = (245, 150, 30)
OUTLINE: Colour = (35, 30, 30)
UNTRACKED: Colour = (150, 150, 150)
"""Of people without a track id."""
PALETTE: tuple[Colour, ...] = (
    (92, 184, 92),
    (168, 90, 190),
    (70, 70, 225),
    (190, 180, 40),
    (60, 190, 220),
    (200, 120, 160),
    (90, 140, 60),
    (150, 90, 60),
)
CONFIDENT = 0.5
"""Joints of a lower confidence are drawn fainter."""

MINOR = {'eye', 'ear', 'mouth', 'pinky', 'index', 'thumb', 'heel'}


def track_colour(track_id: int) -> Colour:
    """BGR colour of a track id; grey for people without one."""
    return PALETTE[(track_id - 1) % len(PALETTE)] if track_id > 0 else UNTRACKED


@lru_cache(maxsize=64)
def bones(skeleton: Skeleton) -> tuple[tuple[int, int, str, bool], ...]:
    """Edges to draw as (joint, joint, side, minor); side: left, right or mid.

    Minor ones are those of face, hands and feet.
    """
    words = [set(name.split('_')) for name in skeleton.names]
    out = []
    for a, b in skeleton.edges:
        both = words[a] & words[b]
        side = next((s for s in ('left', 'right') if s in both), 'mid')
        minor = bool((words[a] | words[b]) & MINOR)
        out.append((a, b, side, minor))
    return tuple(out)


@lru_cache(maxsize=64)
def neck(skeleton: Skeleton) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Two pairs of joints between whose means a line joins head and body; None if a bone does."""
    joints = skeleton.by_meaning
    pairs = ('left_shoulder', 'right_shoulder'), ('left_ear', 'right_ear')
    if 'mid_shoulder' in joints or any(name not in joints for pair in pairs for name in pair):
        return None
    (a, b), (c, d) = ([joints[name] for name in pair] for pair in pairs)
    return (a, b), (c, d)


def confident_joints(pose: Pose3D) -> Array:
    """(J,) whether a joint rests on what is in the image."""
    measured = np.asarray(pose.status == JointStatus.MEASURED)
    return measured & ~(pose.confidence < CONFIDENT)


def side_colour(side: str, track_id: int) -> Colour:
    """BGR colour of a bone."""
    return {'left': LEFT, 'right': RIGHT}.get(side) or track_colour(track_id)


def label(
    parts: Collection[str],
    *,
    track_id: int,
    distance_m: float,
    height_m: float = math.nan,
    score: float = math.nan,
) -> str:
    """What is written beside a person: those of id, distance, height and score that are known."""
    words = []
    if 'id' in parts and track_id:
        words.append(f'#{track_id}')
    if 'distance' in parts and math.isfinite(distance_m):
        words.append(f'{distance_m:.1f} m')
    if 'height' in parts and math.isfinite(height_m):
        words.append(f'{height_m:.2f} m tall')
    if 'score' in parts and math.isfinite(score):
        words.append(f'{score:.2f}')
    return '  '.join(words)


def label_of(pose: Pose3D) -> str:
    """Id and, if known, distance from the camera."""
    distance = float(np.linalg.norm(pose.root)) if pose.absolute else math.nan
    return label(('id', 'distance'), track_id=pose.track_id, distance_m=distance)
