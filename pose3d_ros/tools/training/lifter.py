# SPDX-License-Identifier: Apache-2.0
"""The package's own lifter: network, training, calibration of its uncertainty, export."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import torch
from torch import nn
from torch.nn.functional import relu6

from ...errors import InputError
from ...estimators.lifter.features import (
    CHANNELS,
    COUNT,
    WINDOW,
    decode,
    encode,
    with_mirror,
    with_rolls,
    without_mirror,
    without_rolls,
)
from ...types import Array
from .. import metrics
from .motion import CLIP_TAKES, HELD_OUT, Take, split
from .rng import Rng
from .virtual import Virtual, Windows

BODY = 17
_SETTLING = 10
_BODY_EXTENT = 0.42
"""Metres: what the extent of a person in the features usually stands for."""


@dataclass(frozen=True)
class Training:
    """What decides the result; the same values and seed give the same network."""

    steps: int = 80000
    batch: int = 256
    width: int = 512
    rate: float = 1e-3
    seed: int = 1
    pool: int = 16
    """Batches that are drawn together."""
    passes: int = 3
    """How often they are gone through: drawing costs as much as a pass."""
    bf16: bool = False
    """Most of the products in bfloat16, but for the last tenth of the steps."""


class Block(nn.Module):
    """Three neighbouring frames become one; the middle one goes past the convolution."""

    def __init__(self, width: int, step: int) -> None:
        super().__init__()
        self.step = step
        self.merge = nn.Linear(step * width, width, bias=False)
        self.merge_norm = nn.BatchNorm1d(width)
        self.mix = nn.Linear(width, width, bias=False)
        self.mix_norm = nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, C) to (B, T / step, C)."""
        batch, frames, width = x.shape
        groups = x.reshape(batch, frames // self.step, self.step, width)
        y = groups.reshape(-1, self.step * width)
        y = _active(self.merge_norm(self.merge(y)), self.training)
        y = _active(self.mix_norm(self.mix(y)), self.training)
        return groups[:, :, self.step // 2] + y.reshape(batch, -1, width)


def _active(x: torch.Tensor, training: bool) -> torch.Tensor:
    """ReLU, bounded after training.

    A hand close to the lens makes windows that training hardly ever had. There the norms of their
    own batch held them; with fixed ones they grew from layer to layer, to bodies of many metres.
    """
    return torch.relu(x) if training else relu6(x)


class LifterNet(nn.Module):
    """A temporal convolution network in strided form (after Pavllo et al., CVPR 2019).

    Features (B, 9, 70) to (B, 132): joints (22, 3) in metres, then the logarithms of their
    standard deviations.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.stem = nn.Linear(3 * CHANNELS, width, bias=False)
        self.stem_norm = nn.BatchNorm1d(width)
        self.blocks = nn.Sequential(Block(width, 3), *(Block(width, 1) for _ in range(3)))
        self.joints = nn.Linear(width, 3 * COUNT)
        self.scale = nn.Linear(width, 1)
        self.spread = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 3 * COUNT))
        nn.init.constant_(self.spread[2].bias, -3.0)
        self.calibration: torch.Tensor
        self.register_buffer('calibration', torch.zeros(2, 3 * COUNT))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        batch = x.shape[0]
        place = self._in_plane(x[:, WINDOW // 2])
        with torch.autocast(
            x.device.type, enabled=False
        ):  # places need more digits than bfloat16 has
            y = self.stem(x.reshape(-1, 3 * CHANNELS))
        y = _active(self.stem_norm(y), self.training).reshape(batch, WINDOW // 3, -1)
        y = self.blocks(y).reshape(batch, -1)
        joints = self.joints(y) + place * torch.exp(self.scale(y))
        # The uncertainty learns from what the joints learn, and does not disturb them.
        spread = self.spread(y.detach())
        has_pelvis = (
            x[:, WINDOW // 2, 2 * COUNT : 2 * COUNT + 1] > 0
        )  # motion capture knows a pelvis
        spread = spread + torch.where(has_pelvis, self.calibration[0], self.calibration[1])
        return torch.cat([joints, spread], dim=1)

    @staticmethod
    def _in_plane(frame: torch.Tensor) -> torch.Tensor:
        """(B, 66) the joints in the image, about the hips, in metres of a usual body."""
        points = frame[:, : 2 * COUNT].reshape(-1, COUNT, 2)
        confidence = frame[:, 2 * COUNT : 3 * COUNT, None]
        hips = confidence[:, [1, 4]]
        root = (points[:, [1, 4]] * hips).sum(1) / hips.sum(1).clamp(min=1.0)
        flat = (points - root[:, None]) * (confidence > 0) * _BODY_EXTENT
        return torch.cat([flat, torch.zeros_like(flat[..., :1])], dim=2).reshape(-1, 3 * COUNT)


def loss_of(output: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean joint error in metres of (B, 22, 3) targets, and the likelihood of its spread."""
    joints, spread = output.reshape(-1, 2, COUNT, 3).unbind(1)
    error = joints - target
    distance = (error.square().sum(-1) + 1e-8).sqrt()
    weight = torch.ones(COUNT)
    weight[BODY:] = 0.3
    scaled = error.detach().abs() * torch.exp(-spread)
    likelihood = (spread + 0.5 * scaled.square().clamp(max=50)).mean()
    return (distance * weight).mean(), likelihood


def train(
    takes: Sequence[Take],
    settings: Training,
    checkpoint: Path,
    report: Callable[[int, dict[str, float]], None] = lambda step, numbers: None,
) -> LifterNet:
    """Train, or go on from the checkpoint if there is one; it is written now and then.

    Runs on PyTorch's default device; the network comes back on the CPU. Raises InputError for a
    checkpoint of other settings.
    """
    torch.manual_seed(settings.seed)
    parts = split(list(takes))
    if not parts['train']:
        raise InputError('the motion holds no take to train on')
    if len(parts['test']) < 2:
        raise InputError(
            f'the motion needs two takes or more of the subjects held out ({", ".join(HELD_OUT)})'
        )
    net = LifterNet(settings.width)
    optimiser = torch.optim.AdamW(net.parameters(), lr=settings.rate, weight_decay=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: _rate(step, settings.steps)
    )
    data = Virtual(parts['train'], settings.seed)
    step = _resume(checkpoint, settings, net, optimiser, schedule, data)
    net.train()
    start, running = time.monotonic(), 0.0
    pool: list[tuple[torch.Tensor, torch.Tensor]] = []
    while step < settings.steps:
        if not pool:
            pool = _prepare(data.draw(settings.pool * settings.batch), settings, data.rng)
        features, target = pool.pop()
        half = settings.bf16 and step < settings.steps * 9 / 10
        with torch.autocast(features.device.type, torch.bfloat16, half):
            output = net(features)
        joints, likelihood = loss_of(output.float(), target)
        optimiser.zero_grad()
        (joints + 0.01 * likelihood).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        step += 1
        running = joints.item() if running == 0 else 0.98 * running + 0.02 * joints.item()
        if step % 100 == 0 or step == settings.steps:
            report(step, {'loss_mm': 1000 * running, 'seconds': time.monotonic() - start})
        if not pool and (step % 500 < settings.pool * settings.passes):
            _save(checkpoint, settings, net, optimiser, schedule, data, step)
    _save(checkpoint, settings, net, optimiser, schedule, data, step)
    _settle(net, settings, data)
    return net.cpu()


def _settle(net: LifterNet, settings: Training, data: Virtual) -> None:
    """Take the norms' means and variances anew: running ones hang on the last few batches."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
            module.momentum = None  # the mean of all batches
    net.train()
    once = replace(settings, passes=1)
    with torch.no_grad():
        for _ in range(_SETTLING):
            for features, _ in _prepare(data.draw(once.pool * once.batch), once, data.rng):
                net(features)


def _rate(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / 200)
    return float(warm * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(step / steps, 1.0)))))


def _prepare(
    windows: Windows, settings: Training, rng: Rng
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    features, target, usable = prepared(windows)
    features, target = features[usable], target[usable]
    out = []
    for _ in range(settings.passes):
        order = rng.order(len(features))
        batches = order[: len(order) // settings.batch * settings.batch].split(settings.batch)
        out += [(features[part], target[part]) for part in batches]
    return out


def prepared(windows: Windows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features, targets in the virtual camera, and which windows can be used."""
    features, turn, usable = encode(windows.rays, windows.confidence, windows.calibrated, xp=torch)
    target = windows.target @ turn.transpose(1, 2)
    return features, target, usable


def _save(
    path: Path,
    settings: Training,
    net: LifterNet,
    optimiser: Any,
    schedule: Any,
    data: Virtual,
    step: int,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix('.part')
    torch.save(
        {
            'settings': asdict(settings),
            'step': step,
            'net': net.state_dict(),
            'optimiser': optimiser.state_dict(),
            'schedule': schedule.state_dict(),
            'random': data.rng.generator.get_state(),
        },
        part,
    )
    part.replace(path)


def _resume(
    path: Path, settings: Training, net: LifterNet, optimiser: Any, schedule: Any, data: Virtual
) -> int:
    if not path.is_file():
        return 0
    saved = torch.load(path, weights_only=True, map_location='cpu')
    if saved['settings'] != asdict(settings):
        raise InputError(
            f'{path} belongs to a training with {saved["settings"]}; use another output folder '
            'or the same settings'
        )
    net.load_state_dict(saved['net'])
    optimiser.load_state_dict(saved['optimiser'])
    schedule.load_state_dict(saved['schedule'])
    data.rng.generator.set_state(saved['random'])
    return int(saved['step'])


def predict(net: nn.Module, windows: Windows) -> tuple[Array, Array]:
    """Joints (B, 22, 3) metres about the pelvis in the camera's axes, and covariance."""
    rays, confidence = with_mirror(*with_rolls(windows.rays.numpy(), windows.confidence.numpy()))
    features, turn, _ = encode(rays, confidence, np.tile(windows.calibrated.numpy(), 4))
    with torch.no_grad():
        output = net(torch.from_numpy(features.astype(np.float32))).numpy()
    return without_rolls(*without_mirror(*decode(output, turn)))


def judge(net: nn.Module, takes: Sequence[Take], clean: bool, seed: int = 7) -> dict[str, float]:
    """Errors on windows of takes: exact 2D of the 17 body joints, or as a detector sees them."""
    net.eval()
    windows = Virtual(takes, seed, augment=False).draw(4096, clean)
    joints, covariance = predict(net, windows)
    truth = windows.target.numpy().astype(float)[:, :BODY]
    joints, covariance = joints[:, :BODY], covariance[:, :BODY]
    return {
        'mpjpe_mm': 1000 * float(metrics.mpjpe(joints, truth).mean()),
        'pa_mpjpe_mm': 1000 * float(metrics.pa_mpjpe(joints, truth).mean()),
        'n_mpjpe_mm': 1000 * float(metrics.n_mpjpe(joints, truth).mean()),
        'in_1_sigma': metrics.coverage((joints - truth)[:, 1:], covariance[:, 1:]),
    }


def calibrate(net: LifterNet, takes: Sequence[Take], seed: int = 11) -> None:
    """Scale the stated uncertainty, by coordinate, so that 68 % of the errors lie within it.

    For motion capture's own joints and for those of detectors apart; errors are those of the mean
    with the mirror image. Sets the network's calibration.
    """
    net.eval()
    net.calibration.zero_()
    data = Virtual(takes, seed, augment=False)
    ratios: tuple[list[Any], list[Any]] = [], []
    for clean in (True, False):
        windows = data.draw(8192, clean)
        rays, confidence = with_mirror(windows.rays.numpy(), windows.confidence.numpy())
        features, turn, usable = encode(rays, confidence, np.tile(windows.calibrated.numpy(), 2))
        with torch.no_grad():
            output = net(torch.from_numpy(features.astype(np.float32))).numpy()
        # In the virtual camera's axes, where the spread is stated.
        still = np.broadcast_to(np.eye(3), turn.shape)
        joints, covariance = without_mirror(*decode(output, still))
        half = len(joints)
        target = np.einsum('bij,bkj->bki', turn[:half], windows.target.numpy())
        sigma = np.sqrt(np.einsum('bkii->bki', covariance))
        with np.errstate(invalid='ignore'):  # the root has neither error nor spread
            ratio = (np.abs(joints - target) / sigma)[usable[:half]]
        has_pelvis = confidence[:half, WINDOW // 2, 0][usable[:half]] > 0
        for group, rows in zip(ratios, (has_pelvis, ~has_pelvis)):
            group.append(ratio[rows])
    for row, group in enumerate(ratios):
        scale = np.quantile(np.concatenate(group), 0.6827, axis=0)
        scale[0] = 1.0
        net.calibration[row] = torch.from_numpy(np.log(scale.clip(1e-3))).float().reshape(-1)


def export(net: LifterNet, path: Path, metadata: dict[str, str]) -> None:
    """Write an ONNX file with a free batch, its numbers compared with PyTorch's.

    Weights are stored in half precision, to which the network's own are rounded first. Raises
    ModelError if numbers differ; then there is no file.
    """
    from ..convert.export import export as write
    from ..families import Family

    def examples(module: Any, size: Any, rng: Any) -> dict[str, Any]:
        windows = Virtual([Take('', '', _still())], 1, augment=False).draw(1)
        return {'window': prepared(windows)[0].numpy()}

    family = Family(
        build=lambda shapes: LifterNet(net.joints.in_features),
        examples=examples,
        inputs=('window',),
        outputs=('joints',),
        dynamic={'window': {0: 'batch'}, 'joints': {0: 'batch'}},
    )
    about = {f'pose3d.{key}': value for key, value in metadata.items()}
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.copy_(weight.half().float())
    write(family, net.eval(), path.with_suffix(''), about, formats=('onnx',))
    _store_half(path)


def _store_half(path: Path) -> None:
    """Keep the large weights of an ONNX file in half precision; they are widened when loaded."""
    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2:
            continue
        name = tensor.name
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f'{name}_f16')
        tensor.CopyFrom(half)
        casts.append(onnx.helper.make_node('Cast', [half.name], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _still() -> Array:
    """A take of somebody who stands, for the exporter."""
    rng = np.random.default_rng(0)
    pose = rng.normal(0, 0.3, (1, COUNT, 3)) + np.array([0, 0, 1.0])
    return np.repeat(pose, 20, axis=0).astype(np.float32)


def finish(net: LifterNet, takes: Sequence[Take], out: Path) -> dict[str, Any]:
    """Calibrate, write `lifter_cmu.onnx`, and judge by the subjects held out."""
    parts = split(list(takes))
    inputs = ('exact', True), ('detector', False)
    # Trained motion would flatter, and so would the takes that scale the uncertainty: its coverage
    # is reported for each half of the held-out takes, scaled by the other.
    halves = parts['calibration'] + parts['test'][::2], parts['test'][1::2]
    inside: dict[str, list[float]] = {name: [] for name, _ in inputs}
    for calibration, others in (halves, halves[::-1]):
        calibrate(net, calibration)
        for name, clean in inputs:
            inside[name].append(judge(net, others, clean)['in_1_sigma'])
    calibrate(net, halves[0] + halves[1])
    export(
        net,
        out / 'lifter_cmu.onnx',
        {
            'data': 'CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu',
            'held_out': ','.join(HELD_OUT),
            'excluded': ','.join(CLIP_TAKES),
            'licence': 'Apache-2.0',
        },
    )
    numbers: dict[str, Any] = {}
    for name, clean in inputs:
        numbers[name] = judge(net, parts['test'], clean)
        numbers[name]['in_1_sigma'] = float(np.mean(inside[name]))
        numbers[name]['in_1_sigma_of_halves'] = inside[name]
        for subject in HELD_OUT:
            own = [take for take in parts['test'] if take.subject == subject]
            if own:
                numbers[f'{name} {subject}'] = judge(net, own, clean)
    (out / 'numbers.json').write_text(json.dumps(numbers, indent=1) + '\n', encoding='utf-8')
    return numbers
