# SPDX-License-Identifier: Apache-2.0
"""Most probable pose under a mixture of PPCA shape models, given 2D joints: arrays only.

Unlike the published fit the size of the person in the image, which nothing bounds there, is solved
by maximum likelihood, and component and angle are weighed by their evidence.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from ...types import Array
from .prior import Prior
from .stacked_inverse import inverse

_CACHED_MASKS = 24
_UNLIKELY = np.log(1e3)  # hypotheses that cost so much more than the best are left out


@dataclass(frozen=True, eq=False)
class Posterior:
    """shape: (3, J) mm: x right, y away from the camera, z up; about an arbitrary origin.

    mm_per_unit: of the image points. cost: negative log likelihood of the image points up to a
    constant; comparable for the same joints only.
    """

    shape: Array
    mm_per_unit: float
    cost: float


@dataclass(frozen=True, eq=False)
class _System:
    """What depends on the n observed joints, for all M components and A/2 angles.

    The image counts up to a shift: it is described by q = n - 1 differences of its points, which
    `differences` (q, n) makes of them. Everything is in units of the noise. Heights do not depend
    on the angle and are explained first; what is left of the horizontal coordinates comes after.

    basis: (M, K, 3q) of canonical x, y and down. left: (M, q, q) inverse covariance of heights.
    along: (M, 2q, q) canonical x and y by heights. forms: (M, A/2, q, q) inverse covariances of
    the rest. mean_left: (M, q) left on the mean's heights. mean_white: (M, A/2, q) forms
    on the rest of the mean. constant: (M, A/2, 1) of the cost.
    """

    differences: Array
    basis: Array
    left: Array
    along: Array
    forms: Array
    mean_left: Array
    mean_white: Array
    constant: Array


@dataclass(frozen=True, eq=False)
class _Hypotheses:
    """All components and angles for P sets of points, which were divided by scale (P,).

    cost, size (mm per unit): (2, M, A/2, P), angles and their opposites. by_height: (M, q, P) left
    on the heights. white_w, white_along: (M, A/2, q, P) forms on the horizontal coordinates, and
    on what the heights say of them.
    """

    system: _System
    scale: Array
    cost: Array
    size: Array
    by_height: Array
    white_w: Array
    white_along: Array


@dataclass(eq=False)
class PosteriorLifter:
    """Fits a prior to image points; remembers the matrices of the masks that it met.

    noise_mm: standard deviation of image points, at the body; 0: the prior's. What comes out is the
    mean over the most probable hypotheses, components and angles, at most so many.
    """

    prior: Prior
    noise_mm: float = 0.0
    angles: int = 24
    hypotheses: int = 64
    _systems: OrderedDict[bytes, _System] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        prior = self.prior
        # An angle and its opposite share their matrices.
        theta = 2 * np.pi * np.arange(self.angles // 2) / self.angles
        self.c, self.t = np.sin(theta), np.cos(theta)
        self._turns = np.stack([self.c, self.t], axis=1)
        self._squares = np.stack([self.c**2, self.c * self.t, self.t**2], axis=1)
        inverse_noise = np.full(len(prior), 1 / self.noise_mm) if self.noise_mm else prior.noise
        self._precision = (inverse_noise**2)[:, None, None]
        # One standard deviation of each coefficient, in units of the noise.
        self._steps = prior.e * (inverse_noise[:, None] / prior.sigma)[..., None, None]
        flat = self._steps.reshape(len(prior), -1, 3 * len(prior.joints))
        self._shapes = np.concatenate([flat, prior.mu.reshape(len(prior), 1, -1)], axis=1)

    def fit(self, points: Array, observed: Array) -> Posterior:
        """Most probable pose for points (J, 2), x right, y down, of which observed (J,) count."""
        (posterior,) = self.fit_all(points[None], observed)
        return posterior

    def fit_all(self, points: Array, observed: Array) -> list[Posterior]:
        """The same for points (P, J, 2), of all of which the same joints are observed."""
        hypotheses = self._hypotheses(points, observed)
        least = hypotheses.cost.min(axis=(0, 1, 2))
        out = []
        for p, (cost, scale) in enumerate(zip(least.tolist(), hypotheses.scale.tolist())):
            shape, mm = self._mean(hypotheses, p)
            shape -= shape[:, observed].mean(axis=1, keepdims=True)
            out.append(Posterior(shape, mm / scale, cost))
        return out

    def costs(self, points: Array, observed: Array) -> Array:
        """(P,) only the costs of that."""
        return np.asarray(self._hypotheses(points, observed).cost.min(axis=(0, 1, 2)))

    def _hypotheses(self, points: Array, observed: Array) -> _Hypotheses:
        system = self._system(observed)
        count, half, q = system.mean_white.shape
        points = points[:, observed]
        if not np.ptp(points, axis=1).any(axis=1).all():
            raise ValueError('all joints are in one place')
        w = system.differences @ points
        free = 2 * q
        scale = np.sqrt((w**2).sum(axis=(1, 2)) / (free + 2))
        # From here on P is the last axis; in one piece, for the sake of matrix products.
        w_x, w_y = np.ascontiguousarray(w.transpose(2, 1, 0)) / scale
        by_height = system.left @ w_y
        along = (system.along @ w_y).reshape(count, 2, -1)
        along = (self._turns @ along).reshape(count, half, q, -1)
        white_w = (system.forms.reshape(-1, q) @ w_x).reshape(along.shape)
        white_along = system.forms @ along
        mean_white = system.mean_white
        # Seen from the opposite angle, what is along comes reversed, and so does the mean.
        even = (white_w * w_x).sum(axis=2) + (white_along * along).sum(axis=2)
        even += (by_height * w_y).sum(axis=1)[:, None]
        ww = _both(even, -2 * (white_w * along).sum(axis=2))
        even = (system.mean_left @ w_y)[:, None] - (mean_white[:, :, None] @ along)[:, :, 0]
        wm = _both(even, mean_white @ w_x)
        ww, wm = self._precision * ww, self._precision * wm
        size = (wm + np.sqrt(wm * wm + 4 * free * ww)) / (2 * ww)
        cost = 0.5 * size * (size * ww - 2 * wm) - free * np.log(size) + system.constant
        return _Hypotheses(system, scale, cost, size, by_height, white_w, white_along)

    def _mean(self, hypotheses: _Hypotheses, p: int) -> tuple[Array, float]:
        """(3, J) mm, and mm per unit of the scaled points: mean over the most probable ones."""
        system, white_w, white_along = hypotheses.system, hypotheses.white_w, hypotheses.white_along
        chosen, chance = self._probable(hypotheses.cost[..., p])
        side, m, row = np.unravel_index(chosen, hypotheses.cost.shape[:-1])
        k, sign = hypotheses.size[side, m, row, p], 1.0 - 2 * side
        # What explains the image, horizontally, in canonical x and y.
        white = white_w[m, row, :, p] - sign[:, None] * white_along[m, row, :, p]
        white = k[:, None] * white - sign[:, None] * system.mean_white[m, row]
        cs, ts = sign * self.c[row], sign * self.t[row]
        cause = np.concatenate(
            [cs[:, None] * white, ts[:, None] * white, k[:, None], np.ones((len(k), 1))], axis=1
        )
        # Sums over the hypotheses of each component, times cosine, sine and one.
        weights = chance * (m == np.arange(len(self.prior))[:, None])
        cause = np.stack([cs * weights, ts * weights, weights], axis=1) @ cause
        flat, k_sum, total = cause[..., :-2], cause[..., -2:-1], cause[..., -1:]
        down = k_sum * hypotheses.by_height[:, None, :, p] - total * system.mean_left[:, None]
        down -= flat @ system.along
        forces = np.concatenate([flat, down], axis=-1)
        steps = np.concatenate([forces @ system.basis.transpose(0, 2, 1), total], axis=-1)
        # (3, J) canonical x, y and z of each sum.
        c, t, one = (steps @ self._shapes).sum(axis=0).reshape(3, 3, -1)
        return np.stack([c[0] + t[1], c[1] - t[0], one[2]]), float(chance @ k)

    def _probable(self, cost: Array) -> tuple[Array, Array]:
        """Flat indices (H,) of the most probable hypotheses, and their shares."""
        flat = cost.ravel()
        chosen = np.flatnonzero(flat < flat.min() + _UNLIKELY)
        if len(chosen) > self.hypotheses:
            chosen = chosen[flat[chosen].argsort(kind='stable')[: self.hypotheses]]
        chance = np.exp(flat.min() - flat[chosen])
        return chosen, chance / chance.sum()

    def _system(self, observed: Array) -> _System:
        key = observed.tobytes()
        system = self._systems.get(key)
        if system is None:
            system = self._systems[key] = self._prepare(observed)
            if len(self._systems) > _CACHED_MASKS:
                self._systems.popitem(last=False)
        else:
            self._systems.move_to_end(key)
        return system

    def _prepare(self, observed: Array) -> _System:
        prior, n = self.prior, int(observed.sum())
        differences, q, count = helmert(n), n - 1, len(self.prior)
        down = np.array([1.0, 1.0, -1.0])[:, None]
        basis = (down * self._steps[..., observed]) @ differences.T
        basis = basis.reshape(count, -1, 3 * q)
        mean = (down * prior.mu[..., observed]) @ differences.T
        covariance = basis.transpose(0, 2, 1) @ basis
        heights = covariance[:, 2 * q :, 2 * q :]
        heights[:, range(q), range(q)] += 1
        left, determinant = inverse(heights)
        along = covariance[:, : 2 * q, 2 * q :] @ left
        rest = covariance[:, : 2 * q, : 2 * q] - along @ covariance[:, 2 * q :, : 2 * q]
        xx, xy, yy = rest[:, :q, :q], rest[:, :q, q:], rest[:, q:, q:]
        parts = np.stack([xx, xy + xy.transpose(0, 2, 1), yy], axis=1).reshape(count, 3, -1)
        forms = (self._squares @ parts).reshape(count, -1, q, q)
        forms[..., range(q), range(q)] += 1
        forms, more = inverse(forms)
        mean_z = mean[:, 2, :, None]
        mean_left = (left @ mean_z)[..., 0]
        mean_rest = mean[:, :2].reshape(count, -1) - (along @ mean_z)[..., 0]
        mean_rest = self._turns @ mean_rest.reshape(count, 2, q)
        mean_white = (forms @ mean_rest[..., None])[..., 0]
        energy = (mean_white * mean_rest).sum(axis=-1)
        energy += (mean_left * mean[:, 2]).sum(axis=-1)[:, None]
        noise = self._precision[..., 0]
        constant = 0.5 * (noise * energy + determinant[:, None] + more) - q * np.log(noise)
        constant -= np.log(prior.share)[:, None]
        return _System(
            differences=differences,
            basis=basis,
            left=left,
            along=along,
            forms=forms,
            mean_left=mean_left,
            mean_white=mean_white,
            constant=constant[..., None],
        )


def _both(even: Array, odd: Array) -> Array:
    """(2, ...) for an angle and for its opposite, which changes the sign of the odd part."""
    return np.stack([even + odd, even - odd])


def helmert(count: int) -> Array:
    """(N - 1, N) orthonormal rows that all sum to zero."""
    rows = np.tril(np.ones((count - 1, count)))
    step = np.arange(1, count)
    rows[step - 1, step] = -step
    return np.asarray(rows / np.sqrt(step * (step + 1.0))[:, None])
