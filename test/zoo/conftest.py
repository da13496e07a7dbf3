# SPDX-License-Identifier: Apache-2.0
"""A web server, a package index of one wheel, a registry of one npm package: real, and local."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from toy_models import NOTICE, WEIGHTS, Server, digest, entry, file_entry

from pose3d_ros.zoo import Entry, Npm, Wheel

WHEEL = 'pose3d_zoo_test-1.2-cp311-cp311-manylinux_2_28_x86_64.whl'
TAGS = """\
Wheel-Version: 1.0
Root-Is-Purelib: false
Tag: cp311-cp311-manylinux_2_28_x86_64
"""
# The requirement would fail the download if pip looked at what the package needs.
METADATA = """\
Metadata-Version: 2.1
Name: pose3d-zoo-test
Version: 1.2
Requires-Dist: pose3d-zoo-nowhere
"""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked[self.path] += 1
            content = state.contents.get(self.path)
            if content is None:
                self.send_error(404)
                return
            start = self.headers.get('Range', '').removeprefix('bytes=').removesuffix('-')
            if start and self.path in state.resumable:
                content = content[int(start) :]
                self.send_response(206)
            else:
                self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            half = len(content) // 2
            # Counted before: the client may be through before this thread goes on.
            state.sent[self.path] += half
            self.wfile.write(content[:half])
            if self.path in state.cut or self.path in state.cut_once:
                state.cut_once.discard(self.path)
                return
            if self.path in state.gates:
                self.wfile.flush()
                state.gates[self.path].wait(30)
            state.sent[self.path] += len(content) - half
            self.wfile.write(content[half:])

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Handler) as web:
        state.address = f'http://127.0.0.1:{web.server_address[1]}'
        thread = threading.Thread(target=web.serve_forever, kwargs={'poll_interval': 0.02})
        thread.start()
        yield state
        for gate in state.gates.values():
            gate.set()
        web.shutdown()
        thread.join()


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Entry]:
    """A model in a wheel that pip finds in a folder, and nowhere else."""
    index = tmp_path / 'index'
    index.mkdir()
    monkeypatch.setenv('PIP_CONFIG_FILE', '/dev/null')
    monkeypatch.setenv('PIP_NO_INDEX', '1')
    monkeypatch.setenv('PIP_FIND_LINKS', str(index))

    def make(**changes: object) -> Entry:
        path = index / WHEEL
        info = 'pose3d_zoo_test-1.2.dist-info'
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('toy/weights.onnx', WEIGHTS)
            archive.writestr(f'{info}/LICENSE', NOTICE)
            archive.writestr(f'{info}/METADATA', METADATA)
            archive.writestr(f'{info}/WHEEL', TAGS)
            archive.writestr(f'{info}/RECORD', '')
        content = path.read_bytes()
        settings: dict[str, object] = {
            'requirement': 'pose3d-zoo-test==1.2',
            'file': WHEEL,
            'size': len(content),
            'sha256': digest(content),
        }
        return entry(
            wheel=Wheel(**(settings | changes)),  # type: ignore[arg-type]
            net=file_entry('weights.onnx', WEIGHTS, member='toy/weights.onnx'),
            notice=file_entry('LICENSE', NOTICE, member=f'{info}/LICENSE'),
        )

    return make


NPM = '@pose3d/zoo-test'
ARCHIVE = '/zoo-test-1.2.0.tgz'


@pytest.fixture
def npm(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Npm:
    """A package that npm finds in a registry of its own, and nowhere else."""
    if shutil.which('npm') is None:
        pytest.skip('npm is not installed')
    for key in ('registry', '@pose3d:registry'):
        monkeypatch.setenv(f'npm_config_{key}', server.address)
    for name in ('userconfig', 'globalconfig'):
        monkeypatch.setenv(f'npm_config_{name}', str(tmp_path / f'no_{name}'))
    package = {'name': NPM, 'version': '1.2.0', 'scripts': {'prepack': 'touch ran'}}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode='w:gz') as archive:
        for path, data in (
            ('package.json', json.dumps(package).encode()),
            ('models/weights.onnx', WEIGHTS),
            ('models/other.onnx', WEIGHTS[::-1]),
            ('models/unwanted.onnx', NOTICE * 1000),
            ('LICENSE', NOTICE),
        ):
            info = tarfile.TarInfo(f'package/{path}')
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    server.contents[ARCHIVE] = content.getvalue()
    release = {'name': NPM, 'version': '1.2.0', 'dist': {'tarball': server.address + ARCHIVE}}
    listing = {'name': NPM, 'dist-tags': {'latest': '1.2.0'}, 'versions': {'1.2.0': release}}
    server.contents['/' + NPM.replace('/', '%2f')] = json.dumps(listing).encode()
    return Npm(f'{NPM}@1.2.0', len(content.getvalue()), digest(content.getvalue()))
