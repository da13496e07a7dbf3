# SPDX-License-Identifier: Apache-2.0
"""Files that are published without a checksum: the first copy counts."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from support.metro_graph import MetroGraph, write_graph
from toy_models import WEIGHTS, Server, entry

from pose3d_ros.errors import ConfigError, ModelError
from pose3d_ros.zoo import FileEntry, fetch, find_model, load_registry, problems


def test_what_was_fetched_first_is_held_fast(tmp_path: Path, server: Server) -> None:
    server.contents['/net.onnx'] = WEIGHTS
    toy = entry(net=FileEntry(file='net.onnx', url=f'{server.address}/net.onnx'))
    assert 'does not exist' in problems(toy, tmp_path / 'toy')[0]
    folder = fetch(toy, tmp_path, progress=False)
    assert (folder / 'net.onnx').read_bytes() == WEIGHTS
    assert problems(toy, folder) == []
    model = find_model('toy', 'net', models_dir=tmp_path, registry={'toy': toy})
    assert len(model.version) == 12
    (folder / 'net.onnx').write_bytes(WEIGHTS + b'!')
    assert 'not as it was fetched' in problems(toy, folder)[0]
    with pytest.raises(ModelError, match='not as it was fetched'):
        find_model('toy', 'net', models_dir=tmp_path, registry={'toy': toy})
    fetch(toy, tmp_path, progress=False)
    assert problems(toy, folder) == []


def test_a_file_brought_by_hand_is_accepted(tmp_path: Path) -> None:
    toy = entry(net=FileEntry(file='net.onnx', url='https://example.org/net.onnx'))
    (tmp_path / 'toy').mkdir()
    (tmp_path / 'toy' / 'net.onnx').write_bytes(WEIGHTS)
    assert problems(toy, tmp_path / 'toy') == []


def test_an_error_page_is_no_graph(tmp_path: Path, server: Server) -> None:
    server.contents['/net.pb'] = b'<html>sign in first</html>'
    toy = entry(net=FileEntry(file='net.pb', url=f'{server.address}/net.pb'))
    with pytest.raises(ModelError, match='not a frozen TensorFlow graph'):
        fetch(toy, tmp_path, progress=False)
    assert not (tmp_path / 'toy').exists()
    write_graph(tmp_path / 'a.pb', MetroGraph(('pelv', 'head'), ((0, 1),), (1, 0), 2, width=4))
    server.contents['/net.pb'] = (tmp_path / 'a.pb').read_bytes()
    assert (fetch(toy, tmp_path, progress=False) / 'net.pb').is_file()


def test_one_file_out_of_an_archive(tmp_path: Path, server: Server) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('20230831/net/end2end.onnx', WEIGHTS)
        archive.writestr('20230831/other/end2end.onnx', WEIGHTS[::-1])
        archive.writestr('20230831/net/deploy.json', '{}')
    server.contents['/nets.zip'] = content.getvalue()
    url = f'{server.address}/nets.zip'
    toy = entry(net=FileEntry(file='net.onnx', url=url, archive='net/end2end.onnx'))
    folder = fetch(toy, tmp_path, progress=False)
    assert (folder / 'net.onnx').read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ['fetched.json', 'net.onnx']
    (folder / 'net.onnx').write_bytes(WEIGHTS + b'!')
    assert 'not as it was fetched' in problems(toy, folder)[0]


@pytest.mark.parametrize(
    ('content', 'member', 'message'),
    [
        (None, 'end2end.onnx', 'has 2 files end2end.onnx'),
        (None, 'nd2end.onnx', 'has 0 files nd2end.onnx'),
        (b'<html>sign in first</html>', 'end2end.onnx', 'no whole zip archive'),
    ],
)
def test_archives_without_the_file(
    tmp_path: Path, server: Server, content: bytes | None, member: str, message: str
) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, 'w') as archive:
        archive.writestr('a/end2end.onnx', WEIGHTS)
        archive.writestr('b/end2end.onnx', WEIGHTS)
    server.contents['/nets.zip'] = made.getvalue() if content is None else content
    url = f'{server.address}/nets.zip'
    toy = entry(net=FileEntry(file='net.onnx', url=url, archive=member))
    with pytest.raises(ModelError, match=message):
        fetch(toy, tmp_path, progress=False)
    assert not (tmp_path / 'toy').exists()


def test_a_wheel_s_files_always_have_checksums(tmp_path: Path) -> None:
    path = tmp_path / 'models.yaml'
    path.write_text(
        'models: {toy: {estimator: metro, title: t, skeleton: coco_17, licence: MIT, source: s, '
        'wheel: {requirement: a==1, file: a.whl, size: 1, sha256: "' + '0' * 64 + '"}, '
        'files: {net: {file: a.onnx, member: a.onnx}}}}'
    )
    with pytest.raises(ConfigError, match='size must be positive'):
        load_registry(path)


def test_all_twelve_graphs_of_metro_are_known() -> None:
    files = [
        entry.files['pose'] for entry in load_registry().values() if entry.estimator == 'metro'
    ]
    expected = {
        f'{kind}_st{stride}.pb'
        for kind in ('h36m', 'many_rn50', 'many_rn101')
        for stride in (32, 16, 8, 4)
    }
    assert {item.file for item in files} >= expected
    for item in files:
        if item.file in expected:
            assert item.url.endswith(f'/metro-pose3d/{item.file}')
