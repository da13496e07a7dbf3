# SPDX-License-Identifier: Apache-2.0
"""The life cycle: every transition, failures with their cause, giving up and starting again."""

from __future__ import annotations

import time
from itertools import cycle

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from harness import LATCHED, image_message, within
from pose3d_ros.msg import EstimatorInfo
from std_srvs.srv import Trigger
from support.blobs import Estimator
from visualization_msgs.msg import Marker, MarkerArray


def test_starts_by_itself(start, peer):
    start().wait('active')
    assert peer.state() == 'active'


def test_every_transition(start, peer):
    running = start(autostart=False)
    peer.spin_for(0.3)
    assert peer.state() == 'unconfigured'
    topics = dict(peer.get_topic_names_and_types())
    assert f'{peer.target}/skeletons' not in topics

    assert peer.transition('configure')
    assert peer.state() == 'inactive'
    peer.until(lambda: peer.count_publishers(f'{peer.target}/skeletons') == 1)
    image = peer.resolve_topic_name('image')
    assert peer.count_subscribers(image) == 0

    got = peer.skeletons()
    markers = peer.collect(MarkerArray, f'{peer.target}/markers')
    camera = peer.camera()
    camera.until(lambda: len(camera.sent) == 5)
    assert got == []

    assert peer.transition('activate')
    assert peer.state() == 'active'
    camera.until(lambda: got and markers)
    assert len(got[-1].skeletons) == 1

    assert peer.transition('deactivate')
    assert peer.state() == 'inactive'
    peer.until(lambda: got[-1].skeletons == [], what='for the empty array')
    assert got[-1].header == camera_header(got)
    peer.until(lambda: markers[-1].markers[0].action == Marker.DELETEALL)
    peer.until(lambda: peer.count_subscribers(image) == 0)
    count = len(got)
    camera.until(lambda: len(camera.sent) % 10 == 0)
    assert len(got) == count

    assert peer.transition('activate')
    camera.until(lambda: len(got) > count)
    assert peer.transition('deactivate')
    assert peer.transition('cleanup')
    assert peer.state() == 'unconfigured'
    peer.until(lambda: peer.count_publishers(f'{peer.target}/skeletons') == 0)

    assert peer.transition('configure')
    assert peer.transition('activate')
    count = len(got)
    camera.until(lambda: len(got) > count)

    begin = time.monotonic()
    assert peer.transition('shutdown')
    assert peer.state() == 'finalized'
    peer.until(lambda: got[-1].skeletons == [])
    peer.until(lambda: running.ended, within(2), 'for the end of the process')
    assert time.monotonic() - begin < within(2)


def camera_header(got):
    """The header of the last array with people."""
    return next(array.header for array in reversed(got[:-1]) if array.skeletons)


def test_an_impossible_transition_is_answered(start, peer):
    start(autostart=False)
    assert not peer.transition('activate')
    assert not peer.transition('cleanup')
    assert peer.state() == 'unconfigured'
    assert peer.transition('configure')


def test_information_is_latched(start, peer):
    start().wait()
    peer.spin_for(0.2)
    late = peer.collect(EstimatorInfo, f'{peer.target}/estimator_info', LATCHED)
    peer.until(lambda: late)
    assert late[0].convention == 'coco_17'
    assert len(late[0].joint_names) == len(late[0].parents) == 17
    assert late[0].model_name == 'blobs'
    assert late[0].header.stamp.sec > 0


def test_a_missing_model_is_a_failure_with_its_cause(start, peer, capfd, blazepose, tmp_path):
    latest = peer.diagnostics()
    start(estimator='blazepose', model=str(tmp_path / 'none.tflite'), autostart=False)
    assert not peer.transition('configure')
    assert peer.state() == 'unconfigured'
    error = capfd.readouterr().err
    assert 'cannot configure' in error
    assert 'none.tflite' in error
    assert 'Traceback' not in error
    status = peer.until(lambda: latest.get('lifecycle'))
    peer.until(lambda: latest['lifecycle'].level == DiagnosticStatus.ERROR)
    status = latest['lifecycle']
    assert 'none.tflite' in status.message
    # Nothing stands in the way of another attempt.
    assert peer.set(model='', estimator='support.blobs') == (True, '')
    assert peer.transition('configure')


def test_an_unknown_estimator_is_a_failure_too(start, peer, capfd):
    start(estimator='blazeposse').wait('unconfigured')
    peer.spin_for(0.3)
    assert peer.state() == 'unconfigured'
    assert "estimator 'blazeposse' is unknown; did you mean 'blazepose'?" in capfd.readouterr().err


def red():
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 2] = 255
    return image_message(image)


def test_one_failed_image_is_survived(start, peer):
    start(max_failures=3).wait()
    got, camera, latest = peer.skeletons(), peer.camera(), peer.diagnostics()
    camera.until(lambda: got)
    turns = cycle([red, image_message, image_message])
    camera.until(
        lambda: latest and 'failed on a red' in values(latest['inference'])['last failure'],
        image=lambda: next(turns)(),
    )
    count = len(got)
    camera.until(lambda: len(got) > count)
    assert peer.state() == 'active'


def test_gives_up_after_too_many_failures(start, peer, capfd):
    running = start(max_failures=3, always_on=True).wait()
    latest, camera = peer.diagnostics(), peer.camera()
    camera.until(lambda: running.node.state == 'unconfigured', image=red)
    assert peer.state() == 'unconfigured'
    peer.until(lambda: 'gave up' in latest['lifecycle'].message)
    assert latest['lifecycle'].level == DiagnosticStatus.ERROR
    assert 'failed on a red image' in latest['lifecycle'].message
    assert 'giving up after 3 in a row' in capfd.readouterr().err
    assert peer.transition('configure')
    assert peer.transition('activate')
    got = peer.skeletons()
    camera.until(lambda: got)
    peer.until(lambda: latest['lifecycle'].level == DiagnosticStatus.OK)


def values(status):
    """The pairs of a status."""
    return {pair.key: pair.value for pair in status.values}


def test_deactivation_does_not_wait_long_for_a_slow_image(start, peer, monkeypatch):
    monkeypatch.setattr(Estimator, 'slow_ms', 300.0)
    start(always_on=True).wait(timeout_s=20)
    camera = peer.camera()
    camera.until(lambda: len(camera.sent) == 20)
    begin = time.monotonic()
    assert peer.transition('deactivate')
    assert time.monotonic() - begin < within(2)


def test_resetting_without_a_model_is_refused(start, peer):
    start(autostart=False)
    answer = peer.call(Trigger, f'{peer.target}/reset_tracking', Trigger.Request())
    assert not answer.success
    assert 'unconfigured' in answer.message
