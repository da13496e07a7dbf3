# SPDX-License-Identifier: Apache-2.0
"""Clips with exact ground truth, and the rules by which people in them count as detected.

A clip is `<name>.mp4` with `<name>.npz`, which holds joint_names (N,), joints_cam (T, P, N, 3)
metres in the camera's optical frame, joints_px (T, P, N, 2) pixels, in_image (T, P, N), K (3, 3)
and image_size (width, height). Clips in which people hide one another also hold visibility
(T, P, N) (0 outside the image, 1 visible, 2 hidden by the own body, 3 by something else),
visible_fraction (T, P) and present (T, P); distorted ones distortion_model and D as in
sensor_msgs/CameraInfo; R_cam_world and t_cam_world give x_cam = R x_world + t with the floor at
z = 0, one for the clip or one for each frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..camera import Camera
from ..errors import InputError
from ..sources import open_source
from ..types import Frame
from . import metrics

Array = NDArray[Any]

JOINTS = (
    'nose',
    'left_shoulder',
    'right_shoulder',
    'left_elbow',
    'right_elbow',
    'left_wrist',
    'right_wrist',
    'left_hip',
    'right_hip',
    'left_knee',
    'right_knee',
    'left_ankle',
    'right_ankle',
)
"""The joints that are scored: those that nearly every convention has."""
LIMBS = [k for k, name in enumerate(JOINTS) if name != 'nose']

MATCH_LIMIT = 0.25
"""A prediction is a person's if its mean 2D distance is below this share of the body's extent."""
FOUND_LIMIT = 0.12
"""Where clips tell visibility: the same for the median distance of the limb joints."""
_MIN_VISIBLE, _MIN_JOINTS = 1 / 3, 10
_HIDDEN_BY_OTHERS = 3
# From the heels to the top of the head, as bones; those of a side are averaged over both.
_LEG = (('hip', 'knee'), ('knee', 'ankle'), ('ankle', 'heel'))
_SPINE = (('pelvis', 'spine'), ('spine', 'thorax'), ('thorax', 'neck'), ('neck', 'head'))


@dataclass(frozen=True)
class Matches:
    """One frame's predictions and people.

    pairs: index of the prediction, index of the person. expected: people who should be detected.
    false_people: predictions that match no person.
    """

    pairs: list[tuple[int, int]]
    expected: int
    false_people: int


@dataclass(frozen=True, eq=False)
class Clip:
    """A video with ground truth of P people and the 13 scored joints.

    xyz: (T, P, 13, 3) metres, camera optical frame. pixels: (T, P, 13, 2). expected: (T, P), who
    is to be detected: one scored joint lies inside the image, or, where the clip has visibility, a
    third of the person is visible and ten joints lie inside the image. visibility: (T, P, 13) and
    present (T, P) as in the file, None if it has none. extent: (T, P) pixels, the longer side of
    all the person's joints. height_m: (P,) metres, as in the file, else the sum of the bones from
    heel to head; None if the file tells neither. rotation, translation: (T, 3, 3), (T, 3) metres
    from the world (z up, floor at 0) to the camera, None if unknown.
    """

    name: str
    video: Path
    camera: Camera
    xyz: Array
    pixels: Array
    expected: Array
    extent: Array
    visibility: Array | None = None
    present: Array | None = None
    height_m: Array | None = None
    rotation: Array | None = None
    translation: Array | None = None

    @classmethod
    def load(cls, video: str | Path) -> Clip:
        """Read the ground truth beside a video; InputError if it is missing or incomplete."""
        video = Path(video)
        path = video.with_suffix('.npz')
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls(name=video.stem, video=video, **_read(data))
        except OSError as error:
            raise InputError(f'cannot read the ground truth {path}: {error}') from error
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(f'{path} is no ground truth of a clip: {error}') from error

    @property
    def people(self) -> int:
        """Number of people in the clip."""
        return int(self.xyz.shape[1])

    def frames(self) -> Iterator[Frame]:
        """The frames of the video, with its calibration."""
        return iter(open_source(self.video, camera=self.camera))

    def match(self, index: int, pixels: Array) -> Matches:
        """Which prediction is whom in a frame. pixels: (N, 13, 2) of the predictions."""
        if self.visibility is None:
            return self._match_by_mean(index, pixels)
        return self._match_by_limbs(index, pixels)

    def _match_by_mean(self, index: int, pixels: Array) -> Matches:
        people = np.flatnonzero(self.expected[index])
        truth = self.pixels[index, people]
        extent = np.ptp(truth, axis=1)
        limits = MATCH_LIMIT * np.hypot(extent[:, 0], extent[:, 1])
        pairs = metrics.match_people(pixels, truth, limits)
        return Matches(
            [(prediction, int(people[row])) for prediction, row in pairs],
            len(people),
            len(pixels) - len(pairs),
        )

    def _match_by_limbs(self, index: int, pixels: Array) -> Matches:
        """Nearest both ways, by joints that no other person hides; no match where all are far."""
        assert self.visibility is not None
        assert self.present is not None
        expected = self.expected[index]
        people = np.flatnonzero(self.present[index])
        if not len(pixels) or not len(people):
            return Matches([], int(expected.sum()), len(pixels))
        visibility = self.visibility[index][people][:, LIMBS]
        distance = metrics.joint_errors(
            pixels[:, None, LIMBS], self.pixels[index, people][None][:, :, LIMBS]
        )
        shown = (visibility > 0) & (visibility < _HIDDEN_BY_OTHERS)
        near = metrics.median_over_joints(np.where(shown, distance, np.nan))
        near /= self.extent[index, people]
        # A person of whom no limb is visible still counts: all their joints count.
        anywhere = metrics.median_over_joints(distance) / self.extent[index, people]
        near, anywhere = (np.where(np.isfinite(v), v, np.inf) for v in (near, anywhere))
        pairs = []
        for column, person in enumerate(people):
            row = int(near[:, column].argmin())
            limit = FOUND_LIMIT if expected[person] else 0.0
            if near[row, column] < limit and near[row].argmin() == column:
                pairs.append((row, int(person)))
        false = np.minimum(near, anywhere).min(axis=1) > MATCH_LIMIT
        return Matches(pairs, int(expected.sum()), int(false.sum()))


def _read(data: Mapping[str, Array]) -> dict[str, Any]:
    """Fields of a Clip out of its file."""
    names = [str(name) for name in data['joint_names']]
    order = [names.index(joint) for joint in JOINTS]
    width, height = (int(v) for v in data['image_size'])
    in_image = data['in_image']
    expected = in_image[:, :, order].any(axis=2)
    frames = len(in_image)
    out: dict[str, Any] = {}
    if 'visibility' in data:
        expected = (data['visible_fraction'] >= _MIN_VISIBLE) & (
            in_image.sum(axis=2) >= _MIN_JOINTS
        )
        out['visibility'] = data['visibility'][:, :, order]
        out['present'] = data['present']
    if 'height_m' in data:
        out['height_m'] = data['height_m'].astype(float)
    else:
        out['height_m'] = _heights(names, data['joints_cam'].astype(float))
    if 'R_cam_world' in data:
        rotation, translation = data['R_cam_world'], data['t_cam_world']
        out['rotation'] = np.broadcast_to(rotation, (frames, 3, 3)).astype(float)
        out['translation'] = np.broadcast_to(translation, (frames, 3)).astype(float)
    model = str(data['distortion_model']) if 'distortion_model' in data else ''
    return {
        'camera': Camera(
            K=data['K'],
            size=(width, height),
            model=model,
            D=data['D'] if model else np.zeros(0),
        ),
        'xyz': data['joints_cam'][:, :, order].astype(float),
        'pixels': data['joints_px'][:, :, order].astype(float),
        'expected': expected,
        'extent': np.ptp(data['joints_px'].astype(float), axis=2).max(axis=-1),
        **out,
    }


def _heights(names: list[str], xyz: Array) -> Array | None:
    """(P,) metres, the bones (T, P, N, 3) from heel to head; within 1.2 % of recorded heights."""
    sides = [(f'{side}_{a}', f'{side}_{b}') for a, b in _LEG for side in ('left', 'right')]
    if not {joint for bone in (*sides, *_SPINE) for joint in bone} <= set(names):
        return None

    def total(bones: Iterable[tuple[str, str]]) -> Array:
        lengths = [xyz[:, :, names.index(a)] - xyz[:, :, names.index(b)] for a, b in bones]
        return np.asarray(np.median(np.linalg.norm(lengths, axis=-1), axis=1).sum(axis=0))

    return np.asarray(total(sides) / 2 + total(_SPINE))
