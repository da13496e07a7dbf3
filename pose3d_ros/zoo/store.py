# SPDX-License-Identifier: Apache-2.0
"""Model files on this machine: where they are, and whether they are whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from ..backends import available
from ..errors import ModelError, did_you_mean
from .registry import Archive, Checkpoint, Entry, FileEntry, load_registry

ENVIRONMENT = 'POSE3D_MODELS'
_RANDOM = '.random'
MANIFEST = 'converted.json'
"""In a model's folder: checksums of the files that were made here."""
FETCHED = 'fetched.json'
"""In a model's folder: checksums of the fetched files that are published without one."""


@dataclass(frozen=True)
class Model:
    """A model whose files are here and whole.

    version: short checksum over the files. files: path by role. precision: by role, what `auto`
    stands for. estimator, licence: empty for files that are not registered.
    """

    name: str
    estimator: str
    version: str
    files: Mapping[str, Path]
    precision: Mapping[str, str]
    licence: str = ''


def models_folder(models_dir: str | Path = '') -> Path:
    """Where models are stored: the setting, else $POSE3D_MODELS, else the user's data folder."""
    chosen = str(models_dir) or os.environ.get(ENVIRONMENT, '')
    if chosen:
        return Path(chosen).expanduser()
    return platformdirs.user_data_path('pose3d_ros', appauthor=False) / 'models'


def find_model(
    name: str,
    *roles: str,
    models_dir: str | Path = '',
    registry: Mapping[str, Entry] | None = None,
    backend: str = 'auto',
) -> Model:
    """The files of a registered model, verified; roles: the networks that the caller needs.

    Of a network that is here in several formats, the one that the backend reads best is taken.
    `<name>.random` is the model with random weights that the benchmark makes.

    In place of a name, the path of a model file (one role), or of a folder that holds each role's
    file, called as in the registry or `<role>.<ending>`. Such files run in f32 unless a
    precision is set: what is harmless to them was never measured.

    Raises ModelError if a file is missing or damaged, or the model has no such role.
    """
    entries = load_registry() if registry is None else registry
    folder = models_folder(models_dir) / name
    entry = entries.get(name) or entries.get(name.removesuffix(_RANDOM))
    if entry is None:
        return _from_path(name, roles, entries)
    unknown = [role for role in roles if role not in entry.files]
    if unknown:
        raise ModelError(f'model {name} has no {unknown[0]!r}, only {", ".join(entry.files)}')
    wrong = problems(entry, folder)
    if wrong:
        raise ModelError(
            f'model {name}: {wrong[0]}; {how_to_get(entry, folder)}'
            + (f' --models-dir {models_dir}' if models_dir else '')
        )
    used = {role: entry.files[role] for role in roles or entry.files}
    made = _manifest(folder)
    files = {
        role: folder / (_made(item, made[role], backend) if item.family else _read(item, backend))
        for role, item in used.items()
    }
    checksums = [
        ''.join(made[role]['files'].values())
        if item.family
        else item.sha256 or sha256(folder / item.file)
        for role, item in entry.files.items()
    ]
    return Model(
        name=name,
        estimator=entry.estimator,
        version=_version(checksums),
        files=files,
        precision={role: item.precision for role, item in used.items()},
        licence=entry.licence,
    )


def random_name(name: str) -> str:
    """Name of the model with random weights beside the real one."""
    return name + _RANDOM


def problems(entry: Entry, folder: Path) -> list[str]:
    """What is wrong with a model's files in its folder, one line each; empty: whole.

    Of files that are converted here, checksums are those of the conversion.
    """
    texts = [stored_problem(item, folder) for item in entry.stored]
    made = _manifest(folder) if entry.converted else {}
    for role in entry.converted:
        if role not in made:
            texts.append(f'{role} is not converted yet')
        else:
            texts += [
                _made_problem(folder / f, wanted) for f, wanted in made[role]['files'].items()
            ]
    return [text for text in texts if text]


def stored_problem(item: FileEntry, folder: Path) -> str:
    """What is wrong with a file in its model's folder.

    Where no checksum is published, that of the first copy counts.
    """
    wrong = problem(item, folder / item.file)
    if not wrong and item.onnx:
        wrong = problem(item.onnx, folder / item.onnx.file)
    if wrong or item.sha256:
        return wrong
    first = fetched_sums(folder).get(item.file, '')
    if not first:
        return ''
    if sha256(folder / item.file) != first:
        return f'{folder / item.file} is not as it was fetched; delete it to fetch it again'
    return ''


def fetched_sums(folder: Path) -> dict[str, str]:
    """Checksums of what was fetched without a published one, by file."""
    return {name: str(value) for name, value in _json(folder / FETCHED).items()}


def how_to_get(entry: Entry, folder: Path) -> str:
    """What to do about problems: fetch, convert, or bring a file."""
    lacking = [c for c in entry.checkpoints if problem(c, folder / c.file)]
    if entry.converted and not any(problem(f, folder / f.file) for f in entry.stored):
        if not lacking:
            return f'convert it with: pose3d models convert {entry.name}'
        if not any(c.urls for c in lacking):
            note = f' ({lacking[0].note})' if lacking[0].note else ''
            return f'convert it with: pose3d models convert {entry.name} --checkpoint FILE{note}'
    then = f', then: pose3d models convert {entry.name}' if entry.converted else ''
    return f'fetch it with: pose3d models fetch {entry.name}{then}'


def problem(item: FileEntry | Archive | Checkpoint, path: Path) -> str:
    """What is wrong with one file, or an empty string.

    Size and checksum of all of it, each time: hashing takes 1 ms per megabyte, and a network of
    damaged weights runs without complaint.
    """
    try:
        size = path.stat().st_size
        if item.size and size != item.size:
            return f'{path} has {size} bytes and should have {item.size}'
        start = getattr(item, 'sha256_start', '')
        algorithm = 'sha256' if item.sha256 or start else 'sha384'
        wanted = item.sha256 or start or getattr(item, 'sha384', '')
        checksum = sha256(path, algorithm)[: len(wanted)] if wanted else ''
    except (FileNotFoundError, NotADirectoryError):
        return f'{path} does not exist'
    except OSError as error:
        return f'{path} cannot be read: {error.strerror or error}'
    if checksum != wanted:
        return f'{path} has the wrong checksum {checksum[:12]}…, should be {wanted[:12]}…'
    return ''


def sha256(path: Path, algorithm: str = 'sha256') -> str:
    """Checksum of a file; OSError if it cannot be read."""
    digest = hashlib.new(algorithm)
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _manifest(folder: Path) -> dict[str, Any]:
    """By role, what was converted into a folder: `files`, checksum by name."""
    return _json(folder / MANIFEST)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _made(item: FileEntry, made: Mapping[str, Any], backend: str) -> str:
    """The file of a converted network that a backend should read."""
    names = [str(name) for name in made['files'] if not name.endswith('.bin')]
    wanted = '.onnx' if backend == 'onnxruntime' else Path(item.file).suffix
    return next((name for name in names if name.endswith(wanted)), names[0])


def _read(item: FileEntry, backend: str) -> str:
    """The file of a published network that a backend should read."""
    graphs = backend == 'openvino' or (backend == 'auto' and 'openvino' in available())
    return item.file if graphs or item.onnx is None else item.onnx.file


def _made_problem(path: Path, wanted: str) -> str:
    try:
        if sha256(path) == wanted:
            return ''
    except OSError as error:
        return f'{path} cannot be read: {error.strerror or error}'
    return f'{path} is not as it was converted'


def _from_path(name: str, roles: tuple[str, ...], entries: Mapping[str, Entry]) -> Model:
    path = Path(name).expanduser()
    if not path.exists():
        raise ModelError(
            f'model {name!r} is neither registered nor an existing path'
            f'{did_you_mean(name, entries)} (pose3d models list shows all)'
        )
    if path.is_dir():
        files = {role: _in_folder(path, role, entries) for role in roles}
        if not files:
            raise ModelError(f'{path} is a folder, a model file is needed')
    elif len(roles) > 1:
        raise ModelError(
            f'{path} is one file and {", ".join(roles)} are needed: '
            f'name a folder with {", ".join(f"{role}.*" for role in roles)}'
        )
    else:
        files = dict.fromkeys(roles or ('model',), path)
    try:
        version = _version(sha256(file) for file in files.values())
    except OSError as error:
        raise ModelError(f'cannot read {error.filename}: {error.strerror}') from error
    return Model(
        name=path.stem if path.is_file() else path.name,
        estimator='',
        version=version,
        files=files,
        precision=dict.fromkeys(files, 'f32'),
    )


def _in_folder(folder: Path, role: str, entries: Mapping[str, Entry]) -> Path:
    for entry in entries.values():
        if role in entry.files and (folder / entry.files[role].file).is_file():
            return folder / entry.files[role].file
    # Weights beside an IR graph (.bin) have the role's name too and are not the model.
    matches = sorted(path for path in folder.glob(f'{role}.*') if path.suffix != '.bin')
    if len(matches) != 1:
        many = ', '.join(path.name for path in matches)
        raise ModelError(f'{folder} holds {many or "no file " + role + ".*"}, one is needed')
    return matches[0]


def _version(checksums: Iterable[str]) -> str:
    """Short checksum: of the file itself, or of the files' checksums if there are several."""
    parts = list(checksums)
    checksum = parts[0] if len(parts) == 1 else hashlib.sha256(''.join(parts).encode()).hexdigest()
    return checksum[:12]
