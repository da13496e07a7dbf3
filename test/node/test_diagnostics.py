# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from support.blobs import Estimator

from pose3d_ros.messages.diagnostics import Status
from pose3d_ros.node.diagnostics import CameraState, statuses
from pose3d_ros.node.monitor import Report, SourceStats
from pose3d_ros.settings.node import NodeConfig


def report(**changes):
    fields = {
        'sources': {'': SourceStats(received=5, age_s=0.01, rate_in=30.0, rate_out=29.0)},
        'latency_ms': {'total': (12.0, 20.0)},
        'failures': 0,
        'failures_in_a_row': 0,
        'last_failure': '',
        'resets': 0,
        'enabled': True,
        'halted': False,
    }
    return Report(**{**fields, **changes})


def found(changes=None, state=None, needed=True, **settings):
    made = statuses(
        report(**(changes or {})),
        {'': state or CameraState(topic='/image')},
        Estimator.info,
        NodeConfig(estimator='support.blobs', **settings),
        needed,
    )
    return {status.name: status for status in made}


def test_all_is_well():
    got = found()
    assert set(got) == {'input', 'calibration', 'tracking', 'inference', 'latency'}
    assert {status.level for status in got.values()} == {0}
    assert got['input'].message == '30.0 Hz'
    assert got['inference'].message == '29.0 Hz'
    assert got['inference'].values['backend'] == 'none'


def test_input_is_late():
    stale = {'sources': {'': SourceStats(age_s=3.0)}}
    assert found(stale)['input'].level == 2
    assert 'no image on /image for 3.0 s' in found(stale)['input'].message
    assert found(stale, input_timeout_s=5.0)['input'].level == 0


def test_incompatible_qos_and_lost_samples():
    state = CameraState(topic='/image', qos=['/image: reliability'], lost_samples=4)
    status = found(state=state)['input']
    assert status.level == 2
    assert 'incompatible QoS: /image: reliability' in status.message
    assert status.values['lost in transport'] == '4'


def test_worst_problem_stands_first():
    status = Status('x')
    status.problem(1, 'slow')
    status.problem(2, 'broken')
    status.problem(1, 'odd')
    assert (status.level, status.message) == (2, 'broken; slow; odd')


def test_inference_states():
    assert found({'enabled': False})['inference'].message == 'paused'
    assert found(needed=False)['inference'].message == 'idle: nobody listens'
    failing = found({'failures_in_a_row': 2, 'last_failure': 'boom'})['inference']
    assert (failing.level, failing.message) == (2, 'failing: boom')
    over = found({'failures_in_a_row': 9, 'halted': True, 'last_failure': 'boom'})['inference']
    assert (over.level, over.message) == (2, 'gave up: boom')
    assert found(min_rate_hz=29.5)['inference'].level == 1


def test_latency_above_the_limit():
    assert found(latency_warn_ms=19.0)['latency'].level == 1
    assert found(latency_warn_ms=21.0)['latency'].level == 0
    assert found({'latency_ms': {}})['latency'].message == 'nothing measured yet'


def test_the_age_of_the_frame_that_poses_belong_to():
    late = found({'latency_ms': {'total': (12.0, 20.0), 'delay': (2420.0, 2440.0)}})['latency']
    assert late.message.endswith('poses belong to frames 2420 ms before the newest')
    assert late.values['delay mean (ms)'] == '2420.00'


def test_transform_status_only_with_a_target_frame():
    state = CameraState(topic='/image', tf_failures=3, tf_problem='nothing known')
    assert 'transform' not in found(state=state)
    status = found(state=state, target_frame='map')['transform']
    assert (status.level, status.values['failures']) == (2, '3')
