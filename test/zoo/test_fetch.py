# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import platformdirs
import pytest
from toy_models import NOTICE, WEIGHTS, Server, entry, file_entry

import pose3d_ros
from pose3d_ros.errors import ModelError
from pose3d_ros.zoo import Entry, fetch, find_model, problems

pytestmark = pytest.mark.slow

MakeWheel = Callable[..., Entry]


def tree(folder: Path) -> list[str]:
    """Everything in a folder, hidden files too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*'))


def web_entry(server: Server, content: bytes = WEIGHTS, name: str = 'toy') -> Entry:
    server.contents.setdefault('/net.onnx', content)
    url = f'{server.address}/net.onnx'
    return entry(name, net=file_entry('net.onnx', WEIGHTS, url=url))


def test_from_an_address(tmp_path: Path, server: Server) -> None:
    toy = web_entry(server)
    root = tmp_path / 'not' / 'yet'
    folder = fetch(toy, root)
    assert folder == root / 'toy'
    assert tree(root) == ['toy', 'toy/net.onnx']
    assert (folder / 'net.onnx').read_bytes() == WEIGHTS
    assert find_model('toy', 'net', models_dir=root, registry={'toy': toy})
    # Once here, nobody is asked again.
    assert fetch(toy, root) == folder
    assert server.asked['/net.onnx'] == 1


def test_progress_on_stderr(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(web_entry(server), tmp_path / 'a')
    captured = capsys.readouterr()
    assert '100%' in captured.err
    assert captured.out == ''
    fetch(web_entry(server), tmp_path / 'b', progress=False)
    assert capsys.readouterr() == ('', '')


def test_damaged_file_is_fetched_again(tmp_path: Path, server: Server) -> None:
    toy = web_entry(server)
    folder = fetch(toy, tmp_path)
    (folder / 'net.onnx').write_bytes(WEIGHTS[:100])
    fetch(toy, tmp_path)
    assert not problems(toy, folder)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (WEIGHTS[:-1] + b'x', 'wrong checksum'),
        (WEIGHTS[:1000], 'has 1000 bytes and should have 51200'),
    ],
)
def test_wrong_content(tmp_path: Path, server: Server, content: bytes, message: str) -> None:
    root = tmp_path / 'models'
    with pytest.raises(ModelError, match=message) as caught:
        fetch(web_entry(server, content), root)
    assert f'net.onnx from {server.address}/net.onnx' in str(caught.value)
    assert not root.exists()


def test_broken_connection(tmp_path: Path, server: Server) -> None:
    server.cut.add('/net.onnx')
    root = tmp_path / 'models'
    with pytest.raises(ModelError, match=r'cannot fetch http.*25600|has 25600 bytes'):
        fetch(web_entry(server), root)
    assert not root.exists()
    server.cut.clear()
    assert not problems(web_entry(server), fetch(web_entry(server), root))


def test_no_such_page(tmp_path: Path, server: Server) -> None:
    toy = web_entry(server)
    server.contents.clear()
    with pytest.raises(ModelError, match=r'cannot fetch http.*404'):
        fetch(toy, tmp_path / 'models')
    assert tree(tmp_path) == []


def test_no_network(tmp_path: Path) -> None:
    toy = entry(net=file_entry('net.onnx', WEIGHTS, url='http://127.0.0.1:9/net.onnx'))
    with pytest.raises(ModelError, match=r'cannot fetch http://127.0.0.1:9/net.onnx: Connection r'):
        fetch(toy, tmp_path / 'models')
    assert tree(tmp_path) == []


def test_from_a_local_file(tmp_path: Path) -> None:
    source = tmp_path / 'a file.onnx'
    source.write_bytes(WEIGHTS)
    toy = entry(net=file_entry('net.onnx', WEIGHTS, url=source.as_uri()))
    root = tmp_path / 'models'
    assert (fetch(toy, root) / 'net.onnx').read_bytes() == WEIGHTS
    source.unlink()
    with pytest.raises(ModelError, match=r'cannot fetch file://.*No such file'):
        fetch(toy, tmp_path / 'other')
    assert tree(tmp_path) == ['models', 'models/toy', 'models/toy/net.onnx']


def test_nothing_is_stored_when_the_second_file_fails(tmp_path: Path, server: Server) -> None:
    good = web_entry(server).files['net']
    bad = file_entry('bad.onnx', NOTICE, url=f'{server.address}/bad.onnx')
    with pytest.raises(ModelError, match='404'):
        fetch(entry(good=good, bad=bad), tmp_path / 'models')
    assert tree(tmp_path) == []


def test_disk_full(tmp_path: Path) -> None:
    source = tmp_path / 'net.onnx'
    source.write_bytes(WEIGHTS)
    huge = file_entry('net.onnx', WEIGHTS, url=source.as_uri())
    huge = type(huge)(**{**huge.__dict__, 'size': 10**18})
    root = tmp_path / 'models'
    with pytest.raises(ModelError, match=r'disk is full \(1000000000000 MB needed') as caught:
        fetch(entry(net=huge), root)
    assert str(root) in str(caught.value)
    assert 'POSE3D_MODELS' in str(caught.value)
    assert not root.exists()


def test_disk_fills_up_under_way(tmp_path: Path, server: Server) -> None:
    toy = web_entry(server)
    # The nearest thing to a full disk that a test can make: files may not grow past 30 kB.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
    try:
        with pytest.raises(ModelError, match='cannot store model toy in .*File too large'):
            fetch(toy, tmp_path / 'models', progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert tree(tmp_path) == []


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that may not be written to, root or not."""
    import requests  # noqa: F401 - a user without rights may be unable to read the installation

    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


def test_folder_that_may_not_be_written(forbidden: Path, server: Server) -> None:
    toy = web_entry(server)
    for root in (forbidden, forbidden / 'models'):
        with pytest.raises(ModelError, match=r'the folder may not be written to') as caught:
            fetch(toy, root)
        assert str(root) in str(caught.value)
    assert tree(forbidden) == []


def test_models_folder_is_a_file(tmp_path: Path, server: Server) -> None:
    (tmp_path / 'models').write_text('x')
    with pytest.raises(ModelError, match='cannot store model toy'):
        fetch(web_entry(server), tmp_path / 'models')


def test_three_processes_at_once(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = web_entry(server)
    gate = server.gates.setdefault('/net.onnx', threading.Event())
    spawn = get_context('spawn').Process
    children = [spawn(target=fetch, args=(toy, tmp_path)) for _ in range(3)]
    for child in children:
        child.start()
    output: list[str] = []

    def waiting() -> int:
        output.append(capfd.readouterr().err)
        return ''.join(output).count('another process is fetching it; waiting for that')

    _wait(lambda: server.asked['/net.onnx'] >= 1 and waiting() == 2)
    assert problems(toy, tmp_path / 'toy')
    gate.set()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert tree(tmp_path) == ['toy', 'toy/net.onnx']
    assert not problems(toy, tmp_path / 'toy')
    assert server.asked['/net.onnx'] == 1


def test_killed_process_leaves_nothing_that_stays(tmp_path: Path, server: Server) -> None:
    toy = web_entry(server)
    gate = server.gates.setdefault('/net.onnx', threading.Event())
    child = get_context('spawn').Process(target=fetch, args=(toy, tmp_path))
    child.start()
    _wait(lambda: server.asked['/net.onnx'] >= 1)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join(30)
    assert problems(toy, tmp_path / 'toy')
    gate.set()
    fetch(toy, tmp_path)
    assert tree(tmp_path) == ['toy', 'toy/net.onnx']


def test_from_a_wheel(
    tmp_path: Path, make_wheel: MakeWheel, capfd: pytest.CaptureFixture[str]
) -> None:
    toy = make_wheel()
    root = tmp_path / 'models'
    folder = fetch(toy, root)
    assert tree(root) == ['toy', 'toy/LICENSE', 'toy/weights.onnx']
    assert (folder / 'weights.onnx').read_bytes() == WEIGHTS
    captured = capfd.readouterr()
    assert 'pose3d' in captured.err
    assert captured.out == ''
    # Only what is damaged is replaced.
    (folder / 'LICENSE').unlink()
    stamp = (folder / 'weights.onnx').stat()
    fetch(toy, root, progress=False)
    assert (folder / 'LICENSE').read_bytes() == NOTICE
    assert (folder / 'weights.onnx').stat().st_ino == stamp.st_ino
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sha256': '0' * 64}, 'pose3d_zoo_test.*from pose3d-zoo-test==1.2 has the wrong checksum'),
        ({'size': 17}, 'bytes and should have 17'),
        (
            {'requirement': 'pose3d-zoo-test==9.9'},
            'cannot download pose3d-zoo-test==9.9: Could',
        ),
    ],
)
def test_wrong_wheel(
    tmp_path: Path, make_wheel: MakeWheel, changes: dict[str, object], message: str
) -> None:
    toy = make_wheel(**changes)
    with pytest.raises(ModelError, match=message):
        fetch(toy, tmp_path / 'models', progress=False)
    assert not (tmp_path / 'models').exists()


def test_wheel_without_the_member(tmp_path: Path, make_wheel: MakeWheel) -> None:
    toy = make_wheel()
    member = file_entry('weights.onnx', WEIGHTS, member='toy/other.onnx')
    toy = entry(wheel=toy.wheel, net=member)
    with pytest.raises(ModelError, match='no item named'):
        fetch(toy, tmp_path / 'models', progress=False)
    assert not (tmp_path / 'models').exists()


def test_wheel_without_network(
    tmp_path: Path, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = make_wheel()
    monkeypatch.delenv('PIP_NO_INDEX')
    monkeypatch.delenv('PIP_FIND_LINKS')
    monkeypatch.setenv('PIP_INDEX_URL', 'http://127.0.0.1:9/simple')
    with pytest.raises(ModelError, match=r'cannot reach its package index .* \(no network\?\)'):
        fetch(toy, tmp_path / 'models', progress=False)
    assert not (tmp_path / 'models').exists()


def test_python_without_pip(tmp_path: Path, make_wheel: MakeWheel) -> None:
    bare, packages = tmp_path / 'bare', tmp_path / 'packages'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(bare)], check=True)
    packages.mkdir()
    for path in Path(platformdirs.__file__).parents[1].iterdir():
        if not path.name.startswith('pip'):
            (packages / path.name).symlink_to(path)
    here = Path(pose3d_ros.__file__).parents[1]
    code = (
        'import pickle, sys\n'
        'from pose3d_ros.zoo import fetch\n'
        'fetch(pickle.load(sys.stdin.buffer), sys.argv[1])\n'
    )
    result = subprocess.run(
        [str(bare / 'bin' / 'python'), '-c', code, str(tmp_path / 'models')],
        input=pickle.dumps(make_wheel()),
        env=dict(os.environ, PYTHONPATH=f'{here}{os.pathsep}{packages}'),
        capture_output=True,
        check=False,
    )
    assert b'has no pip; install it' in result.stderr
    assert not (tmp_path / 'models').exists()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, 'nothing happened for 30 s'
        time.sleep(0.01)
