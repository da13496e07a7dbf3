# SPDX-License-Identifier: Apache-2.0
"""Learn a mixture of PPCA shape models from motion capture, for `lifting_from_the_deep`.

Poses are turned to a common facing direction, centred, mirrored and thinned out; components are
estimated by alternating between assignment and probabilistic PCA (Tipping and Bishop 1999; Tome et
al., CVPR 2017).
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...skeleton import SKELETONS
from ...types import Array

log = logging.getLogger(__name__)
H36M = SKELETONS['h36m_17']


@dataclass(frozen=True)
class PriorSettings:
    """How a prior is learnt.

    spacing_mm: poses closer than this, root mean square over the joints, count once.
    noise_mm: least standard deviation of what the basis leaves out; 2D detectors err by as much.
    body_variation: standard deviation of the factors that give each pose a body of its own. hips:
    largest factor for the distance of the hip joints; data sets disagree on where they are.
    """

    components: int = 12
    basis: int = 50
    spacing_mm: float = 45.0
    noise_mm: float = 30.0
    body_variation: float = 0.06
    hips: float = 1.4
    bodies: int = 2
    iterations: int = 40
    seed: int = 1


def read_clips(path: str | Path, exclude: Collection[str] = ()) -> tuple[list[Array], list[str]]:
    """(T, J, 3) metres, z up, of each clip but the excluded, and the names of the J joints.

    The file has `<clip>` (T, 17, 3) of h36m_17 and, optionally, `<clip>__extra` with more joints;
    joint_names, extra_names. Raises InputError.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names = [str(name) for name in data['joint_names']]
            extra = [str(name) for name in data['extra_names']] if 'extra_names' in data else []
            clips = [key for key in data.files if '__' not in key and not key.endswith('_names')]
            missing = sorted(set(exclude) - set(clips))
            if missing:
                raise InputError(f'{path}: no clip {", ".join(missing)} to exclude')
            if tuple(names) != H36M.names:
                raise InputError(f'{path}: joints must be those of {H36M.name}, not {names}')
            motions = []
            for clip in clips:
                if clip not in exclude:
                    parts = [data[clip]] + ([data[f'{clip}__extra']] if extra else [])
                    motions.append(np.concatenate(parts, axis=1).astype(float))
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f'{path} is no set of motion clips: {error}') from error
    if not motions:
        raise InputError(f'{path} holds no clips')
    return motions, names + extra


def learn(
    clips: Sequence[Array], names: Sequence[str], settings: PriorSettings
) -> dict[str, Array]:
    """The arrays of a prior: mu (M, 3J), e (M, K, 3J), sigma (M, K + 1), joint_names (J,)."""
    random = np.random.default_rng(settings.seed)
    poses = np.concatenate([_thinned(p, settings.spacing_mm) for p in _prepared(clips)])
    poses = _thinned(poses, settings.spacing_mm)
    log.info('%d different poses', len(poses))
    bodies = [reproportioned(poses, names, random, settings) for _ in range(settings.bodies)]
    poses = centred(np.concatenate(bodies))
    x = (
        np.concatenate([poses, mirrored(poses, names)])
        .transpose(0, 2, 1)
        .reshape(2 * len(poses), -1)
    )
    if len(x) < settings.components * 4 * settings.basis:
        raise InputError(
            f'{len(x)} poses are too few for {settings.components} components of {settings.basis}'
        )
    return _mixture(x, names, settings, random)


def facing(poses: Array) -> Array:
    """Poses (T, J, 3) turned about z so that hips and shoulders, left to right, lie along +x."""
    h = H36M.index
    across = poses[:, h('right_hip')] - poses[:, h('left_hip')]
    across = across + poses[:, h('right_shoulder')] - poses[:, h('left_shoulder')]
    angle = np.arctan2(across[:, 1], across[:, 0])
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = poses[..., 0], poses[..., 1]
    return np.stack([c * x + s * y, c * y - s * x, poses[..., 2]], axis=-1)


def centred(poses: Array) -> Array:
    """Poses with the mean of the 17 joints at the origin."""
    return np.asarray(poses - poses[:, : len(H36M)].mean(axis=1, keepdims=True))


def mirrored(poses: Array, names: Sequence[str]) -> Array:
    """Left and right exchanged."""
    swap = {'left': 'right', 'right': 'left'}
    others = ['_'.join(swap.get(part, part) for part in name.split('_')) for name in names]
    return np.asarray(poses[:, [list(names).index(name) for name in others]] * [-1.0, 1.0, 1.0])


_GROUPS = ('hip', 'knee', 'ankle', 'spine', 'thorax', 'neck', 'head', 'shoulder', 'elbow', 'wrist')
_ATTACHED = {'nose': 'neck', 'ear': 'neck', 'toe': 'ankle'}


def reproportioned(
    poses: Array, names: Sequence[str], random: np.random.Generator, settings: PriorSettings
) -> Array:
    """Each pose (T, J, 3) on a body of its own: every bone longer or shorter, symmetric."""
    count = len(poses)
    factor = {
        group: np.clip(random.normal(1, settings.body_variation, count), 0.7, 1.3)
        for group in (*_GROUPS, *_ATTACHED)
    }
    factor['hip'] *= random.uniform(1.0, settings.hips, count)
    out = poses.copy()
    for joint, name in enumerate(names):
        part = name.rpartition('_')[2]
        if part in _ATTACHED:
            side = name.rpartition('_')[0]
            parent = list(names).index(f'{side}_{_ATTACHED[part]}' if part == 'toe' else 'neck')
        else:
            parent = H36M.parents[joint]
        if parent >= 0:
            bone = poses[:, joint] - poses[:, parent]
            out[:, joint] = out[:, parent] + factor[part][:, None] * bone
    return out


def _prepared(clips: Sequence[Array]) -> Iterator[Array]:
    """Millimetres, facing +y, centred, all bodies of the mean size."""
    edges = np.array(H36M.edges)
    sizes = []
    for clip in clips:
        bones = clip[:, edges[:, 0]] - clip[:, edges[:, 1]]
        sizes.append(float(np.sqrt((bones**2).sum(axis=(1, 2))).mean()))
    mean = float(np.mean(sizes))
    for clip, size in zip(clips, sizes):
        yield centred(facing(clip * (1000 * mean / size)))


def _thinned(poses: Array, spacing: float) -> Array:
    """Poses, none of which is nearer than the spacing (RMS over joints, mm) to an earlier one."""
    flat = poses.reshape(len(poses), -1)
    limit = spacing**2 * poses.shape[1]
    kept = np.empty_like(flat)
    count = 0
    for pose in flat:
        if not count or (((kept[:count] - pose) ** 2).sum(axis=1)).min() > limit:
            kept[count] = pose
            count += 1
    return np.asarray(kept[:count].reshape(-1, *poses.shape[1:]))


def _mixture(
    x: Array, names: Sequence[str], settings: PriorSettings, random: np.random.Generator
) -> dict[str, Array]:
    centre = x.mean(axis=0)
    _, _, vt = np.linalg.svd(x - centre, full_matrices=False)
    label = _k_means((x - centre) @ vt[:12].T, settings.components, random)
    models: list[tuple[Array, Array, Array, float, float]] = []
    for _ in range(settings.iterations):
        models = [_ppca(x[label == m], len(x), settings) for m in range(settings.components)]
        likelihood = np.stack([_log_likelihood(x, *model) for model in models], axis=1)
        new = likelihood.argmax(axis=1)
        least = np.bincount(new, minlength=settings.components).min()
        if (new == label).all() or least < 2 * settings.basis:
            break
        label = new
    log.info('poses per component: %s', np.bincount(label).tolist())
    noise = [max(model[3], settings.noise_mm) for model in models]
    sigma = [np.append(1 / model[2], 1 / n) for model, n in zip(models, noise)]
    return {
        'mu': np.array([model[0] for model in models], dtype=np.float32),
        'e': np.array([model[1] for model in models], dtype=np.float32),
        'sigma': np.array(sigma, dtype=np.float32),
        'share': np.bincount(label, minlength=len(models)) / len(label),
        'joint_names': np.array(list(names)),
    }


def _k_means(x: Array, count: int, random: np.random.Generator) -> Array:
    """Labels (N,) after k-means with spread starting points."""
    starts = [x[random.integers(len(x))]]
    for _ in range(count - 1):
        distance = np.min([((x - start) ** 2).sum(axis=1) for start in starts], axis=0)
        starts.append(x[random.choice(len(x), p=distance / distance.sum())])
    middle = np.array(starts)
    label = np.zeros(len(x), dtype=int)
    for _ in range(50):
        distance = ((x[:, None] - middle[None]) ** 2).sum(axis=2)
        new = distance.argmin(axis=1)
        if (new == label).all():
            break
        label = new
        middle = np.array(
            [x[label == m].mean(axis=0) if (label == m).any() else middle[m] for m in range(count)]
        )
    return label


def _ppca(
    x: Array, total: int, settings: PriorSettings
) -> tuple[Array, Array, Array, float, float]:
    """Mean, basis (K, D), standard deviations (K,), noise, log share: maximum likelihood."""
    mean = x.mean(axis=0)
    _, s, vt = np.linalg.svd(x - mean, full_matrices=False)
    variance = s**2 / len(x)
    k = settings.basis
    # Joints hang together by bones and the mean is zero: the last directions have no variance.
    noise = float(np.sqrt(variance[k:].sum() / (x.shape[1] - k)))
    deviations = np.sqrt(np.maximum(variance[:k], 1.0))
    return mean, vt[:k], deviations, max(noise, 1.0), float(np.log(len(x) / total))


def _log_likelihood(
    x: Array, mean: Array, basis: Array, deviations: Array, noise: float, share: float
) -> Array:
    """(N,) up to a constant."""
    away = x - mean
    inside = away @ basis.T
    rest = np.maximum((away**2).sum(axis=1) - (inside**2).sum(axis=1), 0.0)
    free = x.shape[1] - len(basis)
    quadratic = ((inside / deviations) ** 2).sum(axis=1) + rest / noise**2
    determinant = 2 * np.log(deviations).sum() + 2 * free * np.log(noise)
    return np.asarray(share - 0.5 * (quadratic + determinant))


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m pose3d_ros.tools.training.pose_prior CLIPS.npz PRIOR.npz`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('clips', help='motion clips, as h36m17_train.npz')
    parser.add_argument('prior', type=Path, help='file to write (.npz)')
    parser.add_argument('--exclude', metavar='A,B', default='', help='clips to leave out')
    for name in ('components', 'basis', 'seed'):
        parser.add_argument(f'--{name}', type=int, default=getattr(PriorSettings, name))
    parser.add_argument('--notice', default='', help='where the data come from, kept in the file')
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format='%(message)s')
    excluded = [name.strip() for name in args.exclude.split(',') if name.strip()]
    settings = PriorSettings(components=args.components, basis=args.basis, seed=args.seed)
    try:
        clips, names = read_clips(args.clips, excluded)
        arrays = learn(clips, names, settings)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    # Arrays only, so that it can be read without executing anything.
    arrays = {**arrays, 'notice': np.array(args.notice)}
    np.savez_compressed(args.prior, **arrays)  # type: ignore[arg-type]
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
