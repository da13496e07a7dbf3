# SPDX-License-Identifier: Apache-2.0
"""Puts converted files into the models folder, all of them or none."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ...errors import ModelError
from ...zoo.registry import Entry, FileEntry
from ...zoo.store import MANIFEST, models_folder, problem, random_name, sha256
from .export import FORMATS, RANDOM, WEIGHTS_KEY, Converted, convert


def install(
    entry: Entry,
    models_dir: str | Path = '',
    *,
    checkpoint: Path | None = None,
    role: str = '',
    formats: Sequence[str] = FORMATS,
    precision: str = 'f32',
    size: tuple[int, int] | None = None,
    seed: int | None = None,
) -> dict[str, Converted]:
    """Convert a registered model's checkpoints into its folder; what was written, by role.

    checkpoint: another file than the fetched one, for the one role, or for all if they are made of
    one file. seed: random weights, which go into a folder of their own, `<name>.random`, and are
    marked.

    Raises ConfigError, ModelError.
    """
    roles = {name: item for name, item in entry.files.items() if item.family}
    if role:
        roles = {name: item for name, item in roles.items() if name == role}
    if not roles:
        raise ModelError(
            f'model {entry.name} has nothing to convert{" as " + role if role else ""}'
        )
    sources = {item.checkpoint.file if item.checkpoint else name for name, item in roles.items()}
    if checkpoint is not None and len(sources) > 1:
        raise ModelError(
            f'model {entry.name} has several networks; name one of {", ".join(roles)} for '
            f'{checkpoint}'
        )
    root = models_folder(models_dir)
    folder = root / (entry.name if seed is None else random_name(entry.name))
    done: dict[str, Converted] = {}
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory('.part', f'.{entry.name}.', root) as name:
            part = Path(name)
            for key, item in roles.items():
                source = None if seed is not None else _source(entry, item, folder, checkpoint)
                done[key] = convert(
                    item.family,
                    source,
                    part / Path(item.file).stem,
                    member=item.checkpoint.member if item.checkpoint else '',
                    formats=formats,
                    precision=precision,
                    size=size,
                    seed=seed,
                )
            folder.mkdir(exist_ok=True)
            _move(folder, done)
    except OSError as error:
        raise ModelError(f'cannot store model {entry.name} in {folder}: {error}') from error
    return done


def _source(entry: Entry, item: FileEntry, folder: Path, checkpoint: Path | None) -> Path:
    """The checkpoint to read, verified if it is the official one."""
    if checkpoint is not None:
        return checkpoint
    official = item.checkpoint
    if official is None:
        raise ModelError(
            f'model {entry.name} has no published checkpoint; name one with --checkpoint'
        )
    path = folder / official.file
    wrong = problem(official, path)
    if wrong:
        how = f'fetch it with: pose3d models fetch {entry.name}' if official.urls else official.note
        raise ModelError(f'model {entry.name}: {wrong}; {how or "name one with --checkpoint"}')
    return path


def _move(folder: Path, done: dict[str, Converted]) -> None:
    """Files first, then the manifest that makes them count."""
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        content = {}
    for role, converted in done.items():
        sums = {path.name: sha256(path) for path in converted.files}
        content[role] = {'files': sums, 'random': converted.metadata.get(WEIGHTS_KEY) == RANDOM}
        for k, path in enumerate(converted.files):
            converted.files[k] = path.replace(folder / path.name)
    temporary = manifest.with_suffix('.part')
    temporary.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    temporary.replace(manifest)
