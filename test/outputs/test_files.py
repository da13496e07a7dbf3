# SPDX-License-Identifier: Apache-2.0
import os
import resource
import signal

import pytest

from pose3d_ros.errors import OutputError
from pose3d_ros.outputs.files import PartFile, open_text, write_text


@pytest.fixture
def small_disk():
    """Files cannot grow over 50 kB: the system fails the write, as on a full disk."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


def test_name_appears_when_the_file_is_whole(tmp_path):
    target = tmp_path / 'new' / 'a.txt'
    with PartFile(target) as part:
        with open_text(part) as file:
            file.write('hello')
        assert not target.exists()
        assert part.path.name == 'a.part.txt'
    assert target.read_text() == 'hello'
    assert os.listdir(target.parent) == ['a.txt']


def test_old_file_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / 'a.txt'
    target.write_text('old')

    def fail():
        with PartFile(target) as part:
            part.path.write_text('new')
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']
    write_text(target, 'new')
    assert target.read_text() == 'new'


def test_full_disk(tmp_path, small_disk):
    with pytest.raises(OutputError, match=r'cannot write .*a\.txt: file too large'):
        write_text(tmp_path / 'a.txt', 'x' * 100_000)
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OutputError, match='folder: is a folder'):
        PartFile(tmp_path / 'folder')
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='cannot write'):
        PartFile(tmp_path / 'file' / 'a.txt')
    with pytest.raises(OutputError, match=r'/proc/none/a\.txt'):
        PartFile('/proc/none/a.txt')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write everywhere')
def test_read_only_folder(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match='permission denied'):
        PartFile(tmp_path / 'a.txt')
