# SPDX-License-Identifier: Apache-2.0
"""3D plots of skeletons with measured axes, by matplotlib (extra `plot`)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..camera import Camera
from ..errors import ConfigError
from ..types import Frame, Pose3D
from .overlay import Colour, bones, label_of, overlay, side_colour, sure_joints, track_colour
from .view3d import View3D, camera_outline, neck_of, placed

if TYPE_CHECKING:
    from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]

Array = NDArray[Any]

# Metres of room around the people.
_MARGIN = 0.35
_MOST_TICKS = 12


def plot_3d(axes: Axes3D, poses: Sequence[Pose3D], camera: Camera | None = None) -> None:
    """Plot people into 3D axes of matplotlib: x right, depth, and height as the camera sees them.

    All axes are metres of equal length. The camera is drawn when poses are absolute; relative ones
    stand side by side.
    """
    people = placed(poses)
    absolute = any(pose.absolute for pose in poses)
    everything = [points[np.isfinite(points).all(axis=1)] for _, points in people]
    floor = min((points[:, 2].min() for points in everything if len(points)), default=-1.0)
    for (pose, points), finite in zip(people, everything):
        seen = sure_joints(pose)
        for a, b, side, minor in bones(pose.skeleton):
            line = points[[a, b]]
            if not np.isfinite(line).all():
                continue
            # The shadow shows where a person stands.
            if not minor:
                axes.plot(line[:, 0], line[:, 1], floor, color='0.85', linewidth=3, zorder=0)
            axes.plot(
                *line.T,
                color=_rgb(side_colour(side, pose.track_id)),
                alpha=1.0 if seen[a] and seen[b] else 0.4,
                linewidth=1.2 if minor else 3,
                solid_capstyle='round',
            )
        neck = neck_of(pose, points)
        if neck is not None:
            axes.plot(*neck.T, color=_rgb(track_colour(pose.track_id)), linewidth=2)
        text = label_of(pose)
        if text and len(finite):
            x, y, z = *np.median(finite[:, :2], axis=0), finite[:, 2].max() + 0.15
            axes.text(x, y, z, text, color=_rgb(track_colour(pose.track_id)), ha='center', size=9)
    if absolute:
        outline = camera_outline(camera)
        for line in outline:
            axes.plot(*line.T, color='0.35', linewidth=1.2)
        axes.plot([0, 0], [0, 0], [0, floor], color='0.75', linewidth=1, linestyle=':')
        everything += outline
    _frame(axes, np.concatenate([np.zeros((0, 3)), *everything]), floor)


def side_by_side(frame: Frame, poses: Sequence[Pose3D]) -> Array:
    """(H, W, 3) BGR picture: the image with its skeletons, and the 3D plot beside it.

    Without matplotlib the quick 3D view takes the plot's place.
    """
    left = overlay(frame.image, poses)
    if min(left.shape[:2]) < 480:
        factor = 480 / min(left.shape[:2])
        left = overlay(cv2.resize(frame.image, None, fx=factor, fy=factor), scaled(poses, factor))
    height = left.shape[0]
    width = round(min(max(1.15 * height, 0.8 * left.shape[1]), 1.4 * left.shape[1]))
    if find_spec('matplotlib') is None:
        right = View3D((width, height)).draw(poses, frame.camera)
    else:
        right = _plotted(poses, frame.camera, (width, height))
    return np.hstack([left, right])


def scaled(poses: Sequence[Pose3D], factor: float) -> list[Pose3D]:
    """The poses in an image magnified by a factor, pixel centres kept in place."""
    return [pose.replace(pixels=factor * (pose.pixels + 0.5) - 0.5) for pose in poses]


def _plotted(poses: Sequence[Pose3D], camera: Camera | None, size: tuple[int, int]) -> Array:
    figure_class, canvas_class = _matplotlib()
    dpi = 100 * max(1.0, size[1] / 480)
    figure = figure_class(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi, facecolor='white')
    canvas = canvas_class(figure)
    corner, side = np.array([0.2, 0.2]), 0.6
    axes = figure.add_axes((*corner, side, side), projection='3d')
    plot_3d(axes, poses, camera)
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())
    # The box of a 3D plot fills its axes badly: stretch them until what is drawn fills the picture.
    # Twice, because the text does not grow with it.
    for _ in range(2):
        rows, columns = np.nonzero((rgba[..., :3] < 255).any(axis=2))
        height, width = rgba.shape[:2]
        low = np.array([columns.min() / width, 1 - (rows.max() + 1) / height])
        high = np.array([(columns.max() + 1) / width, 1 - rows.min() / height])
        zoom = 0.95 / float((high - low).max())
        corner = 0.5 + zoom * (corner - (low + high) / 2)
        side *= zoom
        axes.set_position((*corner, side, side))
        canvas.draw()
        rgba = np.asarray(canvas.buffer_rgba())
    picture: Array = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR)
    if picture.shape[1::-1] != size:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return picture


def _matplotlib() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError('3D plots need matplotlib: pip install "pose3d_ros[plot]"') from error
    return Figure, FigureCanvasAgg


def _frame(axes: Axes3D, points: Array, floor: float) -> None:
    """Axes of equal scale around the points, with labels."""
    low, high = np.array([-1.0, 0, floor]), np.array([1.0, 1, floor + 1.8])
    if len(points):
        low, high = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN
    low[2] = floor
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low)
    axes.set_xlabel('x right [m]', labelpad=2)
    axes.set_ylabel('z forward [m]', labelpad=6)
    axes.set_zlabel('-y up [m]', labelpad=-2)
    axes.view_init(elev=16, azim=-58)
    axes.tick_params(labelsize=8, pad=0)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((0.97, 0.975, 0.98, 1.0))
        axis.set_major_locator(_ticks(float((high - low).max())))
    axes.grid(True)


def _ticks(span: float) -> Any:
    """Half metres, or so much more that a dozen span the longest axis."""
    from matplotlib.ticker import MultipleLocator

    step = 0.5
    for factor in itertools.cycle((2, 2.5, 2)):
        if span / step <= _MOST_TICKS:
            break
        step *= factor
    return MultipleLocator(step)


def _rgb(colour: Colour) -> tuple[float, float, float]:
    blue, green, red = (v / 255 for v in colour)
    return red, green, blue
