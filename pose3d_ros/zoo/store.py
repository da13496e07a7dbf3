# SPDX-License-Identifier: Apache-2.0
"""Model files on this machine: where they are, and whether they are whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from ..errors import ModelError
from .registry import Entry, FileEntry, Wheel, load_registry

ENVIRONMENT = 'POSE3D_MODELS'


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
) -> Model:
    """The files of a registered model, verified; roles: the networks that the caller needs.

    In place of a name, the path of a model file (one role), or of a folder that holds each role's
    file, called as in the registry or `<role>.<ending>`. Such files run in f32 unless told
    otherwise: what is harmless to them is not known.

    Raises ModelError if a file is missing or damaged, or the model has no such role.
    """
    known = load_registry() if registry is None else registry
    entry = known.get(name)
    if entry is None:
        return _from_path(name, roles, known)
    unknown = [role for role in roles if role not in entry.files]
    if unknown:
        raise ModelError(f'model {name} has no {unknown[0]!r}, only {", ".join(entry.files)}')
    folder = models_folder(models_dir) / name
    wrong = problems(entry, folder)
    if wrong:
        raise ModelError(
            f'model {name}: {wrong[0]}; fetch it with: pose3d models fetch {name}'
            + (f' --models-dir {models_dir}' if models_dir else '')
        )
    used = {role: entry.files[role] for role in roles or entry.files}
    return Model(
        name=name,
        estimator=entry.estimator,
        version=_version(item.sha256 for item in entry.files.values()),
        files={role: folder / item.file for role, item in used.items()},
        precision={role: item.precision for role, item in used.items()},
        licence=entry.licence,
    )


def problems(entry: Entry, folder: Path) -> list[str]:
    """What is wrong with a model's files in its folder, one line each; empty: whole."""
    found = (problem(item, folder / item.file) for item in entry.stored)
    return [text for text in found if text]


def problem(item: FileEntry | Wheel, path: Path) -> str:
    """What is wrong with one file, or an empty string.

    Size and SHA-256 of all of it, each time: hashing takes 1 ms per megabyte, and a network of
    damaged weights runs without complaint.
    """
    try:
        size = path.stat().st_size
        if size != item.size:
            return f'{path} has {size} bytes and should have {item.size}'
        checksum = sha256(path)
    except (FileNotFoundError, NotADirectoryError):
        return f'{path} does not exist'
    except OSError as error:
        return f'{path} cannot be read: {error.strerror or error}'
    if checksum != item.sha256:
        return f'{path} has the wrong checksum {checksum[:12]}…, should be {item.sha256[:12]}…'
    return ''


def sha256(path: Path) -> str:
    """Checksum of a file; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _from_path(name: str, roles: tuple[str, ...], known: Mapping[str, Entry]) -> Model:
    path = Path(name).expanduser()
    if not path.exists():
        raise ModelError(
            f'model {name!r} is neither registered ({", ".join(known)}) nor an existing path'
        )
    if path.is_dir():
        files = {role: _in_folder(path, role, known) for role in roles}
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


def _in_folder(folder: Path, role: str, known: Mapping[str, Entry]) -> Path:
    for entry in known.values():
        if role in entry.files and (folder / entry.files[role].file).is_file():
            return folder / entry.files[role].file
    # Weights beside an IR graph (.bin) have the role's name too and are not the model.
    found = sorted(path for path in folder.glob(f'{role}.*') if path.suffix != '.bin')
    if len(found) != 1:
        many = ', '.join(path.name for path in found)
        raise ModelError(f'{folder} holds {many or "no file " + role + ".*"}, one is needed')
    return found[0]


def _version(checksums: Iterable[str]) -> str:
    """Short checksum: of the file itself, or of the files' checksums if there are several."""
    parts = list(checksums)
    whole = parts[0] if len(parts) == 1 else hashlib.sha256(''.join(parts).encode()).hexdigest()
    return whole[:12]
