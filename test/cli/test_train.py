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


def test_devices_that_are_not_there_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip('torch')
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    for device in ('cuda', 'toaster'):
        arguments = ['train', 'lifter', '--data', 'x', '--out', 'y', '--device', device]
        assert main(arguments) == 2
        assert f'--device {device}' in capsys.readouterr().err


@pytest.mark.slow
def test_from_motion_to_a_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip('torch')
    pytest.importorskip('onnx')
    import numpy as np
    from support.motion import walker

    joints = walker().joints
    arrays = {f'{s}_01': joints[:, :17] for s in ('01', '02', '06')}
    arrays |= {f'{name}__extra': joints[:, 17:] for name in list(arrays)}
    np.savez(tmp_path / 'motion.npz', **arrays)
    arguments = ['train', 'lifter', '--data', str(tmp_path / 'motion.npz'), '--out', str(tmp_path)]
    arguments += ['--steps', '2', '--batch', '16', '--width', '16', '--bf16']
    assert main(arguments) == 0
    assert 'P-MPJPE' in capsys.readouterr().out
    assert (tmp_path / 'lifter_cmu.onnx').is_file()
