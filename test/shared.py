# SPDX-License-Identifier: Apache-2.0
"""Recorded results and clips: those of the repository, and more beside the checkout.

For use at collection (`@pytest.mark.parametrize`); within tests the fixtures of conftest.py skip
with a reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_TEST = Path(__file__).absolute().parent
_SHARED = _TEST.parents[1] / 'shared'
_BUNDLED = _TEST / 'data' / 'parity'

DATA = Path(os.environ.get('POSE3D_DATA') or _SHARED / 'data')
"""Clips with ground truth, photographs, motion data."""
CLIPS = DATA / 'synthetic' if (DATA / 'synthetic').is_dir() else _TEST.parent / 'demo'
"""Rendered clips: all of them, or the two that the package brings."""
_MORE = Path(os.environ.get('POSE3D_PARITY') or _SHARED / 'parity')
PARITY = _MORE if _MORE.is_dir() else _BUNDLED
"""Recorded results of the published programs."""
Recorded = Callable[[str], Path]
"""The fixture `recorded`."""


def parity_files(folder: str, pattern: str) -> list[Path]:
    """Recorded results of one estimator, in order, of both folders."""
    files = {
        path.name: path for root in (_BUNDLED, PARITY) for path in (root / folder).glob(pattern)
    }
    return [files[name] for name in sorted(files)]


def parity_file(name: str) -> Path | None:
    """One file of recorded results; None if it is in neither folder."""
    return next((root / name for root in (PARITY, _BUNDLED) if (root / name).is_file()), None)


def stem_of(path: object) -> str | None:
    """Name of a test of a recorded case; None where there are no cases."""
    return getattr(path, 'stem', None)
