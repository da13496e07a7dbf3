# SPDX-License-Identifier: Apache-2.0
"""Lifting 2D joints with a mixture of PPCA shape models (Tome et al., CVPR 2017): arrays only.

Canonical frame of a prior: millimetres, z up, the person faces +y with the right side at +x.
Normalised image points have x to the left, y up and a vertical extent of 2. A shape is seen turned
about the vertical by one of a grid of angles, scaled and shifted sideways, without perspective.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...skeleton import SKELETONS
from ...types import Array
from .stacked_inverse import inverse

ANGLES = 100
MIN_JOINTS = 5
H36M = SKELETONS['h36m_17']
LIMBS = np.array(H36M.edges)

# Numbers of the published program.
SHAPE_WEIGHT = 5.2
_OFFSET = 1e-5  # regulariser of the sideways offsets
_SCALE_PRIOR = 0.003
_CAP = -0.001
_IMAGE_WEIGHT = 1.55
_SIZE = 0.97 * 1174.88312988  # root of the summed squares of the limbs, mm
_CACHED_MASKS = 24
_METRE = 1000.0  # the mean shape is solved for in metres, so that all columns are of one size
_PULL = _SCALE_PRIOR / _OFFSET


@dataclass(frozen=True, eq=False)
class Prior:
    """M components of K basis shapes for J joints.

    mu: (M, 3, J) mm. e: (M, K, 3, J) orthonormal. sigma: (M, K) inverse standard deviations of the
    coefficients, noise: (M,) that of the rest, 1/mm. joints: J names (h36m_17 comes first). share:
    (M,) of all poses; equal if empty.
    """

    mu: Array
    e: Array
    sigma: Array
    noise: Array
    joints: tuple[str, ...] = H36M.names
    share: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if not self.share.size:
            object.__setattr__(self, 'share', np.full(len(self.mu), 1 / len(self.mu)))

    @classmethod
    def load(cls, path: str | Path) -> Prior:
        """Read a .mat or .npz file with mu, e and sigma; ModelError if it is no prior."""
        path = Path(path)
        if not path.is_file():
            raise ModelError(f'the pose prior {path} does not exist')
        try:
            if path.suffix.lower() == '.mat':
                data: Any = _read_mat(path)
                joints: Any = None
            else:
                with np.load(path, allow_pickle=False) as archive:
                    data = {name: archive[name] for name in archive.files}
                joints = data.get('joint_names')
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(f'{path} cannot be read as a pose prior: {error}') from error
        missing = [name for name in ('mu', 'e', 'sigma') if name not in data]
        if missing:
            raise ModelError(f'{path} is no pose prior: {", ".join(missing)} missing')
        names = H36M.names if joints is None else tuple(str(name) for name in joints)
        share = np.asarray(data.get('share', np.zeros(0)), dtype=float)
        return cls.from_arrays(data['mu'], data['e'], data['sigma'], names, share, str(path))

    @classmethod
    def from_arrays(
        cls,
        mu: Array,
        e: Array,
        sigma: Array,
        joints: tuple[str, ...],
        share: Array,
        origin: str = 'prior',
    ) -> Prior:
        """From the layout of the files: mu (M, 3J), e (M, K, 3J), sigma (M, K + 1)."""
        mu, e, sigma = (np.asarray(a, dtype=float) for a in (mu, e, sigma))
        size = 3 * len(joints)
        fits = mu.ndim == 2 and e.ndim == 3 and mu.shape[1] == size and len(mu) == len(e)
        if not fits or e.shape[2] != size or sigma.shape != (len(mu), e.shape[1] + 1):
            raise ModelError(
                f'{origin} is no prior of {len(joints)} joints: mu {mu.shape}, e {e.shape}, '
                f'sigma {sigma.shape}; expected (M, {size}), (M, K, {size}), (M, K + 1)'
            )
        if not all(np.isfinite(a).all() for a in (mu, e, sigma)) or (sigma <= 0).any():
            raise ModelError(f'{origin} is no prior: sigma must be positive, all numbers finite')
        if share.size and (share.shape != (len(mu),) or not (share > 0).all()):
            raise ModelError(f'{origin} is no prior: share must be {len(mu)} positive numbers')
        if joints[: len(H36M)] != H36M.names:
            raise ModelError(f'{origin}: the first 17 joints must be those of {H36M.name}')
        parts = len(mu), 3, len(joints)
        shapes = e.reshape(len(mu), -1, 3, len(joints))
        return cls(mu.reshape(parts), shapes, sigma[:, :-1], sigma[:, -1], joints, share)

    def __len__(self) -> int:
        return len(self.mu)


def _read_mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return dict(loadmat(path))
    except (MatReadError, NotImplementedError, TypeError, KeyError, IndexError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


@dataclass(frozen=True, eq=False)
class Fit:
    """The best fit of one person, and of each component.

    beta: (K,), offset: (2,) along canonical x and y, in normalised units; scale is negative.
    residuals, scales, angles, scores: (M,).
    """

    component: int
    angle: int
    scale: float
    offset: Array
    beta: Array
    residuals: Array
    scales: Array
    angles: Array
    scores: Array


@dataclass(frozen=True, eq=False)
class _System:
    """What depends on prior, shape weight and the n observed joints; all M components at once.

    No angle changes the vertical coordinates, so the k coefficients are eliminated by them first.
    What remains is an (n, n) system for the horizontal coordinates, the same for opposite angles;
    of it the sideways offset is eliminated in turn.

    bx, by: (M, n, k) columns along canonical x and y. gain: (M, k, n) from w_y to coefficients.
    left: (M, n, n), w_y left w_y is their energy. back: (M, k, k) inverse of the vertical system.
    forms: (M, A/2, n, n) inverse systems. rows: (M, A/2, n) their sums. sums: (M, A/2) of those,
    with the regulariser of the offset.
    """

    bx: Array
    by: Array
    gain: Array
    left: Array
    back: Array
    forms: Array
    rows: Array
    sums: Array


@dataclass(eq=False)
class Lifter:
    """Fits a prior to normalised points; remembers the matrices of the masks that it met."""

    prior: Prior
    shape_weight: float = SHAPE_WEIGHT
    angles: int = ANGLES
    _systems: OrderedDict[tuple[bytes, bool], _System] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        theta = 2 * np.pi * np.arange(self.angles) / self.angles
        self.c, self.t = np.sin(theta), np.cos(theta)
        prior = self.prior
        self._with_mean = np.concatenate([prior.mu[:, None] / _METRE, prior.e], axis=1)
        self._penalty = -np.log(prior.sigma).sum(axis=1) - 23 * np.log(prior.noise)
        self._decay = (self.shape_weight * prior.sigma / prior.noise[:, None]) ** 2
        # The two offsets move the image along one direction; (A,) their joint stiffness.
        self._stiff = 2 * self.c**2 + self.t**2
        half = self.angles // 2
        self._epsilon = _OFFSET**2 / (self._stiff[:half] * prior.noise[:, None] ** 2)

    def fit(self, points: Array, observed: Array) -> Fit:
        """Best component, angle and shape for points (J, 2), of which observed (J,) count."""
        w = points[observed]
        angles, scales, betas, offsets, energies = self._solve(w, observed, held=False)
        capped = scales > _CAP
        if capped.any():
            again = self._solve(w, observed, held=True)
            for old, new in zip((angles, scales, betas, offsets, energies), again):
                old[capped] = new[capped]
        return self._choose(angles, scales, betas, offsets, energies)

    def _solve(
        self, w: Array, observed: Array, held: bool
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Best angles (M,), scales (M,), coefficients (M, K), offsets (M, 2), energies (M,).

        held: the scale is fixed at the cap.
        """
        system = self._system(observed, held)
        prior = self.prior
        count = np.arange(len(prior))
        half, n = self.angles // 2, len(w)
        w_x, w_y = w[:, 0], np.broadcast_to(w[:, 1], (len(prior), n))
        mean_x = mean_y = np.zeros((len(prior), n))
        pull = 0.0
        if held:
            mean_x, mean_y, mean_z = np.moveaxis(_CAP * prior.mu[:, :, observed], 1, 0)
            w_y = w_y + mean_z
            pull = _PULL
        start = np.einsum('mkn,mn->mk', system.gain, w_y)
        vertical = np.einsum('mi,mij,mj->m', w_y, system.left, w_y)
        along_x = mean_x + np.einsum('mnk,mk->mn', system.bx, start)
        along_y = mean_y + np.einsum('mnk,mk->mn', system.by, start)
        c, t = self.c[None, :, None], self.t[None, :, None]
        # Residuals (M, A/2, 2, n): the last but one axis holds an angle and its opposite.
        residual = w_x - c * along_x[:, None] - t * along_y[:, None]
        residual = residual.reshape(len(prior), 2, half, n).transpose(0, 2, 1, 3)
        whitened = residual @ system.forms
        epsilon = self._epsilon[..., None]
        g = pull * self.c.reshape(2, half).T[None]
        shift = whitened.sum(axis=-1) - epsilon * g
        energy = (whitened * residual).sum(axis=-1) + epsilon * g * g
        energy -= shift * shift / system.sums[..., None]
        flat = energy.transpose(0, 2, 1).reshape(len(prior), self.angles)
        best = flat.argmin(axis=1)
        row, side = best % half, best // half
        s = shift[count, row, side] / system.sums[count, row]
        white = whitened[count, row, side] - s[:, None] * system.rows[count, row]
        c, t = self.c[best], self.t[best]
        seen_from = c[:, None, None] * system.bx + t[:, None, None] * system.by
        back = np.einsum('mnk,mn->mk', seen_from, white)
        x = start + np.einsum('mij,mj->mi', system.back, back)
        k = (s + pull * c) / self._stiff[best]
        offsets = np.stack([2 * c * k - pull, t * k], axis=1)
        lowest = (vertical + flat[count, best]) * prior.noise**2
        if held:
            return best, np.full(len(prior), _CAP), x, offsets, lowest
        return best, x[:, 0] / _METRE, x[:, 1:], offsets, lowest + _SCALE_PRIOR**2

    def _system(self, observed: Array, held: bool) -> _System:
        key = observed.tobytes(), held
        system = self._systems.get(key)
        if system is None:
            system = self._systems[key] = self._prepare(observed, held)
            if len(self._systems) > _CACHED_MASKS:
                self._systems.popitem(last=False)
        else:
            self._systems.move_to_end(key)
        return system

    def _prepare(self, observed: Array, held: bool) -> _System:
        prior, decay = self.prior, self._decay
        basis = prior.e if held else self._with_mean
        if not held:
            decay = np.pad(decay, ((0, 0), (1, 0)))
        bx, by, bz = (basis[:, :, axis][..., observed].transpose(0, 2, 1) for axis in range(3))
        bz = -bz
        n, k = bz.shape[1:]
        normal = bz.transpose(0, 2, 1) @ bz
        normal[:, range(k), range(k)] += decay
        back = np.linalg.inv(normal)
        gain = back @ bz.transpose(0, 2, 1)
        half_x, half_y = bx @ back, by @ back
        xx, yy = half_x @ bx.transpose(0, 2, 1), half_y @ by.transpose(0, 2, 1)
        xy = half_x @ by.transpose(0, 2, 1)
        half = self.angles // 2
        c, t = self.c[:half], self.t[:half]
        parts = np.stack([xx, xy + xy.transpose(0, 2, 1), yy], axis=1)
        forms = np.stack([c * c, c * t, t * t], axis=1) @ parts.reshape(len(prior), 3, n * n)
        forms = forms.reshape(len(prior), half, n, n)
        forms[..., range(n), range(n)] += 1
        forms, _ = inverse(forms)
        rows = forms.sum(axis=-1)
        sums = rows.sum(axis=-1) + self._epsilon
        return _System(bx, by, gain, np.eye(n) - bz @ gain, back, forms, rows, sums)

    def fit_least_squares(self, points: Array, observed: Array) -> Fit:
        """The same by one least-squares problem for each component and angle: exact, and slow."""
        w = points[observed].T.ravel()
        fits = []
        for m in range(len(self.prior)):
            angle, x, energy = self._least_squares(m, w, observed, held=False)
            if x[0] > _CAP:
                angle, x, energy = self._least_squares(m, w, observed, held=True)
            fits.append((angle, x[0], x[3:], x[1:3], energy))
        angles, scales, betas, offsets, energies = (np.array(values) for values in zip(*fits))
        return self._choose(angles, scales, betas, offsets, energies)

    def _least_squares(
        self, m: int, w: Array, observed: Array, held: bool
    ) -> tuple[int, Array, float]:
        """Best angle; scale, offsets and coefficients; energy."""
        prior = self.prior
        noise, gamma = prior.noise[m], self.shape_weight * prior.sigma[m]
        basis = np.concatenate([prior.mu[m][None] / _METRE, prior.e[m]])[:, :, observed]
        n, k = basis.shape[2], len(gamma)
        best: tuple[int, Array, float] | None = None
        for a, (c, t) in enumerate(zip(self.c, self.t)):
            image = np.concatenate([c * basis[:, 0] + t * basis[:, 1], -basis[:, 2]], axis=1)
            A, b = np.zeros((2 * n + 2 + k, 3 + k)), np.zeros(2 * n + 2 + k)
            A[: 2 * n, 0], A[: 2 * n, 3:] = image[0], image[1:].T
            A[:n, 1], A[:n, 2] = c, t
            A[: 2 * n] *= noise
            b[: 2 * n] = noise * w
            A[2 * n, 1], A[2 * n + 1, 2] = _OFFSET * np.sqrt(0.5), _OFFSET
            A[2 * n + 2 :, 3:] = np.diag(gamma)
            if held:
                b[: 2 * n] -= A[: 2 * n, 0] * (_CAP * _METRE)
                b[2 * n] = -_SCALE_PRIOR * np.sqrt(0.5)
                A = A[:, 1:]
            x = np.linalg.lstsq(A, b, rcond=None)[0]
            energy = float(((b - A @ x) ** 2).sum())
            if best is None or energy < best[2]:
                best = a, x, energy
        assert best is not None
        a, x, energy = best
        if held:
            return a, np.concatenate([[_CAP], x]), energy
        x[0] /= _METRE
        return a, x, energy + _SCALE_PRIOR**2

    def _choose(
        self, angles: Array, scales: Array, betas: Array, offsets: Array, energies: Array
    ) -> Fit:
        scores = energies / 2 + scales**2 * self._penalty
        m = int(scores.argmin())
        return Fit(
            component=m,
            angle=int(angles[m]),
            scale=float(scales[m]),
            offset=offsets[m],
            beta=betas[m],
            residuals=energies / 2,
            scales=scales,
            angles=angles,
            scores=scores,
        )

    def shape(self, fit: Fit) -> Array:
        """(3, J) mm: x right, y away from the camera, z up; about the prior's origin."""
        prior, m = self.prior, fit.component
        shape = prior.mu[m] + np.tensordot(fit.beta / fit.scale, prior.e[m], 1)
        shape[:2] += (fit.offset / fit.scale)[:, None]
        c, t = self.c[fit.angle], self.t[fit.angle]
        return np.stack([c * shape[0] + t * shape[1], c * shape[1] - t * shape[0], shape[2]])


def normalise(points: Array, observed: Array) -> tuple[Array, float]:
    """Points (J, 2), x right and y down, centred and divided by the negative half height.

    Joints that are not observed stay as they are, without influence. Also returns the half height.
    """
    out = np.array(points, dtype=float)
    part = out[observed] - out[observed].mean(axis=0)
    low, high = part[:, 1].min(), part[:, 1].max()
    half = float(low - high) / 2 or 1.0
    out[observed] = part / half
    return out, half


def blend(shape: Array, fit: Fit, points: Array, weights: Array) -> Array:
    """(3, 17) mm as published: shape (3, 17) of `Lifter.shape` drawn to the normalised points.

    points (17, 2), weights (17,) 0 or 1. x right, y away, z up; every body has the same size.
    """
    size = abs(fit.scale)
    pull = _IMAGE_WEIGHT * weights
    x = (size * shape[0] - pull * points[:, 0]) / (1 + pull)
    z = (size * shape[2] + pull * points[:, 1]) / (1 + pull)
    body = np.stack([x, size * shape[1], z])
    limbs = body[:, LIMBS[:, 0]] - body[:, LIMBS[:, 1]]
    total = float(np.sqrt((limbs**2).sum()))
    return body * (_SIZE / total)


def lift_as_published(
    lifter: Lifter, pixels: Array, observed: Array, *, faults: bool = False, exact: bool = False
) -> list[Array | None]:
    """(3, 17) mm for each of P people, None for those with too few joints.

    pixels: (P, 17, 2), x right and y down. observed: (P, 17). Results: x right, y away from the
    camera, z up. faults: everybody is scaled by the observed joints of the first person, and there
    is a result for all or for none. exact: least squares, slow.
    """
    enough = observed.sum(axis=1) >= MIN_JOINTS
    if faults:
        enough = np.full(len(observed), enough.any())
    out: list[Array | None] = []
    for points, mask, usable in zip(np.nan_to_num(pixels), observed, enough):
        if not usable:
            out.append(None)
            continue
        w, _ = normalise(points, observed[0] if faults else mask)
        padded = np.zeros((len(lifter.prior.joints), 2))
        padded[: len(H36M)] = w
        padded_mask = np.zeros(len(padded), dtype=bool)
        padded_mask[: len(H36M)] = mask
        fit = (lifter.fit_least_squares if exact else lifter.fit)(padded, padded_mask)
        out.append(blend(lifter.shape(fit)[:, : len(H36M)], fit, w, mask.astype(float)))
    return out
