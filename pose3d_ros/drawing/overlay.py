# SPDX-License-Identifier: Apache-2.0
"""Skeletons drawn into their image.

Left limbs are orange, right ones blue (the person's own left and right); trunk and label have the
colour of the track id. What the model did not see (inferred, or of low confidence) is fainter.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..skeleton import Skeleton
from ..types import JointStatus, Pose3D

Array = NDArray[Any]
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
SURE = 0.5
"""Joints of a lower confidence are drawn fainter."""

_SHIFT = 4  # cv2 takes fixed-point coordinates: 1/16 pixel
_MINOR = {'eye', 'ear', 'mouth', 'pinky', 'index', 'thumb', 'heel'}


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
        minor = bool((words[a] | words[b]) & _MINOR)
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


def sure_joints(pose: Pose3D) -> Array:
    """(J,) whether a joint rests on what is in the image."""
    measured = np.asarray(pose.status == JointStatus.MEASURED)
    return measured & ~(pose.confidence < SURE)


def side_colour(side: str, track_id: int) -> Colour:
    """BGR colour of a bone."""
    return {'left': LEFT, 'right': RIGHT}.get(side) or track_colour(track_id)


def overlay(image: Array, poses: Sequence[Pose3D], *, labels: bool = True) -> Array:
    """Copy of a (H, W, 3) BGR image with the people drawn into it."""
    canvas = image.copy()
    faint = [pose for pose in poses if not sure_joints(pose).all()]
    if faint:
        layer = canvas.copy()
        for pose in faint:
            _draw_bones(layer, pose, sure=False)
        cv2.addWeighted(layer, 0.45, canvas, 0.55, 0, dst=canvas)
    for pose in poses:
        _draw_bones(canvas, pose, sure=True)
    if labels:
        for pose in poses:
            _draw_label(canvas, pose)
    return canvas


def stroke(size: tuple[int, int]) -> float:
    """Thickness of a main bone in an image of that size; 3 at 640x480."""
    return max(1.5, 3.0 * min(size) / 480)


def _draw_bones(canvas: Array, pose: Pose3D, sure: bool) -> None:
    height, width = canvas.shape[:2]
    full = stroke((width, height))
    # A person far away gets thinner lines, else they hide him.
    finite = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    extent = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    full = float(np.clip(full * extent / (0.35 * height), 0.45 * full, full))
    seen = sure_joints(pose)
    points = fixed_point(pose.pixels, (width, height))
    lines = []
    for a, b, side, minor in bones(pose.skeleton):
        p, q = points[a], points[b]
        if p is None or q is None or bool(seen[a] and seen[b]) != sure:
            continue
        lines.append(
            (p, q, side_colour(side, pose.track_id), full * (0.45 if minor else 1.0), minor)
        )
    for p, q, _, thickness, minor in lines:
        if not minor:
            _line(canvas, p, q, OUTLINE, thickness + 1.6)
    for p, q, colour, thickness, _ in lines:
        _line(canvas, p, q, colour, thickness)
    for joint, point in enumerate(points):
        if point is None or bool(seen[joint]) != sure:
            continue
        if set(pose.skeleton.names[joint].split('_')) & _MINOR:
            _circle(canvas, point, 0.4 * full, (255, 255, 255))
            continue
        _circle(canvas, point, 0.95 * full + 0.9, OUTLINE)
        _circle(canvas, point, 0.95 * full, (255, 255, 255))


def fixed_point(pixels: Array, size: tuple[int, int]) -> list[tuple[int, int] | None]:
    """Points in the units of cv2's shift argument; None where there is none.

    Far outside points are left out: beyond 16 bits cv2 draws nonsense.
    """
    width, height = size
    good = np.isfinite(pixels).all(axis=1)
    good &= np.abs(np.nan_to_num(pixels)).max(axis=1, initial=0) < 4 * max(width, height)
    scaled = np.rint(np.nan_to_num(pixels) * (1 << _SHIFT)).astype(int)
    return [(int(x), int(y)) if ok else None for (x, y), ok in zip(scaled, good)]


def _line(canvas: Array, p: tuple[int, int], q: tuple[int, int], colour: Colour, t: float) -> None:
    cv2.line(canvas, p, q, colour, max(1, round(t)), cv2.LINE_AA, _SHIFT)


def _circle(canvas: Array, centre: tuple[int, int], radius: float, colour: Colour) -> None:
    cv2.circle(canvas, centre, round(radius * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)


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


def _draw_label(canvas: Array, pose: Pose3D) -> None:
    height, width = canvas.shape[:2]
    seen = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    text = label_of(pose)
    if not len(seen) or not text:
        return
    scale = max(0.35, 0.45 * min(width, height) / 480)
    (w, h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    pad = round(8 * scale)
    middle = float(np.median(seen[:, 0]))
    x = int(np.clip(middle - w / 2, pad, max(pad, width - w - pad)))
    # Clear of the hair, which no joint marks.
    above = 15 * scale + min(0.12 * np.ptp(seen, axis=0).max(), 0.1 * height)
    y = int(np.clip(seen[:, 1].min() - above, h + 2 * pad, height - base - pad))
    colour = track_colour(pose.track_id)
    box = (x - pad, y - h - pad), (x + w + pad, y + base + pad // 2)
    cv2.rectangle(canvas, *box, colour, -1, cv2.LINE_AA)
    cv2.putText(
        canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA
    )
