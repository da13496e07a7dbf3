# SPDX-License-Identifier: Apache-2.0
"""Files of the same content are fetched once: several models share some, and some archives."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .registry import Entry, FileEntry, Npm
from .store import problem, problems

ASIDE = '.members'
"""Folder within the models folder, for members of an archive that other models will ask for."""


def copy_of(
    item: FileEntry, entry: Entry, root: Path, registry: Mapping[str, Entry]
) -> Path | None:
    """A whole file of that content in the models folder: another model's, or one set aside."""
    if not item.sha256:
        return None
    places = [root / ASIDE / item.sha256]
    places += [
        root / other.name / same.file
        for other in registry.values()
        if other.name != entry.name
        for same in other.stored
        if same.sha256 == item.sha256
    ]
    return next((path for path in places if not problem(item, path)), None)


def wanted_by_others(
    npm: Npm, entry: Entry, root: Path, registry: Mapping[str, Entry]
) -> dict[str, FileEntry]:
    """By path in the archive, what other models want of it and is not here yet."""
    ours = {item.sha256 for item in entry.sources}
    return {
        item.npm: item
        for other in registry.values()
        if other.name != entry.name and other.npm and other.npm.sha256 == npm.sha256
        if problems(other, root / other.name)
        for item in other.sources
        if item.npm and item.sha256 not in ours and not copy_of(item, entry, root, registry)
    }


def set_aside(item: FileEntry, path: Path, root: Path) -> None:
    """Keep a file for the model that will ask for it, if it is whole."""
    if not problem(item, path):
        (root / ASIDE).mkdir(exist_ok=True)
        path.replace(root / ASIDE / item.sha256)


def taken(entry: Entry, root: Path) -> None:
    """A model is here: what was set aside for it goes."""
    for item in entry.sources:
        (root / ASIDE / item.sha256).unlink(missing_ok=True)
    with suppress(OSError):  # not empty, or never made
        (root / ASIDE).rmdir()
