# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from support.bags import read
from support.blobs import draw

from pose3d_ros.bags.writer import BagWriter
from pose3d_ros.camera import Camera
from pose3d_ros.errors import ConfigError, OutputError
from pose3d_ros.messages import decode_compressed, decode_image, stamp_of
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig
from pose3d_ros.types import Frame

pytestmark = pytest.mark.slow

CAMERA = Camera(K=np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), size=(640, 480))
CONFIG = NodeConfig(estimator='support.blobs')
S = 1_000_000_000


def record(path, count=5, begin_ns=100 * S, config=CONFIG, camera=CAMERA, **options):
    pipeline = Pipeline(config)
    with BagWriter(path, pipeline, config=config, **options) as bag:
        for k in range(count):
            image = draw([(300 + 5 * k, 240, 320)])
            frame = Frame(image, begin_ns + k * S // 30, 'cam', camera)
            bag.write(0, *pipeline.process(frame).finished)
    return path


def fill(bag, count=1, error=None):
    pipeline = Pipeline(CONFIG)
    with bag:
        for _ in range(count):
            frame = Frame(draw([(320, 240, 320)]), S)
            bag.write(0, *pipeline.process(frame).finished)
        if error:
            raise error


@pytest.mark.parametrize('name', ['walk.mcap', 'walk'])
def test_topics(tmp_path, name):
    path = record(tmp_path / name)
    assert path.is_file() == name.endswith('.mcap')
    assert [p.name for p in tmp_path.iterdir()] == [name]
    found = read(path)
    assert {topic: len(messages) for topic, messages in found.items()} == {
        '/pose3d_estimator/estimator_info': 1,
        '/pose3d_estimator/skeletons': 5,
        '/pose3d_estimator/markers': 5,
        '/camera/image/compressed': 5,
        '/camera/camera_info': 5,
    }
    for topic in set(found) - {'/pose3d_estimator/estimator_info', '/pose3d_estimator/markers'}:
        times = [time_ns for time_ns, _ in found[topic]]
        assert times == [100 * S + k * S // 30 for k in range(5)]
        assert [stamp_of(m.header) for _, m in found[topic]] == times
        assert {m.header.frame_id for _, m in found[topic]} == {'cam'}
    _, array = found['/pose3d_estimator/skeletons'][-1]
    assert array.skeletons[0].root.position.z == pytest.approx(3.0, rel=0.02)
    _, image = found['/camera/image/compressed'][0]
    assert np.abs(decode_compressed(image).astype(int) - draw([(300, 240, 320)])).mean() < 3
    _, info = found['/camera/camera_info'][0]
    assert info.k[0] == 600


def test_latched_topics_are_offered_so(tmp_path):
    with AnyReader([record(tmp_path / 'walk.mcap')]) as reader:
        profiles = {c.topic: c.ext.offered_qos_profiles[0] for c in reader.connections}
    assert profiles['/pose3d_estimator/estimator_info'].durability.name == 'TRANSIENT_LOCAL'
    assert profiles['/pose3d_estimator/skeletons'].durability.name == 'VOLATILE'


def test_raw_images_and_none(tmp_path):
    found = read(record(tmp_path / 'raw.mcap', image='raw'))
    _, image = found['/camera/image'][0]
    np.testing.assert_array_equal(decode_image(image), draw([(300, 240, 320)]))
    found = read(record(tmp_path / 'none.mcap', image='none', camera=None))
    assert set(found) == {
        '/pose3d_estimator/estimator_info',
        '/pose3d_estimator/skeletons',
        '/pose3d_estimator/markers',
    }
    with pytest.raises(ConfigError, match='one of compressed, raw, none'):
        record(tmp_path / 'x.mcap', image='png')


def test_transforms(tmp_path):
    config = CONFIG.replace(publish_tf=True, publish_markers=False)
    found = read(record(tmp_path / 'tf.mcap', config=config))
    assert len(found['/tf']) == 5
    assert found['/tf'][0][1].transforms[0].child_frame_id == 'body_1'
    assert '/pose3d_estimator/markers' not in found


def test_stamps_that_begin_at_zero_are_moved(tmp_path):
    found = read(record(tmp_path / 'video.mcap', begin_ns=0))
    stamps = [stamp_of(m.header) for _, m in found['/pose3d_estimator/skeletons']]
    assert stamps == [S + k * S // 30 for k in range(5)]


def test_equal_input_gives_equal_bytes(tmp_path):
    for folder in ('a', 'b'):
        record(tmp_path / folder / 'walk.mcap')
    first, second = ((tmp_path / f / 'walk.mcap').read_bytes() for f in 'ab')
    assert first == second


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / 'walk.mcap'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError):
        fill(BagWriter(path, Pipeline(CONFIG)), error=RuntimeError('in the middle'))
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]
    record(path)
    assert len(read(path)['/pose3d_estimator/skeletons']) == 5


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / 'walk').mkdir()
    with pytest.raises(OutputError, match=r'walk: exists already'):
        record(tmp_path / 'walk')


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='cannot write'):
        record(tmp_path / 'file' / 'walk.mcap')


def test_full_disk(tmp_path):
    """/dev/full is a disk that is always full."""
    bag = BagWriter(tmp_path / 'walk.mcap', Pipeline(CONFIG), image='raw')
    # The file under the writer, replaced by the full disk.
    bag._writer.storage.bio.close()
    with Path('/dev/full').open('wb', buffering=0) as full:
        bag._writer.storage.bio = full
        with pytest.raises(OutputError, match=r'walk\.mcap: no space left on device'):
            fill(bag, count=5)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_at_the_end(tmp_path, monkeypatch):
    bag = BagWriter(tmp_path / 'walk.mcap', Pipeline(CONFIG))

    def full(descriptor):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(OutputError, match='no space left'):
        fill(bag)
    assert list(tmp_path.iterdir()) == []
