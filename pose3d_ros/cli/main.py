# SPDX-License-Identifier: Apache-2.0
"""Entry point of `pose3d`: picks the subcommand and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from .. import __version__
from ..errors import BackendError, ConfigError, InputError, ModelError, OutputError, Pose3DError

# Name -> what it does. Each is a module beside this one with add_parser(subparsers), which sets
# `run`; only the one that was asked for is imported.
COMMANDS = {
    'demo': 'see it work: the bundled video to skeletons, pictures, video and a ROS 2 bag',
    'run': 'skeletons from an image, a folder, a video or a webcam',
    'node': 'the ROS 2 node, without a ROS installation',
    'camera': 'publish a video, a folder or a webcam as ROS 2 camera topics',
    'bag': 'recorded image topics in, skeleton topics out',
    'fuse': 'people of several cameras become one set of people',
    'train': 'train a network of the package from data',
    'models': 'list, fetch and verify model files',
    'evaluate': 'accuracy against clips with ground truth',
    'benchmark': 'latency of each stage, per device and precision',
}

EXIT_CODES: tuple[tuple[type[Pose3DError], int], ...] = (
    (ConfigError, 2),
    (InputError, 3),
    (ModelError, 4),
    (BackendError, 5),
    (OutputError, 6),
)
INTERRUPTED = 130
BROKEN_PIPE = 141

EPILOG = """\
exit codes: 0 done; 1 unexpected failure; 2 wrong option or setting; 3 unusable input;
4 model file missing or damaged; 5 runtime or device not available; 6 output cannot be written;
130 interrupted with Ctrl-C. `pose3d COMMAND --help` explains each command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = '--verbose' in arguments
    # Decoders complain on stderr about files that we report on in one line of our own.
    if not verbose:
        os.environ.setdefault('OPENCV_LOG_LEVEL', 'SILENT')
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print('pose3d: interrupted', file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`pose3d ... | head`). Keep Python from complaining
        # when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        if verbose:
            traceback.print_exc()
        print(f'pose3d: error: {_one_line(error)}', file=sys.stderr)
        if isinstance(error, Pose3DError):
            return next(
                (code for error_class, code in EXIT_CODES if isinstance(error, error_class)), 1
            )
        if not verbose:
            print('pose3d: this is a defect; --verbose shows where', file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Says how an estimator's own settings are given, to those who take them for options."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave."""
        dotted = re.search(r'--(\w+\.[\w-]+)', message)
        if dotted:
            name = dotted.group(1).replace('-', '_')
            message += f'; write --set {name}=VALUE'
        super().error(message)


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser, with the options of one command; the others are known by name only."""
    parser = _Parser(
        prog='pose3d',
        description='3D human skeletons from cameras, videos and pictures, for robots.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'pose3d_ros {__version__}')
    _add_verbose(parser)
    subparsers = parser.add_subparsers(title='commands', metavar='COMMAND', dest='command')
    for name, summary in COMMANDS.items():
        if name == command:
            import_module(f'.{name}', __package__).add_parser(subparsers)
            _add_verbose(subparsers.choices[name])
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _add_verbose(parser: argparse.ArgumentParser) -> None:
    if '--verbose' not in parser._option_string_actions:
        parser.add_argument(
            '--verbose',
            action='store_true',
            default=argparse.SUPPRESS,
            help='say more; show the trace of an error',
        )


def _dispatch(arguments: list[str]) -> int:
    command = next((a for a in arguments if not a.startswith('-')), None)
    try:
        parser = build_parser(command if command in COMMANDS else None)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith('pose3d_ros'):
            raise
        raise ConfigError(
            f'pose3d {command} needs the Python package {error.name}, which is not installed'
        ) from error
    if command is None and not arguments:
        parser.print_help()
        return 2
    args = parser.parse_args(arguments)
    args.verbose = getattr(args, 'verbose', False)
    if not hasattr(args, 'run'):
        parser.error('name a command')
    code: int = args.run(args)
    return code


def _one_line(error: Exception) -> str:
    text = ' '.join(str(error).split())
    if isinstance(error, Pose3DError):
        return text
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


if __name__ == '__main__':
    sys.exit(main())
