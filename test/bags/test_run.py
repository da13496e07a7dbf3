# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from support.bags import BOTH, COMPRESSED, IMAGE, STRING, TYPES, S, message_of, read, record
from support.blobs import draw
from support.keypoints import array_of, pixels_at

from pose3d_ros.bags.file import BagFile
from pose3d_ros.bags.recording import Recording, find_streams
from pose3d_ros.bags.run import BagRun
from pose3d_ros.cli.main import main
from pose3d_ros.errors import InputError
from pose3d_ros.messages import decode_image, make_header, stamp_of
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig

pytestmark = pytest.mark.slow


def process(source, target, *options):
    return main(['bag', str(source), str(target), '--estimator', 'support.blobs', *options])


@pytest.mark.parametrize(
    ('storage', 'compression'),
    [
        (StoragePlugin.MCAP, None),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),
        (StoragePlugin.SQLITE3, None),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
    ],
)
def test_recordings_of_ros2(tmp_path, storage, compression):
    source = record(tmp_path / 'in', BOTH, storage=storage, compression=compression)
    assert process(source, tmp_path / 'out.mcap') == 0
    found = read(tmp_path / 'out.mcap')
    assert {topic: len(messages) for topic, messages in found.items()} == {
        '/camera/image_raw': 6,
        '/camera/camera_info': 6,
        '/pose3d_estimator/estimator_info': 1,
        '/pose3d_estimator/skeletons': 6,
        '/pose3d_estimator/markers': 6,
    }
    for (image_ns, image), (time_ns, array) in zip(
        found['/camera/image_raw'], found['/pose3d_estimator/skeletons']
    ):
        assert image_ns == time_ns
        assert stamp_of(image.header) == stamp_of(array.header)
        assert array.skeletons[0].root.position.z == pytest.approx(3.0, rel=0.02)
        assert array.skeletons[0].track_id == 1


def test_single_files(tmp_path):
    source = record(tmp_path / 'in', BOTH)
    assert process(source / 'in.mcap', tmp_path / 'out.mcap') == 0
    assert len(read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons']) == 6
    source = record(tmp_path / 'in2', BOTH, storage=StoragePlugin.SQLITE3)
    assert process(source / 'in2.db3', tmp_path / 'out2.mcap') == 0
    assert len(read(tmp_path / 'out2.mcap')['/pose3d_estimator/skeletons']) == 6


def test_compressed_images_and_other_topics(tmp_path):
    source = record(tmp_path / 'in', {'/front/image/compressed': COMPRESSED, '/said': STRING})
    assert process(source, tmp_path / 'out') == 0
    found = read(tmp_path / 'out')
    assert [m.data for _, m in found['/said']] == [f'message {k}' for k in range(6)]
    assert len(found['/pose3d_estimator/skeletons']) == 6
    assert (tmp_path / 'out' / 'metadata.yaml').is_file()


@pytest.mark.parametrize('kind', ['sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'])
def test_recordings_of_ros1(tmp_path, kind):
    store = get_typestore(Stores.ROS1_NOETIC)
    header = store.types['std_msgs/msg/Header']
    time = store.types['builtin_interfaces/msg/Time']
    with Writer1(tmp_path / 'in.bag') as writer:
        topic = writer.add_connection('/camera/image', kind, typestore=store)
        for k in range(4):
            image = draw([(300 + k, 240, 320)])
            stamp = header(seq=k, stamp=time(sec=10, nanosec=k * 33_000_000), frame_id='cam')
            if kind == IMAGE:
                message = store.types[kind](
                    header=stamp,
                    height=480,
                    width=640,
                    encoding='bgr8',
                    is_bigendian=0,
                    step=1920,
                    data=image.ravel(),
                )
            else:
                data = cv2.imencode('.jpg', image)[1].ravel()
                message = store.types[kind](header=stamp, format='jpeg', data=data)
            writer.write(topic, 11 * S + k, store.serialize_ros1(message, kind))
    assert process(tmp_path / 'in.bag', tmp_path / 'out.mcap') == 0
    found = read(tmp_path / 'out.mcap')
    assert set(found) == {
        '/pose3d_estimator/skeletons',
        '/pose3d_estimator/markers',
        '/pose3d_estimator/estimator_info',
    }
    stamps = [stamp_of(m.header) for _, m in found['/pose3d_estimator/skeletons']]
    assert stamps == [10 * S + k * 33_000_000 for k in range(4)]
    assert all(len(m.skeletons) == 1 for _, m in found['/pose3d_estimator/skeletons'])


def test_results_of_an_earlier_run_are_replaced(tmp_path):
    source = record(tmp_path / 'in', BOTH)
    assert process(source, tmp_path / 'first.mcap') == 0
    assert process(tmp_path / 'first.mcap', tmp_path / 'second.mcap') == 0
    first, second = read(tmp_path / 'first.mcap'), read(tmp_path / 'second.mcap')
    assert {t: len(m) for t, m in first.items()} == {t: len(m) for t, m in second.items()}


def test_raw_is_preferred_to_its_own_compressed_form(tmp_path):
    source = record(tmp_path / 'in', {'/a/image': IMAGE, '/a/image/compressed': COMPRESSED})
    recording = Recording(source)
    assert [s.image for s in find_streams(recording)] == ['/a/image']
    recording.close()


def test_broken_images_are_left_out_and_named(tmp_path, capsys):
    def change(k, topic, message):
        if k == 2:
            message.encoding = 'rgb7'
        if k == 3:
            message.data = message.data[:1000]

    source = record(tmp_path / 'in', {'/image': IMAGE}, change=change)
    assert process(source, tmp_path / 'out.mcap') == 0
    err = capsys.readouterr().err
    assert "'rgb7' is unknown" in err
    assert 'truncated' in err
    found = read(tmp_path / 'out.mcap')
    assert len(found['/pose3d_estimator/skeletons']) == 4
    assert len(found['/image']) == 6


@pytest.mark.parametrize(
    ('make', 'complaint'),
    [
        (lambda path: None, 'no such bag'),
        (lambda path: path.mkdir(), r'not a bag \(no metadata.yaml\)'),
        (lambda path: path.write_bytes(b''), 'not a readable bag'),
        (lambda path: path.write_bytes(b'\x89MCAP0\r\n' + b'x' * 100), 'not a readable bag'),
    ],
)
@pytest.mark.parametrize('name', ['in', 'in.mcap', 'in.db3', 'in.bag'])
def test_not_a_bag(tmp_path, make, complaint, name):
    make(tmp_path / name)
    with pytest.raises(InputError, match=rf'{complaint}|not a readable bag'):
        Recording(tmp_path / name)


def test_bag_that_is_damaged_in_the_middle(tmp_path, capsys):
    """What was processed before the damage is kept, as a whole bag."""
    source = record(tmp_path / 'in', BOTH, count=12)
    data = bytearray((source / 'in.mcap').read_bytes())
    # A record in the middle that claims to be longer than the file.
    middle = data.find(b'\x05', len(data) // 2)
    data[middle : middle + 2000] = b'\xff' * 2000
    (source / 'in.mcap').write_bytes(data)
    code = process(source, tmp_path / 'out.mcap')
    err = capsys.readouterr().err
    found = read(tmp_path / 'out.mcap')
    images = len(found['/pose3d_estimator/skeletons'])
    assert 0 < images <= 12
    if code == 3:
        assert 'damaged' in err
        assert 'what came before is in' in err
    else:
        assert images < 12
        assert 'warning' in err


def test_messages_that_end_early(tmp_path):
    """The reader fails in the middle: the summary says so and the bag is whole."""
    source = record(tmp_path / 'in', BOTH)
    config = NodeConfig(estimator='support.blobs')
    recording = Recording(source)
    whole = recording.messages

    def broken():
        for k, item in enumerate(whole()):
            if k == 5:
                raise InputError('in: damaged: checksum')
            yield item

    recording.messages = lambda *topics: whole(*topics) if topics else broken()
    with BagFile(tmp_path / 'out.mcap') as bag:
        run = BagRun(recording, bag, Pipeline(config), config, find_streams(recording))
        summary = run.run()
    recording.close()
    assert summary.damage == 'in: damaged: checksum'
    assert 0 < summary.images < 6
    assert len(read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons']) == summary.images


def test_topics_that_are_not_there(tmp_path):
    recording = Recording(record(tmp_path / 'in', BOTH))
    with pytest.raises(InputError, match='no image topic /x; there: /camera/image_raw'):
        find_streams(recording, ['/x'])
    with pytest.raises(InputError, match='no camera_info topic /x; there: /camera/camera_info'):
        find_streams(recording, camera_info='/x')
    recording.close()
    recording = Recording(record(tmp_path / 'in2', {'/said': STRING}))
    with pytest.raises(InputError, match='no image topics; topics: /said'):
        find_streams(recording)
    recording.close()


DEPTH, KEYPOINTS_OF = '/camera/depth', '/pose2d/skeletons'


def beside(path, *, late_ns=0, apart_ns=0, frame_id='cam', restart_at=6):
    """Images, depth images of 4 m and keypoints.

    late_ns: how much later than images they are recorded. apart_ns: from the stamps of images to
    those of depth. The fourth depth image is broken. restart_at: image from which on stamps begin
    60 s earlier.
    """
    kinds = {**BOTH, DEPTH: IMAGE, KEYPOINTS_OF: 'pose3d_ros/msg/Skeleton3DArray'}
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind, typestore=TYPES.store)
            for topic, kind in kinds.items()
        }

        def put(topic, message, time_ns):
            writer.write(topics[topic], time_ns, TYPES.serialize(message, kinds[topic]))

        for k in range(6):
            time_ns = 100 * S + k * S // 30
            stamp_ns = time_ns - 60 * S * (k >= restart_at)
            for topic, kind in BOTH.items():
                put(topic, message_of(kind, k, stamp_ns), time_ns)
            depth = TYPES(IMAGE)(
                header=make_header(TYPES, stamp_ns + apart_ns, frame_id), encoding='16UC1',
                width=640, height=480, step=1280,
            )  # fmt: skip
            depth.data = np.full((480, 640), 4000, np.uint16).view(np.uint8).ravel()
            if k == 3:
                depth.encoding = 'rgb7'
            put(DEPTH, depth, time_ns + late_ns)
            header = make_header(TYPES, stamp_ns, 'cam')
            put(KEYPOINTS_OF, array_of(TYPES, header, pixels_at(0.5)), time_ns + late_ns)
    return path


def first_people(path):
    return [array.skeletons[0] for _, array in read(path)['/pose3d_estimator/skeletons']]


@pytest.mark.parametrize('late_ns', [0, 300_000_000])
def test_depth_beside_the_images(tmp_path, late_ns, capsys):
    source = beside(tmp_path / 'in', late_ns=late_ns)
    options = ('--depth', DEPTH, '--no-smoothing')
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    people = first_people(tmp_path / 'out.mcap')
    assert [person.position_source for person in people] == [4, 4, 4, 2, 4, 4]
    z = [person.root.position.z for person in people]
    assert z[:3] + z[4:] == pytest.approx([4.09] * 5, abs=0.05)
    # The size that the depth images told before draws it nearer to them: by itself it is at 3 m.
    assert 3.2 < z[3] < 4.0
    assert "depth encoding 'rgb7' is unknown" in capsys.readouterr().err
    assert len(read(tmp_path / 'out.mcap')[DEPTH]) == 6
    # Without it, sizes tell.
    options = ('--image', '/camera/image_raw', '--no-smoothing')
    assert process(source, tmp_path / 'without.mcap', *options) == 0
    assert {person.position_source for person in first_people(tmp_path / 'without.mcap')} == {2}


def test_depth_of_another_time_or_camera(tmp_path, capsys):
    options = ('--image', '/camera/image_raw', '--depth', DEPTH)
    for name, changes in (('time', {'apart_ns': S}), ('frame', {'frame_id': 'depth_cam'})):
        source = beside(tmp_path / name, **changes)
        assert process(source, tmp_path / f'{name}.mcap', *options) == 0
        people = first_people(tmp_path / f'{name}.mcap')
        assert [person.position_source for person in people] == [2] * 6
    err = capsys.readouterr().err
    assert 'depth_cam' in err
    assert f'{DEPTH}: nothing of the time of 6 images' in err


def test_stamps_that_begin_anew_keep_their_depth(tmp_path):
    """As in a recording of two runs of a simulation."""
    source = beside(tmp_path / 'in', restart_at=4)
    assert process(source, tmp_path / 'out.mcap', '--depth', DEPTH, '--no-smoothing') == 0
    people = first_people(tmp_path / 'out.mcap')
    assert [person.position_source for person in people] == [4, 4, 4, 2, 4, 4]


def test_keypoints_beside_the_images(tmp_path):
    source = beside(tmp_path / 'in', late_ns=200_000_000)
    options = ('--image', '/camera/image_raw', '--keypoints', KEYPOINTS_OF)
    assert process(source, tmp_path / 'out.mcap', '--estimator', 'lifter', *options) == 0
    arrays = [array for _, array in read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons']]
    assert [len(array.skeletons) for array in arrays] == [1] * 6
    assert {array.convention for array in arrays} == {'cmu_22'}
    assert arrays[-1].skeletons[0].root.position.x == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize(
    ('options', 'complaint'),
    [
        (('--depth', '/x'), 'no topic /x; of that type: /camera/depth, /camera/image_raw'),
        (('--keypoints', DEPTH), f'{DEPTH} is a sensor_msgs/msg/Image, not a pose3d_ros/msg/Skel'),
        (('--detections', DEPTH), 'of that type: none'),
        (('--image', DEPTH, '--depth', DEPTH), 'belong to one image topic'),
        (('--set', 'depth_transport=raw'), '--depth TOPIC'),
    ],
)
def test_topics_beside_the_images_that_cannot_be(tmp_path, capsys, options, complaint):
    source = beside(tmp_path / 'in')
    assert process(source, tmp_path / 'out.mcap', '--image', '/camera/image_raw', *options) in (
        2,
        3,
    )
    assert complaint in capsys.readouterr().err


def test_cameras_by_their_names(tmp_path, capsys):
    kinds = {
        '/left/image_raw': IMAGE,
        '/left/depth': IMAGE,
        '/right/image_raw/compressed': COMPRESSED,
    }
    source = record(tmp_path / 'in', kinds)
    assert process(source, tmp_path / 'out.mcap', '--set', 'cameras=right') == 0
    found = read(tmp_path / 'out.mcap')
    assert len(found['/pose3d_estimator/right/skeletons']) == 6
    options = ('--set', 'cameras=front,back', '--image', '/right/image_raw/compressed')
    assert process(source, tmp_path / 'out.mcap', *options, '--image', '/left/image_raw') == 0
    found = read(tmp_path / 'out.mcap')
    assert {t for t in found if t.endswith('skeletons')} == {
        '/pose3d_estimator/front/skeletons', '/pose3d_estimator/back/skeletons',
    }  # fmt: skip
    assert process(source, tmp_path / 'out.mcap', *options) == 2
    assert '2 cameras are named, and 1 image topics' in capsys.readouterr().err
    assert process(source, tmp_path / 'out.mcap', '--set', 'cameras=left') == 3
    assert 'choose of /left/depth, /left/image_raw' in capsys.readouterr().err


def test_settings_of_the_node(tmp_path):
    source = record(
        tmp_path / 'in', BOTH, change=lambda k, topic, m: setattr(m.header, 'frame_id', '')
    )
    options = ('--set', 'camera_frame=eye', '--set', 'publish_markers=false', '--debug-image')
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    found = read(tmp_path / 'out.mcap')
    assert '/pose3d_estimator/markers' not in found
    assert {m.header.frame_id for _, m in found['/pose3d_estimator/skeletons']} == {'eye'}
    images = [m for _, m in found['/pose3d_estimator/debug_image']]
    assert len(images) == 6
    plain = decode_image(found['/camera/image_raw'][0][1])
    assert (decode_image(images[0]) != plain).any()


def test_images_that_the_estimator_fails_on(tmp_path, capsys):
    red = np.full((480, 640, 3), (0, 0, 255), np.uint8)

    def change(k, topic, message):
        if topic == '/image' and k in (1, 2, 4):
            message.data = red.ravel()

    source = record(tmp_path / 'in', {'/image': IMAGE}, change=change)
    assert process(source, tmp_path / 'out.mcap') == 0
    assert 'RuntimeError: the network failed on a red image' in capsys.readouterr().err
    assert len(read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons']) == 3
    assert process(source, tmp_path / 'again.mcap', '--set', 'max_failures=2') == 1
    assert '2 images in a row failed' in capsys.readouterr().err
    assert not (tmp_path / 'again.mcap').exists()


def test_frames_that_are_held_back_come_at_the_end(tmp_path):
    source = record(tmp_path / 'in', BOTH, count=7)
    assert process(source, tmp_path / 'out.mcap', '--estimator', 'support.holding') == 0
    arrays = read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons']
    assert [stamp_of(m.header) for _, m in arrays] == [
        100 * S + k * S // 30 - 1000 for k in range(7)
    ]
    times = [time_ns for time_ns, _ in arrays]
    assert times == [100 * S + k * S // 30 for k in (2, 2, 2, 5, 5, 5, 6)]


def test_people_are_searched_for_in_step(tmp_path):
    """A search beside the images would find people in a recording by chance."""
    config = NodeConfig(estimator='support.blobs')
    assert not config.finder_in_step
    pipeline = Pipeline(config)
    recording = Recording(record(tmp_path / 'in', BOTH))
    with BagFile(tmp_path / 'out.mcap') as bag:
        BagRun(recording, bag, pipeline, config, find_streams(recording)).run()
    recording.close()
    assert pipeline.config.finder_in_step
