# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from pose3d_ros.cli.main import main


def test_missing_data_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('torch')
    arguments = ['train', 'lifter', '--data', str(tmp_path / 'no.npz'), '--out', str(tmp_path)]
    assert main(arguments) == 3
    assert 'no.npz' in capsys.readouterr().err


def test_senseless_numbers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['train', 'lifter', '--data', 'x', '--out', 'y', '--steps', '0']) == 2
    assert '--steps' in capsys.readouterr().err
