# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np

from published import lifter_codecs


def test_an_empty_clip_has_no_scale() -> None:
    assert not lifter_codecs.crop_scale(np.zeros((5, 17, 3))).any()
