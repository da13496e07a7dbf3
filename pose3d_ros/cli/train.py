# SPDX-License-Identifier: Apache-2.0
"""`pose3d train`: makes the package's own networks from data that is free to use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ConfigError

DATA = """\
The motion comes from the CMU Graphics Lab Motion Capture Database, http://mocap.cs.cmu.edu, free
for research and commercial use; the file is in the layout that docs/estimators/lifter.md
describes. The network is written as lifter_cmu.onnx with its errors on held-out subjects
(numbers.json); use it with: pose3d run SOURCE --estimator lifter --model FOLDER/lifter_cmu.onnx
--set lifter.kind=lifter_cmu"""


def add_parser(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        'train',
        help='train a network of the package from data',
        usage='pose3d train lifter --data FILE.npz --out FOLDER [--steps N] [--seed N] [--bf16]',
        description='Train the 2D-to-3D lifter on motion capture in virtual cameras. A run '
        'that was interrupted goes on from its last checkpoint.',
        epilog=DATA,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('network', choices=('lifter',), help='what to train')
    parser.add_argument('--data', metavar='FILE', required=True, help='motion capture (.npz)')
    parser.add_argument('--out', metavar='FOLDER', required=True, help='where all of it goes')
    parser.add_argument('--steps', type=int, default=80000, help='batches (default: 80000)')
    parser.add_argument('--batch', type=int, default=256, help='windows in a batch (default: 256)')
    parser.add_argument('--width', type=int, default=512, help='of the network (default: 512)')
    parser.add_argument('--seed', type=int, default=1, help='of all that is random (default: 1)')
    parser.add_argument(
        '--bf16', action='store_true', help='faster on processors with bfloat16 units'
    )
    parser.add_argument(
        '--device',
        default='cpu',
        help="PyTorch's name of what computes, cuda, say (default: cpu)",
    )
    parser.add_argument('--threads', type=int, default=0, help='of the processor (default: all)')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, calibrate, export, judge."""
    for name in ('steps', 'batch', 'width'):
        if getattr(args, name) < 1:
            raise ConfigError(f'--{name} must be at least 1, not {getattr(args, name)}')
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ConfigError('training needs PyTorch: pip install "pose3d_ros[train]"') from error
    from tqdm import tqdm

    from ..tools.training.lifter import Training, finish, train
    from ..tools.training.motion import load_takes

    try:
        torch.zeros(1, device=args.device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f'--device {args.device}: {str(error).splitlines()[0]}') from error
    if args.threads:
        torch.set_num_threads(args.threads)
    takes = load_takes(args.data)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    settings = Training(
        steps=args.steps, batch=args.batch, width=args.width, seed=args.seed, bf16=args.bf16
    )
    with tqdm(total=settings.steps, unit='step') as bar:

        def report(step: int, numbers: dict[str, float]) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(error=f'{numbers["loss_mm"]:.1f} mm')

        with torch.device(args.device):
            net = train(takes, settings, out / 'checkpoint.pt', report)
    for name, numbers in finish(net, takes, out).items():
        print(
            f'{name:12s} MPJPE {numbers["mpjpe_mm"]:5.1f} mm, '
            f'P-MPJPE {numbers["pa_mpjpe_mm"]:5.1f} mm, in one sigma {numbers["in_1_sigma"]:.0%}'
        )
    print(f'network: {out / "lifter_cmu.onnx"}')
    return 0
