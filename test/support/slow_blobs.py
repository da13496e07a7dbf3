# SPDX-License-Identifier: Apache-2.0
"""The estimator of blobs, as slow as a network."""

from .blobs import Estimator as _Estimator
from .blobs import Options

__all__ = ['Estimator', 'Options']


class Estimator(_Estimator):
    """33 milliseconds for each image."""

    slow_ms = 33.0
