# SPDX-License-Identifier: Apache-2.0
"""What comes out for an image: skeletons, markers, transforms, the debug image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from harness import BEST_EFFORT, OPTICAL, PERSON, camera_info, image_message, stamp_of
from pose3d_ros.msg import Skeleton3D, Skeleton3DArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger
from support.blobs import draw
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray


def nobody():
    return image_message(draw([]))


def test_skeletons_carry_stamp_frame_and_size(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: len(got) > 5)
    for array in got:
        assert stamp_of(array) in camera.sent
        assert array.header.frame_id == OPTICAL
        assert (array.image_width, array.image_height) == (640, 480)
        assert array.convention == 'coco_17'
        (skeleton,) = array.skeletons
        assert [joint.id for joint in skeleton.joints] == list(range(17))
        assert skeleton.score == pytest.approx(0.9)
    assert len({array.skeletons[0].track_id for array in got}) == 1
    assert got[0].skeletons[0].tracking_state == Skeleton3D.NEW
    assert got[-1].skeletons[0].tracking_state == Skeleton3D.TRACKED


def test_calibrated_people_stand_in_metres(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(
        lambda: got and got[-1].skeletons[0].position_source != Skeleton3D.SOURCE_RELATIVE,
        info=camera_info(focal=500.0),
    )
    person = got[-1].skeletons[0]
    # 1.6 m are 160 pixels high: 5 m away at a focal length of 500.
    assert person.root.position.z == pytest.approx(5.0, abs=0.1)
    assert person.root.position.x == pytest.approx(0.0, abs=0.05)
    nose = person.joints[0]
    assert nose.position.y < person.root.position.y
    assert (nose.pixel_x, nose.pixel_y) == pytest.approx((320, 174), abs=3)


def test_uncalibrated_people_are_relative_and_said_to_be(start, peer):
    start().wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(lambda: len(got) > 3 and 'calibration' in latest)
    person = got[-1].skeletons[0]
    assert person.position_source == Skeleton3D.SOURCE_RELATIVE
    assert abs(person.root.position.z) < 0.01
    camera.until(lambda: 'no camera_info' in latest['calibration'].message)
    assert latest['calibration'].level == b'\x01'


def test_nobody_is_an_empty_array(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: len(got) > 3, image=nobody)
    assert all(array.skeletons == [] for array in got)


def test_an_end_is_told_once(start, peer):
    start(track_max_missed_s=0.1).wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: len(got) > 3)
    track = got[-1].skeletons[0].track_id
    camera.until(lambda: lost(got), image=nobody)
    count = len(got)
    camera.until(lambda: len(got) > count + 5, image=nobody)
    assert lost(got) == [track]
    camera.until(lambda: got[-1].skeletons)
    assert got[-1].skeletons[0].track_id > track


def lost(got):
    """Ids that are said to be lost."""
    return [s.track_id for a in got for s in a.skeletons if s.tracking_state == Skeleton3D.LOST]


def test_markers_come_and_go(start, peer):
    start(track_max_missed_s=0.1).wait()
    got, camera = peer.collect(MarkerArray, f'{peer.target}/markers'), peer.camera()
    camera.until(lambda: len(got) > 3, info=camera_info())
    by_name = {marker.ns: marker for marker in got[-1].markers}
    assert {'joints', 'bones', 'text', 'floor'} <= set(by_name)
    assert by_name['joints'].type == Marker.SPHERE_LIST
    assert by_name['bones'].type == Marker.LINE_LIST
    assert len(by_name['joints'].points) == 17
    assert len({by_name[ns].id for ns in ('joints', 'bones', 'text')}) == 1
    for marker in got[-1].markers:
        assert marker.action == Marker.ADD
        assert marker.header.frame_id == OPTICAL
        assert stamp_of(marker) in camera.sent
        assert 0 < marker.lifetime.sec + 1e-9 * marker.lifetime.nanosec <= 2
        for colour in [marker.color, *marker.colors]:
            assert min(colour.r, colour.g, colour.b, colour.a) >= 0
            assert max(colour.r, colour.g, colour.b, colour.a) <= 1
        for p in marker.points:
            assert all(map(math.isfinite, (p.x, p.y, p.z)))
    # The frustum stays: it is the camera's.
    ids = {(m.ns, m.id) for m in got[-1].markers if m.ns != 'frustum'}
    camera.until(lambda: deleted(got) == ids, image=nobody)
    assert not any(m.action == Marker.DELETEALL for array in got for m in array.markers)


def deleted(got):
    """What has been deleted."""
    return {(m.ns, m.id) for array in got for m in array.markers if m.action == Marker.DELETE}


def test_the_debug_image_shows_the_skeleton(start, peer):
    start().wait()
    got, camera = peer.collect(Image, f'{peer.target}/debug_image', BEST_EFFORT), peer.camera()
    camera.until(lambda: got)
    assert (got[0].encoding, got[0].width, got[0].height) == ('bgr8', 640, 480)
    assert stamp_of(got[0]) in camera.sent
    drawn = np.frombuffer(got[0].data, np.uint8).reshape(480, 640, 3)
    assert (drawn != draw([PERSON])).any(axis=2).sum() > 500


def test_transforms_of_people(start, peer):
    start(publish_tf=True, tf_joints='all').wait()
    got, camera = peer.collect(TFMessage, '/tf'), peer.camera()
    camera.until(lambda: got, info=camera_info())
    by_child = {t.child_frame_id: t for t in got[-1].transforms}
    body = by_child['body_1']
    assert body.header.frame_id == OPTICAL
    assert stamp_of(body) in camera.sent
    assert body.transform.translation.z == pytest.approx(5.0, abs=0.1)
    # Facing the camera: x of the body frame points to it, z against the image's y.
    q = body.transform.rotation
    assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1)
    x_axis = rotated(q, (1, 0, 0))
    assert x_axis == pytest.approx([0, 0, -1], abs=0.05)
    assert rotated(q, (0, 0, 1)) == pytest.approx([0, -1, 0], abs=0.05)
    wrist = by_child['l_wrist_1']
    assert wrist.header.frame_id == 'body_1'
    assert wrist.transform.translation.y == pytest.approx(0.28, abs=0.05)


def rotated(q, vector):
    """A vector turned by a quaternion."""
    return Rotation.from_quat([q.x, q.y, q.z, q.w]).apply(vector).tolist()


def test_transforms_are_opt_in_and_live(start, peer):
    start().wait()
    got, camera, skeletons = peer.collect(TFMessage, '/tf'), peer.camera(), peer.skeletons()
    camera.until(lambda: len(skeletons) > 5, info=camera_info())
    assert got == []
    assert peer.set(publish_tf=True) == (True, '')
    camera.until(lambda: got, info=camera_info())
    assert [t.child_frame_id for t in got[-1].transforms] == ['body_1']


def test_transforms_use_few_names_for_many_people(start, peer):
    start(publish_tf=True, tf_max_people=2, track_max_missed_s=0.0, max_gap_s=10.0).wait()
    got, camera, skeletons = peer.collect(TFMessage, '/tf'), peer.camera(), peer.skeletons()
    places = iter(range(1000))

    def somewhere():
        # Too far from the one before to be the same person.
        return image_message(draw([(100 + 400 * (next(places) % 2), 240, 160)]))

    camera.until(lambda: len(skeletons) > 40, image=somewhere, info=camera_info(), period_s=0.01)
    tracks = {s.track_id for array in skeletons for s in array.skeletons}
    assert len(tracks) > 5
    names = {t.child_frame_id for message in got for t in message.transforms}
    assert names == {'body_1', 'body_2'}


def test_target_frame(start, peer):
    start(target_frame='map').wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(
        lambda: 'transform' in latest and latest['transform'].level == b'\x02', info=camera_info()
    )
    assert got == []
    assert 'map' in latest['transform'].message

    peer.place('map', OPTICAL, x=10.0)
    camera.until(lambda: got, info=camera_info())
    assert got[-1].header.frame_id == 'map'
    assert stamp_of(got[-1]) in camera.sent
    root = got[-1].skeletons[0].root.position
    assert (root.x, root.y, root.z) == pytest.approx((15.0, 0.0, 0.0), abs=0.1)
    camera.until(lambda: latest['transform'].level == b'\x00', info=camera_info())


def test_work_is_done_only_for_listeners(start, peer):
    start(publish_tf=False).wait()
    camera, latest = peer.camera(), peer.diagnostics()

    def processed():
        return int(pairs(latest['input'])['received']) - int(
            pairs(latest['input'])['skipped (paused or nobody listens)']
        )

    camera.until(lambda: 'input' in latest and pairs(latest['input'])['received'] > '20')
    assert 'idle' in latest['inference'].message
    got = peer.skeletons()
    camera.until(lambda: got)
    camera.until(lambda: 'Hz' in latest['inference'].message)


def pairs(status):
    """The values of a status."""
    return {pair.key: pair.value for pair in status.values}


def test_enable_and_reset_services(start, peer):
    start().wait()
    got, camera = peer.skeletons(), peer.camera()
    camera.until(lambda: got)
    first = got[-1].skeletons[0].track_id
    answer = peer.call(SetBool, f'{peer.target}/enable', SetBool.Request(data=False))
    assert (answer.success, answer.message) == (True, 'paused')
    camera.until(lambda: len(camera.sent) % 10 == 9)
    count = len(got)
    camera.until(lambda: len(camera.sent) % 10 == 0)
    assert len(got) == count
    answer = peer.call(SetBool, f'{peer.target}/enable', SetBool.Request(data=True))
    assert (answer.success, answer.message) == (True, 'enabled')
    camera.until(lambda: len(got) > count)
    assert peer.call(Trigger, f'{peer.target}/reset_tracking', Trigger.Request()).success
    camera.until(lambda: got[-1].skeletons[0].track_id > first)


def test_several_namespaces_do_not_mix(start, peer, namespace):
    from harness import Peer, Running

    start().wait()
    other_space = f'{namespace}/other'
    other = Running(other_space, {'estimator': 'support.blobs', 'skeleton': 'h36m_17'})
    far = Peer(other_space)
    try:
        other.wait()
        near_got, far_got = peer.skeletons(), far.skeletons()
        near_camera = peer.camera()
        near_camera.until(lambda: len(near_got) > 5)
        far.spin_for(0.2)
        assert far_got == []
        far.camera().until(lambda: far_got)
        assert far_got[0].convention == 'h36m_17'
        assert {array.convention for array in near_got} == {'coco_17'}
    finally:
        far.destroy_node()
        other.close()


def test_several_cameras_share_a_node(start, peer):
    start(cameras=['left', 'right'], publish_tf=True).wait()
    got = {
        name: peer.collect(Skeleton3DArray, f'{peer.target}/{name}/skeletons')
        for name in ('left', 'right')
    }
    transforms = peer.collect(TFMessage, '/tf')
    left, right = peer.camera(topic='left/image'), peer.camera(topic='right/image')
    right.infos.publish(camera_info())
    left.until(
        lambda: len(got['left']) > 3,
        image=lambda: image_message(draw([]), frame_id='left_optical'),
    )
    assert got['right'] == []
    right.until(
        lambda: len(got['right']) > 3 and transforms,
        image=lambda: image_message(frame_id='right_optical'),
        info=camera_info(),
    )
    assert {array.header.frame_id for array in got['left']} == {'left_optical'}
    assert {array.header.frame_id for array in got['right']} == {'right_optical'}
    assert all(len(array.skeletons) == 1 for array in got['right'])
    assert {t.child_frame_id for m in transforms for t in m.transforms} == {'right_body_1'}
