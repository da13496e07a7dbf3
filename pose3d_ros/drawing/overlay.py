# SPDX-License-Identifier: Apache-2.0
"""Skeletons drawn into their image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ..types import Array, Pose3D
from .style import (
    MINOR,
    OUTLINE,
    Colour,
    bones,
    confident_joints,
    label_of,
    side_colour,
    track_colour,
)

_SHIFT = 4  # cv2 takes fixed-point coordinates: 1/16 pixel


def overlay(image: Array, poses: Sequence[Pose3D], *, labels: bool = True) -> Array:
    """Copy of a (H, W, 3) BGR image with the people drawn into it."""
    canvas = image.copy()
    faint = [pose for pose in poses if not confident_joints(pose).all()]
    if faint:
        layer = canvas.copy()
        for pose in faint:
            _draw_bones(layer, pose, confident=False)
        cv2.addWeighted(layer, 0.45, canvas, 0.55, 0, dst=canvas)
    for pose in poses:
        _draw_bones(canvas, pose, confident=True)
    if labels:
        for pose in poses:
            _draw_label(canvas, pose)
    return canvas


def stroke(size: tuple[int, int]) -> float:
    """Thickness of a main bone in an image of that size; 3 at 640x480."""
    return max(1.5, 3.0 * min(size) / 480)


def _draw_bones(canvas: Array, pose: Pose3D, confident: bool) -> None:
    height, width = canvas.shape[:2]
    full = stroke((width, height))
    # A person far away gets thinner lines, else they hide him.
    finite = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    extent = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    full = float(np.clip(full * extent / (0.35 * height), 0.45 * full, full))
    joints = confident_joints(pose)
    points = fixed_point(pose.pixels, (width, height))
    lines = []
    for a, b, side, minor in bones(pose.skeleton):
        p, q = points[a], points[b]
        if p is None or q is None or bool(joints[a] and joints[b]) != confident:
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
        if point is None or bool(joints[joint]) != confident:
            continue
        if set(pose.skeleton.names[joint].split('_')) & MINOR:
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


def _draw_label(canvas: Array, pose: Pose3D) -> None:
    height, width = canvas.shape[:2]
    finite = pose.pixels[np.isfinite(pose.pixels).all(axis=1)]
    text = label_of(pose)
    if not len(finite) or not text:
        return
    scale = max(0.35, 0.45 * min(width, height) / 480)
    (w, h), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    pad = round(8 * scale)
    middle = float(np.median(finite[:, 0]))
    x = int(np.clip(middle - w / 2, pad, max(pad, width - w - pad)))
    # Clear of the hair, which no joint marks.
    above = 15 * scale + min(0.12 * np.ptp(finite, axis=0).max(), 0.1 * height)
    y = int(np.clip(finite[:, 1].min() - above, h + 2 * pad, height - base - pad))
    colour = track_colour(pose.track_id)
    box = (x - pad, y - h - pad), (x + w + pad, y + base + pad // 2)
    cv2.rectangle(canvas, *box, colour, -1, cv2.LINE_AA)
    cv2.putText(
        canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA
    )
