# SPDX-License-Identifier: Apache-2.0
"""Transforms and other topics of a recording, read as far as an image needs them."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from support.bags import BOTH, TYPES, S, message_of, read, record

from pose3d_ros.bags.ahead import RecordedTransforms
from pose3d_ros.bags.file import BagFile
from pose3d_ros.bags.recording import Recording, find_streams
from pose3d_ros.bags.run import BagRun
from pose3d_ros.cli.main import main
from pose3d_ros.messages import make_header, stamp_of
from pose3d_ros.pipeline import Pipeline
from pose3d_ros.settings.node import NodeConfig

pytestmark = pytest.mark.slow

TF = 'tf2_msgs/msg/TFMessage'
# Optical axes in a frame with x forward and z up: x_base = R x_optical.
OPTICAL = (-0.5, 0.5, -0.5, 0.5)


def transform(parent, child, stamp_ns, xyz, quaternion=(0.0, 0.0, 0.0, 1.0)):
    message = TYPES('geometry_msgs/msg/TransformStamped')(
        header=make_header(TYPES, stamp_ns, parent), child_frame_id=child
    )
    for name, value in zip('xyz', xyz):
        setattr(message.transform.translation, name, float(value))
    for name, value in zip('xyzw', quaternion):
        setattr(message.transform.rotation, name, float(value))
    return message


def moving(path, *, late_ns=0, static=True, until=6, images=6, quaternion=OPTICAL):
    """A camera on a robot that drives along x of odom, 1 m/s; its transforms every 50 ms.

    late_ns: how much later than their stamps the transforms are recorded. until: images after which
    no transforms come.
    """
    kinds = {**BOTH, '/tf': TF, '/tf_static': TF}
    items = []
    for k in range(images):
        time_ns = 100 * S + k * S // 10
        items += [(time_ns, topic, message_of(kind, k, time_ns)) for topic, kind in BOTH.items()]
    for k in range(-1, 2 * until + 1):
        stamp_ns = 100 * S + k * S // 20
        moved = transform('odom', 'base', stamp_ns, (k / 20, 0, 0))
        items.append((stamp_ns + late_ns, '/tf', TYPES(TF)(transforms=[moved])))
    if static:
        fixed = transform('base', 'cam', 0, (0, 0, 1.5), quaternion)
        items.append((101 * S, '/tf_static', TYPES(TF)(transforms=[fixed])))
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind, typestore=TYPES.store)
            for topic, kind in kinds.items()
        }
        for time_ns, topic, message in sorted(items, key=lambda item: item[0]):
            writer.write(topics[topic], time_ns, TYPES.serialize(message, kinds[topic]))
    return path


def process(source, target, *options):
    blobs = ['--estimator', 'support.blobs', '--no-smoothing']
    return main(['bag', str(source), str(target), *blobs, *options])


@pytest.mark.parametrize('late_ns', [0, 300_000_000])
def test_results_are_in_the_target_frame(tmp_path, late_ns):
    """At the stamp of each image, however late its transform was recorded."""
    source = moving(tmp_path / 'in', late_ns=late_ns)
    options = ('--set', 'target_frame=odom', '--set', 'publish_tf=true')
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    found = read(tmp_path / 'out.mcap')
    arrays = [array for _, array in found['/pose3d_estimator/skeletons']]
    assert [array.header.frame_id for array in arrays] == ['odom'] * 6
    for k, array in enumerate(arrays):
        assert stamp_of(array.header) == 100 * S + k * S // 10
        root = array.skeletons[0].root.position
        # Three metres before the camera, which is 1.5 m above the ground.
        assert root.x == pytest.approx(3.0 + k / 10, abs=0.1)
        assert root.z == pytest.approx(1.5, abs=0.1)
    own = [t for _, m in found['/tf'] for t in m.transforms if t.child_frame_id == 'body_1']
    assert {t.header.frame_id for t in own} == {'odom'}
    assert len(own) == 6


def test_gravity_of_a_recording(tmp_path):
    source = moving(tmp_path / 'in')
    seen = []

    def remember(pipeline):
        estimate = pipeline.estimator.estimate
        pipeline.estimator.estimate = lambda frames: seen.extend(frames) or estimate(frames)
        return pipeline

    config = NodeConfig(estimator='support.blobs', gravity_frame='base')
    recording = Recording(source)
    with BagFile(tmp_path / 'out.mcap') as bag:
        pipeline = remember(Pipeline(config))
        BagRun(recording, bag, pipeline, config, find_streams(recording)).run()
    recording.close()
    assert len(seen) == 6
    for frame in seen:
        np.testing.assert_allclose(frame.gravity, (0, 1, 0), atol=1e-9)


def test_images_without_a_transform_have_no_results_and_are_counted(tmp_path, capsys):
    source = moving(tmp_path / 'in', until=3)
    assert process(source, tmp_path / 'out.mcap', '--set', 'target_frame=odom') == 0
    found = read(tmp_path / 'out.mcap')
    assert len(found['/pose3d_estimator/skeletons']) == 4
    assert len(found['/camera/image_raw']) == 6
    err = capsys.readouterr().err
    assert "no transform from 'base' to 'odom'" in err
    assert 'no results of 2 images, for want of a transform to odom' in err


@pytest.mark.parametrize('setting', ['target_frame', 'gravity_frame', 'floor_frame'])
def test_settings_that_need_transforms_where_none_are_recorded(tmp_path, setting, capsys):
    source = record(tmp_path / 'in', BOTH)
    assert process(source, tmp_path / 'out.mcap', '--set', f'{setting}=odom') == 3
    assert 'neither /tf nor /tf_static is recorded, and odom' in capsys.readouterr().err
    assert not (tmp_path / 'out.mcap').exists()


def test_transforms_wait_in_recorded_time(tmp_path):
    source = moving(tmp_path / 'in', late_ns=S // 2)
    lines = []
    transforms = RecordedTransforms(source, lines.append)
    at = 100 * S + S // 10
    with pytest.raises(LookupError, match='odom'):
        transforms.lookup('odom', 'cam', at, at, S // 5)
    rotation, translation = transforms.lookup('odom', 'cam', at, at, S)
    np.testing.assert_allclose(translation, (0.1, 0, 1.5), atol=1e-9)
    np.testing.assert_allclose(rotation @ (0, 0, 1), (1, 0, 0), atol=1e-9)
    transforms.close()
    assert lines == []


def test_markers_are_in_a_frame_that_stands_still(tmp_path):
    """As the live node's, by the transforms of the recording; skeletons stay in the camera's."""
    source = moving(tmp_path / 'in', late_ns=300_000_000)
    assert process(source, tmp_path / 'out.mcap') == 0
    found = read(tmp_path / 'out.mcap')
    assert {m.header.frame_id for _, m in found['/pose3d_estimator/skeletons']} == {'cam'}
    frames = {
        one.header.frame_id for _, m in found['/pose3d_estimator/markers'] for one in m.markers
    }
    assert 'odom' in frames
    assert process(source, tmp_path / 'own.mcap', '--set', 'marker_frame=') == 0
    found = read(tmp_path / 'own.mcap')
    frames = {
        one.header.frame_id for _, m in found['/pose3d_estimator/markers'] for one in m.markers
    }
    assert frames == {'cam'}


def test_a_recording_whose_images_are_in_a_body_frame(tmp_path, capsys):
    source = moving(tmp_path / 'in')
    # Not switched off by this: that transforms are looked at.
    options = ('--set', 'publish_markers=false', '--set')
    assert process(source, tmp_path / 'out.mcap', *options, 'target_frame=base') == 0
    assert 'image_frame' not in capsys.readouterr().err
    (optical,) = {
        root(m) for _, m in read(tmp_path / 'out.mcap')['/pose3d_estimator/skeletons'][:1]
    }
    assert process(source, tmp_path / 'b.mcap', *options, 'image_frame=body') == 0
    _, array = read(tmp_path / 'b.mcap')['/pose3d_estimator/skeletons'][0]
    assert array.header.frame_id == 'cam'
    # The camera's pose in base is its optical axes, 1.5 m up.
    np.testing.assert_allclose(root(array), np.subtract(optical, (0, 0, 1.5)), atol=1e-6)


def root(array):
    position = array.skeletons[0].root.position
    return position.x, position.y, position.z


def test_a_recording_whose_frame_is_no_optical_one(tmp_path, capsys):
    source = moving(tmp_path / 'in', quaternion=(0.0, 0.0, 0.0, 1.0))
    options = ('--set', 'gravity_frame=base', '--set', 'publish_markers=false')
    assert process(source, tmp_path / 'out.mcap', *options) == 0
    assert capsys.readouterr().err.count('image_frame: body') == 1


def test_names_of_recorded_frames_are_not_used_again(tmp_path, capsys):
    source, first = moving(tmp_path / 'in'), tmp_path / 'first.mcap'
    assert process(source, first, '--set', 'publish_tf=true') == 0
    second = tmp_path / 'second.mcap'
    assert process(first, second, '--set', 'publish_tf=true', '--name', 'again') == 0
    assert 'somebody else broadcasts the frame body_1' in capsys.readouterr().err
    children = [t.child_frame_id for _, m in read(second)['/tf'] for t in m.transforms]
    assert children.count('again_body_1') == children.count('body_1') == 6
