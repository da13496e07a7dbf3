# SPDX-License-Identifier: Apache-2.0
"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..errors import OutputError


class PartFile:
    """A place beside the target to write to; commit() moves it there, discard() removes it.

    The path ends with the target's own suffix, which encoders go by: `walk.part.mp4`.
    """

    def __init__(self, target: str | Path) -> None:
        """Make the target's folder and check that a file can be made there; else OutputError."""
        self.target = Path(target).expanduser()
        self.path = self.target.with_name(f'{self.target.stem}.part{self.target.suffix}')
        with writing(self.target):
            if self.target.is_dir():
                raise IsADirectoryError(21, 'is a folder')
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self.path.open('wb').close()

    def commit(self) -> Path:
        """Move the finished file to its name; a file of that name is replaced."""
        with writing(self.target):
            with self.path.open('rb+') as file:
                os.fsync(file.fileno())
            self.path.replace(self.target)
        return self.target

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self.path.unlink()

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error_class is None:
            self.commit()
        else:
            self.discard()


@contextmanager
def writing(target: str | Path) -> Iterator[None]:
    """Turn failures of the system into an OutputError that names the file and the reason."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise OutputError(f'cannot write {target}: {reason[0].lower()}{reason[1:]}') from error


def write_text(target: str | Path, content: str) -> Path:
    """Write a small text file, whole or not at all."""
    return write_bytes(target, content.encode())


def write_bytes(target: str | Path, content: bytes) -> Path:
    """Write a small file, whole or not at all."""
    part = PartFile(target)
    try:
        with writing(target):
            part.path.write_bytes(content)
        return part.commit()
    except BaseException:
        part.discard()
        raise


class StandardOutput:
    """Takes the place of a PartFile for results that go down a pipe."""

    target = Path('standard output')

    def commit(self) -> Path:
        """Hand over what is buffered."""
        sys.stdout.flush()
        return self.target

    def discard(self) -> None:
        """Nothing to remove."""


def open_text(part: PartFile | StandardOutput) -> IO[Any]:
    """Open a part file for text."""
    if isinstance(part, StandardOutput):
        return os.fdopen(os.dup(sys.stdout.fileno()), 'w', buffering=1, encoding='utf-8')
    with writing(part.target):
        return part.path.open('w', encoding='utf-8', newline='')
