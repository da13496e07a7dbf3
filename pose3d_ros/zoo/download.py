# SPDX-License-Identifier: Apache-2.0
"""Fetches plain addresses; what breaks off goes on from where it was."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

from ..errors import ModelError

CONNECT_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 30.0
ATTEMPTS = 3
_BLOCK = 1 << 13  # what is lost when a connection breaks
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def download(
    url: str, path: Path, progress: bool, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> None:
    """Write the content of an address (http, https, file) to a path; progress: on stderr.

    A connection that breaks off is resumed, or begun anew if the server cannot resume. Raises
    ModelError, and OSError where there is no room.
    """
    try:
        if url.startswith('file://'):
            shutil.copyfile(unquote(urlsplit(url).path), path)
        else:
            path.unlink(missing_ok=True)
            _resuming(url, path, progress, (connect_timeout_s, READ_TIMEOUT_S))
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise ModelError(f'cannot fetch {url}: {reason(error)}') from error


def _resuming(url: str, path: Path, progress: bool, timeout: tuple[float, float]) -> None:
    """Go on for as long as each attempt brings something."""
    for attempt in range(1, ATTEMPTS + 1):
        before = path.stat().st_size if path.exists() else 0
        try:
            _transfer(url, path, progress, timeout)
        except OSError as error:  # the exceptions of requests are OSErrors too
            after = path.stat().st_size if path.exists() else 0
            if error.errno in _FULL or after <= before or attempt == ATTEMPTS:
                raise
        else:
            return


def _transfer(url: str, path: Path, progress: bool, timeout: tuple[float, float]) -> None:
    """One request: the rest of what is at the path already, or all."""
    import requests

    start = path.stat().st_size if path.exists() else 0
    # Compressed in transit, a file's bytes could not be counted.
    headers = {'Accept-Encoding': 'identity'}
    if start:
        headers['Range'] = f'bytes={start}-'
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        start = start if resumed else 0
        length = answer.headers.get('Content-Length', '')
        total = start + int(length) if length.isdecimal() else None
        with (
            path.open('ab' if resumed else 'wb') as stream,
            tqdm(
                total=total, initial=start, unit='B', unit_scale=True, disable=not progress
            ) as bar,
        ):
            for block in answer.iter_content(_BLOCK):
                stream.write(block)
                bar.update(len(block))
            written = stream.tell()
    if total is not None and written < total:
        raise OSError(f'{written} of {total} bytes came')


def reason(error: BaseException) -> str:
    """The innermost cause in one line: "Connection refused" beats a pool's retry history."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = (error.strerror if isinstance(error, OSError) else '') or str(error)
    return ' '.join(text.split())[:300] or type(error).__name__
