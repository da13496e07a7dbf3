# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('torch')
pytest.importorskip('onnx')

from support.motion import walker

from pose3d_ros.errors import InputError
from pose3d_ros.tools.training.lifter import Training, finish, train
from pose3d_ros.tools.training.motion import Take

pytestmark = pytest.mark.slow

SMALL = {'batch': 32, 'width': 16, 'pool': 2, 'passes': 1}


def takes() -> list[Take]:
    base = walker().joints
    return [Take(f'{s}_01', s, base) for s in ('01', '02', '06', '08', '16')]


def test_training_resumes_where_it_stopped(tmp_path: Path) -> None:
    whole = train(takes(), Training(steps=6, **SMALL), tmp_path / 'a.pt')

    class Stop(Exception):
        pass

    def stop(step: int, numbers: dict[str, float]) -> None:
        raise Stop

    settings = Training(steps=6, **SMALL)
    with pytest.raises(Stop):
        train(takes(), settings, tmp_path / 'b.pt', stop)
    again = train(takes(), settings, tmp_path / 'b.pt')
    for a, b in zip(whole.parameters(), again.parameters()):
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    with pytest.raises(InputError, match='another output folder'):
        train(takes(), Training(steps=7, **SMALL), tmp_path / 'b.pt')


def test_what_is_trained_runs(tmp_path: Path) -> None:
    net = train(takes(), Training(steps=4, **SMALL), tmp_path / 'c.pt')
    numbers = finish(net, takes(), tmp_path)
    assert (tmp_path / 'lifter_cmu.onnx').is_file()
    assert (tmp_path / 'numbers.json').is_file()
    assert 0 < numbers['exact']['mpjpe_mm'] < 5000
    halves = numbers['detector']['in_1_sigma_of_halves']
    assert numbers['detector']['in_1_sigma'] == pytest.approx(np.mean(halves))


def test_calibration_reaches_its_share(tmp_path: Path) -> None:
    from pose3d_ros.tools.training.lifter import calibrate, judge

    net = train(takes(), Training(steps=4, **SMALL), tmp_path / 'c.pt')
    calibrate(net, takes())
    # Exact and detected keypoints of motion capture's joints share their scales.
    shares = [judge(net, takes(), clean)['in_1_sigma'] for clean in (True, False)]
    assert np.mean(shares) == pytest.approx(0.683, abs=0.04)
    first = net.calibration.clone()
    calibrate(net, takes())
    np.testing.assert_allclose(net.calibration.numpy(), first.numpy(), atol=1e-5)


def test_no_layer_adds_much_after_training() -> None:
    import torch

    from pose3d_ros.tools.training.lifter import Block

    torch.manual_seed(0)
    block = Block(32, 3)
    strange = 1000 * torch.randn(64, 9, 32)
    middle = strange.reshape(64, 3, 3, 32)[:, :, 1]
    with torch.no_grad():
        assert (block.eval()(strange) - middle).abs().max() < 6.01
        # In training the batch's own norms hold it.
        assert (block.train()(strange) - middle).abs().max() < 20


def test_stored_weights_are_half_and_lose_nothing(tmp_path: Path) -> None:
    import onnx
    import torch

    from pose3d_ros.tools.training.lifter import LifterNet, export

    torch.manual_seed(0)
    net = LifterNet(32)
    export(net, tmp_path / 'net.onnx', {'data': 'none'})
    model = onnx.load(str(tmp_path / 'net.onnx'))
    kinds = {t.data_type for t in model.graph.initializer if len(t.dims) > 1}
    assert kinds == {onnx.TensorProto.FLOAT16}
    onnxruntime = pytest.importorskip('onnxruntime')
    session = onnxruntime.InferenceSession(str(tmp_path / 'net.onnx'))
    window = torch.randn(3, 9, 70)
    with torch.no_grad():
        expected = net(window).numpy()
    np.testing.assert_allclose(
        session.run(None, {'window': window.numpy()})[0], expected, atol=1e-5
    )
