# SPDX-License-Identifier: Apache-2.0
"""Parameters: described, accepted, refused with reasons, live or not."""

from __future__ import annotations

import math

import pytest
from harness import image_message
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from support.blobs import draw

from pose3d_ros.ros.parameters import HINT, STRUCTURAL
from pose3d_ros.settings.node import NodeConfig, node_settings


def names_of(peer):
    request = ListParameters.Request()
    return set(peer.call(ListParameters, f'{peer.target}/list_parameters', request).result.names)


def value_of(peer, name):
    request = GetParameters.Request(names=[name])
    return peer.call(GetParameters, f'{peer.target}/get_parameters', request).values[0]


def test_defaults_of_the_estimator(start, peer):
    start(autostart=False, estimator='openpose3d', min_score=0.7)
    assert value_of(peer, 'max_people').integer_value == 20
    assert value_of(peer, 'min_score').double_value == 0.7


def test_every_setting_is_a_described_parameter(start, peer):
    pytest.importorskip('platformdirs')  # of the estimators in the list
    start(autostart=False)
    settings = {item.name: item for item in node_settings()}
    assert set(settings) <= names_of(peer)
    request = DescribeParameters.Request(names=list(settings))
    answer = peer.call(DescribeParameters, f'{peer.target}/describe_parameters', request)
    types = {bool: 1, int: 2, float: 3, str: 4}
    for descriptor in answer.descriptors:
        item = settings[descriptor.name]
        assert descriptor.type == types[item.type]
        assert descriptor.description == item.doc
        assert descriptor.read_only == (item.name in STRUCTURAL)
        assert not descriptor.dynamic_typing
        assert len(descriptor.integer_range) == (item.type is int)
        bounded = item.type is float and (item.low is not None or item.high is not None)
        assert len(descriptor.floating_point_range) == bounded
        for choice in item.choices:
            assert repr(choice) in descriptor.additional_constraints
        if not item.live and item.name not in STRUCTURAL:
            assert HINT in descriptor.additional_constraints
        for ranges in (descriptor.integer_range, descriptor.floating_point_range):
            for one in ranges:
                assert item.low is None or one.from_value == item.low
                assert item.high is None or one.to_value == item.high


def test_defaults_are_those_of_the_dataclass(start, peer):
    running = start(autostart=False, estimator='support.blobs')
    config = NodeConfig(estimator='support.blobs', autostart=False, diagnostics_period_s=0.2)
    assert running.node._settings.config() == config


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'max_people': 0}, 'max_people out of range'),
        ({'max_people': 1000}, 'max_people out of range'),
        ({'min_score': 1.5}, 'min_score out of range'),
        ({'min_score': math.nan}, 'min_score'),
        ({'tf_joints': 'some'}, "tf_joints must be one of none, root, all, not 'some'"),
        ({'max_people': 'many'}, 'type'),
        ({'smoothing': 1}, 'type'),
        ({'autostart': False}, 'read-only'),
        ({'estimator': 'blazepose'}, f'estimator {HINT}'),
        ({'device': 'GPU'}, f'device {HINT}'),
        ({'cameras': 'left,right'}, f'cameras {HINT}'),
        ({'image_transport': 'compressed'}, f'image_transport {HINT}'),
    ],
)
def test_refused_with_the_reason(start, peer, change, reason):
    start().wait()
    (name,) = change
    before = value_of(peer, name)
    accepted, why = peer.set(**change)
    assert not accepted
    assert reason in why
    assert value_of(peer, name) == before
    assert peer.state() == 'active'


def test_a_name_that_does_not_exist(start, peer):
    start()
    accepted, why = peer.set(max_peeple=3)
    assert not accepted
    assert 'undeclared' in why


def test_live_settings_change_what_comes_out(start, peer):
    start(smoothing=False).wait()
    got, camera = peer.skeletons(), peer.camera()
    two = draw([(160, 240, 160), (480, 240, 160)])

    def images():
        return image_message(two)

    camera.until(lambda: got and len(got[-1].skeletons) == 2, image=images)
    assert peer.set(marker_scale_m=0.1, smoothing=True, smoothing_beta=3) == (True, '')
    assert value_of(peer, 'smoothing_beta').double_value == 3.0
    assert peer.set(enabled=False) == (True, '')
    camera.until(lambda: len(camera.sent) % 10 == 9, image=images)
    count = len(got)
    camera.until(lambda: len(camera.sent) % 10 == 0, image=images)
    assert len(got) == count
    assert peer.set(enabled=True) == (True, '')
    camera.until(lambda: len(got) > count, image=images)


def test_fixed_settings_change_between_two_lives(start, peer):
    start().wait()
    assert not peer.set(skeleton='h36m_17')[0]
    assert peer.transition('deactivate')
    assert not peer.set(skeleton='h36m_17')[0]
    assert peer.transition('cleanup')
    assert peer.set(skeleton='h36m_17') == (True, '')
    assert peer.transition('configure')
    assert peer.transition('activate')
    got = peer.skeletons()
    peer.camera().until(lambda: got)
    assert got[0].convention == 'h36m_17'


def test_a_wrong_start_is_told_and_mended(start, peer, capfd):
    start(min_score=7.0, max_peple=3, image_transport='smoke', max_people='two')
    peer.spin_for(0.5)
    assert peer.state() == 'unconfigured'
    error = capfd.readouterr().err
    assert 'min_score must lie in [0, 1], not 7.0' in error
    assert "image_transport must be one of raw, compressed, not 'smoke'" in error
    assert "max_people must be of type int, not 'two'" in error
    assert 'unknown parameter max_peple is ignored; did you mean max_people?' in error
    assert not peer.transition('configure')
    assert peer.set(min_score=0.5, image_transport='raw', max_people=3) == (True, '')
    assert peer.transition('configure')


def test_whole_numbers_and_lists_are_understood(start, peer):
    running = start(min_score=1, cameras=['left', 'right']).wait()
    assert running.node.get_parameter('min_score').value == 1.0
    assert running.node.get_parameter('cameras').value == 'left,right'
    assert peer.set(min_score=0) == (True, '')
    assert running.node.get_parameter('min_score').value == 0.0


def test_a_parameters_file_serves_any_name_and_namespace(start, peer, tmp_path):
    file = tmp_path / 'my.yaml'
    file.write_text(
        '/**:\n  ros__parameters:\n    estimator: support.blobs\n    skeleton: mpii_16\n'
        '    max_people: 2\n'
    )
    running = start(ros_args=['--params-file', str(file)]).wait()
    assert running.node.get_parameter('max_people').value == 2
    assert running.node.get_parameter('skeleton').value == 'mpii_16'
