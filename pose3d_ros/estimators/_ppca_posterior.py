# SPDX-License-Identifier: Apache-2.0
"""Most probable pose under a mixture of PPCA shape models, given 2D joints: arrays only.

Unlike the published fit the size of the person in the image, which nothing bounds there, is solved
by maximum likelihood, and component and angle are weighed by their evidence.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._ppca_lifting import Prior

Array = NDArray[Any]

_CACHED_MASKS = 24


@dataclass(frozen=True, eq=False)
class Posterior:
    """shape: (3, J) mm as seen: x right, y away from the camera, z up; about an arbitrary origin.

    mm_per_unit: of the image points. cost: negative log likelihood of the image points up to a
    constant; comparable for the same joints only.
    """

    shape: Array
    mm_per_unit: float
    cost: float


@dataclass(frozen=True, eq=False)
class _System:
    """Of n joints seen: as `_ppca_lifting._System`, with the mean shape beside the basis.

    The offsets are eliminated from forms. mean_start: (M, k) coefficients by the heights of the
    mean shape. mean_white: (M, A/2, 2, 2n) whitened mean, horizontal and vertical. mean_cost:
    (M, A/2, 2). determinant: (M, A/2), logarithm of the covariance's.
    """

    bx: Array
    by: Array
    gain: Array
    left: Array
    back: Array
    forms: Array
    mean_start: Array
    mean_white: Array
    mean_cost: Array
    determinant: Array


@dataclass(eq=False)
class PosteriorLifter:
    """Fits a prior to image points; remembers the matrices of the masks that it met.

    noise_mm: standard deviation of image points, at the body; 0: the prior's. What comes out is the
    mean over the most probable hypotheses, components and angles, at most so many.
    """

    prior: Prior
    noise_mm: float = 0.0
    angles: int = 48
    hypotheses: int = 64
    _systems: OrderedDict[bytes, _System] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        theta = 2 * np.pi * np.arange(self.angles) / self.angles
        self.c, self.t = np.sin(theta), np.cos(theta)
        prior = self.prior
        known = np.full(len(prior), 1 / self.noise_mm) if self.noise_mm else prior.noise
        self._precision = known**2
        self._decay = (prior.sigma / known[:, None]) ** 2
        self._log_share = np.log(prior.share)

    def fit(self, points: Array, seen: Array) -> Posterior:
        """Most probable pose for points (J, 2), x right, y down, seen (J,) of them observed."""
        system = self._system(seen)
        prior, half = self.prior, self.angles // 2
        count, n = len(prior), int(seen.sum())
        w = points[seen] - points[seen].mean(axis=0)
        scale = float(np.sqrt((w**2).mean()))
        if not scale > 0:
            raise ValueError('all joints are in one place')
        w_x, w_y = w[:, 0] / scale, w[:, 1] / scale
        start = system.gain @ w_y
        along_x = np.einsum('mnk,mk->mn', system.bx, start)
        along_y = np.einsum('mnk,mk->mn', system.by, start)
        c = self.c.reshape(2, half).T[None, :, :, None]
        t = self.t.reshape(2, half).T[None, :, :, None]
        residual = w_x - c * along_x[:, None, None] - t * along_y[:, None, None]
        white = residual @ system.forms
        noise = self._precision[:, None, None]
        ww = noise * ((white * residual).sum(axis=-1)
                      + np.einsum('i,mij,j->m', w_y, system.left, w_y)[:, None, None])  # fmt: skip
        vertical = np.einsum('mi,i->m', system.mean_white[:, 0, 0, n:], w_y)
        mean_white = system.mean_white[..., :n]
        wm = noise * ((mean_white * residual).sum(axis=-1) + vertical[:, None, None])
        free = 2 * n - 2
        size = (wm + np.sqrt(wm * wm + 4 * ww * free)) / (2 * ww)
        cost = 0.5 * (size * size * ww - 2 * size * wm + noise * system.mean_cost)
        cost -= free * (np.log(size) + 0.5 * np.log(noise))
        cost += 0.5 * system.determinant[..., None] - self._log_share[:, None, None]
        order = cost.ravel().argsort()[: self.hypotheses]
        chance = np.exp(cost.ravel()[order[0]] - cost.ravel()[order])
        order, chance = order[chance > 1e-3], chance[chance > 1e-3]
        m, row, side = np.unravel_index(order, (count, half, 2))
        a = row + half * side
        k, cs, ts = size[m, row, side], self.c[a], self.t[a]
        white_x = k[:, None] * white[m, row, side] - mean_white[m, row, side]
        turned = cs[:, None] * np.einsum('hnk,hn->hk', system.bx[m], white_x)
        turned += ts[:, None] * np.einsum('hnk,hn->hk', system.by[m], white_x)
        x = k[:, None] * start[m] - system.mean_start[m]
        x += np.einsum('hij,hj->hi', system.back[m], turned)
        shapes = prior.mu[m] + np.einsum('hk,hkij->hij', x, prior.e[m])
        cs, ts = cs[:, None], ts[:, None]
        right, away = shapes[:, 0], shapes[:, 1]
        shapes = np.stack([cs * right + ts * away, cs * away - ts * right, shapes[:, 2]], axis=1)
        shapes -= shapes[:, :, seen].mean(axis=2, keepdims=True)
        chance /= chance.sum()
        shape = np.tensordot(chance, shapes, 1)
        return Posterior(shape, float(chance @ k) / scale, float(cost.ravel()[order[0]]))

    def _system(self, seen: Array) -> _System:
        key = seen.tobytes()
        found = self._systems.get(key)
        if found is None:
            found = self._systems[key] = self._prepare(seen)
            if len(self._systems) > _CACHED_MASKS:
                self._systems.popitem(last=False)
        else:
            self._systems.move_to_end(key)
        return found

    def _prepare(self, seen: Array) -> _System:
        prior, half = self.prior, self.angles // 2
        n = int(seen.sum())
        # The image is seen up to a shift: what moves all joints alike is taken out.
        unit = np.full(n, 1 / np.sqrt(n))
        hide = np.eye(n) - 1 / n
        basis, mean = prior.e[..., seen], prior.mu[..., seen]
        bx, by, bz = (np.ascontiguousarray(basis[:, :, i].transpose(0, 2, 1)) for i in range(3))
        bz = -hide @ bz
        mean_z = -mean[:, 2] @ hide
        k = bz.shape[2]
        normal = bz.transpose(0, 2, 1) @ bz
        normal[:, range(k), range(k)] += self._decay
        back = np.linalg.inv(normal)
        gain = back @ bz.transpose(0, 2, 1)
        left = np.eye(n) - bz @ gain
        half_x, half_y = bx @ back, by @ back
        xx, yy = half_x @ bx.transpose(0, 2, 1), half_y @ by.transpose(0, 2, 1)
        xy = half_x @ by.transpose(0, 2, 1)
        c, t = self.c[None, :half, None, None], self.t[None, :half, None, None]
        forms = c * c * xx[:, None] + t * t * yy[:, None]
        forms += c * t * (xy + xy.transpose(0, 2, 1))[:, None]
        forms[..., range(n), range(n)] += 1
        determinant = np.linalg.slogdet(normal)[1] - np.log(self._decay).sum(axis=1)
        determinant = determinant[:, None] + np.linalg.slogdet(forms)[1]
        forms = np.linalg.inv(forms)
        rows = forms @ unit
        sums = rows @ unit
        determinant = determinant + np.log(sums)
        forms = forms - rows[..., :, None] * (rows / sums[..., None])[..., None, :]
        mean_start = np.einsum('mkn,mn->mk', gain, mean_z)
        mean_x = mean[:, 0] - np.einsum('mnk,mk->mn', bx, mean_start)
        mean_y = mean[:, 1] - np.einsum('mnk,mk->mn', by, mean_start)
        both_c = self.c.reshape(2, half).T[None, :, :, None]
        both_t = self.t.reshape(2, half).T[None, :, :, None]
        residual = both_c * mean_x[:, None, None] + both_t * mean_y[:, None, None]
        white = residual @ forms
        vertical = np.einsum('mij,mj->mi', left, mean_z)
        cost = (white * residual).sum(axis=-1) + (vertical * mean_z).sum(axis=1)[:, None, None]
        tail = np.broadcast_to(vertical[:, None, None], (*white.shape[:3], n))
        return _System(
            bx=bx,
            by=by,
            gain=gain,
            left=left,
            back=back,
            forms=forms,
            mean_start=mean_start,
            mean_white=np.concatenate([white, tail], axis=-1),
            mean_cost=cost,
            determinant=determinant,
        )
