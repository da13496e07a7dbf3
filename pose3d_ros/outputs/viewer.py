# SPDX-License-Identifier: Apache-2.0
"""Live view in Rerun (extra `show`): the image with key points, skeletons around the camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..drawing.style import bones, confident_joints, label_of, side_colour
from ..errors import ConfigError
from ..types import FrameResult, Pose3D
from . import Run
from .files import PartFile, writing


class RerunViewer:
    """Shows frames in a Rerun window, or records them into an .rrd file.

    Everything lies under `camera`, whose axes are those of the optical frame (x right, y down,
    z forward); the time line is `stamp`.
    """

    def __init__(self, recording: str | Path = '') -> None:
        """recording: file to write instead of opening a window. Raises ConfigError, OutputError."""
        import rerun

        self._rr: Any = rerun
        self._part = PartFile(recording) if recording else None
        self._stream = rerun.RecordingStream('pose3d')
        if self._part is not None:
            with writing(self._part.target):
                self._stream.save(str(self._part.path))
        else:
            try:
                self._stream.spawn()
            except Exception as error:
                raise ConfigError(f'--show: the Rerun viewer does not start: {error}') from error
        self._stream.log('camera', rerun.ViewCoordinates.RDF, static=True)
        self._shown: set[str] = set()

    @classmethod
    def open(cls, path: str, run: Run) -> RerunViewer:
        """Of a run; path: '' for a window."""
        return cls(path)

    def write(self, index: int, result: FrameResult) -> None:
        """Show a frame."""
        frame, poses = result.frame, result.people
        rr, stream = self._rr, self._stream
        stream.set_time('frame', sequence=index)
        stream.set_time('stamp', duration=frame.stamp_ns * 1e-9)
        if frame.camera is not None:
            size = list(frame.size)
            stream.log(
                'camera/image', rr.Pinhole(image_from_camera=frame.camera.K, resolution=size)
            )
        rgb = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB)
        stream.log('camera/image', rr.Image(rgb).compress(jpeg_quality=85))
        names = set()
        for number, pose in enumerate(poses):
            name = f'person_{pose.track_id}' if pose.track_id else f'person_{number}'
            names.add(name)
            self._person(name, pose)
        for gone in self._shown - names:
            for place in ('camera', 'camera/image'):
                stream.log(f'{place}/{gone}', rr.Clear(recursive=True))
        self._shown = names

    def _person(self, name: str, pose: Pose3D) -> None:
        rr = self._rr
        confident = confident_joints(pose)
        lines, flat, colours = [], [], []
        for a, b, side, _ in bones(pose.skeleton):
            if np.isfinite(pose.xyz[[a, b]]).all():
                blue, green, red = side_colour(side, pose.track_id)
                lines.append(pose.xyz[[a, b]])
                flat.append(pose.pixels[[a, b]])
                colours.append((red, green, blue, 255 if confident[a] and confident[b] else 90))
        good = np.flatnonzero(np.isfinite(pose.xyz).all(axis=1))
        self._stream.log(
            f'camera/{name}/bones', rr.LineStrips3D(lines, colors=colours, radii=0.012)
        )
        self._stream.log(
            f'camera/{name}/joints',
            rr.Points3D(
                pose.xyz[good],
                radii=0.02,
                labels=[pose.skeleton.names[k] for k in good],
                show_labels=False,
            ),
        )
        if np.isfinite(pose.root).all():
            self._stream.log(
                f'camera/{name}', rr.Points3D([pose.root], radii=0.03, labels=[label_of(pose)])
            )
        drawn = [(line, c) for line, c in zip(flat, colours) if np.isfinite(line).all()]
        self._stream.log(
            f'camera/image/{name}',
            rr.LineStrips2D([line for line, _ in drawn], colors=[c for _, c in drawn], radii=1.5),
        )

    def close(self) -> None:
        """Finish the recording; a window stays open."""
        self._stream.flush()
        self._stream.disconnect()
        if self._part is not None:
            self._part.commit()

    def discard(self) -> None:
        """Leave no recording behind."""
        self._stream.disconnect()
        if self._part is not None:
            self._part.discard()
