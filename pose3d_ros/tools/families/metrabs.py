# SPDX-License-Identifier: Apache-2.0
"""MeTRAbs' crop network (arXiv 2007.07227): EfficientNetV2 (2104.00298) and one layer of heat maps.

The published archive holds five files. Two families are made of it: the network, which gives some
hundred points of the body, and the table that makes the joints of a convention of the points.
"""

from __future__ import annotations

import pickle
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from ...errors import ModelError
from . import Family, Shape
from .restricted import load_restricted

DEPTH = 8
BOX_MM = 2200.0
STRIDE = 32
BAND = 0.75 * STRIDE
POINTS = 24  # of networks with random weights
# Channels of the first layer; of each stage: expansion, stride, channels, blocks.
SIZES = {
    's': (24, ((1, 1, 24, 2), (4, 2, 48, 4), (4, 2, 64, 4), (4, 2, 128, 6), (6, 1, 160, 9),
               (6, 2, 256, 15))),
    'm': (24, ((1, 1, 24, 3), (4, 2, 48, 5), (4, 2, 80, 5), (4, 2, 160, 7), (6, 1, 176, 14),
               (6, 2, 304, 18), (6, 1, 512, 5))),
    'l': (32, ((1, 1, 32, 4), (4, 2, 64, 7), (4, 2, 96, 7), (4, 2, 192, 10), (6, 1, 224, 19),
               (6, 2, 384, 25), (6, 1, 640, 7))),
}  # fmt: skip
_FUSED = 3  # stages whose blocks have no layer by channel
_LAST_STRIDE = 5  # the stage that may be centred
_FEATURES = 1280
_FILES = ('config.yaml', 'ckpt.pt', 'joint_info.npz', 'joint_transform_matrix.npy',
          'skeleton_infos.pkl')  # fmt: skip
# Our name of a convention -> theirs, and the first four letters of its joints' names, as we order
# them. Human3.6M's middle of the trunk goes by two names.
_COCO = (
    'neck nose pelv lsho lelb lwri lhip lkne lank rsho relb rwri rhip rkne rank leye lear reye rear'
)
_H36M = 'pelv rhip rkne rank lhip lkne lank spin neck head htop lsho lelb lwri rsho relb rwri'
_CONVENTIONS = {'coco_cmu_19': ('coco_19', _COCO), 'h36m_17': ('h36m_17', _H36M)}
_SAME = {'tors': 'spin'}


def _layer(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1,
           active: bool = True) -> nn.Sequential:  # fmt: skip
    """Without padding, which the block adds."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    parts: list[nn.Module] = [conv, nn.BatchNorm2d(outputs, eps=1e-3)]
    return nn.Sequential(*parts, nn.SiLU()) if active else nn.Sequential(*parts)


class _Attention(nn.Module):
    """Weighs the channels by their means."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's shape."""
        mean = x.mean(dim=(2, 3), keepdim=True)
        weight = self.fc2(nn.functional.silu(self.fc1(mean)))
        return cast(Tensor, x * torch.sigmoid(weight))


class _Block(nn.Module):
    """Inverted residual; fused: one 3x3 layer in place of a 1x1 and one by channel."""

    def __init__(self, inputs: int, outputs: int, ratio: int, stride: int, fused: bool) -> None:
        super().__init__()
        wide = inputs * ratio
        if fused and ratio == 1:
            layers = [_layer(inputs, outputs, 3, stride)]
        elif fused:
            layers = [_layer(inputs, wide, 3, stride), _layer(wide, outputs, 1, active=False)]
        else:
            layers = [
                _layer(inputs, wide, 1),
                _layer(wide, wide, 3, stride, groups=wide),
                _Attention(wide, max(1, inputs // 4)),
                _layer(wide, outputs, 1, active=False),
            ]
        self.block = nn.Sequential(*layers)
        self.padded = 0 if fused else 1
        self.residual = stride == 1 and inputs == outputs
        self.low, self.high = 1, 1

    def forward(self, x: Tensor) -> Tensor:
        """Of the input's size over the stride."""
        y = x
        for k, layer in enumerate(self.block):
            if k == self.padded:
                y = nn.functional.pad(y, (self.low, self.high, self.low, self.high))
            y = layer(y)
        return y + x if self.residual else y


class Network(nn.Module):
    """(N, 3, side, side) RGB in 0..1 -> 2D points, 3D points, margins, variances; see forward."""

    def __init__(self, size: str = 's', points: int = POINTS) -> None:
        super().__init__()
        channels, stages = SIZES[size]
        features: list[nn.Module] = [_layer(3, channels, 3, 2)]
        for index, (ratio, stride, outputs, count) in enumerate(stages):
            blocks = []
            for k in range(count):
                first = stride if k == 0 else 1
                blocks.append(_Block(channels, outputs, ratio, first, index < _FUSED))
                channels = outputs
            features.append(nn.Sequential(*blocks))
        features.append(_layer(channels, _FEATURES, 1))
        # The names of the checkpoint: what stands before the features there has no weights.
        self.backbone = nn.Sequential(nn.Identity(), nn.Sequential(*features))
        self.heatmap_heads = nn.ModuleDict(
            {'conv_final': nn.Conv2d(_FEATURES, points * (1 + DEPTH), 1)}
        )
        # Side in pixels, whether the last stride is centred, what is added to pixels.
        self.register_buffer('crop', torch.tensor([256.0, 1.0, STRIDE / 2]))

    def settings(self) -> tuple[int, bool, int]:
        """Side, centred, shift; random weights leave the usual ones."""
        side, centred, shift = (round(float(value)) for value in self.get_buffer('crop'))
        return (side, bool(centred), shift) if side else (256, True, STRIDE // 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """points2d (N, P, 2) pixels; points3d (N, P, 3) mm; margin (N, P); variance (N, P, 3).

        margin: pixels that a point is inside the band that the authors trust. variance: of the 3D
        maps, in the unit cube.
        """
        side, centred, shift = self.settings()
        features = cast(nn.Sequential, self.backbone[1])
        x = nn.functional.pad(2 * image - 1, (1, 1, 1, 1))
        for index, stage in enumerate(features):
            if index == _LAST_STRIDE + 1:
                first = cast(_Block, cast(nn.Sequential, stage)[0])
                first.low, first.high = (0, 2) if centred else (1, 1)
            x = stage(x)
        maps = self.heatmap_heads['conv_final'](x).float()
        grid = side // STRIDE
        points = maps.shape[1] // (1 + DEPTH)
        last = float(STRIDE * (grid - 1))
        flat = maps[:, :points].reshape(-1, points, grid * grid)
        cells = torch.softmax(flat, dim=2).reshape(-1, points, grid, grid)
        unit = torch.linspace(0, 1, grid, dtype=cells.dtype)
        points2d = last * torch.stack(
            [(cells.sum(dim=2) * unit).sum(dim=2), (cells.sum(dim=3) * unit).sum(dim=2)], dim=2
        )
        points2d = points2d + shift
        # The channels of the volume go through all points before the next depth.
        volume = maps[:, points:].reshape(-1, DEPTH, points, grid * grid).permute(0, 2, 1, 3)
        volume = torch.softmax(volume.reshape(-1, points, DEPTH * grid * grid), dim=2)
        volume = volume.reshape(-1, points, DEPTH, grid, grid)
        sheets = volume.sum(dim=2)
        marginals = (sheets.sum(dim=2), sheets.sum(dim=3), volume.sum(dim=(3, 4)))
        deep = torch.linspace(0, 1, DEPTH, dtype=cells.dtype)
        axes = (unit, unit, deep)
        mean = torch.stack([(m * a).sum(dim=2) for m, a in zip(marginals, axes)], dim=2)
        square = torch.stack([(m * a * a).sum(dim=2) for m, a in zip(marginals, axes)], dim=2)
        scale = torch.tensor([last, last, float(side)], dtype=cells.dtype) * (BOX_MM / side)
        moved = torch.tensor([1.0, 1.0, 0.0], dtype=cells.dtype) * (shift * BOX_MM / side)
        low = BAND - (0 if centred else STRIDE / 2)
        high = side - BAND - (0 if centred else STRIDE / 2)
        margin = torch.minimum(points2d - low, high - points2d).amin(dim=2)
        return points2d, mean * scale + moved, margin, torch.relu(square - mean * mean)


class Table(nn.Module):
    """(N, P, 3) points -> the joints of both conventions."""

    def __init__(self, points: int = POINTS) -> None:
        super().__init__()
        for name, (_, joints) in _CONVENTIONS.items():
            self.register_buffer(name, torch.zeros(points, len(joints.split())))

    def forward(self, points: Tensor) -> tuple[Tensor, ...]:
        """(N, J, 3) for each."""
        return tuple(
            (points.transpose(1, 2) @ self.get_buffer(name)).transpose(1, 2)
            for name in _CONVENTIONS
        )


def read_network(path: Path) -> dict[str, Any]:
    """The checkpoint in the archive, or beside which the archive's other files lie."""
    with tempfile.TemporaryDirectory(prefix='pose3d_') as name:
        folder = _folder(path, Path(name))
        state = dict(load_restricted(folder / 'ckpt.pt'))
        points = len(_array(folder / 'joint_transform_matrix.npy'))
        head = state.get('heatmap_heads.conv_final.weight')
        if head is not None and len(head) != points * (1 + DEPTH):
            raise ModelError(
                f'{path.name}: the network has {len(head)} maps, {points * (1 + DEPTH)} are '
                f'expected for {points} points'
            )
        return {**state, 'crop': torch.tensor(_settings(folder / 'config.yaml'))}


def read_table(path: Path) -> dict[str, Any]:
    """Columns of the archive's matrix, by the joints' names."""
    with tempfile.TemporaryDirectory(prefix='pose3d_') as name:
        folder = _folder(path, Path(name))
        matrix = _array(folder / 'joint_transform_matrix.npy')
        infos = _infos(folder / 'skeleton_infos.pkl')
    table = {}
    for ours, (theirs, joints) in _CONVENTIONS.items():
        try:
            names = [str(joint)[:4] for joint in infos[theirs]['names']]
            indices = [int(index) for index in infos[theirs]['indices']]
            names = [_SAME.get(joint, joint) for joint in names]
            columns = [indices[names.index(joint)] for joint in joints.split()]
            table[ours] = torch.from_numpy(matrix[:, columns])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelError(f'{path.name} describes no joints of {theirs}: {error!r}') from error
    return table


def _folder(path: Path, temporary: Path) -> Path:
    """Where the five files are."""
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None and Path(member.name).name in _FILES:
                    (temporary / Path(member.name).name).write_bytes(stream.read())
        folder = temporary
    elif path.suffix == '.zip':
        with zipfile.ZipFile(path) as zipped:
            for item in zipped.namelist():
                if Path(item).name in _FILES:
                    (temporary / Path(item).name).write_bytes(zipped.read(item))
        folder = temporary
    else:
        folder = path.parent
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f'{path.name}: {", ".join(missing)} missing; give the published archive, or the '
            'ckpt.pt in the folder that it unpacks to'
        )
    return folder


def _settings(path: Path) -> tuple[float, float, float]:
    """Side, centred, shift; ModelError for what this definition does not cover."""
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        side = int(content['proc_side'])
        centred = bool(content['centered_stride'])
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f'{path.name} of the archive cannot be read: {error!r}') from error
    fixed: dict[str, Any] = {
        'stride_test': STRIDE, 'stride_train': STRIDE, 'depth': DEPTH, 'box_size_mm': BOX_MM,
        'affine_weights': None, 'transform_coords': False, 'predict_all_and_latents': False,
    }  # fmt: skip
    for key, value in fixed.items():
        if content.get(key, value) != value:
            raise ModelError(
                f'{path.name} of the archive has {key}: {content[key]!r}; only {value!r} is known'
            )
    if side < 64 or side % STRIDE:
        raise ModelError(f'{path.name} of the archive has proc_side: {side}')
    shift = STRIDE // 2 * (centred + bool(content.get('legacy_centered_stride_bug', False)))
    return float(side), float(centred), float(shift)


def _array(path: Path) -> np.ndarray:
    try:
        matrix = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f'{path.name} of the archive cannot be read: {error}') from error
    if matrix.ndim != 2:
        raise ModelError(f'{path.name} of the archive is no matrix: {matrix.shape}')
    return np.asarray(matrix, np.float32)


class _Plain(pickle.Unpickler):
    """Containers, text and NumPy's arrays; nothing else is built, and nothing executed."""

    def find_class(self, module: str, name: str) -> Any:
        """ModelError for anything else."""
        if (module, name) == ('collections', 'OrderedDict'):
            return super().find_class(module, name)
        numpy = module.split('.')[0] == 'numpy'
        if numpy and name in ('_reconstruct', 'scalar', 'ndarray', 'dtype'):
            # The place of these functions changed in NumPy 2.
            old, new = (
                ('numpy.core', 'numpy._core')
                if hasattr(np, '_core')
                else ('numpy._core', 'numpy.core')
            )
            return super().find_class(module.replace(old, new), name)
        raise ModelError(f'skeleton_infos.pkl holds {module}.{name}, which is not built')


def _infos(path: Path) -> Mapping[str, Any]:
    try:
        with path.open('rb') as stream:
            content = _Plain(stream).load()
    except (pickle.UnpicklingError, EOFError, ValueError, AttributeError, ImportError) as error:
        raise ModelError(f'{path.name} of the archive is damaged: {error}') from error
    if not isinstance(content, Mapping):
        raise ModelError(f'{path.name} of the archive is no table of conventions')
    return content


def _build(shapes: Mapping[str, Shape]) -> nn.Module:
    """Of the size that the first stage's blocks tell."""
    blocks = {key.split('.')[3] for key in shapes if key.startswith('backbone.1.1.')}
    sizes = {stages[0][3]: name for name, (_, stages) in SIZES.items()}
    if blocks and len(blocks) not in sizes:
        raise ModelError(
            'the checkpoint is of no EfficientNetV2 S, M or L; other backbones are published as '
            'TensorFlow programs only'
        )
    head = shapes.get('heatmap_heads.conv_final.bias', (POINTS * (1 + DEPTH),))
    return Network(sizes.get(len(blocks), 's'), head[0] // (1 + DEPTH)).eval()


def _build_table(shapes: Mapping[str, Shape]) -> nn.Module:
    return Table(shapes.get('h36m_17', (POINTS,))[0]).eval()


def _images(
    module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Input of the one size that the network has."""
    side = cast(Network, module).settings()[0]
    return {'image': rng.uniform(0, 1, (1, 3, side, side)).astype(np.float32)}


def _points(
    module: nn.Module, size: tuple[int, int] | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    count = module.get_buffer('h36m_17').shape[0]
    return {'points': rng.uniform(-1, 1, (2, count, 3)).astype(np.float32)}


OUTPUTS = ('points2d', 'points3d', 'margin', 'variance')
FAMILY = Family(
    build=_build,
    examples=_images,
    inputs=('image',),
    outputs=OUTPUTS,
    dynamic={name: {0: 'batch'} for name in ('image', *OUTPUTS)},
    ignored=('*.num_batches_tracked',),
    read=read_network,
    gain=1.0,  # long sums without normalisation in between
    about={'input': 'RGB / 255 of a crop of one person'},
)
TABLE = Family(
    build=_build_table,
    examples=_points,
    inputs=('points',),
    outputs=tuple(_CONVENTIONS),
    dynamic={name: {0: 'batch'} for name in ('points', *_CONVENTIONS)},
    read=read_table,
    about={'input': 'points of the MeTRAbs network'},
)
