# SPDX-License-Identifier: Apache-2.0
"""npm packages, by npm itself; wheels are in test_fetch.py."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import toy_tfjs
from toy_models import NOTICE, WEIGHTS, Server, digest, entry, file_entry

from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import Entry, Npm, fetch, find_model, problems, tfjs
from pose3d_ros.zoo.packages import unpack_npm

pytestmark = pytest.mark.slow

ARCHIVE = '/zoo-test-1.2.0.tgz'
SINGLE = '/npm/@pose3d/zoo-test@1.2.0'


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


def toy(npm: Npm, name: str = 'toy', path: str = 'models/weights.onnx') -> Entry:
    content = WEIGHTS[::-1] if 'other' in path else WEIGHTS
    return entry(
        name,
        npm=npm,
        net=file_entry('net.onnx', content, npm=path),
        notice=file_entry('LICENSE', NOTICE, npm='LICENSE'),
    )


def with_addresses(npm: Npm, *starts: str) -> Npm:
    return dataclasses.replace(npm, urls=tuple(f'{s}/npm/{{package}}/{{path}}' for s in starts))


def test_wanted_members_are_kept(
    tmp_path: Path, npm: Npm, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    model, root = toy(npm), tmp_path / 'models'
    folder = fetch(model, root, registry={})
    assert tree(root) == ['toy', 'toy/LICENSE', 'toy/net.onnx']
    assert (folder / 'net.onnx').read_bytes() == WEIGHTS
    assert find_model('toy', 'net', models_dir=root, registry={'toy': model}).version
    captured = capfd.readouterr()
    assert captured.out == ''
    assert f'npm fetches the archive of {npm.package}' in captured.err
    # Once here, nobody is asked again, and only what is damaged is replaced.
    server.contents.clear()
    assert fetch(model, root, registry={}) == folder
    assert server.asked[ARCHIVE] == 1


def test_single_files_go_first(tmp_path: Path, npm: Npm, server: Server) -> None:
    server.contents[f'{SINGLE}/models/weights.onnx'] = WEIGHTS
    server.contents[f'{SINGLE}/LICENSE'] = NOTICE
    # The first address does not answer; the second does.
    model = toy(with_addresses(npm, 'http://127.0.0.1:9', server.address))
    folder = fetch(model, tmp_path, progress=False, registry={})
    assert not problems(model, folder)
    assert server.asked[ARCHIVE] == 0


def test_archive_where_single_files_fail(tmp_path: Path, npm: Npm, server: Server) -> None:
    server.contents[f'{SINGLE}/models/weights.onnx'] = b'<html>sign in first</html>'
    model = toy(with_addresses(npm, server.address))
    assert not problems(model, fetch(model, tmp_path, progress=False, registry={}))
    assert server.asked[f'{SINGLE}/models/weights.onnx'] == 1
    assert server.asked[ARCHIVE] == 1


def test_models_share_an_archive(tmp_path: Path, npm: Npm, server: Server) -> None:
    first, second = toy(npm), toy(npm, 'second', 'models/other.onnx')
    registry = {'toy': first, 'second': second}
    fetch(first, tmp_path, progress=False, registry=registry)
    # Set aside for the second: what it needs of the archive and is nowhere else.
    aside = f'.members/{digest(WEIGHTS[::-1])}'
    assert tree(tmp_path) == ['.members', aside, 'toy', 'toy/LICENSE', 'toy/net.onnx']
    fetch(second, tmp_path, progress=False, registry=registry)
    assert not problems(second, tmp_path / 'second')
    assert server.asked[ARCHIVE] == 1
    assert tree(tmp_path / '.members') == []
    assert not (tmp_path / '.members').exists()


def test_two_models_at_once(tmp_path: Path, npm: Npm, server: Server) -> None:
    first, second = toy(npm), toy(npm, 'second', 'models/other.onnx')
    registry = {'toy': first, 'second': second}
    gate = server.gates.setdefault(ARCHIVE, threading.Event())
    spawn = get_context('spawn').Process
    children = [
        spawn(
            target=fetch, args=(model, tmp_path), kwargs={'registry': registry, 'progress': False}
        )
        for model in registry.values()
    ]
    for child in children:
        child.start()
    deadline = time.monotonic() + 30
    while not server.asked[ARCHIVE]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.5)  # the other one reaches the lock
    gate.set()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert not problems(first, tmp_path / 'toy')
    assert not problems(second, tmp_path / 'second')
    assert server.asked[ARCHIVE] == 1


def graph_entry(npm: Npm, graph: bytes, onnx: bytes) -> Entry:
    model, first, second = toy_tfjs.files()
    sources = (
        file_entry('model.json', model, npm='models/model.json'),
        file_entry('a.bin', first, npm='models/a.bin'),
        file_entry('b.bin', second, npm='models/b.bin'),
    )
    made = dataclasses.replace(
        file_entry('toy.pb', graph), graph=sources, onnx=file_entry('toy.onnx', onnx)
    )
    return entry(npm=npm, net=made)


@pytest.fixture
def graph_files(tmp_path: Path) -> tuple[bytes, bytes]:
    """What the toy graph model becomes."""
    paths = [tmp_path / 'toy' / name for name in ('model.json', 'a.bin', 'b.bin', 'g', 'o')]
    paths[0].parent.mkdir()
    for path, content in zip(paths, toy_tfjs.files()):
        path.write_bytes(content)
    tfjs.convert(paths[0], paths[1:3], paths[3], paths[4])
    return paths[3].read_bytes(), paths[4].read_bytes()


def test_a_graph_is_converted(
    tmp_path: Path, server: Server, graph_files: tuple[bytes, bytes]
) -> None:
    for name, content in zip(('model.json', 'a.bin', 'b.bin'), toy_tfjs.files()):
        server.contents[f'{SINGLE}/models/{name}'] = content
    npm = with_addresses(Npm('@pose3d/zoo-test@1.2.0', 1000, '0' * 64), server.address)
    model, root = graph_entry(npm, *graph_files), tmp_path / 'models'
    assert 'toy.pb does not exist' in problems(model, root / 'toy')[0]
    folder = fetch(model, root, progress=False, registry={})
    assert tree(root) == ['toy', 'toy/toy.onnx', 'toy/toy.pb']
    for backend, file in (('auto', 'toy.pb'), ('openvino', 'toy.pb'), ('onnxruntime', 'toy.onnx')):
        found = find_model('toy', models_dir=root, registry={'toy': model}, backend=backend)
        assert found.files == {'net': folder / file}
    # Damage to either is noticed, and mended.
    for file in ('toy.pb', 'toy.onnx'):
        (folder / file).write_bytes(b'x')
        assert f'{file} has 1 bytes' in problems(model, folder)[0]
        fetch(model, root, progress=False, registry={})
        assert not problems(model, folder)


def test_without_openvino_its_onnx_file_is_taken(
    tmp_path: Path, graph_files: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = graph_entry(Npm('@pose3d/zoo-test@1.2.0', 1000, '0' * 64), *graph_files)
    for name, content in zip(('toy.pb', 'toy.onnx'), graph_files):
        (tmp_path / 'toy' / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, 'openvino', None)
    found = find_model('toy', models_dir=tmp_path, registry={'toy': model})
    assert found.files['net'].name == 'toy.onnx'


def test_a_conversion_that_gives_something_else(
    tmp_path: Path, server: Server, graph_files: tuple[bytes, bytes]
) -> None:
    for name, content in zip(('model.json', 'a.bin', 'b.bin'), toy_tfjs.files()):
        server.contents[f'{SINGLE}/models/{name}'] = content
    npm = with_addresses(Npm('@pose3d/zoo-test@1.2.0', 1000, '0' * 64), server.address)
    model = graph_entry(npm, graph_files[0], graph_files[1][::-1])
    message = 'model toy: toy.onnx from the conversion of model.json has the wrong checksum'
    with pytest.raises(ModelError, match=message):
        fetch(model, tmp_path / 'models', progress=False, registry={})
    assert not (tmp_path / 'models').exists()


def test_the_same_file_of_another_model_is_copied(tmp_path: Path, npm: Npm, server: Server) -> None:
    first = toy(npm)
    same = entry('same', npm=npm, net=file_entry('mine.onnx', WEIGHTS, npm='models/weights.onnx'))
    registry = {'toy': first, 'same': same}
    fetch(first, tmp_path, progress=False, registry=registry)
    server.contents.clear()
    fetch(same, tmp_path, progress=False, registry=registry)
    assert (tmp_path / 'same' / 'mine.onnx').read_bytes() == WEIGHTS
    # A damaged copy is none.
    (tmp_path / 'same' / 'mine.onnx').unlink()
    (tmp_path / 'toy' / 'net.onnx').write_bytes(WEIGHTS[:-1] + b'x')
    with pytest.raises(ModelError, match='npm cannot fetch'):
        fetch(same, tmp_path, progress=False, registry=registry)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sha256': '0' * 64}, 'zoo-test-1.2.0.tgz from npm has the wrong checksum'),
        ({'size': 17}, 'from npm has .* bytes and should have 17'),
        ({'package': '@pose3d/zoo-test@9.9.9'}, 'npm cannot fetch @pose3d/zoo-test@9.9.9: .*[Nn]o'),
        ({'package': '@pose3d/nowhere@1.0.0'}, 'npm cannot fetch @pose3d/nowhere@1.0.0: 404'),
    ],
)
def test_wrong_archive(tmp_path: Path, npm: Npm, changes: dict[str, object], message: str) -> None:
    npm = dataclasses.replace(npm, **changes)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=f'^model toy: .*{message}') as caught:
        fetch(toy(npm), tmp_path / 'models', progress=False, registry={})
    assert '\n' not in str(caught.value)
    assert not (tmp_path / 'models').exists()


def test_truncated_archive(tmp_path: Path, npm: Npm, server: Server) -> None:
    server.cut.add(ARCHIVE)
    with pytest.raises(ModelError, match='model toy: npm cannot'):
        fetch(toy(npm), tmp_path / 'models', progress=False, registry={})
    assert not (tmp_path / 'models').exists()


def test_wrong_member(tmp_path: Path, npm: Npm) -> None:
    wrong = entry(npm=npm, net=file_entry('net.onnx', WEIGHTS, npm='models/other.onnx'))
    with pytest.raises(ModelError, match='net.onnx from @pose3d/.* has the wrong checksum'):
        fetch(wrong, tmp_path / 'models', progress=False, registry={})
    missing = entry(npm=npm, net=file_entry('net.onnx', WEIGHTS, npm='models/missing.onnx'))
    with pytest.raises(ModelError, match=r'model toy: .*tgz has no models/missing.onnx'):
        fetch(missing, tmp_path / 'models', progress=False, registry={})
    assert not (tmp_path / 'models').exists()


def test_without_network(tmp_path: Path, npm: Npm, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ('registry', '@pose3d:registry'):
        monkeypatch.setenv(f'npm_config_{key}', 'http://127.0.0.1:9')
    model = toy(with_addresses(npm, 'http://127.0.0.1:9'))
    with pytest.raises(ModelError) as caught:
        fetch(model, tmp_path / 'models', progress=False, registry={})
    text = str(caught.value)
    assert f'npm cannot reach its registry to fetch {npm.package} (no network?)' in text
    assert 'cannot fetch http://127.0.0.1:9/npm/@pose3d/' in text
    assert '\n' not in text
    assert not (tmp_path / 'models').exists()


def test_without_npm(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PATH', str(tmp_path))
    npm = Npm('@pose3d/zoo-test@1.2.0', 1000, '0' * 64)
    with pytest.raises(ModelError, match=r'model toy: .*npm, which is not installed \(apt'):
        fetch(toy(npm), tmp_path / 'models', progress=False, registry={})
    with pytest.raises(ModelError, match=r'which is not installed.*\(cannot fetch http.*404'):
        fetch(toy(with_addresses(npm, server.address)), tmp_path / 'models', registry={})
    assert not (tmp_path / 'models').exists()


def test_settings_of_a_project_do_not_count(
    tmp_path: Path, npm: Npm, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / 'project'
    project.mkdir()
    (project / '.npmrc').write_text('cache=/nowhere\noffline=true\n')
    (project / 'package.json').write_text('{"name": "mine", "version": "0.0.1"}')
    monkeypatch.chdir(project)
    fetch(toy(npm), tmp_path / 'models', progress=False, registry={})
    assert tree(project) == ['.npmrc', 'package.json']


def test_no_archive(tmp_path: Path) -> None:
    path = tmp_path / 'a.tgz'
    path.write_bytes(WEIGHTS)
    with pytest.raises(ModelError, match='a.tgz is no whole archive'):
        unpack_npm(path, {'models/weights.onnx': tmp_path / 'x'})


def test_cut_archive(tmp_path: Path, npm: Npm, server: Server) -> None:
    path = tmp_path / 'a.tgz'
    path.write_bytes(server.contents[ARCHIVE][:200])
    with pytest.raises(ModelError, match='a.tgz is no whole archive'):
        unpack_npm(path, {'LICENSE': tmp_path / 'x'})
