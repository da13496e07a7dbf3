# SPDX-License-Identifier: Apache-2.0
"""Where recorded results and clips are looked for: beside the checkout, or where one says.

For use at collection (`@pytest.mark.parametrize`); within tests the fixtures of conftest.py skip
with a reason.
"""

from __future__ import annotations

import os
from pathlib import Path

_SHARED = Path(__file__).absolute().parents[2] / 'shared'

PARITY = Path(os.environ.get('POSE3D_PARITY') or _SHARED / 'parity')
DATA = Path(os.environ.get('POSE3D_DATA') or _SHARED / 'data')


def parity_files(folder: str, pattern: str) -> list[Path]:
    """Recorded results of one estimator, in order; empty where there are none."""
    return sorted((PARITY / folder).glob(pattern))
