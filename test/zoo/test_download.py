# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from toy_models import WEIGHTS, Server

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo.download import ATTEMPTS, download


def test_goes_on_where_it_broke_off(tmp_path: Path, server: Server) -> None:
    server.contents['/a'] = WEIGHTS
    server.cut_once.add('/a')
    server.resumable.add('/a')
    download(f'{server.address}/a', tmp_path / 'a', progress=False)
    assert (tmp_path / 'a').read_bytes() == WEIGHTS
    assert server.asked['/a'] == 2
    assert server.sent['/a'] < len(WEIGHTS) * 1.2  # a block was lost


def test_begins_anew_where_the_server_cannot_resume(tmp_path: Path, server: Server) -> None:
    server.contents['/a'] = WEIGHTS
    server.cut_once.add('/a')
    download(f'{server.address}/a', tmp_path / 'a', progress=False)
    assert (tmp_path / 'a').read_bytes() == WEIGHTS
    assert server.sent['/a'] == len(WEIGHTS) * 3 // 2


def test_gives_up(tmp_path: Path, server: Server) -> None:
    server.contents['/a'] = WEIGHTS
    server.resumable.add('/a')
    server.cut.add('/a')
    with pytest.raises(ModelError, match=f'cannot fetch {server.address}/a: '):
        download(f'{server.address}/a', tmp_path / 'a', progress=False)
    assert server.asked['/a'] == ATTEMPTS


def test_what_lay_at_the_path_is_replaced(tmp_path: Path, server: Server) -> None:
    server.contents['/a'] = WEIGHTS
    server.resumable.add('/a')
    (tmp_path / 'a').write_bytes(b'of another address')
    download(f'{server.address}/a', tmp_path / 'a', progress=False)
    assert (tmp_path / 'a').read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ('url', 'message'),
    [
        ('http://127.0.0.1:9/a', 'Connection refused'),
        ('file:///nowhere/a', 'No such file'),
    ],
)
def test_nobody_there(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(ModelError, match=f'cannot fetch {url}: .*{message}'):
        download(url, tmp_path / 'a', progress=False)
