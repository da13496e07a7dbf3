# SPDX-License-Identifier: Apache-2.0
"""The real network on a bundled video, against where the person really was."""

from __future__ import annotations

import numpy as np
import pytest
from harness import LATCHED, OPTICAL, RELIABLE, camera_info, image_message, stamp_of
from pose3d_ros.msg import EstimatorInfo, Skeleton3D

from pose3d_ros.resources import resource
from pose3d_ros.sources import open_source

FRAMES = 60


@pytest.fixture
def clip(blazepose):
    """Images, and the true joints (T, N, 3) by name."""
    frames = [frame.image for _, frame in zip(range(FRAMES), open_source(clip_path()))]
    with np.load(clip_path().with_suffix('.npz')) as truth:
        names = [str(name) for name in truth['joint_names']]
        return frames, names, truth['joints_cam'][:FRAMES, 0], truth['K']


def clip_path():
    return resource('demo', 'jump.mp4')


def test_a_jumping_person(start, peer, clip):
    images, names, truth, K = clip
    start(estimator='blazepose', drop_policy='none', finder_in_step=True).wait(timeout_s=60)
    got, camera = peer.skeletons(), peer.camera(RELIABLE)
    info = camera_info()
    info.k = [float(v) for v in K.ravel()]
    peer.until(lambda: camera.images.get_subscription_count() == 1)
    step = round(1e9 / 30)
    first = 1_000_000_000
    for k, image in enumerate(images):
        # The next one when the one before is done: nothing of these may be lost.
        camera.infos.publish(info)
        if k == 0:
            peer.spin_for(0.1)
        camera.images.publish(image_message(image, first + k * step))
        peer.until(lambda k=k: len(got) > k)
    assert [stamp_of(array) for array in got] == [first + k * step for k in range(FRAMES)]
    assert {array.header.frame_id for array in got} == {OPTICAL}
    assert {array.convention for array in got} == {'blazepose_33'}
    seen = [(k, array.skeletons[0]) for k, array in enumerate(got) if array.skeletons]
    assert len(seen) >= 0.95 * FRAMES
    assert {person.track_id for _, person in seen} == {1}
    assert {person.position_source for _, person in seen} == {Skeleton3D.SOURCE_METRIC}

    late = peer.collect(EstimatorInfo, f'{peer.target}/estimator_info', LATCHED)
    peer.until(lambda: late)
    assert late[0].model_name == 'blazepose'
    assert late[0].metric
    assert late[0].backend in ('openvino', 'onnxruntime')
    index = {name: k for k, name in enumerate(late[0].joint_names)}
    assert len(index) == 33

    # Hips in metres from the camera, and relative to each other, where they really were.
    pelvis = [
        (names.index('left_hip'), index['left_hip']),
        (names.index('right_hip'), index['right_hip']),
    ]
    errors, widths = [], []
    for k, person in seen:
        true = np.mean([truth[k, a] for a, _ in pelvis], axis=0)
        joints = [person.joints[b].position for _, b in pelvis]
        found = np.mean([(p.x, p.y, p.z) for p in joints], axis=0)
        errors.append(np.linalg.norm(found - true))
        left_knee, left_ankle = (person.joints[index[f'left_{part}']] for part in ('knee', 'ankle'))
        widths.append(left_ankle.position.y - left_knee.position.y)
    assert np.median(errors) < 0.4
    assert 0.2 < np.median(widths) < 0.6


def test_uncalibrated(start, peer, clip):
    images = clip[0]
    start(estimator='blazepose').wait(timeout_s=60)
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: got and got[-1].skeletons, image=lambda: image_message(images[0]))
    person = got[-1].skeletons[0]
    assert person.position_source == Skeleton3D.SOURCE_RELATIVE
    assert abs(person.root.position.z) < 0.05
