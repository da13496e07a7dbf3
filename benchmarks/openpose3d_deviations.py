# SPDX-License-Identifier: Apache-2.0
"""What openpose3d's deviations from the published programs are worth, on maps with known people.

python benchmarks/openpose3d_deviations.py ../shared/parity/openpose3d
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from pose3d_ros.estimators.openpose3d import published as programs
from pose3d_ros.networks import openpose3d as parts
from pose3d_ros.networks.openpose3d_people import extract
from pose3d_ros.placement.translation import solve_translation
from pose3d_ros.tools.openpose3d_scenes import draw

NEAR_CM = 60.0  # a result further than that from everybody has found nobody
BODY = slice(0, 15)  # without eyes and ears


def published(maps: dict[str, np.ndarray], scale: float, focal: float) -> list[np.ndarray]:
    """People, (19, 3) cm."""
    people = extract(maps['heatmaps'], maps['pafs'])
    rows = programs.published(people, maps['features'], scale, focal, 'standalone').poses_3d
    return list(rows.reshape(-1, 19, 4)[..., :3])


def ours(maps: dict[str, np.ndarray], scale: float, focal: float) -> list[np.ndarray]:
    """People, (19, 3) cm."""
    people = extract(maps['heatmaps'], maps['pafs'], published=False)
    seen = ~np.isnan(people.score)
    shoulders, hips = seen[:, [2, 5]], seen[:, [8, 11]]
    torso = shoulders.all(axis=1) | (shoulders.any(axis=1) & hips.any(axis=1))
    people = people.only(np.flatnonzero(seen[:, 1] | torso))
    found = parts.read(people, maps['features'], parts.RIGHT_SLOTS, published=False)
    centre = np.array(maps['features'].shape[:0:-1]) / 2
    out = []
    for cells, score, relative in zip(found.cells, found.score, found.relative * 180):
        rays = (cells - centre) * parts.STRIDE / scale / focal
        place = solve_translation(relative, rays, np.nan_to_num(score))
        if place is not None:
            out.append(relative + place.t)
    return out


def main(folder: Path) -> None:
    """Print the table."""
    methods = {'published': published, 'default': ours}
    found = dict.fromkeys(methods, 0)
    joints: dict[str, list[float]] = {name: [] for name in methods}
    depths: dict[str, list[float]] = {name: [] for name in methods}
    people = 0
    for path in sorted(folder.glob('post_*.npz')):
        case = np.load(path)
        maps = {k: case[k].astype(np.float32) for k in ('features', 'heatmaps', 'pafs')}
        people += len(case['gt_poses_3d'])
        for name, method in methods.items():
            poses = method(maps, float(case['input_scale']), float(case['fx']))
            for truth in case['gt_poses_3d']:
                errors = [np.linalg.norm((p - truth)[BODY], axis=1).mean() for p in poses]
                if errors and min(errors) < NEAR_CM:
                    best = poses[int(np.argmin(errors))]
                    found[name] += 1
                    joints[name].append(min(errors))
                    depths[name].append(abs(float((best - truth)[:, 2].mean())))
    for name in methods:
        print(
            f'{name}: {found[name]} of {people} people, joints off by {np.mean(joints[name]):.1f} '
            f'cm, depth by {np.mean(depths[name]):.1f} cm'
        )
    for name in methods:
        apart = []
        for seed in range(10):
            scene = draw(4, (56, 32), seed=seed)
            seen = extract(
                scene.maps['heatmaps'], scene.maps['pafs'], published=name == 'published'
            )
            cells = (seen.xy.reshape(-1, 2) + 0.5) / 4
            cells = cells[~np.isnan(cells[:, 0])]
            true = scene.cells[:, parts.RIGHT_SLOTS].reshape(-1, 2)
            apart.append(np.hypot(*(cells[:, None] - true).transpose(2, 0, 1)).min(axis=1).mean())
        print(f'{name}: 2D joints off by {np.mean(apart) * 22.5:.2f} pixels of a 1280x720 frame')


if __name__ == '__main__':
    main(Path(sys.argv[1]))
