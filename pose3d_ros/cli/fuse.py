# SPDX-License-Identifier: Apache-2.0
"""`pose3d fuse`: the people of several cameras' files become one set of people."""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from .. import __version__
from ..camera import Camera
from ..errors import ConfigError, InputError
from ..fusion.fuser import FusionResult
from ..fusion.health import CameraHealth
from ..fusion.session import FusionSession
from ..fusion.sighting import View
from ..outputs import FORMATS, Run, Writer, open_writers
from ..outputs.tables import read_json_lines
from ..settings.declare import settings_of
from ..settings.fusion import FusionConfig, check_names
from ..skeleton import get_skeleton
from ..types import Array, EstimatorInfo, Frame, FrameResult
from .options import table

DESCRIPTION = """\
Bring the people of several calibrated cameras together: one set of people in one frame, each with
one id. RIG is a YAML file that names, for each camera, its poses (as `pose3d run --save-json`
writes them), its calibration and where it stands."""

EXAMPLES = """\
example of RIG (paths count from the file):
  fusion_frame: room
  cameras:
    left:
      poses: left.jsonl
      calibration: left.yaml
      translation: [0.0, -2.5, 1.8]        # metres, of the optical frame in fusion_frame
      rotation: [-0.68, 0.0, 0.0, 0.73]    # quaternion x, y, z, w
    right: ...
Times of the files must be of one clock: those of videos count from their first frames."""

_KEYS = ('poses', 'calibration', 'translation', 'rotation')
_NO_IMAGE = np.zeros((1, 1, 3), np.uint8)
_FORMATS = [each for each in FORMATS if each.key in ('save_json', 'save_csv')]


@dataclass(frozen=True, eq=False)
class RigCamera:
    """A camera of a rig. R, t: (3, 3), (3,) m with x_fusion = R x_camera + t."""

    name: str
    poses: Path
    camera: Camera
    R: Array
    t: Array

    def views(self) -> Iterator[tuple[int, str, View]]:
        """Stamp, name and view of each frame of the file."""
        for record, people in read_json_lines(self.poses):
            size = int(record['width']), int(record['height'])
            stamp_ns = int(record['stamp_ns'])
            view = View(
                self.name, stamp_ns, self.camera.resized(size), self.R, self.t, people
            )  # fmt: skip
            yield stamp_ns, self.name, view


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'fuse',
        help='people of several cameras become one set of people',
        usage='pose3d fuse RIG --save-json FILE [SETTINGS]',
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('rig', metavar='RIG', help='YAML file of the cameras')
    for each in _FORMATS:
        parser.add_argument(each.option, metavar=each.file, help=each.help)
    for item in settings_of(FusionConfig):
        parser.add_argument(
            f'--{item.name.replace("_", "-")}',
            type=item.type,
            default=item.default,
            help=f'{item.doc} (default: {item.default!r})',
        )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fuse, write what was asked for, say how the cameras did."""
    config = FusionConfig(**{s.name: getattr(args, s.name) for s in settings_of(FusionConfig)})
    frame_id, cameras = read_rig(args.rig)
    paths = {each.key: path for each in _FORMATS if (path := getattr(args, each.key))}
    if not paths:
        raise ConfigError('name a file for the results: --save-json FILE or --save-csv FILE')
    report = sys.stderr if '-' in paths.values() else sys.stdout
    session = FusionSession(
        [camera.name for camera in cameras],
        config,
        lambda line: print(f'warning: {line}', file=sys.stderr),
    )
    writers: list[Writer] = []
    frames, ids, several, people, states = 0, set(), 0, 0, []
    try:
        for result in fused(cameras, session):
            if not writers:
                writers = open_writers(paths, _run_of(session))
            frame = Frame(_NO_IMAGE, result.stamp_ns, frame_id, source=','.join(result.cameras))
            for writer in writers:
                writer.write(frames, FrameResult(frame, result.people, result.ended))
            frames += 1
            people += len(result.people)
            several += sum(int(np.bitwise_or.reduce(p.cameras)).bit_count() > 1
                           for p in result.people if p.cameras is not None)  # fmt: skip
            ids |= {pose.track_id for pose in result.people}
            states = session.states(result.stamp_ns)
        if not writers:
            raise InputError('nobody was seen by any camera: there is nothing to write')
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    for writer in writers:
        writer.close()
    print(f'frames {frames}; people at once {people / frames:.1f}, ids {len(ids)}', file=report)
    print(f'seen by several cameras: {several} of {people} people\n', file=report)
    print(cameras_table(states), file=report)
    for path in paths.values():
        if path != '-':
            print(f'saved {path}', file=report)
    return 0


def fused(cameras: list[RigCamera], session: FusionSession) -> Iterator[FusionResult]:
    """Results of recorded views in the order of their stamps."""
    stamp_ns = 0
    for stamp_ns, _, view in heapq.merge(*(camera.views() for camera in cameras)):
        session.add(view)
        yield from session.due(stamp_ns)
    # Nobody is late any more.
    yield from session.due(stamp_ns + 60_000_000_000)


def cameras_table(states: list[CameraHealth]) -> str:
    """How the cameras did over the last seconds, in columns."""

    def number(value: float, form: str) -> str:
        return '-' if math.isnan(value) else format(value, form)

    rows = [
        [
            state.name,
            number(state.rate_hz, '.1f'),
            number(100 * state.share_matched, '.0f'),
            number(state.error_px, '.1f'),
            state.problem or 'ok',
        ]
        for state in states
    ]
    return table(rows, ['camera', 'Hz', '% matched', 'error px', 'state'])


def read_rig(path: str) -> tuple[str, list[RigCamera]]:
    """The fusion frame and the cameras of a rig file; ConfigError says what is wrong with it."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cannot read the rig {path}: {error}') from error
    if not isinstance(content, dict) or not isinstance(content.get('cameras'), dict):
        raise ConfigError(f'{path}: a rig has `cameras:` with names and what belongs to each')
    check_names([str(name) for name in content['cameras']])
    cameras = [_camera(Path(path), str(name), entry) for name, entry in content['cameras'].items()]
    for k, one in enumerate(cameras):
        for other in cameras[:k]:
            if np.allclose(one.t, other.t, atol=1e-4) and np.allclose(one.R, other.R, atol=1e-4):
                raise ConfigError(
                    f'{path}: {other.name} and {one.name} have the same place and direction'
                )
    return str(content.get('fusion_frame', 'fusion')), cameras


def _camera(rig: Path, name: str, entry: Any) -> RigCamera:
    if not isinstance(entry, Mapping) or set(entry) != set(_KEYS):
        raise ConfigError(f'{rig}: {name} needs {", ".join(_KEYS)}, and nothing else')
    try:
        t = np.array(entry['translation'], dtype=float)
        q = np.array(entry['rotation'], dtype=float)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'{rig}: {name}: translation and rotation are numbers') from error
    if t.shape != (3,) or not np.isfinite(t).all():
        raise ConfigError(f'{rig}: translation of {name} must be x, y, z in metres')
    if q.shape != (4,) or not abs(float(np.linalg.norm(q)) - 1) < 0.02:
        raise ConfigError(f'{rig}: rotation of {name} must be a unit quaternion x, y, z, w')
    folder = rig.parent
    return RigCamera(
        name,
        folder / str(entry['poses']),
        Camera.load(folder / str(entry['calibration'])),
        Rotation.from_quat(q).as_matrix(),
        t,
    )


def _run_of(session: FusionSession) -> Run:
    info = EstimatorInfo('fusion', __version__, '', '', '', metric=True)
    skeleton = session.skeleton or get_skeleton('cmu_22')
    return Run(skeleton, info, ','.join(session.cameras))
